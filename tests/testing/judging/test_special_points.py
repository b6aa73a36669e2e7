"""Elements without a derivative: NaN and overflowed values, their cotangents, and sets of derivatives in a vector."""

from __future__ import annotations

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY
from refgrad.testing.judging.special_points import in_a_set, undefined_outputs, without, without_derivative
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float64"]


def test_nan_and_what_the_format_could_not_hold_have_no_derivative() -> None:
    y = exact(np.array([1.0, np.nan, 1e300, np.inf]), FMT)
    got = np.array([1.0, np.nan, np.inf, np.inf])
    assert without_derivative(y, got).tolist() == [False, True, True, False]


def test_the_usual_case_is_none() -> None:
    y = exact(np.array([1.0, 2.0]), FMT)
    assert without_derivative(y, np.array([1.0, 2.0])) is None
    assert without_derivative(exact(np.array([1.0, np.inf]), FMT), np.array([1.0, np.inf])) is None
    assert without_derivative(np.array([True]), np.array([True])) is None
    assert without_derivative(y, np.zeros(3)) is None  # of another shape: that is told elsewhere


def test_what_depends_on_such_an_element_is_not_defined() -> None:
    missing = np.array([False, True])
    assert np.array_equal(undefined_outputs(missing, np.array([3.0, 4.0])), [3.0, np.nan], equal_nan=True)
    y_bar = np.array([3.0, 4.0])
    assert undefined_outputs(None, y_bar) is y_bar
    tangent = exact(np.array([3.0, 4.0]), FMT)
    assert np.array_equal(parts(without(tangent, missing))[0], [3.0, np.nan], equal_nan=True)
    assert without(tangent, None) is tangent


def test_a_zero_beside_other_elements_meets_the_set_of_a_norm() -> None:
    norm = REGISTRY["norm"]
    sets = {p: in_a_set(norm, np.array([0.0, 3.0]), {**norm.signature.defaults, "ord": p}) for p in (1, 2, 3)}
    assert sets[1]  # |x| has a kink at 0, whatever stands beside it
    assert not in_a_set(norm, np.array([1.0, 3.0]), {**norm.signature.defaults, "ord": 1})
    assert not in_a_set(REGISTRY["sin"], np.zeros(2), {})
