"""Formulas that overflow: each explains infinity and NaN where its intermediate number overflows, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.overflow_formulas import OVERFLOW_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, Inputs, within
from refgrad.tracing.ball import exact

FMT = FORMATS["float16"]
OVER = {"axis": -1, "keepdims": False}
STD = {**OVER, "ddof": 0, "where": True}
FOURTH = {"norm_type": 4.0, "kernel_size": 2, "stride": None, "ceil_mode": False}
CASES: dict[str, tuple[list[Any], dict[str, Any], Any, list[Any], int | str, list[Any]]] = {
    # operands, parameters, cotangent, tangents, which result, where it is explained
    "a quotient by the operand that overflows": ([[1e-5, 1.0]], {}, [4.0, 4.0], [[1.0, 1.0]], 0, [True, False]),
    "an infinite direction times a mask": ([[[1.0, 2.0], [1.0, 2.0]]], OVER, [np.inf, 8.0], [None], 0, [[True] * 2, [False] * 2]),
    "std by a quotient that overflows": ([[[1.0, 1.015625], [1.0, 2.0]]], STD, [600.0, 600.0], [None], 0, [[True] * 2, [False] * 2]),
    "norm by products that overflow": ([[[256.0, 1.0], [1.0, 1.0]]], OVER, [1.0, 1.0], [[[256.0, 1.0]] * 2], TANGENT, [True, False]),
    "xlog1py by a quotient that overflows": (
        [[0.5, 0.5], [-0.9921875, 0.5]], {}, [0.5, 0.5], [[1.0, 1.0], [8.0, 8.0]], 1, [True, False],
    ),
    "logit by a quotient divided twice": ([[0.99951171875, 0.9375]], {}, [0.25, 0.25], [[-0.75, -0.75]], 0, [True, False]),
    "logaddexp by an exponential times a tangent": (
        [[0.0, 0.0, 11.0], [10.75, 10.0, 0.0]], {}, [0.5] * 3, [[1.5] * 3, [-1.0] * 3], 0, [True, False, False],
    ),
    "logaddexp2 by an exponential times a tangent": (
        [[15.75, 15.0, 0.0], [0.0, 0.0, 15.75]], {}, [0.5] * 3, [[1.5] * 3, [-1.0] * 3], 1, [True, False, False],
    ),
    "normalize by a quotient divided twice": (
        [[[0.1], [0.5]]], {"p": 3.0, "dim": -1}, [[-1.5], [-1.5]], [[[-0.75], [-0.75]]], 0, [[True], [False]],
    ),
    "pairwise_distance by a quotient divided twice": (
        [[[0.125], [1.0]], [[0.09375]]], {"p": 3.0, "eps": 0.0, "keepdim": False}, [0.5, 0.5], [[[-1.25], [1.5]], [[2.0]]], 0,
        [[True], [False]],
    ),
    "lp_pool1d by powers that overflow": (
        [[[15.0, -2.0, 3.0, 2.0, 15.0]]], FOURTH, [[2.0, 2.0]], [[[3.0] * 5]], 0, [[True] * 2 + [False] * 3],
    ),
    "lp_pool2d by powers that overflow": (
        [[[[15.0, 3.0], [2.0, 2.0]]]], {**FOURTH, "kernel_size": (2, 1)}, [[[2.0, 2.0]]], [[[[3.0] * 2] * 2]], 0,
        [[[True, False]] * 2],
    ),
    "complex.divide by an infinite value": (
        [[6e-8, 1.0], [8.0, 8.0], [6e-8, 1.0]], {"w_imag": None}, [[1.0] * 2] * 2, [[1.0] * 2] * 3, TANGENT, [[True] * 2, [False] * 2],
    ),
    "the logarithm of a cotangent of zero": ([[1.0, 2.0]], {"axis": 0}, [0.0, 1.0], [[1.0, 1.0]], TANGENT, [True, False]),
}  # fmt: skip


def given(name: str, *, second: bool) -> Any:
    xs, params, y_bar, xs_dot, _, _ = CASES[name]
    balls = [None if x is None else exact(np.array(x), FMT) for x in (*xs, y_bar, *xs_dot)]
    n = len(xs)
    inputs = Inputs(second, tuple(balls[:n]), params, balls[n], tuple(balls[n + 1 :]), FMT)
    return OVERFLOW_FORMULAS[name](inputs)


def test_every_formula_has_its_example() -> None:
    assert CASES.keys() == OVERFLOW_FORMULAS.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_formula_explains_what_overflows_and_nothing_else(name: str) -> None:
    *_, key, due = CASES[name]
    [ball] = given(
        name, second=any(word in name for word in ("xlog1py", "twice", "lp_pool", "times a tangent"))
    )[key]
    explained = [within(np.inf, ball, at, 1.0) for at in np.ndindex(np.shape(due))]
    assert explained == np.ravel(due).tolist()
    assert not any(within(3.0, ball, at, 1.0) for at in np.ndindex(np.shape(due)) if not np.array(due)[at])


def test_a_distance_overflows_in_both_operands_and_not_for_the_usual_norm() -> None:
    formula = OVERFLOW_FORMULAS["pairwise_distance by a quotient divided twice"]
    xs, params, y_bar, dots, *_ = CASES["pairwise_distance by a quotient divided twice"]
    balls = [exact(np.array(x), FMT) for x in (*xs, y_bar, *dots)]
    asked = Inputs(True, tuple(balls[:2]), params, balls[2], tuple(balls[3:]), FMT)
    assert within(np.inf, formula(asked)[1][0], (0, 0), 1.0)  # it is broadcast to both rows
    assert formula(replace(asked, params={**params, "p": 2.0})) == {}


def test_sums_over_a_window_overflow_together_and_order_one_has_no_powers() -> None:
    balls = [exact(np.array(x), FMT) for x in ([[15.0, 15.0]], [[1.0]], [[3.0, 3.0]])]
    asked = Inputs(True, (balls[0],), FOURTH, balls[1], (balls[2],), FMT)
    formula = OVERFLOW_FORMULAS["lp_pool1d by powers that overflow"]
    assert within(np.nan, formula(asked)[0][0], (0, 0), 1.0)
    assert formula(replace(asked, params={**FOURTH, "norm_type": 1.0})) == {}


def test_an_operand_that_was_broadcast_meets_all_its_places() -> None:
    formula = OVERFLOW_FORMULAS["xlog1py by a quotient that overflows"]
    xs = [exact(np.array(x), FMT) for x in ([0.5], [-0.9921875, 0.5])]
    dots = [exact(np.array(x), FMT) for x in ([1.0], [8.0, 8.0])]
    found = formula(Inputs(True, tuple(xs), {}, exact(np.array([0.5, 0.5]), FMT), tuple(dots), FMT))
    assert within(np.inf, found[0][0], (0,), 1.0)
    assert not within(np.inf, found[1][0], (1,), 1.0)


def explained(name: str, params: Any, xs: Any, y_bar: Any, xs_dot: Any) -> dict[Any, list[bool]]:
    balls = [exact(np.array(x), FMT) for x in (*xs, y_bar, *xs_dot)]
    n = len(xs)
    found = OVERFLOW_FORMULAS[name](
        Inputs(False, tuple(balls[:n]), params, balls[n], tuple(balls[n + 1 :]), FMT)
    )
    return {
        key: [within(np.nan, ball, at, 1.0) for at in np.ndindex(np.shape(ball))]
        for key, [ball] in found.items()
    }


def test_infinite_directions_of_two_operands_and_along_an_axis() -> None:
    name = "an infinite direction times a mask"
    xs, xs_dot = [[1.0, 2.0], [3.0]], [[np.inf, 1.0], [2.0]]
    found = explained(name, {}, xs, [1.0, np.nan], xs_dot)
    assert found == {0: [False, True], 1: [True], TANGENT: [True, False]}
    found = explained(name, OVER, [[[1.0, 2.0], [3.0, 4.0]]], [1.0, 1.0], [[[1.0, 1.0], [np.inf, 0.0]]])
    assert found == {0: [False] * 4, TANGENT: [False, True]}


def test_quotients_are_added_up_along_an_axis() -> None:
    name = "a quotient by the operand that overflows"
    xs, xs_dot = [[[3e-5, 3e-5], [3e-5, 1.0]]], [[[1.0, 1.0], [1.0, 1.0]]]
    assert explained(name, OVER, xs, [1.0, 1.0], xs_dot) == {TANGENT: [True, False]}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_known_explains_nothing(name: str) -> None:
    xs, params, *_ = CASES[name]
    operands = tuple(exact(np.array(x), FMT) for x in xs)
    assert OVERFLOW_FORMULAS[name](Inputs(False, operands, params, None, (None,) * len(xs), FMT)) == {}


def test_forward_mode_through_logcumsumexp_divides_by_sums_of_the_cotangents_of_one_sign() -> None:
    x, y_bar = exact(np.zeros(4), FMT), exact(np.array([1.5, -1.5, 0.5, 0.0]), FMT)
    asked = Inputs(True, (x,), {"axis": 0}, y_bar, (x,), FMT)
    [ball] = OVERFLOW_FORMULAS["the logarithm of a cotangent of zero"](asked)[0]
    assert [within(np.nan, ball, (k,), 1.0) for k in range(4)] == [False, False, True, True]
    [positive] = OVERFLOW_FORMULAS["the logarithm of a cotangent of zero"](
        replace(asked, y_bar=exact(np.ones(4), FMT))
    )[0]
    [wide] = OVERFLOW_FORMULAS["the logarithm of a cotangent of zero"](
        replace(asked, fmt=FORMATS["bfloat16"])
    )[0]
    assert not any(within(np.nan, each, (k,), 1.0) for each in (positive, wide) for k in range(4))
