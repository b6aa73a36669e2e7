"""Factors of complex matrices, composed of functions that take complex numbers."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.ops.dense_linalg import square
from refgrad.tracing.differentiable_arguments import plain


def complex_cholesky(a: Array, upper: bool) -> Array:
    """Cholesky's factor of complex matrices.

    Each column is what is left of A's after the products of the columns before it, divided by the root of its first element:
    Golub and Van Loan, Matrix Computations, section 4.2.
    """
    np.linalg.cholesky(square("cholesky", plain(a)).astype(complex), upper=upper)  # raises where NumPy does
    if a.size == 0:
        return a.copy()
    a = _adjoint(a) if upper else a
    n = a.shape[-1]
    columns: list[Array] = []
    for j in range(n):
        column = a[..., j:, j]
        if columns:
            before = np.stack([c[..., j - k :] for k, c in enumerate(columns)], -1)
            first = before[..., 0, :, None]
            column = column - np.matmul(before, np.conjugate(first))[..., 0]
        root = np.sqrt(column[..., :1].real)
        columns.append(np.concatenate([root, column[..., 1:] / root], -1))
    still = ((0, 0),) * (a.ndim - 2)
    low = np.stack([np.pad(c, (*still, (k, 0))) for k, c in enumerate(columns)], -1)
    return _adjoint(low) if upper else low


def _adjoint(a: Array) -> Array:
    """The conjugate transpose."""
    turned: Array = np.matrix_transpose(a)
    return np.conjugate(turned)
