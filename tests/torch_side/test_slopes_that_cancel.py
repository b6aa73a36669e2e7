"""torch's slopes of tanh, expm1 and inverse functions cancel: imprecise or blind in gradcheck and gradgradcheck, and never wrong.

What is further off than the rounding of torch's formula is wrong all the same. docs/findings/slopes-that-cancel.md.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.bounds.formats import computed_on  # noqa: E402
from refgrad.testing.judging.verdict import AGREE, DISAGREE, IMPRECISE, UNDECIDED  # noqa: E402
from refgrad.torch import gradcheck, gradgradcheck  # noqa: E402

DTYPES = tuple(computed_on("cpu"))
FAR = [
    ("tanh", [19.1]),
    ("tanh", [3.0]),
    ("tanh", [0.5, 3.0, 19.1, -8.0]),
    ("expm1", [-30.0]),
    ("expm1", [-45.0, 1.0, 2.0]),
    ("arcsin", [0.5, 1 - 1e-9]),
    ("arctanh", [1 - 1e-9]),
    ("arccosh", [1 + 1e-9]),
]


def statuses(check, twin, reference, at, dtype):
    x = torch.tensor(at, requires_grad=True, dtype=torch.float64)
    report = check(twin, (x,), reference=reference, dtypes=(dtype,), raise_exception=False)
    return {v.mode: v.status for _, v in report.verdicts}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "at"), FAR, ids=lambda v: v if isinstance(v, str) else str(len(v)))
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_a_kernel_that_cancels_is_not_wrong(check, name, at, dtype) -> None:
    found = statuses(check, getattr(torch, name), getattr(np, name), at, dtype)
    assert {*found.values()} <= {AGREE, IMPRECISE, UNDECIDED}


def test_it_is_imprecise_where_a_bit_is_left() -> None:
    for dtype in ("float64", "float32"):
        found = statuses(gradcheck, torch.tanh, np.tanh, [3.0], dtype)
        assert found["reverse"] == found["forward"] == IMPRECISE


class Off(torch.autograd.Function):
    """tanh, with a derivative that is off by 2^-7 of the largest slope."""

    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, y_bar):
        (y,) = ctx.saved_tensors
        return y_bar * (1 - y * y + 2.0**-7)


@pytest.mark.parametrize("at", [[3.0], [19.1], [0.5, 3.0, 19.1, -8.0]])
def test_what_is_further_off_is_wrong(at) -> None:
    for dtype in ("float64", "float32"):
        assert statuses(gradcheck, Off.apply, np.tanh, at, dtype)["reverse"] == DISAGREE
