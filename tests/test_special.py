"""refgrad.special: every function has its op, keeps dtypes and refuses what is no array of real numbers."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, special
from refgrad.errors import ArgumentError, DtypeError

UNARY = ("erf", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr", "ndtri")


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


def test_gelu_by_either_formula() -> None:
    x = np.linspace(-5, 5, 41)
    assert np.array_equal(nn.gelu(x, approximate="tanh"), nn.gelu_tanh(x))
    exact = x * special.ndtr(x)
    assert np.max(np.abs(nn.gelu(x) - exact)) < 1e-15
    assert 1e-4 < np.max(np.abs(nn.gelu_tanh(x) - exact)) < 1e-3
    with pytest.raises(ArgumentError, match='"none" or "tanh"'):
        nn.gelu(x, approximate="erf")
