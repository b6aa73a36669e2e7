"""Sines of multiples of pi: exact quarters, far arguments, and the derivatives of sinc by series and recurrence."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.ops.sinpi import sinc_derivative, sine_and_cosine

mpmath = pytest.importorskip("mpmath")


def test_quarter_turns_are_exact() -> None:
    x = np.arange(-4, 4.5, 0.5)
    sine, cosine = sine_and_cosine(x)
    assert sine.tolist() == [[0, 1, 0, -1][int(2 * v) % 4] for v in x]
    assert cosine.tolist() == [[1, 0, -1, 0][int(2 * v) % 4] for v in x]


def test_far_arguments_are_reduced_exactly() -> None:
    x = np.concatenate(
        [[1e15 + 0.125, 2.0**53 + 2, 123456.789, -1e10 - 1 / 3], np.linspace(-0.25, 0.25, 400)]
    )
    sine, cosine = sine_and_cosine(x)
    for v, s, c in zip(x, sine, cosine, strict=True):
        with mpmath.workdps(60):
            due_s, due_c = mpmath.sinpi(mpmath.mpf(v)), mpmath.cospi(mpmath.mpf(v))
            assert abs(s - due_s) <= np.finfo(float).eps * max(abs(due_s), mpmath.mpf(10) ** -300)
            assert abs(c - due_c) <= np.finfo(float).eps * abs(due_c)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_of_sinc_on_both_sides_of_the_seam(order: int) -> None:
    seam = (order + 1) / np.pi
    x = np.array([1e-9, 0.1, 0.3, seam * (1 - 1e-6), seam * (1 + 1e-6), 1.5, 2.25, -7.75])
    found = sinc_derivative(x, order=order)
    for v, y in zip(x, found, strict=True):
        with mpmath.workdps(40):
            due = mpmath.diff(mpmath.sincpi, mpmath.mpf(v), order) if order else mpmath.sincpi(mpmath.mpf(v))
            # No derivative of order n exceeds pi^n/(n + 1), and each step of the recurrence at most doubles an error. Near 0 the
            # series keeps the digits of the small numbers of odd order, too.
            size = abs(due) if v < 0.2 else mpmath.pi**order / (order + 1)
            assert abs(y - due) <= 2 ** (order + 1) * np.finfo(float).eps * size


def test_at_infinity_every_derivative_vanishes_and_at_zero_the_odd_ones() -> None:
    assert [float(sinc_derivative(np.inf, order=n)) for n in range(3)] == [0, 0, 0]
    assert float(sinc_derivative(0.0, order=0)) == 1
    assert float(sinc_derivative(0.0, order=1)) == 0
    assert float(sinc_derivative(np.float32(0.0), order=2)) == np.float32(-(np.pi**2) / 3)
