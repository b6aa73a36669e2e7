"""NumPy functions written as compositions of ops, grouped by subject. Importing this package registers all of them for traced arrays."""

from __future__ import annotations

from refgrad.functions import (
    applying,
    binning,
    choosing,
    covariance,
    elementwise,
    factorizations,
    filled,
    joining,
    linalg,
    padding,
    polynomials,
    quantiles,
    scimath,
    sequences,
    sets,
    shapes,
    statistics,
    ufunc_methods,
    without_derivative,
    writing,
)

__all__ = [
    "applying",
    "binning",
    "choosing",
    "covariance",
    "elementwise",
    "factorizations",
    "filled",
    "joining",
    "linalg",
    "padding",
    "polynomials",
    "quantiles",
    "scimath",
    "sequences",
    "sets",
    "shapes",
    "statistics",
    "ufunc_methods",
    "without_derivative",
    "writing",
]
