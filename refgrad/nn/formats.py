"""Casts through other formats."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.bounds.formats import FORMATS
from refgrad.errors import DtypeError
from refgrad.nn.arguments import array_of
from refgrad.ops import casting


def cast_through(x: Array, through: str) -> Array:
    """The numbers of a format nearest to x, ties to even, as a cast to the format and back gives them. Shape and dtype of x.

    ``through`` names a format of ``refgrad.bounds.FORMATS``, such as "bfloat16" or "float8_e4m3". A number beyond its range becomes
    infinite, or the largest number where the format has no infinities. By convention the derivative is 1; tangents and cotangents are
    cast through the format as well. Raises DtypeError for a format that is not known.
    """
    if through not in FORMATS:
        raise DtypeError(f"cast_through: no format named {through!r}; one of {list(FORMATS)} is expected")
    return casting.cast_through(array_of(x), through=through)
