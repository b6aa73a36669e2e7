"""refgrad.special: every function has its op, keeps dtypes and refuses what is no array of real numbers."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, special
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, DtypeError
from refgrad.tracing.ball import exact, parts

UNARY = (
    "gammaln", "digamma", "erf", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr", "ndtri", "i0", "i1", "i0e", "i1e", "expit", "logit", "entr",
    "log1p", "expm1", "exp2", "sinc", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0",
)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("name", UNARY)
def test_dtype_and_shape_are_kept(name: str, dtype: type) -> None:
    x = np.linspace(0.1, 0.9, 6).reshape(2, 3).astype(dtype)
    f = getattr(special, name)
    y, pullback = rg.vjp(f, x)
    assert y.shape == x.shape
    assert y.dtype == pullback(np.ones_like(y))[0].dtype == dtype


def test_integers_become_float64_and_other_things_are_refused() -> None:
    assert special.erf(1).dtype == np.float64
    with pytest.raises(DtypeError, match="real numbers"):
        special.erf(np.array([1j]))
    with pytest.raises(DtypeError, match="real numbers"):
        special.ndtr("half")


def test_all_public_names_are_there_and_are_documented() -> None:
    for name in special.__all__:
        assert getattr(special, name).__doc__


def test_inverses() -> None:
    x = np.linspace(-3, 3, 25)
    assert np.allclose(special.erfinv(special.erf(x)), x)
    assert np.allclose(special.ndtri(special.ndtr(x)), x)
    assert np.array_equal(special.erfinv(np.array([-1.0, 1.0])), [-np.inf, np.inf])
    assert np.isnan(special.ndtri(1.5))


def test_functions_of_two_operands_and_of_an_axis() -> None:
    x = np.linspace(0.1, 0.8, 6).reshape(2, 3)
    assert np.array_equal(special.xlogy(x, 2.0), nn.xlogy(x, 2.0))
    assert np.array_equal(special.xlog1py(x, 2.0), nn.xlog1py(x, 2.0))
    assert np.array_equal(special.softmax(x, 0), nn.softmax(x, axis=0))
    assert np.array_equal(special.log_softmax(x, 1), nn.log_softmax(x, axis=1))
    assert special.logsumexp(x, 1, keepdim=True).shape == (2, 1)
    assert np.array_equal(special.logit(x, eps=0.3), special.logit(np.clip(x, 0.3, 0.7)))
    with pytest.raises(ArgumentError, match=r"0 \.\.\. 0\.5"):
        special.logit(x, eps=0.6)


def test_i0_is_the_function_of_numpy() -> None:
    x = np.linspace(-9, 9, 31)
    y, pullback = rg.vjp(np.i0, x)
    assert np.array_equal(y, np.i0(x))
    assert np.array_equal(pullback(np.ones(31))[0], special.i1(x))


def test_gamma_functions_are_derivatives_of_each_other() -> None:
    x = np.array([-2.4, -0.3, 0.2, 1.0, 3.5, 40.0])
    for n, f in enumerate((special.gammaln, special.digamma, lambda z: special.polygamma(1, z))):
        assert np.array_equal(rg.vjp(f, x)[1](np.ones(6))[0], special.polygamma(n, x))
    assert np.array_equal(special.psi(x), special.digamma(x))
    for wrong in (-1, 1.5):
        with pytest.raises(ArgumentError, match="integer of 0 or more"):
            special.polygamma(wrong, x)


def test_the_gamma_functions_at_their_poles_and_ends() -> None:
    x = np.array([0.0, -0.0, -1.0, -7.0, np.inf, -np.inf])
    assert np.array_equal(special.gammaln(x), np.full(6, np.inf))
    nothing = np.nan
    assert np.array_equal(
        special.digamma(x), [-np.inf, np.inf, nothing, nothing, np.inf, nothing], equal_nan=True
    )
    assert np.array_equal(
        special.polygamma(1, x), [np.inf, np.inf, np.inf, np.inf, 0.0, nothing], equal_nan=True
    )
    assert np.array_equal(
        special.polygamma(2, x), [-np.inf, np.inf, nothing, nothing, 0.0, nothing], equal_nan=True
    )


def test_multigammaln_is_the_sum_of_its_definition() -> None:
    x = np.array([1.0, 2.25, 30.0])
    sums = special.gammaln(x) + special.gammaln(x - 0.5) + special.gammaln(x - 1) + 1.5 * np.log(np.pi)
    assert np.allclose(special.multigammaln(x, 3)[1:], sums[1:], rtol=1e-15)
    y, pullback = rg.vjp(lambda z: special.multigammaln(z, 3), x)
    assert np.isnan(y[0])  # the end of the domain
    assert np.allclose(
        pullback(np.ones(3))[0][1:], sum(special.digamma(x - k / 2) for k in range(3))[1:], rtol=1e-14
    )
    with pytest.raises(ArgumentError, match="integer of 1 or more"):
        special.multigammaln(x, 0)


def test_gelu_by_either_formula() -> None:
    x = np.linspace(-5, 5, 41)
    assert np.array_equal(nn.gelu(x, approximate="tanh"), nn.gelu_tanh(x))
    exact = x * special.ndtr(x)
    assert np.max(np.abs(nn.gelu(x) - exact)) < 1e-15
    assert 1e-4 < np.max(np.abs(nn.gelu_tanh(x) - exact)) < 1e-3
    with pytest.raises(ArgumentError, match='"none" or "tanh"'):
        nn.gelu(x, approximate="erf")


def test_bessel_functions_at_their_poles_and_ends() -> None:
    x = np.array([0.0, -0.0, -1.0, np.inf, np.nan])
    low, nothing = -np.inf, np.nan
    for f in (special.bessel_y0, special.bessel_y1):
        assert np.array_equal(f(x), [low, low, nothing, 0.0, nothing], equal_nan=True)
    for f in (special.modified_bessel_k0, special.modified_bessel_k1):
        assert np.array_equal(f(x), [np.inf, np.inf, nothing, 0.0, nothing], equal_nan=True)
    for f in (special.scaled_modified_bessel_k0, special.scaled_modified_bessel_k1):
        assert np.array_equal(f(x), [np.inf, np.inf, nothing, 0.0, nothing], equal_nan=True)
    for f, at_0 in ((special.bessel_j0, 1.0), (special.bessel_j1, 0.0), (special.spherical_bessel_j0, 1.0)):
        assert np.array_equal(f(x[[0, 1, 3, 4]]), [at_0, at_0, 0.0, nothing], equal_nan=True)
        assert f(-np.inf) == 0.0
    assert np.signbit(special.bessel_j1(-0.0))
    assert special.modified_bessel_k0(800.0) == 0.0
    assert special.scaled_modified_bessel_k0(800.0) > 0.04
    least = np.finfo(float).smallest_subnormal
    # DLMF 10.8.2 and 10.31.2: the next terms are smaller by the square of x. A logarithm, a difference, a product.
    near_0, rtol = np.log(least) - np.log(2.0) + np.euler_gamma, 4 * np.finfo(float).eps
    assert np.isclose(special.bessel_y0(least), 2 / np.pi * near_0, rtol=rtol, atol=0)
    assert np.isclose(special.modified_bessel_k0(least), -near_0, rtol=rtol, atol=0)


def test_the_bound_of_j1_covers_a_quotient_by_its_first_zeros_that_is_subnormal() -> None:
    """x/(2 z1 z2), rounded, times z1 z2: J_1(x) = x/2 up to x^3, where z1 and z2 are the squares of the first two zeros."""
    product, fmt = 14.681970642123893 * 49.2184563216946, FORMATS["float32"]
    x = np.linspace(1.0, 4.0, 50).astype(np.float32) * np.finfo(np.float32).smallest_normal
    by_zeros = (x / np.float32(2 * product)).astype(float) * product
    value, radius = parts(special.bessel_j1(exact(x, fmt)))
    off = np.abs(by_zeros - value)
    assert np.all(off <= radius)
    assert np.max(off) > 200 * fmt.least
    assert np.all(radius < 1e-3 * value)


def test_bessel_functions_are_tied_by_their_wronskians() -> None:
    """J_1 Y_0 - J_0 Y_1 = 2/(pi x), and I_0 K_1 + I_1 K_0 = 1/x (DLMF 10.5.2 and 10.28.2)."""
    x = np.concatenate([10.0 ** np.linspace(-8, 12, 300), np.linspace(0.1, 60, 300)])
    left = special.bessel_j1(x) * special.bessel_y0(x) - special.bessel_j0(x) * special.bessel_y1(x)
    assert np.max(np.abs(left * np.pi * x / 2 - 1)) < 16 * np.finfo(float).eps
    left = special.i0e(x) * special.scaled_modified_bessel_k1(x) + special.i1e(
        x
    ) * special.scaled_modified_bessel_k0(x)
    assert np.max(np.abs(left * x - 1)) < 16 * np.finfo(float).eps


def test_modified_bessel_functions_have_both_names() -> None:
    assert special.modified_bessel_i0 is special.i0
    assert special.modified_bessel_i1 is special.i1
