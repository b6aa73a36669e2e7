"""Conditions on operands and the value, which is the last of the arrays; the table's example stands with those on operands."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.result_conditions import RESULT_PLACES

FMT = FORMATS["float32"]
MATRIX = np.array([[np.inf, 1.0], [2.0, 3.0]])


@pytest.mark.parametrize("keepdims", [False, True])
def test_of_a_reduction_the_reduced_elements_count(keepdims: bool) -> None:
    params = {"axis": 1, "keepdims": keepdims}
    value = np.mean(MATRIX, **params)
    place = RESULT_PLACES["an operand or the value is not finite"]
    assert place((MATRIX, value), params, FMT).tolist() == (~np.isfinite(value)).tolist()
    assert place((MATRIX[1:], value[1:] + np.nan), params, FMT).all()
    assert not place((MATRIX[1:], value[1:]), params, FMT).any()


def test_a_value_without_elements_is_told_from_operands_without_any() -> None:
    place, nothing = RESULT_PLACES["a value without elements"], np.zeros((2, 0))
    assert place((MATRIX, nothing), {}, FMT).all()
    assert not place((nothing, MATRIX), {}, FMT).any()
