"""Radii of discrete Fourier transforms contain what transforms in narrow formats give, and are no wider than they have to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad.functions  # noqa: F401 - Balls know NumPy functions from it
from refgrad.bounds.formats import format_of
from refgrad.errors import NoRuleError
from refgrad.ops.fourier_bounds import roundings
from refgrad.tracing.ball import exact, parts
from refgrad.tracing.complex_ball import ComplexBall

LENGTHS = (1, 2, 3, 4, 7, 8, 12, 15, 17, 31, 32, 34, 60, 97, 128, 210)


def radii(y: Any) -> tuple[Any, Any]:
    """Values and radii: of complex numbers both parts side by side."""
    if type(y) is not ComplexBall:
        return parts(y)
    found = [parts(p) for p in y.parts]
    return np.stack([v for v, _ in found]), np.stack([np.broadcast_to(r, v.shape) for v, r in found])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_a_radius_contains_the_transform_in_the_format(n: int, dtype: str) -> None:
    fmt, rng = format_of(dtype), np.random.default_rng(n)
    x, b = [rng.standard_normal((3, n)).astype(dtype) for _ in range(2)]
    functions = {
        "fft": lambda x, b: np.fft.fft(x + 1j * b), "ifft": lambda x, b: np.fft.ifft(x + 1j * b, norm="ortho"),
        "rfft": lambda x, b: np.fft.rfft(x, norm="forward"), "irfft": lambda x, b: np.fft.irfft(x + 1j * b, n),
        "fft2": lambda x, b: np.fft.fft2(x + 1j * b), "hfft": lambda x, b: np.fft.hfft(x + 1j * b, 2 * n),
    }  # fmt: skip
    for name, f in functions.items():
        value, radius = radii(f(exact(x, fmt), exact(b, fmt)))
        plain = np.asarray(f(x, b))
        got = np.stack([plain.real, plain.imag]) if np.iscomplexobj(plain) else plain
        error = np.abs(got.astype(value.dtype) - value)
        assert np.all(error <= radius), name
        assert np.max(radius) <= 60 * (roundings(n) + 3) * fmt.u * np.max(np.abs(value)) * max(n, 8), name


def test_direct_sums_lie_within_the_bound() -> None:
    """The plain sum over the matrix of roots of unity, which no library takes, in float32."""
    fmt, rng, n = format_of("float32"), np.random.default_rng(0), 48
    x = rng.standard_normal(n).astype(np.float32)
    k = np.arange(n)
    matrix = np.exp(-2j * np.pi * np.outer(k, k) / n).astype(np.complex64)
    total = np.zeros(n, np.complex64)
    for j in range(n):
        total = total + matrix[:, j] * x[j]
    value, radius = radii(np.fft.fft(exact(x, fmt)))
    assert np.all(np.abs(np.stack([total.real, total.imag]) - value) <= radius)


def test_carried_radii_reach_every_element() -> None:
    fmt = format_of("float64")
    x = exact(np.array([1.0, 2.0, 3.0, 4.0]), fmt) / 3.0
    _, before = parts(x)
    _, radius = radii(np.fft.fft(x))
    assert np.all(radius >= np.sum(before))


def test_a_sum_that_may_overflow_is_unknown() -> None:
    fmt = format_of("float32")
    _, radius = radii(np.fft.fft(exact(np.full(8, 3e38, np.float32), fmt)))
    assert np.all(np.isinf(radius))


def test_zeros_are_exact() -> None:
    _, radius = radii(np.fft.fft(exact(np.zeros(8), format_of("float64"))))
    assert not np.any(radius)


def test_lengths_with_large_prime_factors_cost_more() -> None:
    assert roundings(128) < roundings(97)
    assert roundings(13) == 20
    assert roundings(1) == 0
    assert roundings(12) == roundings(3) + 2 * roundings(2)


def test_an_op_without_a_formula_for_parts_is_not_judged() -> None:
    x = exact(np.array([1.0, 2.0]), format_of("float64"))
    for f in (np.arcsin, np.expm1, np.cumprod):
        with pytest.raises(NoRuleError, match="complex operands, for which refgrad has no error bound"):
            f(1j * x)
