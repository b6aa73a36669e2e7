"""The recorded formulas of special functions are as far from the right values as torch is, where it is, and no farther."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refgrad import special
from refgrad.bounds.formats import FORMATS
from refgrad.ops import incomplete_gamma
from refgrad.testing.deviations.recorded_formula import VALUE, Inputs
from refgrad.testing.deviations.special_formulas import SPECIAL_FORMULAS
from refgrad.tracing.ball import exact, nearest, parts

FMT = FORMATS["float64"]


def asked(*xs: np.ndarray, second: bool = False) -> Inputs:
    return Inputs(second, tuple(exact(x, FMT) for x in xs), {}, None, (None,) * len(xs), FMT)


@pytest.mark.parametrize(("name", "sign"), [("gammainc", -1.0), ("gammaincc", 1.0)])
def test_pi_in_float32_moves_what_lies_near_the_middle(name: str, sign: float) -> None:
    a, x = np.array([30.0, 19.0, 30.0, 400.0]), np.array([30.0, 19.0, 45.0, 400.0])
    value, radius = parts(SPECIAL_FORMULAS[f"{name} by pi in float32"](asked(a, x))[VALUE][0])
    off = sign * (value - getattr(special, name)(a, x))
    expected = 1.39e-8 / 3 / np.sqrt(2 * np.pi * a)  # gammainc comes out too small, gammaincc too large
    # 1.39e-8 has three digits (0.4 %); the next term of the expansion is 1/(180 a) of the first (DLMF 8.12.11)
    assert np.allclose(off[[0, 3]], expected[[0, 3]], rtol=0.005 / 1.39 + 1 / (180 * 30), atol=0)
    assert np.max(np.abs(off[1:3])) < 1e-15
    assert np.all(radius[[0, 3]] < np.abs(expected[[0, 3]]))  # the right value lies outside


@pytest.mark.parametrize("name", ["bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1"])
def test_bessel_functions_have_the_digits_of_float32(name: str) -> None:
    x = np.array([0.5, 5.0, 30.0])
    value, radius = parts(SPECIAL_FORMULAS[f"{name} by numbers of float32"](asked(x))[VALUE][0])
    assert np.array_equal(value, getattr(special, name)(x.astype(value.dtype)))
    assert np.all((radius > 2e-7) & (radius < 1e-5))
    assert SPECIAL_FORMULAS[f"{name} by numbers of float32"](asked(x, second=True)) == {}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_gammaincc_of_a_small_order_has_the_logarithm_of_1(dtype: str) -> None:
    """Q(a, x) is a E_1(x) up to a^2, and 0.5772 a is added where log Gamma(1 + a) is taken for 0."""
    fmt = FORMATS[dtype]
    a, x = [
        parts(exact(nearest(np.asarray(z), fmt), fmt))[0].astype(float)
        for z in ([1e-20, 1e-20, 0.25], [1.0, 1.125, 1.0])
    ]
    inputs = Inputs(False, (exact(a, fmt), exact(x, fmt)), {}, None, (None, None), fmt)
    value, radius = parts(SPECIAL_FORMULAS["gammaincc by log Gamma of a rounded sum"](inputs)[VALUE][0])
    right, bound = parts(incomplete_gamma.gammaincc(*inputs.xs))
    off = value - right
    assert abs(off[0] - np.euler_gamma * a[0]) <= radius[0] + 1e-12 * a[0]
    assert radius[0] < off[0] / 20  # neither the right number nor an ordinary wrong one is its result
    assert off[1] == 0  # beyond 1.1 another formula is in use
    assert radius[1] == bound[1]
    assert abs(off[2]) <= radius[2]
    assert SPECIAL_FORMULAS["gammaincc by log Gamma of a rounded sum"](replace(inputs, second=True)) == {}
