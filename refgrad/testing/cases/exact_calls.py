"""Calls of functions that round nothing at small integers: convolutions, pooling, gathering, losses of differences.

The kernel of a function is hidden, and may compute by another formula than the composition. So a call counts as exact where every formula
that is known for the function rounds nothing: the radii of value, gradient and tangent are zero. Sums and products of integers, of which
such functions consist, are exact in any order (bounds/exactness.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arrays import Params, PlainArray
from refgrad.bounds.formats import FORMATS, Format
from refgrad.bounds.profiles import SINGLE
from refgrad.errors import RefgradError
from refgrad.op import FUNCTIONS, Draws, Function
from refgrad.op.draws import Seeded
from refgrad.op.function import split
from refgrad.quiet import quiet
from refgrad.tracing.ball import Ball, exact
from refgrad.transforms import jvp, vjp

_TRIES = 16  # samples of a function
_MOST = 15  # the largest of distinct integers: half the digits of bfloat16


def exact_call(
    function: Function,
    operands: Sequence[PlainArray],
    params: Params,
    moving: Sequence[PlainArray | None],
    cotangent: PlainArray | None,
    dtype: str,
) -> bool:
    """Whether no formula of the function rounds in this call.

    moving      the tangent of each operand; None for one that is not differentiated
    cotangent   that of the value; None for small integers
    """
    fmt = replace(FORMATS[dtype], on_grid=True)
    formulas = (function.forward, *[f.of(function) for f in function.usual])
    return all(exact_by(functools.partial(f, **params), operands, moving, cotangent, fmt) for f in formulas)


def exact_by(
    formula: Callable[..., Any],
    operands: Sequence[PlainArray],
    moving: Sequence[PlainArray | None],
    cotangent: PlainArray | None,
    fmt: Format,
) -> bool:
    """Whether a function of the operands rounds nothing there, in value, gradient and tangent; arguments as in ``exact_call``."""
    balls = [exact(x, fmt) if x.dtype.kind == "f" else x for x in operands]
    active = [k for k, x in enumerate(moving) if x is not None]
    primals = tuple([balls[k] for k in active])
    tangents = tuple([exact(x, fmt) for x in moving if x is not None])
    call = of_the_active(formula, balls, active)
    with quiet():
        try:
            y, pullback = vjp(call, *primals)
            if rounds(y):
                return False
            y_bar = small_integers(np.random.default_rng(0), np.shape(y)) if cotangent is None else cotangent
            found = [*pullback(exact(y_bar, fmt)), jvp(call, primals, tangents)[1]]
        except (RefgradError, np.linalg.LinAlgError):  # operands that the function refuses
            return False
    return not any(map(rounds, found))


@functools.cache
def rounds_nothing(name: str) -> bool:
    """Whether the function of this name is drawn on a grid and has calls there that round nothing, among a sample at small integers."""
    function = FUNCTIONS[name]
    return function.grid and any(
        _exact_sample(function, np.random.default_rng(seed)) for seed in range(_TRIES)
    )


def _exact_sample(function: Function, rng: np.random.Generator) -> bool:
    operands, params = split(function.drawn(Draws(Seeded(rng))))
    arrays = [small_integers(rng, x.shape) if x.dtype.kind == "f" else x for x in operands.values()]
    if max((x.size for x in arrays), default=0) < 4:  # few elements may be exact by chance
        return False
    moving = [
        small_integers(rng, x.shape) if x.dtype.kind == "f" and name not in function.plain else None
        for name, x in zip(operands, arrays, strict=True)
    ]
    return exact_call(function, arrays, params, moving, None, SINGLE)


def of_the_active(
    formula: Callable[..., Any], operands: Sequence[Any], active: Sequence[int]
) -> Callable[..., Any]:
    """The formula as a function of the operands at ``active``; the others stay constant."""

    def call(*xs: Any) -> Any:
        full = list(operands)
        for k, x in zip(active, xs, strict=True):
            full[k] = x
        return formula(*full)

    return call


def rounds(x: Any) -> bool:
    """Whether a result over Balls has an error bound that is not zero."""
    return isinstance(x, Ball) and x.radius is not None


def small_integers(rng: np.random.Generator, shape: tuple[int, ...]) -> PlainArray:
    """Integers other than zero in float64: of few elements no two are equal, so that extremes have no ties; of many all are below 4."""
    count = int(np.prod(shape))
    if count <= 2 * _MOST:
        sizes = np.repeat(np.arange(1.0, _MOST + 1), 2)
        sizes[1::2] *= -1.0
        return np.asarray(rng.permutation(sizes[: max(count, 6)])[:count].reshape(shape))
    return np.asarray(rng.choice((-3.0, -2.0, -1.0, 1.0, 2.0, 3.0), shape))


__all__ = ["exact_by", "exact_call", "of_the_active", "rounds", "rounds_nothing", "small_integers"]
