"""Outputs in float32 of kernels in a half format: statistics beside the result have their numbers judged, a result alone its dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import GradientMismatch  # noqa: E402  torch decides whether this module runs at all
from refgrad.torch import gradcheck  # noqa: E402
from tests.torch_side.zoo.controls import (  # noqa: E402
    doubled_with_mean_square,
    doubled_with_mean_square_backward,
)
from tests.torch_side.zoo.record import function  # noqa: E402

Array = Any


def scaled_statistics(ctx: Any, x: Array) -> tuple[Array, Array]:
    y, mean = doubled_with_mean_square(ctx, x)
    return y, 1.125 * mean


def half_of_the_second_gradient(ctx: Any, g: Array, h: Array) -> Array:
    return doubled_with_mean_square_backward(ctx, g, h / 2)


def judged(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return gradcheck(
        function(forward, backward),
        x,
        reference=lambda x: (2 * x, np.mean(x * x, -1)),
        dtypes=("bfloat16",),
        raise_exception=False,
    )


def test_statistics_beside_the_result_are_judged_by_their_numbers() -> None:
    report = judged(doubled_with_mean_square, doubled_with_mean_square_backward)
    assert report.status == "agree"
    assert any("output 1 has dtype torch.float32" in note for note in report.notes)
    wrong = judged(scaled_statistics, doubled_with_mean_square_backward)
    assert {v.mode: v.status for _, v in wrong.verdicts}["value"] == "disagree"
    wrong = judged(doubled_with_mean_square, half_of_the_second_gradient)
    assert {v.mode: v.status for _, v in wrong.verdicts}["reverse"] == "disagree"


@pytest.mark.parametrize(
    ("func", "reference", "dtype"),
    [
        (lambda x: x.float().square().sum(), lambda x: np.sum(x * x), "bfloat16"),
        (lambda x: (x.float() * 2, x.float().sum()), lambda x: (x * 2, np.sum(x)), "bfloat16"),
        (lambda x: (x * 2, x.half().sum()), lambda x: (x * 2, np.sum(x)), "float32"),
    ],
)
def test_another_dtype_of_the_result_is_wrong(
    func: Callable[..., Any], reference: Callable[..., Any], dtype: str
) -> None:
    x = torch.linspace(-1, 1, 5)
    report = gradcheck(func, x, reference=reference, dtypes=(dtype,), raise_exception=False)
    assert report.status == "disagree"
    assert "has dtype" in report.summary()


def test_a_result_in_a_finer_dtype_alone_is_wrong_and_the_message_says_how_to_judge_one_that_is_meant() -> (
    None
):
    def loss(x):
        return x.float().square().sum()

    checked: dict[str, Any] = {"reference": lambda x: np.sum(x * x), "dtypes": ("bfloat16",)}
    with pytest.raises(GradientMismatch, match=r"judge lambda x: func\(x\)\.to\(x\.dtype\)"):
        gradcheck(loss, torch.ones(3), **checked)
    assert gradcheck(lambda x: loss(x).to(x.dtype), torch.ones(3), **checked).status == "agree"
