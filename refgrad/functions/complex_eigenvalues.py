"""Eigenvalues and eigenvectors of matrices without symmetry where they are complex, composed of functions that take complex numbers.

LAPACK finds them for the plain matrix. Steps that sharpen what was found then start from there, as constants: with B = V^-1 A V and
F_ij = 1/(b_jj - b_ii) off the diagonal, V goes to V (I + F * B), and the eigenvalues are the diagonal of B. Where V is off by V E, B is
L + [L, E] + O(E^2), whose diagonal is L + O(E^2), and V (I + F * B) is off by O(E^2) and a scaling of columns (Ogita and Aishima,
"Iterative refinement for symmetric eigenvalue decomposition", 2018, for symmetric matrices). A constant V is off by the first order in a
change of A. So after k steps V is right up to order 2^k - 1, and the diagonal of B up to order 2^(k+1) - 1: k grows with the number of
nested transformations.

Columns have norm 1 and a real element of largest modulus, as LAPACK returns them. The derivative is that of these columns. It is NaN where
eigenvalues meet, and belongs to one of the largest elements where there are several.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.functions.complex_factors import with_numbers
from refgrad.op import Traced
from refgrad.ops.dense_linalg import square
from refgrad.ops.eigenvalues import told_apart
from refgrad.tracing.differentiable_arguments import encloses, plain


def found(a: Any, name: str) -> tuple[PlainArray, PlainArray] | None:
    """NumPy's eigenvalues and eigenvectors of a traced array, where complex ones are due; None for real ones, and over Balls.

    Over Balls a bound of LAPACK's error would be due, and no framework that is judged states an order of its eigenvalues.
    """
    if not isinstance(a, Traced) or encloses(a):
        return None
    numbers: PlainArray = square(name, plain(a))
    if numbers.dtype.char in "gG" or numbers.dtype == np.float16:
        return None  # NumPy's linear algebra has no such arrays: its error comes from the real rule
    w, v = np.linalg.eig(numbers)
    return (w, v.astype(w.dtype)) if a.dtype.kind == "c" or np.any(w.imag) else None


def values(a: Array, first: tuple[PlainArray, PlainArray], together: Any = False) -> Array:
    """Eigenvalues (..., n), with NumPy's numbers. ``together``, (n, n), marks pairs that meet for every matrix, which no step parts."""
    w, v = first
    a = a.astype(v.dtype)
    sharp: Any = v
    for _ in range(_steps(a) - 1):
        sharp = _sharper(a, sharp, together)
    y: Any = np.diagonal(_diagonalised(a, sharp), axis1=-2, axis2=-1)
    return with_numbers(w, y)


def vectors(a: Array, start: PlainArray, real: int | None = None, together: Any = False) -> Array:
    """Eigenvectors in columns (..., n, n), with NumPy's numbers. ``together`` is that of ``values``.

    ``real`` is the element of a column that NumPy makes real. By default, and where that element is tiny, it is one of largest modulus.
    """
    a = a.astype(start.dtype)
    y: Any = start
    for _ in range(_steps(a)):
        y = _sharper(a, y, together)
    if not start.size:
        return y + 0 * a
    largest = np.argmax(np.abs(start), axis=-2)[..., None, :]
    if real is not None:
        # The phase turns by up to 1/|v_k|, of which functions without a phase keep the rounding.
        some = np.abs(start[..., real, None, :]) > np.sqrt(np.finfo(start.dtype).eps)
        largest = np.where(some, real % start.shape[-2], largest)
    turn: Any
    turn, sign = np.take_along_axis(y, largest, -2), np.take_along_axis(start, largest, -2)
    norm = np.sqrt(np.sum(y.real**2 + y.imag**2, axis=-2, keepdims=True))
    y = y * (np.conjugate(turn) / np.abs(turn)) * (sign / np.abs(sign)) / norm
    return with_numbers(start, y)


def _steps(a: Any) -> int:
    """How many steps make eigenvectors right up to the order of derivatives that may be asked for, which is the number of levels."""
    order = len([level for level in a._levels() if level]) if isinstance(a, Traced) else 0
    return order.bit_length()  # the least k with 2^k - 1 >= order


def _diagonalised(a: Array, v: Array) -> Array:
    return np.linalg.solve(v, np.matmul(a, v))


def _sharper(a: Array, v: Array, together: Any) -> Array:
    b = _diagonalised(a, v)
    w = np.diagonal(b, axis1=-2, axis2=-1)
    same = np.eye(w.shape[-1], dtype=bool) | together
    far = told_apart(plain(w)) & ~same
    gap = np.where(far, w[..., None, :] - w[..., :, None], 1.0)
    return v + np.matmul(v, np.where(far, b / gap, np.where(same, 0.0, np.nan).astype(w.dtype)))
