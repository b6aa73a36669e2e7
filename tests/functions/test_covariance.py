"""Covariances and correlations: NumPy's values, warnings and errors."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg

X = np.random.default_rng(1).standard_normal((3, 5))
Y = np.random.default_rng(2).standard_normal((3, 5))


@pytest.mark.parametrize(
    "options",
    [
        {}, {"rowvar": False}, {"bias": True}, {"ddof": 2}, {"fweights": [1, 2, 0, 1, 3]},
        {"aweights": np.array([0.5, 1.0, 2.0, 0.1, 1.0])},
        {"fweights": [1, 2, 1, 1, 3], "aweights": np.array([0.5, 1.0, 2.0, 0.1, 1.0])}, {"dtype": np.longdouble},
    ],
    ids=str,
)  # fmt: skip
def test_cov_has_numpys_values_and_dtypes(options) -> None:
    for args in ((X,), (X, Y), (X[:1],), (X[0], Y[1])):
        due = np.cov(*args, **options) if args[0].ndim > 1 or "rowvar" not in options else np.cov(*args)
        value, _ = rg.vjp(
            lambda *a: np.cov(*a, **(options if a[0].ndim > 1 or "rowvar" not in options else {})), *args
        )
        assert value.shape == due.shape
        assert value.dtype == due.dtype
        assert np.allclose(value, due, rtol=1e-12, equal_nan=True)


def test_too_few_observations_warn_as_in_numpy() -> None:
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        value, _ = rg.vjp(np.cov, X[:, :1])
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        due = np.cov(X[:, :1])
    assert np.array_equal(value, due, equal_nan=True)
    with pytest.raises(ValueError, match="m has more than 2 dimensions"):
        rg.vjp(np.cov, X[None])


def test_corrcoef_stays_within_one() -> None:
    for args in ((X,), (X[0], 3 * X[0]), (X[0],)):
        value, pullback = rg.vjp(np.corrcoef, *args)
        assert np.allclose(value, np.corrcoef(*args))
        assert np.all(np.abs(value) <= 1)
        assert np.allclose(
            pullback(np.ones(value.shape))[0] if len(args) == 2 or args[0].ndim == 1 else 0.0, 0.0, atol=1e-12
        )
