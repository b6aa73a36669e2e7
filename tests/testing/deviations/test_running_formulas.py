"""The recorded formulas of i0e and logcumsumexp give the numbers that torch gives, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, within
from refgrad.testing.deviations.running_formulas import ADDED, RUNNING_FORMULAS
from refgrad.tracing.ball import exact, parts


def asked(dtype: str, x: Any, y_bar: Any, x_dot: Any, params: Any, *, second: bool = False) -> Inputs:
    fmt = FORMATS[dtype]
    y_bar, x, x_dot = [exact(np.asarray(a, float), fmt) for a in (y_bar, x, x_dot)]
    return Inputs(second, (x,), params, y_bar, (x_dot,), fmt)


def test_the_tangent_of_logcumsumexp_has_a_number_added_to_its_divisor() -> None:
    found = RUNNING_FORMULAS["logcumsumexp by running sums and 1e-13"](
        asked("float64", [-20.0, 0.0], [1.0, 1.0], [1.0, 1.0], {"axis": 0})
    )
    [tangent] = found[TANGENT]
    assert within(0.99995148583419746, tangent, (0,), 1.0)
    assert not within(0.99995148583, tangent, (0,), 1.0)
    assert not within(1.0, tangent, (0,), 1.0)


def test_second_derivatives_in_each_nesting() -> None:
    found = RUNNING_FORMULAS["logcumsumexp by running sums and 1e-13"](
        asked("float64", [0.5, 0.0, 1.0], [1.0, 1.0, -0.5], [1.0, 0.25, 1.0], {"axis": 0}, second=True)
    )
    assert len(found[0]) == 3
    # The nestings have the added number in other places: beside running sums of 0.6 and more, in fewer than a hundred terms of size 1.
    (first, radius), *others = [parts(b) for b in found[0]]
    assert all(np.all(np.abs(first - y) <= radius + e + 100 * ADDED) for y, e in others)


def test_behind_a_sum_of_nothing_the_logarithms_of_cotangents_are_infinite() -> None:
    """Forward mode divides by a running sum of exp(x - infinity), which is 0: the tangents of both logarithms are lost."""
    formula = RUNNING_FORMULAS["logcumsumexp by running sums and 1e-13"]
    for first, due in ((-np.inf, 0.125), (-1.0, 0.0)):  # torch returns y_bar x_dot where 0 is due
        found = formula(asked("float64", [first, -0.5], [-1.75, 0.25], [-1.5, 0.5], {"axis": 0}, second=True))
        assert within(0.125, found[0][0], (1,), 1.0) == (due == 0.125)


def test_cotangents_of_both_signs_cancel_beside_a_huge_value() -> None:
    formula = RUNNING_FORMULAS["logcumsumexp by logarithms of cotangents"]
    [huge] = formula(asked("float64", [1e300, 1e300], [0.5, -1.75], [1.0, 1.0], {"axis": 0}))[0]
    assert within(0.0, huge, (0,), 1.0)
    [ordinary] = formula(asked("float64", [0.0, 1.0], [0.5, -1.75], [1.0, 1.0], {"axis": 0}))[0]
    assert not within(0.0, ordinary, (0,), 1.0)
    assert formula(asked("float64", [0.0], [1.0], [1.0], {"axis": 0}, second=True)) == {}


def test_i0e_of_half_formats_is_off_by_some_roundings() -> None:
    formula = RUNNING_FORMULAS["i0e in a half format"]
    found = formula(asked("bfloat16", [0.1171875], [1.0], [1.0], {}))
    assert within(0.875, found[VALUE][0], (0,), 1.0)
    assert not within(0.85, found[VALUE][0], (0,), 1.0)
    assert found.keys() == {VALUE, 0, TANGENT}
    assert formula(asked("bfloat16", [0.5], [1.0], [1.0], {}, second=True)) == {}
