"""NumPy functions written as compositions of ops, by idea: shapes, joining and splitting, choosing, bins, statistics, writing, plain values."""

from refgrad.functions import binning, choosing, joining, shapes, statistics, values, writing

__all__ = ["binning", "choosing", "joining", "shapes", "statistics", "values", "writing"]
