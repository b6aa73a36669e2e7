"""Formulas of recorded disagreements of distances: what torch computes, and not the right number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.distance_formulas import DISTANCE_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, Inputs
from refgrad.tracing.ball import exact
from refgrad.transforms import vjp
from tests.within import assert_within

FMT = FORMATS["float64"]
CDIST, PDIST = (f"{name} with the whole gradient for each tied coordinate" for name in ("cdist", "pdist"))
ROWS = np.array(
    [
        [[2.0, -2.0, 0.5], [1.0, 3.0, -3.0], [0.0, 0.0, 0.0]],
        [[1.0, 1.0, 1.0], [0.5, 2.0, 1.0], [4.0, 0.0, 4.0]],
    ]
)


def outcomes(formula: str, xs: list[Any], y_bar: Any, dots: list[Any], p: float = np.inf, **more: Any) -> Any:
    balls = [[None if x is None else exact(x, FMT) for x in some] for some in (xs, dots)]
    asked = Inputs(
        bool(more.get("second")), tuple(balls[0]), {"p": p}, exact(y_bar, FMT), tuple(balls[1]), FMT
    )
    return DISTANCE_FORMULAS[formula](asked)


@pytest.mark.parametrize(("formula", "of"), [(CDIST, torch.cdist), (PDIST, torch.nn.functional.pdist)])
def test_it_is_what_torch_computes(formula: str, of: Any) -> None:
    rng = np.random.default_rng(3)
    xs = [ROWS, ROWS[:, :2] - 2.0] if formula == CDIST else [ROWS[0]]
    given = [torch.tensor(x, requires_grad=True) for x in xs]
    y = of(*given, p=float("inf"))
    y_bar = rng.integers(1, 4, y.shape).astype(float)
    x_bars = [x_bar.numpy() for x_bar in torch.autograd.grad(y, given, torch.tensor(y_bar))]
    dots = [rng.integers(-3, 4, x.shape).astype(float) for x in xs]
    found = outcomes(formula, xs, y_bar, dots)
    for k, x_bar in enumerate(x_bars):
        assert_within(x_bar, found[k][0])
    paired = sum(np.sum(x_bar * x_dot) for x_bar, x_dot in zip(x_bars, dots, strict=True))
    assert_within(np.asarray(paired), np.sum(y_bar * found[TANGENT][0]))  # the transpose of the gradient


def test_it_is_not_the_right_number() -> None:
    x = ROWS[:1, :1]
    (right,) = vjp(lambda x: nn.cdist(x, 0.0 * x, np.inf), x)[1](np.ones((1, 1, 1)))
    with pytest.raises(AssertionError):
        assert_within(
            np.sum(np.abs(right)),
            np.sum(np.abs(outcomes(CDIST, [x, 0.0 * x], np.ones((1, 1, 1)), [x, x])[0][0])),
        )


def test_what_rounding_may_make_equal_gets_some_share() -> None:
    x = np.array([[1.0, 1.0 - 2.0**-53, 0.5]])
    x_bar = outcomes(CDIST, [x, np.full((1, 3), 2.0**-60)], np.ones((1, 1)), [None, None])[0][0]
    for share in (0.0, 0.25, 1.0):
        assert_within(np.array([[1.0, share, 0.0]]), x_bar)


def test_other_norms_and_second_derivatives_have_none() -> None:
    for more in ({"p": 2.0}, {"second": True}):
        assert outcomes(CDIST, [ROWS, ROWS], np.ones((2, 3, 3)), [ROWS, ROWS], **more) == {}
