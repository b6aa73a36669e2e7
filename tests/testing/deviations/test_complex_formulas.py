"""Formulas of recorded disagreements of functions of complex numbers: their results where the framework is wrong, and elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.testing.deviations.complex_formulas import COMPLEX_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, Inputs
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within

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


def test_the_tangent_of_polar_is_right_where_its_gradient_is_lost() -> None:
    given = asked(([0.0, 2.0], [0.5, 0.5]), [[1.0, 0.0], [1.0, 0.0]], ([1.0, 1.0], [0.5, 0.0]))
    found = COMPLEX_FORMULAS["polar by the sign of its value in reverse mode"](given)
    assert_within(np.array([0.0, np.cos(0.5)]), found[0][0])
    assert_within(np.array([[np.cos(0.5), np.sin(0.5)]] * 2), found[TANGENT][0])


def test_the_mixed_derivative_of_a_power_is_lost_at_exponent_zero() -> None:
    """z^w: the derivative of w z^(w - 1) in w is 1/z at w = 0, and that of z^w log z in z is 1/z. One of them is lost in each mode."""
    z, dz, dw = 2.0 + 3.0j, 0.75 + 1.0j, -0.5 + 0.25j
    xs, xs_dot = ([[z.real], [z.imag], [0.0], [0.0]], [[dz.real], [dz.imag], [dw.real], [dw.imag]])
    formula = COMPLEX_FORMULAS["power of complex numbers with its mask held"]
    found = formula(asked(xs, [[1.0, 0.0]], xs_dot, second=True))
    in_base, in_exponent = np.conj(dw / z), np.conj(dz / z + dw * np.log(z) ** 2)
    for mode, due in enumerate([(0.0, in_exponent), (in_base, in_exponent - np.conj(dz / z))]):
        for k, number in zip((0, 2), due, strict=True):
            assert_within(np.array([np.real(number)]), found[k][mode])
            assert_within(np.array([np.imag(number)]), found[k + 1][mode])
    assert formula(asked(xs, [[1.0, 0.0]], xs_dot)) == {}


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
