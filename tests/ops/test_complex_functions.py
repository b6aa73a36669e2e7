"""Bounds of complex functions by parts: they hold what formats compute, on the cuts and far out too, and are no wider than needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import format_of
from refgrad.ops import dense_linalg
from refgrad.ops.complex_numbers import from_parts
from refgrad.tracing.ball import exact, parts
from refgrad.tracing.complex_ball import ComplexBall

Array = Any
ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "sqrt": np.sqrt, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "tan": np.tan,
    **{f"power {p}": lambda z, p=p: np.power(z, p) for p in (3, -1, 0.5, 1.5, -2.25, 2.5 - 0.5j)},
}  # fmt: skip
WHOLE: dict[str, Callable[..., Array]] = {
    "prod": lambda z: np.prod(z, -1),
    "det": np.linalg.det,
    "inv": np.linalg.inv,
}


def radii(y: ComplexBall) -> tuple[Array, Array]:
    """The parts of centre and radius side by side."""
    found = [parts(p) for p in y.parts]
    return np.stack([v for v, _ in found]), np.stack([np.broadcast_to(r, v.shape) for v, r in found])


def complex_ball(z: Array, dtype: str) -> Array:
    """An exact complex Ball of numbers of the format."""
    return from_parts(*[exact(np.ascontiguousarray(x, dtype), format_of(dtype)) for x in (z.real, z.imag)])


def drawn(count: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(count) + 1j * rng.standard_normal(count)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_radius_holds_the_function_in_the_format(name: str, dtype: str) -> None:
    f, fmt = ELEMENTWISE[name], format_of(dtype)
    narrow, wide = np.result_type(dtype, np.complex64), np.dtype(np.clongdouble)
    z = (drawn(2000) * np.exp(np.random.default_rng(1).uniform(-4, 1.5, 2000))).astype(narrow)
    value, radius = radii(f(complex_ball(z, dtype)))
    got, due = f(z), f(z.astype(wide))
    got, due = np.stack([got.real, got.imag]).astype(value.dtype), np.stack([due.real, due.imag])
    assert np.all(np.abs(value - due) <= 1e-3 * radius + 1e-30), "the centre is the function"
    assert np.all(np.abs(got - value) <= radius)
    size = np.abs(f(z.astype(wide)))
    assert np.quantile(radius / (fmt.u * size), 0.9) < 300, "the radius says nothing"


def test_both_parts_of_a_root_have_digits() -> None:
    fmt = format_of("float64")
    z = np.array([1.0 + 1e-200j, -1.0 + 1e-200j, 1e-300 + 1e-300j, -4.0 - 0.0j])
    z[3] = complex(-4.0, -0.0)
    value, radius = radii(np.sqrt(complex_ball(z, "float64")))
    assert np.all(radius <= 8 * fmt.u * np.abs(value) + 2 * fmt.eta)
    assert value[1, 3] == -2, "the sign of zero chooses the side of the cut"


def test_an_uncertain_side_of_the_cut_is_seen() -> None:
    fmt = format_of("float64")
    a, b = exact(np.array([-4.0, 4.0]), fmt), exact(np.array([1.0, 1.0]), fmt)
    third = b / 3.0 - b / 3.0
    _, radius = radii(np.sqrt(from_parts(a, third)))
    assert radius[1, 0] >= 4
    assert radius[1, 1] < 1e-15


def test_a_carried_radius_holds_the_roots_of_its_corners() -> None:
    fmt = format_of("float32")
    z = drawn(300, 3).astype(np.complex64)
    a, b = [exact(np.ascontiguousarray(x), fmt) / np.float32(3) for x in (z.real, z.imag)]
    value, radius = radii(np.sqrt(from_parts(a, b)))
    (av, ar), (bv, br) = parts(a), parts(b)
    for s in (-1, 1):
        for t in (-1, 1):
            corner = np.sqrt((av + s * ar) + 1j * (bv + t * br))
            assert np.all(np.abs(np.stack([corner.real, corner.imag]) - value) <= radius)


def test_far_out_the_tangents_have_bounds() -> None:
    z = np.array([30.0 + 1j, -40.0 + 2j, 100.0 - 0.5j])
    for f, turn in ((np.tanh, 1), (np.tan, 1j)):
        value, radius = radii(f(complex_ball(z * turn, "float32")))
        assert np.all(np.isfinite(radius))
        assert np.max(np.abs(value)) == pytest.approx(1)
        assert np.max(radius) < 1e-5


def test_the_power_of_zero() -> None:
    zero = complex_ball(np.zeros(3, complex), "float64")
    value, radius = radii(np.power(zero, np.array([3.0, 0.0, 0.5])))
    np.testing.assert_array_equal(value, [[0, 1, 0], [0, 0, 0]])
    assert not np.any(radius[:, [0, 2]])


def test_the_power_of_zero_has_no_value_at_other_exponents() -> None:
    """Neither at a pole nor where the angle, Im(exponent) log 0, has no limit; NumPy agrees in each place."""
    exponents = np.array([1j, 0j, 1 + 1j, -1 + 0j, -1 + 1j])
    value, _ = radii(np.power(complex_ball(np.zeros(5, complex), "float64"), exponents))
    np.testing.assert_array_equal(np.isnan(value[0]), [True, False, False, True, True])
    with np.errstate(all="ignore"):
        plain = np.power(np.zeros(5, complex), exponents)
    np.testing.assert_array_equal(np.isnan(plain), np.isnan(value[0]))
    np.testing.assert_array_equal(value[:, [1, 2]], [[1, 0], [0, 0]])


def test_the_slope_of_a_power_in_its_exponent_at_the_base_zero() -> None:
    """0 where the exponent has a positive real part, the limit; none elsewhere: 0^t jumps at t = 0."""
    at = np.array([0j, 0j, 0j, 2 + 1j]), np.array([0.5 + 1j, 0j, 1j, 0j])
    for kind in (complex, np.complex64):
        z, w = (x.astype(kind) for x in at)
        with np.errstate(all="ignore"):
            slope = rg.jvp(lambda w, z=z: np.power(z, w), (w,), (np.ones(4, kind),))[1]
            sent = rg.vjp(lambda w, z=z: np.power(z, w), w)[1](np.ones(4, kind))[0]
        assert slope.dtype == sent.dtype == kind
        assert slope[0] == sent[0] == 0
        assert np.all(np.isnan([slope[1:3], sent[1:3]]))
        # The logarithm, the power and two products by parts, of two roundings each.
        rtol = 8 * np.finfo(kind).eps
        np.testing.assert_allclose(slope[3], np.log(2 + 1j), rtol=rtol)
        np.testing.assert_allclose(sent[3], np.conjugate(np.log(2 + 1j)), rtol=rtol)


def test_products_of_many_numbers_in_any_order() -> None:
    fmt = format_of("float32")
    z = (drawn(24, 5).reshape(4, 6)).astype(np.complex64)
    value, radius = radii(WHOLE["prod"](complex_ball(z, "float32")))
    forward, backward = np.ones(4, np.complex64), np.ones(4, np.complex64)
    for k in range(6):
        forward, backward = forward * z[:, k], z[:, 5 - k] * backward
    for got in (forward, backward, np.prod(z[:, :3], -1) * np.prod(z[:, 3:], -1)):
        assert np.all(np.abs(np.stack([got.real, got.imag]) - value) <= radius)
    assert np.all(radius <= 20 * fmt.u * np.abs(np.prod(z.astype(complex), -1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["det", "inv", "solve"])
def test_determinants_inverses_and_solutions_lie_within_their_radii(name: str, dtype: str) -> None:
    fmt, rng = format_of(dtype), np.random.default_rng(7)
    narrow = np.result_type(dtype, np.complex64)
    for n in (1, 2, 3, 5):
        a, b = [
            (rng.standard_normal((20, n, k)) + 1j * rng.standard_normal((20, n, k))).astype(narrow)
            for k in (n, 2)
        ]
        if name == "solve":
            ball, got = np.linalg.solve(complex_ball(a, dtype), complex_ball(b, dtype)), np.linalg.solve(a, b)
            due = dense_linalg.solve(a.astype(np.clongdouble), b.astype(np.clongdouble))
        else:
            ball, got, due = (
                WHOLE[name](complex_ball(a, dtype)),
                getattr(dense_linalg, name)(a),
                getattr(dense_linalg, name)(a.astype(np.clongdouble)),
            )
        value, radius = radii(ball)
        assert np.all(np.abs(value - np.stack([due.real, due.imag])) <= 1e-2 * radius + 1e-25)
        assert np.all(np.abs(np.stack([got.real, got.imag]) - value) <= radius)
        ratio = np.median(
            radius
            / (fmt.u * np.abs(due) * np.linalg.cond(a.astype(complex)).reshape(-1, *[1] * (due.ndim - 1)))
        )
        assert ratio < 200, "the radius says nothing"


def test_a_wrong_formula_lies_outside() -> None:
    z = drawn(200, 9).astype(np.complex64)
    for f, wrong in (
        (np.sqrt, lambda z: np.exp(np.log(z) / 2 * (1 + 3e-6))),
        (np.tanh, lambda z: np.tanh(z) * (1 + 1e-5)),
    ):
        value, radius = radii(f(complex_ball(z, "float32")))
        got = wrong(z.astype(complex))
        assert np.mean(np.any(np.abs(np.stack([got.real, got.imag]) - value) > radius, axis=0)) > 0.7
