"""Formulas of recorded disagreements that use the factors of matrices: their results and bounds."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.factor_formulas import FACTOR_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float64"]
A = np.array([[2.0, 1.0], [-1.0, 3.0]])
COFACTORS = np.array([[3.0, 1.0], [-1.0, 2.0]])


def asked(x, y_bar=None, x_dot=None) -> Inputs:
    """A node of one matrix."""

    def ball(x):
        return None if x is None else exact(np.asarray(x, float), FMT)

    return Inputs(False, (ball(x),), {}, ball(y_bar), (ball(x_dot),), FMT)


def value(ball) -> np.ndarray:
    return np.asarray(parts(ball)[0], float)


def test_det_by_inverse_has_the_cofactors_of_a_regular_matrix() -> None:
    x_dot = np.array([[0.5, -1.0], [2.0, 0.25]])
    found = FACTOR_FORMULAS["det by inverse"](asked(A, y_bar=-2.0, x_dot=x_dot))
    for key, due in ((0, -2 * COFACTORS), (TANGENT, np.sum(COFACTORS * x_dot))):
        [ball] = found[key]
        assert np.all(np.abs(value(ball) - due) <= parts(ball)[1])


def test_det_by_inverse_says_nothing_of_a_singular_matrix() -> None:
    found = FACTOR_FORMULAS["det by inverse"](asked(np.ones((2, 2)), y_bar=1.0, x_dot=A))
    assert np.all(np.isnan(value(found[0][0])))
    assert np.isnan(value(found[TANGENT][0]))


def test_held_factors_lose_the_derivative_of_the_factors() -> None:
    # det of 2 by 2 matrices is bilinear, and its tangent tr(adj(x) x_dot). With x held in the quotient only det(x) is differentiated.
    x_dot = np.array([[0.5, -1.0], [2.0, 0.25]])
    asks = Inputs(True, (exact(A, FMT),), {}, exact(np.asarray(1.0), FMT), (exact(x_dot, FMT),), FMT)
    [ball] = FACTOR_FORMULAS["det with factors held"](asks)[0]
    due = COFACTORS * np.sum(COFACTORS * x_dot) / np.linalg.det(A)
    assert np.all(np.abs(value(ball) - due) <= parts(ball)[1])


def test_held_factors_of_a_system_whose_matrix_or_right_side_is_constant() -> None:
    """a x = b along b alone, or along a alone: the tangent with the factors of a held is linear in the other operands."""
    a, inverse = np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[0.5, -0.5], [0.0, 1.0]])
    b, dots = np.array([[1.0], [2.0]]), (np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([[3.0], [-1.0]]))
    y_bar = np.array([[1.0], [-2.0]])
    for moving in (0, 1):
        xs_dot = tuple([exact(dots[k], FMT) if k == moving else None for k in range(2)])
        asks = Inputs(True, (exact(a, FMT), exact(b, FMT)), {}, exact(y_bar, FMT), xs_dot, FMT)
        found = FACTOR_FORMULAS["solve with factors held"](asks)
        # With the inverse i held the tangent is i (b_dot - a_dot i' b), where i' is differentiated.
        sent = -(dots[0].T @ inverse.T @ y_bar) if moving == 0 else np.zeros((2, 1))
        due = inverse.T @ sent
        [ball] = found[1]
        assert np.all(np.abs(value(ball) - due) <= parts(ball)[1])


@pytest.mark.parametrize("name", ["det by its logarithm", "det by the logarithms of its pivots"])
def test_det_by_logarithms_rounds_what_det_of_one_element_does_not(name: str) -> None:
    [ball] = FACTOR_FORMULAS[name](asked(np.array([[-7.3]])))[VALUE]
    assert abs(value(ball) + 7.3) <= parts(ball)[1]
    assert parts(ball)[1] > FMT.u * 7.3
