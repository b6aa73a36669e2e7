"""What torch computes for det at singular matrices is known, and an ordinary wrong number is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.recorded_formula import OTHER_MODES, PAIRING, Inputs, within
from refgrad.testing.deviations.singular_det_formulas import SINGULAR_DET_FORMULAS
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float64"]
A = np.array([[1.0, 2.0], [2.0, 4.0]])
E = np.array([[1.0, 0.5], [0.25, 2.0]])
COFACTORS, SECOND = np.array([[4.0, -2.0], [-2.0, 1.0]]), np.array([[2.0, -0.25], [-0.5, 1.0]])


def asked(a: np.ndarray, e: np.ndarray, *, second: bool) -> Inputs:
    ones = np.ones(a.shape[:-2])
    return Inputs(second, (exact(a, FMT),), {}, exact(ones, FMT), (exact(e, FMT),), FMT)


def known(got: Any, balls: list[Any]) -> np.ndarray:
    got = np.asarray(got)
    return np.array([any(within(got[i], ball, i, 1.0) for ball in balls) for i in np.ndindex(got.shape)])


def test_the_other_modes_have_the_cofactors_and_forward_mode_zero_or_the_derivative() -> None:
    found = SINGULAR_DET_FORMULAS["det by singular values"](asked(A, E, second=False))
    for balls in (found[0], found[OTHER_MODES]):
        assert known(COFACTORS, balls).all()
        assert known(COFACTORS * (1 + 4e-16), balls).all()
        for wrong in (2 * COFACTORS, -COFACTORS, 0 * COFACTORS, 1.001 * COFACTORS, COFACTORS[::-1]):
            assert not known(wrong, balls).any()
    right = np.sum(COFACTORS * E)
    assert [known(x, found[PAIRING]).all() for x in (0.0, right, right / 2, 2 * right)] == [
        True,
        True,
        False,
        False,
    ]


def test_second_derivatives_are_right_up_to_the_gaps_of_singular_values() -> None:
    found = SINGULAR_DET_FORMULAS["det by singular values"](asked(A, E, second=True))[0]
    assert known(SECOND, found).all()
    for wrong in (1.001 * SECOND, -SECOND, 0 * SECOND, np.full((2, 2), np.nan)):
        assert not known(wrong, found).any()
    met = SINGULAR_DET_FORMULAS["det by singular values"](asked(0 * A, E, second=True))[0]
    assert known(np.full((2, 2), np.nan), met).all()  # rank n - 2: two values are equal


def test_a_pivot_of_zero_is_replaced_by_the_distance_of_1_to_the_next_number() -> None:
    found = SINGULAR_DET_FORMULAS["det by a replaced pivot"](asked(A, E, second=True))[0]
    trace = np.sum(COFACTORS * E) / (-2 * np.finfo(float).eps)  # by the pivots 2 and eps, of exchanged rows
    assert known(trace * COFACTORS, found).all()
    for wrong in (SECOND, 0 * A, 2 * trace * COFACTORS, -trace * COFACTORS, np.full((2, 2), np.nan)):
        assert not known(wrong, found).any()
    assert SINGULAR_DET_FORMULAS["det by a replaced pivot"](asked(A, E, second=False)) == {}


@pytest.mark.parametrize("name", sorted(SINGULAR_DET_FORMULAS))
def test_a_matrix_of_a_stack_has_its_own_numbers(name: str) -> None:
    regular = np.array([[2.0, 0.5], [-0.75, 1.25]])
    formula, several = (
        SINGULAR_DET_FORMULAS[name],
        asked(np.stack([A, regular]), np.stack([E, E]), second=True),
    )
    for ball, alone in zip(formula(several)[0], formula(asked(A, E, second=True))[0], strict=True):
        for part, own in zip(parts(ball), parts(alone), strict=True):
            assert np.array_equal(part[0], own)
