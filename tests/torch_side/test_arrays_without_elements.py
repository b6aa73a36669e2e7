"""Calls of every function in which an axis has no elements: refgrad and torch return the same, or both refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import refgrad.node  # noqa: F401  declares every function
from refgrad.errors import GradientMismatch
from refgrad.op import FUNCTIONS, Draws
from refgrad.op.draws import Seeded
from refgrad.op.function import Function, split
from refgrad.torch import gradcheck
from refgrad.torch.devices import plain_arithmetic
from refgrad.transforms import vjp

SEEDS = 4
# The mean over no samples is NaN; torch returns what is in the memory (docs/findings/arrays-without-elements.md).
WITHOUT_A_VALUE = {"nn.multi_margin_loss", "nn.multilabel_margin_loss"}
OF_FFT = "MKL FFT error"  # in builds with that library
REFUSED_BY_TORCH = {  # where refgrad has a value: a part of the message
    "nn.pixel_shuffle": "PixelShuffleBackward0 returned an invalid gradient",
    "nn.pixel_unshuffle": "PixelUnshuffleBackward0 returned an invalid gradient|divisible",
    "nn.bilinear": "cannot reshape tensor of 0 elements",
    "nn.normalize": "cannot compute the inf norm",
    "nn.triplet_margin_loss": "cannot compute the inf norm",
    "nn.group_norm": "tensor does not have a device",
    "nn.pad": "possibly 0 batch size",
}
REFUSED_HERE = {"nn.affine_grid"}  # a batch of no images


class WithoutElements(Draws):
    """The first axis that is drawn has no elements."""

    def __init__(self, seed: int) -> None:
        super().__init__(Seeded(np.random.default_rng(seed)))
        self.drawn = False

    def size(self) -> int:
        first, self.drawn = not self.drawn, True
        return 0 if first else super().size()


def calls(function: Function) -> list[tuple[dict[str, Any], Any]]:
    """Operands and parameters; none where a draw needs an element, such as one to be labelled."""
    found = []
    for seed in range(SEEDS):
        try:
            operands, params = split(function.drawn(WithoutElements(seed)))
        except (ValueError, IndexError):
            continue
        if any(x.size == 0 for x in operands.values()):
            found.append((dict(operands), params))
    return found


def tried(call: Callable[[], list[Any]]) -> list[Any] | Exception:
    try:
        with np.errstate(all="ignore"):
            return call()
    except (ValueError, RuntimeError) as error:  # refgrad's errors of arguments are ValueErrors
        return error


def of_refgrad(function: Function, operands: dict[str, Any], params: Any, active: list[int]) -> list[Any]:
    """The value, and the gradient of its sum in the active operands."""
    xs = list(operands.values())

    def f(*moving: Any) -> Any:
        full = list(xs)
        for k, x in zip(active, moving, strict=True):
            full[k] = x
        return function.forward(*full, **params)

    y, pullback = vjp(f, *[xs[k] for k in active])
    return [y, *pullback(np.ones(np.shape(y)))]


def of_torch(function: Function, operands: dict[str, Any], params: Any, active: list[int]) -> list[Any]:
    xs = [torch.tensor(x, requires_grad=k in active) for k, x in enumerate(operands.values())]
    y = function.torch(torch, *xs, **params)
    moving = [xs[k] for k in active]
    found = torch.autograd.grad(y, moving, torch.ones_like(y), allow_unused=True) if moving else ()
    x_bars = [torch.zeros_like(x) if g is None else g for x, g in zip(moving, found, strict=True)]
    return [t.detach().resolve_neg().numpy() for t in (y, *x_bars)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", sorted(n for n, f in FUNCTIONS.items() if not f.formats or "float64" in f.formats)
)
def test_arrays_without_elements(name: str) -> None:
    plain_arithmetic()
    function = FUNCTIONS[name]
    for operands, params in calls(function):
        active = [
            k for k, (n, x) in enumerate(operands.items()) if x.dtype.kind == "f" and n not in function.plain
        ]
        ours = tried(lambda o=operands, p=params, a=active: of_refgrad(function, o, p, a))
        theirs = tried(lambda o=operands, p=params, a=active: of_torch(function, o, p, a))
        if isinstance(ours, Exception):
            assert isinstance(theirs, Exception) or name in REFUSED_HERE, ours
        elif isinstance(theirs, Exception):
            known = [*REFUSED_BY_TORCH.get(name, "-").split("|"), *([OF_FFT] if "fft" in name else [])]
            assert any(part in str(theirs) for part in known), theirs
        else:
            start = 1 if name in WITHOUT_A_VALUE else 0
            for x, y in zip(ours[start:], theirs[start:], strict=True):
                assert np.shape(x) == y.shape
                assert np.array_equal(x, y, equal_nan=True)


def test_most_functions_are_called() -> None:
    assert sum(bool(calls(f)) for f in FUNCTIONS.values()) > 90


@pytest.mark.parametrize("name", sorted(WITHOUT_A_VALUE))
def test_the_mean_over_no_samples_is_nan(name: str) -> None:
    [*means] = [c for c in calls(FUNCTIONS[name]) if c[1]["reduction"] == "mean"]
    assert means
    for operands, params in means:
        with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="empty slice"):
            assert np.isnan(FUNCTIONS[name].forward(*operands.values(), **params))


def test_gradcheck_judges_inputs_without_elements_by_their_shapes() -> None:
    x = torch.ones(0, 3)
    report = gradcheck(torch.square, (x,), reference=np.square)
    assert "every array is empty; shapes and dtypes were compared" in report.summary().partition("\n")[0]
    assert gradcheck(torch.matmul, (x, torch.ones(3, 2)), reference=np.matmul).status == "agree"
    with pytest.raises(GradientMismatch, match="shape"):
        gradcheck(torch.square, (x,), reference=lambda x: np.square(x).T)
