"""Formulas of kernels that read an array by its memory: what torch computes, and not the right number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.memory_formulas import MEMORY_FORMULAS
from refgrad.testing.deviations.recorded_formula import PAIRING, TANGENT, VALUE, Inputs, within
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within

FMT = FORMATS["float64"]
RNG = np.random.default_rng(4)
X, Y_BAR = (RNG.integers(-8, 9, (1, 2, 3, 4)) / 4.0 for _ in range(2))
W, B = np.array([1.0, 2.0]), np.array([0.5, -1.0])
SETTINGS = {"running_mean": None, "running_var": None, "use_input_stats": True, "momentum": 0.1, "eps": 1.0}


def outcomes(second: bool = False) -> Any:
    balls = tuple([exact(x, FMT) for x in (X, W, B)])
    asked = Inputs(second, balls, SETTINGS, exact(Y_BAR, FMT), balls, FMT)
    return MEMORY_FORMULAS["instance_norm of a cotangent by its memory"](asked)


def of_torch(y_bar: torch.Tensor) -> list[Any]:
    given = [torch.tensor(x, requires_grad=True) for x in (X, W, B)]
    y = torch.nn.functional.instance_norm(given[0], None, None, *given[1:], True, 0.1, 1.0)
    return [x_bar.numpy() for x_bar in torch.autograd.grad(y, given, y_bar)]


def among(x_bar: Any, balls: list[Any]) -> bool:
    return any(all(within(x_bar[k], ball, k, 1.0) for k in np.ndindex(x_bar.shape)) for ball in balls)


def test_torch_gives_the_gradient_by_memory_where_channels_are_last_and_the_right_one_elsewhere() -> None:
    found, y_bar = outcomes(), torch.tensor(Y_BAR)
    right = of_torch(y_bar)
    wrong = of_torch(y_bar.contiguous(memory_format=torch.channels_last))
    for k in range(3):
        assert among(right[k], found[k])
        assert among(wrong[k], found[k])
        assert not np.allclose(right[k], wrong[k])
        assert not among(right[k] + 0.25, found[k])


def test_forward_mode_is_right() -> None:
    found = outcomes()
    right = of_torch(torch.tensor(Y_BAR))
    paired = sum(np.sum(x_bar * x) for x_bar, x in zip(right, (X, W, B), strict=True))
    assert_within(np.asarray(paired), found[PAIRING][0])
    assert_within(np.sum(Y_BAR * parts(found[TANGENT][0])[0]), found[PAIRING][0])


def test_second_derivatives_have_none() -> None:
    assert outcomes(second=True) == {}


COLUMN = np.arange(12.0).reshape(1, 2, 6, 1)
HALVED = {
    "size": (3, 1),
    "scale_factor": None,
    "mode": "bilinear",
    "align_corners": None,
    "recompute_scale_factor": None,
}


def repeated(**changed: Any) -> Any:
    x, y_bar = (
        exact(COLUMN, FMT),
        exact(np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1) * [[[[1.0]], [[0.0]]]], FMT),
    )
    params = {**HALVED, "antialias": True, **changed}
    return MEMORY_FORMULAS["interpolate of its first row"](Inputs(False, (x,), params, y_bar, (x,), FMT))


def test_antialias_to_one_column_repeats_the_first_row() -> None:
    found = repeated()
    first = nn.interpolate(COLUMN, (3, 1), mode="bilinear", antialias=True)[:, :, :1]
    for key in (VALUE, TANGENT):
        assert among(np.broadcast_to(first, (1, 2, 3, 1)), found[key])
    assert among(np.asarray(6 * first[0, 0, 0, 0]), found[PAIRING])


def test_it_says_nothing_of_several_columns_or_without_antialias() -> None:
    assert repeated(antialias=False) == {}
    assert repeated(size=(3, 2)) == {}
