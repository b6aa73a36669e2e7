"""NumPy functions written as compositions of ops, by idea: shapes, joining, choosing, bins, statistics, new arrays, writing, values."""

from refgrad.functions import (
    applying,
    binning,
    choosing,
    covariance,
    factors,
    filled,
    joining,
    sequences,
    shapes,
    statistics,
    values,
    writing,
)

__all__ = [
    "applying",
    "binning",
    "choosing",
    "covariance",
    "factors",
    "filled",
    "joining",
    "sequences",
    "shapes",
    "statistics",
    "values",
    "writing",
]
