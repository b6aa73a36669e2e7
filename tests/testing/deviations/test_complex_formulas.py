"""Formulas of recorded disagreements of functions of complex numbers: their results where the framework is wrong, and elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.complex_formulas import COMPLEX_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, Inputs
from refgrad.tracing.ball import exact, parts

FMT = FORMATS["float64"]


def asked(xs: Any, y_bar: Any, xs_dot: Any, second: bool = False) -> Inputs:
    def ball(x: Any) -> Any:
        return exact(np.asarray(x, float), FMT)

    return Inputs(second, tuple(map(ball, xs)), {}, ball(y_bar), tuple(map(ball, xs_dot)), FMT)


def value(ball: Any) -> Any:
    return np.asarray(parts(ball)[0], float)


def test_polar_has_no_gradient_in_a_modulus_of_zero() -> None:
    found = COMPLEX_FORMULAS["polar by the sign of its value"](
        asked(([0.0, 2.0], [0.5, 0.5]), [[1.0, 0.0], [1.0, 0.0]], ([1.0, 1.0], [0.0, 0.0]))
    )
    np.testing.assert_allclose(value(found[0][0]), [0.0, np.cos(0.5)])
    np.testing.assert_allclose(value(found[1][0]), [0.0, -2 * np.sin(0.5)])
    np.testing.assert_allclose(value(found[TANGENT][0]), [[0, 0], [np.cos(0.5), np.sin(0.5)]])


def test_factors_of_complex_matrices_are_held() -> None:
    """For one number z the solution b/z has the tangent -dz b/z^2. With the factors held its slope is b dz/z^3, half of the true one."""
    z, b, dz = 2.0 + 1.0j, 3.0, 0.5
    xs, xs_dot = ([[z.real]], [[z.imag]], [[b]], [[0.0]]), ([[dz]], [[0.0]], [[0.0]], [[0.0]])
    found = COMPLEX_FORMULAS["solve of complex matrices with factors held"](asked(xs, [[[1.0, 0.0]]], xs_dot))
    due = np.conj(b * dz / z**3)
    np.testing.assert_allclose([value(found[k][0])[0, 0] for k in (0, 1)], [due.real, due.imag])
    found = COMPLEX_FORMULAS["det of complex matrices with factors held"](
        asked(xs[:2], [[1.0, 0.0]][0], xs_dot[:2])
    )
    due = np.conj(dz / z)
    np.testing.assert_allclose([value(found[k][0])[0, 0] for k in (0, 1)], [due.real, due.imag])
