"""The catalogue of formulas that were really shipped wrong (conformance/mutants), each as a torch callable that runs NumPy inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import refgrad as rg
from conformance.mutants import Mutant, Way
from conformance.mutants.judge import cases

from .record import function

Array = Any

# torch sums a gradient that is broadcast over its input, which is all that these two forget.
MENDED_BY_TORCH = ("th-1585", "pt-13669")
# Elements that are lost for being small beside their neighbours.
LOSING_DIGITS = ("jax-40387",)
# A jvp that gives nothing: torch fails inside, and forward mode is unsupported.
IMPOSSIBLE_IN_TORCH = ("tf-60736",)
# The wrong formula raises, or gives an array of the wrong shape, of which torch complains: an error, in torch's words.
RAISING = ("pt-31782", "hips-549", "tf-119477", "hips-25c1b84")


def _array(x: Any) -> Any:
    """What the formula works on: a copy, laid out as the tensor is; half formats in the dtype that the catalogue carries them in."""
    if not isinstance(x, Tensor):
        return x
    x = x.detach()
    return np.copy((x.float() if x.dtype == torch.bfloat16 else x).numpy())


def _tensor(x: Any, like: Tensor) -> Tensor:
    return torch.from_numpy(np.array(x)).to(like.dtype)


def callable_of(mutant: Mutant, formula: Callable[..., Any]) -> Callable[..., Any]:
    """A torch callable with the forward of the mutant, and with ``formula`` as its backward (or its jvp, where it is one)."""

    def forward(ctx, *args):
        ctx.args = args
        like = next(x for x in args if isinstance(x, Tensor) and x.is_floating_point())
        ctx.like = like
        with np.errstate(all="ignore"):
            return _tensor(mutant.forward(*map(_array, args)), like)

    def bars(ctx, y_bar, backward):
        with np.errstate(all="ignore"):
            found = backward(np.ascontiguousarray(_array(y_bar)).reshape(y_bar.shape), *map(_array, ctx.args))
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        found += [None] * (len(ctx.args) - len(found))
        differentiated = [isinstance(x, Tensor) and x.is_floating_point() for x in ctx.args]
        return tuple(
            _tensor(b, ctx.like) if d and b is not None else None
            for b, d in zip(found, differentiated, strict=True)
        )

    def backward_of_formula(ctx, y_bar):
        return bars(ctx, y_bar, formula)

    def backward_of_reference(ctx, y_bar):
        active = [k for k, x in enumerate(ctx.args) if isinstance(x, Tensor) and x.is_floating_point()]

        def derived(y_bar, *args):
            def of_active(*xs):
                full = list(args)
                for k, x in zip(active, xs, strict=True):
                    full[k] = x
                return mutant.forward(*full)

            _, pullback = rg.vjp(of_active, *[args[k] for k in active])
            return pullback(y_bar)

        return bars(ctx, y_bar, derived)

    def jvp(ctx, *tangents):
        given = [
            np.zeros_like(_array(x)) if t is None else _array(t)
            for x, t in zip(ctx.args, tangents, strict=True)
            if isinstance(x, Tensor) and x.is_floating_point()
        ]
        with np.errstate(all="ignore"):
            y_dot = formula(tuple(map(_array, ctx.args)), tuple(given))
        return None if y_dot is None else _tensor(y_dot, ctx.like)

    if mutant.way is Way.TANGENT:
        return function(forward, backward_of_reference, jvp)
    return function(forward, backward_of_formula)


def arguments(mutant: Mutant, dtype: str, case: int = 0) -> tuple[Any, ...]:
    """The inputs of a case as tensors; the first case exposes the mistake. Floating-point ones require a gradient."""
    found = []
    for x in cases(mutant, dtype, 0)[case]:
        array = np.asarray(x)
        if array.dtype.kind != "f":
            found.append(x)
            continue
        found.append(torch.from_numpy(np.copy(array)).requires_grad_())
    return tuple(found)
