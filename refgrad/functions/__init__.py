"""NumPy functions written as compositions of ops, by idea: shapes, joining and splitting, choosing, bins, statistics, plain values."""

from refgrad.functions import binning, choosing, joining, shapes, statistics, values

__all__ = ["binning", "choosing", "joining", "shapes", "statistics", "values"]
