"""NumPy functions written as compositions of ops, by idea: shapes, joining and splitting, choosing, statistics, plain values."""

from refgrad.functions import choosing, joining, shapes, statistics, values

__all__ = ["choosing", "joining", "shapes", "statistics", "values"]
