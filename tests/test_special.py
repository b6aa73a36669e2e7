"""refgrad.special: every function has its op, keeps dtypes and refuses what is no array of real numbers."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, special
from refgrad.errors import ArgumentError, DtypeError

UNARY = (
    "erf", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr", "ndtri", "i0", "i1", "expit", "logit", "entr", "log1p", "expm1", "exp2", "sinc",
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


def test_gelu_by_either_formula() -> None:
    x = np.linspace(-5, 5, 41)
    assert np.array_equal(nn.gelu(x, approximate="tanh"), nn.gelu_tanh(x))
    exact = x * special.ndtr(x)
    assert np.max(np.abs(nn.gelu(x) - exact)) < 1e-15
    assert 1e-4 < np.max(np.abs(nn.gelu_tanh(x) - exact)) < 1e-3
    with pytest.raises(ArgumentError, match='"none" or "tanh"'):
        nn.gelu(x, approximate="erf")
