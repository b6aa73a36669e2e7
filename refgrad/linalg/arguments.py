"""Arguments of the functions of refgrad.linalg: stacks of matrices of real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, DtypeError, refuse_tensor
from refgrad.op import Traced


def matrices(x: Any, who: str, square: bool = False) -> Array:
    """x as a stack of matrices: traced ones as they are, integers as float64.

    Raises ArgumentError for other shapes, DtypeError for complex and other numbers, TypeError for a tensor.
    """
    if not isinstance(x, Traced):
        refuse_tensor(x, "an argument of a function of refgrad.linalg")
        x = np.asarray(x)
        if x.dtype.kind in "iub":
            x = x.astype(np.float64)
        if x.dtype.kind != "f":
            raise DtypeError(f"{who}: an array of real numbers is expected, got dtype {x.dtype}")
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        expected = (
            "square matrices are expected, shape (..., n, n)"
            if square
            else "matrices are expected, shape (..., m, n)"
        )
        raise ArgumentError(f"{who}: {expected}; got shape {x.shape}")
    return x


def transposed(x: Array) -> Array:
    """The last two axes swapped."""
    return np.swapaxes(x, -1, -2)
