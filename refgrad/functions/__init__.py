"""NumPy functions written as compositions of ops, by idea: shapes, joining, choosing, bins, statistics, new arrays, writing, values."""

from refgrad.functions import binning, choosing, filled, joining, shapes, statistics, values, writing

__all__ = ["binning", "choosing", "filled", "joining", "shapes", "statistics", "values", "writing"]
