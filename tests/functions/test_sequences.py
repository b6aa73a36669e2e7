"""Interpolation, convolution, gradients by differences, windows and evenly spaced numbers: NumPy's values for random arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.numeric import differences
from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any


def agree(f: Callable[..., Any], x: Array, wide: bool = True) -> None:
    """Whether value and derivative are those of the plain function, in both modes."""
    rng = np.random.default_rng(x.size)
    x_dot = rng.standard_normal(x.shape)
    y, y_dot = rg.jvp(f, (x,), (x_dot,))
    due = f(x)
    assert y.shape == due.shape
    assert y.dtype == due.dtype
    assert np.allclose(y, due, rtol=1e-13, atol=1e-13)
    expected, _ = differences(f if wide else lambda z: rg.vjp(f, z)[0], (x,), (x_dot,))
    assert np.allclose(y_dot, expected, rtol=1e-7, atol=1e-7)
    y_bar = rng.standard_normal(y.shape)
    assert np.allclose(np.sum(rg.vjp(f, x)[1](y_bar)[0] * x_dot), np.sum(y_bar * y_dot))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("sizes", [(1, 1), (5, 2), (2, 5), (4, 3), (3, 4), (4, 4), (1, 6)], ids=str)
def test_convolve_and_correlate(sizes: tuple[int, int], mode: str) -> None:
    a, v = [np.random.default_rng(n).standard_normal(n) for n in sizes]
    for function in (np.convolve, np.correlate):
        agree(lambda x, function=function: function(x, v, mode), a)
        agree(lambda x, function=function: function(a, x, mode), v)


@pytest.mark.filterwarnings("ignore")
def test_modes_by_number() -> None:
    a, v = np.array([1.0, 2.5, -0.5, 3.0]), np.array([0.5, -1.5])
    for mode in (0, 1, 2):
        agree(lambda x, mode=mode: np.convolve(x, v, mode), a)
        agree(lambda x, mode=mode: np.correlate(a, x, mode), v)


@pytest.mark.parametrize("seed", range(6))
def test_interp_is_differentiated_in_every_argument(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xp, fp, x = np.sort(rng.uniform(0, 4, 5)), rng.standard_normal(5), rng.uniform(-1, 5, (2, 4))
    agree(lambda x: np.interp(x, xp, fp), x, wide=False)
    agree(lambda xp: np.interp(x, xp, fp), xp, wide=False)
    agree(lambda fp: np.interp(x, xp, fp, 0.5, -0.5), fp, wide=False)
    agree(lambda fp: np.interp(x, xp, fp, fp[0], right=fp[1]), fp, wide=False)
    agree(lambda x: np.interp(x, xp, fp, period=3.3), x, wide=False)
    agree(lambda fp: np.interp(x, xp, fp, period=3.3), fp, wide=False)


def test_interp_meets_knots_exactly() -> None:
    xp, fp = np.array([0.1, 0.7, 1.9]), np.array([0.3, -1.1, 2.7])
    assert np.array_equal(rg.vjp(lambda x: np.interp(x, xp, fp), xp)[0], fp)
    assert rg.grad(lambda v: np.interp(1.0, xp[:1], v))(fp[:1]) == 1.0


BROKEN = [  # places, knots, values, the slope at each place
    ([0.0, 0.5, 1.0], [0.0, 1.0, 1.0], [2.0, 3.0, 7.0], [1.0, 1.0, 0.0]),  # a jump at the end
    ([-5.0, 0.5, 9.0], [-np.inf, 0.0, 1.0, np.inf], [0.0, 0.0, 2.0, 2.0], [0.0, 2.0, 0.0]),
    (
        [0.0, 1.0, 3.0, 4.0],
        [0.0, 1.0, 2.0, 3.0, 4.0],
        [1.0, 3.0, np.nan, 4.0, 6.0],
        [2.0, 2.0, 2.0, 2.0],
    ),  # a gap
    ([0.0, 1.0], [0.0, 1.0, 2.0], [1.0, 5.0, np.inf], [4.0, 4.0]),
    ([0.5], [0.0, 1.0], [np.inf, np.inf], [0.0]),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("x", "xp", "fp", "slope"), BROKEN)
def test_a_knot_keeps_its_value_beside_one_that_is_not_finite(x: Any, xp: Any, fp: Any, slope: Any) -> None:
    x = np.array(x)
    value, pullback = rg.vjp(lambda x: np.interp(x, xp, fp), x)
    assert np.array_equal(value, np.interp(x, xp, fp))
    assert np.array_equal(pullback(np.ones_like(x))[0], slope)
    assert np.array_equal(rg.jvp(lambda x: np.interp(x, xp, fp), (x,), (np.ones_like(x),))[1], slope)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("x", "xp", "fp", "slope"), BROKEN)
def test_complex_values_are_interpolated_part_by_part(x: Any, xp: Any, fp: Any, slope: Any) -> None:
    x, values, dots = np.array(x), np.empty(len(fp), complex), np.ones(len(x))
    values.real, values.imag = fp, np.linspace(0.5, 1.5, len(fp))

    def f(x: Array) -> Array:
        return np.interp(x, xp, values, left=1j, right=2.0)

    for y in (rg.vjp(f, x)[0], rg.jvp(f, (x,), (dots,))[0]):
        assert np.array_equal(y.real, f(x).real, equal_nan=True)
        # Difference, quotient, product and sum round once each, here and in NumPy: eight halves of eps.
        assert np.allclose(y.imag, f(x).imag, rtol=4 * np.finfo(float).eps, atol=0)
    inside = (x >= xp[0]) & (x <= xp[-1])
    assert np.array_equal(rg.jvp(f, (x,), (dots,))[1].real, np.where(inside, slope, 0.0))
    assert np.array_equal(rg.vjp(f, x)[1](np.ones(len(x), complex))[0], np.where(inside, slope, 0.0))


def test_a_place_that_is_nan_has_no_value() -> None:
    for fp in ([1.0, 2.0], [2.0, 2.0], [np.inf, np.inf]):
        assert np.isnan(rg.jvp(lambda x, fp=fp: np.interp(x, [0.0, 1.0], fp), (np.nan,), (1.0,))[0])


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient_is_differentiated_in_numbers_places_and_steps(edge_order: int) -> None:
    rng = np.random.default_rng(edge_order)
    x, places = rng.standard_normal((3, 4, 5)), np.sort(rng.uniform(0, 4, 5))
    agree(lambda a: np.gradient(a, 0.3, axis=1, edge_order=edge_order), x)
    agree(lambda a: np.gradient(a, places, axis=-1, edge_order=edge_order), x)
    agree(lambda p: np.gradient(x, p, axis=-1, edge_order=edge_order), places)
    agree(lambda h: np.gradient(x, h[0], axis=0, edge_order=edge_order), np.array([0.7]))
    agree(lambda a: np.stack(np.gradient(a, 0.3, 0.5, places, edge_order=edge_order)), x)
    agree(lambda a: np.stack(np.gradient(a, edge_order=edge_order)), x)


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 5])
def test_linspace_is_differentiated_in_both_ends(num: int, endpoint: bool) -> None:
    for x in (np.array(0.7), np.array([0.3, -1.2])):
        agree(lambda x: np.linspace(x, 2.5, num, endpoint), x)
        agree(lambda x: np.linspace(0.5, x, num, endpoint, axis=-1), x)
    if num > 1:
        y, step = rg.vjp(lambda x: np.linspace(x, 2 * x, num, endpoint, retstep=True), np.array(0.7))[0]
        due, due_step = np.linspace(0.7, 1.4, num, endpoint, retstep=True)
        assert np.array_equal(y[-1:], due[-1:])
        assert np.isclose(step, due_step)


def test_windows_are_views_that_cannot_be_written_to() -> None:
    x = np.arange(12.0).reshape(3, 4)
    agree(lambda a: np.lib.stride_tricks.sliding_window_view(a, (2, 3)), x)
    agree(lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, -1), x)

    def f(a: Array) -> Array:
        windows = np.lib.stride_tricks.sliding_window_view(a, 2)
        a[0] = a[1] * 3
        return windows * 1.0

    agree(lambda a: f(a * 1.0), x[0])


def test_unwrap_keeps_the_slope() -> None:
    x = np.array([0.3, 3.5, -2.9, 8.0])
    agree(np.unwrap, x)
    agree(lambda x: np.unwrap(x.astype(np.float64), period=1.5), x)


def test_periods_have_a_derivative() -> None:
    x, xp, fp = np.array([-0.7, 1.2, 4.4]), np.array([0.2, 0.9, 1.7]), np.array([1.0, -0.5, 2.0])
    agree(lambda p: np.interp(x + 0 * p, xp, fp, period=p), np.array(2.3), wide=False)
    phases = np.array([0.3, 3.5, -2.9, 8.0])
    agree(lambda p: np.unwrap(phases + 0 * p, period=p), np.array(2.3))


C = np.array([[0.7, 1.3, 2.1], [1.9, 0.4, 0.6]])
SPACED: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "linspace": (lambda a, b: np.linspace(a, b, 4, axis=-1), [C, C[0] + 2]),
    "linspace step": (lambda a, b: np.linspace(a, b, 4, endpoint=False, retstep=True)[1], [C, C[0] + 2]),
    "linspace of one": (lambda a, b: np.linspace(a, b, 1), [C, C[0] + 2]),
    "logspace": (lambda a, b: np.logspace(a, b, 3, axis=1), [C, C[0] + 2]),
    "logspace base": (lambda a, b, base: np.logspace(a, b, 3, endpoint=False, base=base), [C[0], C[1], C[1] + 1]),
    "geomspace": (lambda a, b: np.geomspace(a, b, 4), [C, C[0] + 2]),
    "geomspace of negative numbers": (lambda a, b: np.geomspace(-a, -b, 4, endpoint=False, axis=-1), [C, C[0] + 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPACED)
def test_evenly_spaced_numbers(name: str) -> None:
    f, xs = SPACED[name]
    values_and_derivatives(f, xs)
    in_any_nesting(f, xs)


@pytest.mark.parametrize("function", [np.linspace, np.logspace, np.geomspace], ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore")
def test_evenly_spaced_numbers_are_numpys(function: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(150):
        shape = tuple(rng.integers(1, 4, rng.integers(0, 3)).tolist())
        a = rng.uniform(0.2, 2.0, shape).astype([np.float64, np.float32, np.float16][rng.integers(3)])
        b: Any = [2.5, 2, np.float32(0.75), rng.uniform(0.2, 2.0, shape[-1:]).astype(np.float32)][
            rng.integers(4)
        ]
        options: dict[str, Any] = {
            "num": int(rng.integers(6)),
            "endpoint": bool(rng.integers(2)),
            "dtype": [None, np.float32][rng.integers(2)],
        }
        for f in (
            lambda x, o=options, b=b: function(x, b, **o, axis=-1),
            lambda x, o=options, b=b: function(b, x, **o),
        ):
            value, due = rg.vjp(f, a)[0], f(a)
            assert value.dtype == due.dtype
            assert value.shape == due.shape
            if function is np.linspace:
                assert np.array_equal(value, due)
            else:  # NumPy's powers round otherwise for some layouts
                assert np.all(np.abs(value - due) <= 2 * np.spacing(np.abs(due)))
