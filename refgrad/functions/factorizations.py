"""Factors of a matrix under NumPy's names."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import implements, operand
from refgrad.ops import triangular
from refgrad.ops.dense_linalg import square
from refgrad.tracing.differentiable_arguments import plain


@implements(np.linalg.cholesky)
def cholesky(a: Array, /, *, upper: bool = False) -> Array:
    """L with A = L L^H, (..., n, n), or its conjugate transpose, for real and complex matrices.

    As NumPy it reads one triangle of A, on which alone the derivative depends.
    Raises numpy.linalg.LinAlgError for a matrix that is not positive definite, ArgumentError for one that is not square.
    """
    a = operand(a)
    if a.dtype.kind == "c":
        return _complex_cholesky(a, upper)
    if not upper or a.ndim < 2:
        return triangular.cholesky(a)
    return np.matrix_transpose(triangular.cholesky(np.matrix_transpose(a)))


def _complex_cholesky(a: Array, upper: bool) -> Array:
    """Each column is what is left of A's after the products of the columns before it, divided by the root of its first element.

    Golub and Van Loan, Matrix Computations, section 4.2.
    """
    np.linalg.cholesky(
        square("cholesky", plain(a)).astype(complex), upper=upper
    )  # raises where NumPy does
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
