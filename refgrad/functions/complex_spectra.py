"""Eigenvalues of Hermitian matrices, singular values and their vectors of complex matrices.

They are eigenvalues and eigenvectors of a matrix that is diagonalised by steps from LAPACK's factors (complex_eigenvalues.py). Singular
values and vectors are those of [[0, A], [A^H, 0]]: A v = s u and A^H u = s v say that (u, v)/sqrt(2) belongs to s and (u, -v)/sqrt(2) to -s
(Golub and Van Loan, Matrix Computations, section 8.6). The other |m - n| eigenvalues are zero for every A of shape (m, n).

Vectors are unique up to a phase, for u and v the same one. The derivative is right for functions that no phase changes. In NumPy's vectors
the reduction to a tridiagonal matrix leaves the first element real, or the last one where it reads the upper triangle, and the reduction to
a bidiagonal one the first element of v, or of u where A has more columns than rows: the derivative is that of vectors where this
element stays real.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.functions import complex_eigenvalues
from refgrad.functions.complex_factors import adjoint, with_numbers
from refgrad.ops.dense_linalg import square
from refgrad.tracing.differentiable_arguments import plain


def hermitian_from(a: Array, uplo: str = "L") -> Array:
    """The Hermitian matrix of which a holds the lower ("L") or the upper triangle; imaginary parts of the diagonal do not count."""
    half = np.tril(a, -1) if uplo == "L" else np.triu(a, 1)
    real: Any = a.real
    return half + adjoint(half) + real * np.eye(a.shape[-1], dtype=real.dtype)


def eigenvalues(a: Array, uplo: Any) -> Array:
    """NumPy's eigenvalues (..., n) of Hermitian matrices, in ascending order."""
    x: PlainArray = square("eigvalsh", plain(a))
    first = np.linalg.eigvalsh(x, uplo), np.linalg.eigh(x, uplo)[1]
    return complex_eigenvalues.values(hermitian_from(a, uplo), first).real


def eigenvectors(a: Array, uplo: Any) -> Array:
    """NumPy's eigenvectors in columns (..., n, n) of Hermitian matrices."""
    v = np.linalg.eigh(square("eigh", plain(a)), uplo)[1]
    return complex_eigenvalues.vectors(hermitian_from(a, uplo), v, 0 if uplo == "L" else -1)


def singular_values(a: Array) -> Array:
    """NumPy's singular values (..., k) in descending order, k = min(m, n)."""
    x = plain(a)
    s = np.linalg.svd(x, compute_uv=False)
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    rest = np.zeros((*s.shape[:-1], abs(x.shape[-2] - x.shape[-1])), s.dtype)
    first = np.concatenate([s, -s, rest], -1), _columns(x, u, vh)
    return complex_eigenvalues.values(_both(a), first, _null(x)).real[..., : s.shape[-1]]


def singular_vectors(a: Array) -> tuple[Array, Array]:
    """NumPy's U (..., m, k) and V^H (..., k, n) with k = min(m, n)."""
    x = plain(a)
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    m, n = x.shape[-2:]
    y = complex_eigenvalues.vectors(_both(a), _columns(x, u, vh), m if m >= n else 0, _null(x))
    left, right = y[..., :m, : min(m, n)], y[..., m:, : min(m, n)]
    root = np.sqrt(np.array(2, _real_dtype(x)))
    return with_numbers(u, root * left), with_numbers(vh, adjoint(root * right))


def _real_dtype(x: PlainArray) -> Any:
    """The dtype of the singular values of x."""
    return x.real.dtype


def _both(a: Array) -> Array:
    """[[0, A], [A^H, 0]]."""
    m, n = a.shape[-2:]
    top = np.concatenate([np.zeros((*a.shape[:-1], m), a.dtype), a], -1)
    return np.concatenate(
        [top, np.concatenate([adjoint(a), np.zeros((*a.shape[:-2], n, n), a.dtype)], -1)], -2
    )


def _columns(x: PlainArray, u: PlainArray, vh: PlainArray) -> PlainArray:
    """Eigenvectors of [[0, A], [A^H, 0]] in columns: of s, of -s, and of the zeros."""
    v, k = adjoint(vh), u.shape[-1]
    (m, n), whole = x.shape[-2:], np.linalg.svd(x)
    root = np.sqrt(np.array(0.5, _real_dtype(x)))
    pairs = root * np.concatenate([np.concatenate([u, v], -2), np.concatenate([u, -v], -2)], -1)
    if m == n:
        return pairs
    null = np.zeros((*x.shape[:-2], m + n, abs(m - n)), x.dtype)
    null[..., :m, :] = whole[0][..., k:] if m > n else 0
    null[..., m:, :] = adjoint(whole[2])[..., k:] if n > m else 0
    return np.concatenate([pairs, null], -1)


def _null(x: PlainArray) -> PlainArray:
    """Which pairs of eigenvalues are zero for every A."""
    m, n = x.shape[-2:]
    zero = np.arange(m + n) >= 2 * min(m, n)
    return zero[:, None] & zero
