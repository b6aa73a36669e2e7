"""Conditions on operands that limit a recorded disagreement: true at the covered elements, false beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.operand_conditions import PLACES

FMT = FORMATS["float32"]
NAN, ROOT = np.nan, (FORMATS["float32"].max / 2) ** 0.5
SINGULAR, REGULAR, EQUAL = [[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]], [[0.0, 2.0], [-2.0, 0.0]]
POWERS = (
    [0.0, 0.0, 2.0, 0.0, 1.0], [0.0, -0.0, 3.0, 1.0, 0.0],  # base
    [0.0, 1.0, 0.0, 0.0, 0.0], [-0.0, 0.0, 0.0, 2.0, 1.0],  # exponent
)  # fmt: skip

MEANT = {
    "ties": (([1.0, 1.0, NAN], [1.0, 2.0, NAN]), {}, [True, False, False]),
    "equal extremes": (
        ([[1.0, 3.0, 3.0], [2.0, 2.0, 3.0], [1.0, 2.0, 3.0]],),
        {"axis": -1, "keepdims": False},
        [True, True, False],
    ),
    "one NaN": (([NAN, NAN, 1.0, 1.0], [1.0, NAN, NAN, 1.0]), {}, [True, False, True, False]),
    "equal bounds": (
        ([0.0, 2.0, 3.0, 0.0], [2.0, 2.0, 2.0, 1.0], [2.0, 2.0, 2.0, 2.0]),
        {},
        [True, True, False, False],
    ),
    "zero base or exponent": (([0.0, 2.0, 2.0], [2.0, -0.0, 2.0]), {}, [True, True, False]),
    "taken as zero": (([0.0, 1e-40, 1.0], [2.0, 2.0, 0.0]), {}, [True, False, False]),
    "the quotient overflows": (
        ([1.0, 1.0, 0.0, 0.0], [1e-39, 1e-38, 1e-45, 0.0]),
        {},
        [True, False, False, False],
    ),
    "the cube overflows": (([6e12, -8e12],), {}, [False, True]),
    "zero": (([0.0, -0.0, 1e-30], [1.0, 1.0, 1.0]), {}, [True, True, False]),
    "second operand zero": (([1.0], [0.0, -0.0, 1e-30]), {}, [True, True, False]),
    "the reciprocal of the second operand overflows": (
        ([1.0], [2.9e-39, -2.8e-39, 0.0, 1e-38]),
        {},
        [True, True, True, False],
    ),
    "lone zero": (([[0.0], [2.0]],), {"axis": 1}, [[True], [False]]),
    "at the threshold": (([20.0, 19.0],), {"threshold": 20.0}, [True, False]),
    "squares leave the range": (([ROOT, 1.0, 1e-20, 0.99 * ROOT],), {}, [True, False, True, False]),
    "the square of the divisor leaves the range": (([1.0], [ROOT, 1.0, 1e-20]), {}, [True, False, True]),
    "NaN operand": (([NAN, 1.0, np.inf],), {}, [True, False, False]),
    "first operand one and second zero": (([1.0, 1.0, 2.0], [0.0, 1.0, 0.0]), {}, [True, False, False]),
    "the reciprocal of a modulus overflows": (([1.0, 0.0], [0.0, 2e-39]), {}, True),
    "first operand subnormal": (([1e-40, 1.2e-38, 0.0], [1.0]), {}, [True, False, True]),
    "the smallest number": (([FMT.least, 2 * FMT.least, 0.0],), {}, [True, False, False]),
    "the sum of squares overflows": (
        ([[2.0**100, -(2.0**100)], [3.0, NAN], [2.0**50, 0.0]],),
        {"axis": 1, "keepdims": False},
        [True, True, False],
    ),
    "a singular matrix in the stack": (([SINGULAR, REGULAR],), {}, True),
    "singular matrix": (([SINGULAR, REGULAR, EQUAL],), {}, [True, False, False]),
    "equal singular values": (([SINGULAR, REGULAR, EQUAL],), {}, [False, False, True]),
    "complex zero base": (
        ([0.0, -0.0, 1.0, 0.0], [0.0, -0.0, 0.0, 1.0]),
        {"exponent": 2.0},
        [True, True, False, False],
    ),
    "complex zero exponent of a base that is not zero": (POWERS, {}, [False, False, True, False, False]),
    "complex zero base and exponent": (POWERS, {}, [True, False, False, False, False]),
    "a small running sum": (([[-40.0, 0.0], [0.0, 0.0]],), {"axis": -1}, [[True, True], [False, False]]),
    "an infinite operand": (([np.inf, 1.0],), {}, True),
    "small matrix": (([[[0.01, 0.0], [0.02, 0.0]], [[0.4, 0.0], [0.3, 0.0]]],), {}, [True, False]),
    "query without keys": (
        ([[1.0]], [[1.0]], [[1.0]], [[True, False], [False, False]]),
        {},
        True,
    ),
    "weight for single elements": (([[[1.0], [2.0]]], [1.0, 1.0]), {}, True),
    "a zero among the inputs": (([1.0, -0.0], [2.0]), {}, True),
    "a norm below eps": (([[0.5, 0.0], [3.0, 4.0]], [[3.0, 4.0]]), {"dim": 1, "eps": 1.0}, True),
    "a row of equal numbers": (([[1.0, 1.0], [1.0, 2.0]],), {"axis": 1}, True),
    "a row of zeros": (([[0.0, -0.0], [1.0, 2.0]],), {"axis": 1}, True),
    "the corner of x log y": (([0.0, 0.0, 0.0, 1.0], [0.0, -1.0, 1.0, 0.0]), {}, [True, True, False, False]),
    "below zero": (([-1.0, 0.0, NAN, 1.0],), {}, [True, False, False, False]),
    "the reciprocal of the last operand overflows": (([2.8e-39, 1e-38],), {}, [True, False]),
    "an operand that is not finite": (([1.0], [NAN, 1.0]), {}, True),
    "a sum leaves the range": (([1.0, -2e19],), {}, True),
    "the inverse overflows": (
        ([[[2e-39, 0.0], [0.0, 1.0]], [[1e-38, 0.0], [0.0, 1.0]]],),
        {},
        [True, False],
    ),
    "origin": (([0.0, 0.0, 1.0], [-0.0, 1.0, 0.0]), {}, [True, False, False]),
    "zero or one": (([0.0, 1.0, 0.5],), {}, [True, True, False]),
    "second operand minus one": (([1.0], [-1.0, 1.0]), {}, [True, False]),
    "beyond a tenth of the range": (([3.5e37, -np.inf, 3.3e37],), {}, [True, True, False]),
    "infinite, or the square of the reciprocal is": (
        ([0.0, -np.inf, 5e-20, 6e-20], [1.0]),
        {},
        [True, True, True, False],
    ),
    "exp of the difference overflows": (
        ([89.0, 0.0, -np.inf, 88.0], [0.0, 89.0, 0.0, 0.0]),
        {},
        [True, True, True, False],
    ),
    "exp2 of the difference overflows": (([128.0, 127.0], [0.0]), {}, [True, False]),
    "the square of exp of the difference leaves the range": (([44.0, 43.0], [0.0]), {}, [True, False]),
    "the square of exp2 of the difference leaves the range": (([64.0, 62.0], [0.0]), {}, [True, False]),
    "exp overflows": (([89.0, np.inf, 88.0, -89.0],), {}, [True, True, False, False]),
    "the cube of the pseudo-inverse overflows": (
        ([[[1e-13, 0.0], [0.0, 1.0]], [[1e-12, 0.0], [0.0, 0.0]], [[np.inf, 0.0], [0.0, 1.0]]],),
        {},
        [True, False, False],
    ),
    "columns beside larger ones": (([[0.0] * 8 + [100.0]],), {"axis": 0}, True),
    "a share of softmax below the range": (
        ([[0.0, -87.0], [0.0, -86.9]],),
        {"axis": -1},
        [[False, True], [False, False]],
    ),
    "an operand of fewer axes": (([1.0], 2.0), {}, True),
    "a product of neighbours overflows": (
        ([[1e-30, 1e20, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0, 1e20], [0.0] * 4]),
        {"axis": 1},
        True,
    ),
    "an operand or the value is not finite": (
        ([1.0, np.inf, 0.0, -1.0], [1.0], [1.0, 0.0, NAN, -np.inf]),  # the last is the value
        {},
        [False, True, True, True],
    ),
    "a value without elements": (([1.0], []), {}, True),  # the last is the value
}
NOT_MEANT = {  # of conditions on the operands as a whole
    "an infinite operand": [(([1.0, 2.0],), {})],
    "a value without elements": [(([], [1.0]), {})],
    "query without keys": [
        (([[1.0]], [[1.0]], [[1.0]], [[True, False], [False, True]]), {}),
        (([[1.0]], [[1.0]], [[1.0]], [[0.5, -np.inf]]), {}),
        (([[1.0]], [[1.0]], [[1.0]]), {"attn_mask": None}),
    ],
    "a singular matrix in the stack": [(([REGULAR, EQUAL],), {})],
    "a zero among the inputs": [(([1.0, 2.0], [0.0]), {})],
    "a norm below eps": [(([[0.5, 1.0], [3.0, 4.0]], [[3.0, 4.0]]), {"dim": 1, "eps": 1.0})],
    "weight for single elements": [(([[[1.0, 2.0]]], [1.0]), {}), (([[1.0, 2.0]],), {"weight": None})],
    "the reciprocal of a modulus overflows": [(([1.0, 0.0], [0.0, 0.0]), {}), (([0.0], [1e-38]), {})],
    "a product of neighbours overflows": [
        (([[1e-30, 1e20, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1e20]]), {"axis": 0}),
        (([1e20, 1e-30, 1e20], [0.0, 0.0, 0.0]), {"axis": 0}),
        (([0.0], [0.0]), {"axis": 0}),
    ],
    "an operand of fewer axes": [(([1.0], [2.0, 3.0]), {})],
    "a row of equal numbers": [(([[1.0, 1.0], [2.0, 2.0]],), {"axis": 0})],
    "a row of zeros": [(([[0.0, 1.0], [0.0, 2.0]],), {"axis": 1}), (([[0.0, 0.0, 1.0]],), {"axis": None})],
    "an operand that is not finite": [(([1.0], [1e38, 0.0]), {})],
    "a sum leaves the range": [(([1e19, 1.0],), {})],
    "columns beside larger ones": [
        (([[0.0] * 8 + [100.0]],), {"axis": 1}),
        (([[0.0] * 7 + [100.0]],), {"axis": 0}),
        (([[0.0] * 8 + [80.0]],), {"axis": 0}),
    ],
}  # fmt: skip


def test_every_condition_has_its_example() -> None:
    assert MEANT.keys() == PLACES.keys()
    assert NOT_MEANT.keys() == {name for name, (_, _, due) in MEANT.items() if due is True}


@pytest.mark.parametrize("name", MEANT)
def test_a_condition_holds_where_it_is_meant_and_nowhere_else(name: str) -> None:
    operands, params, due = MEANT[name]
    found = PLACES[name](tuple(np.array(x) for x in operands), params, FMT)
    assert found.tolist() == due


def test_what_a_kernel_that_flushes_may_take_as_zero() -> None:
    flushing = replace(FMT, zeroed=FMT.least_normal)
    x = np.array([0.0, 1e-40, FMT.least_normal])
    assert PLACES["taken as zero"]((x, x + 1), {}, flushing).tolist() == [True, True, False]


def test_a_zero_among_other_factors_is_not_lone() -> None:
    assert not PLACES["lone zero"]((np.array([[0.0], [2.0]]),), {"axis": None}, FMT).any()


def test_without_a_threshold_nothing_lies_at_it() -> None:
    assert not PLACES["at the threshold"]((np.array([0.0, 20.0]),), {"threshold": None}, FMT).any()


def test_the_larger_of_two_operands_leaves_the_range() -> None:
    x, y = np.array([1.0, 1.0]), np.array([[ROOT], [2.0]])
    assert PLACES["squares leave the range"]((x, y), {}, FMT).tolist() == [[True, True], [False, False]]


def test_a_matrix_that_is_not_finite_has_no_singular_values() -> None:
    matrix = np.array([[np.inf, 1.0], [1.0, 1.0]])
    assert PLACES["singular matrix"]((matrix,), {}, FMT).shape == ()


@pytest.mark.parametrize(
    ("name", "at"), [(name, at) for name, cases in NOT_MEANT.items() for at in range(len(cases))]
)
def test_a_condition_on_all_operands_does_not_hold_elsewhere(name: str, at: int) -> None:
    operands, params = NOT_MEANT[name][at]
    assert not PLACES[name](tuple(np.array(x) for x in operands), params, FMT)
