"""Triangular systems, Cholesky's and Householder's factors of stacks of matrices in every float format.

np.linalg has no triangular solver and refuses long double. Golub and Van Loan, Matrix Computations, sections 3.1, 4.2 and 5.2.
"""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.errors import ArgumentError
from refgrad.ops.dense_linalg import lapack, long, square


def matrices(name: str, x: PlainArray) -> PlainArray:
    """The operand as a stack of matrices; the error names what came instead."""
    x = np.asarray(x)
    if x.ndim < 2:
        raise ArgumentError(f"{name}: matrices are expected, shape (..., m, n); got shape {x.shape}")
    return x


def transposed(x: PlainArray) -> PlainArray:
    """The last two axes swapped."""
    return np.swapaxes(x, -1, -2)


def mirrored(a: PlainArray, uplo: str) -> PlainArray:
    """The symmetric matrix of which a holds the lower ("L") or the upper triangle."""
    return (
        np.tril(a) + transposed(np.tril(a, -1))
        if uplo.upper() == "L"
        else np.triu(a) + transposed(np.triu(a, 1))
    )


# --- triangular systems ----------------------------------------------------------------------------------------------


def triangle(a: PlainArray, upper: bool, unitriangular: bool) -> PlainArray:
    """The triangle that a solver reads, with ones on the diagonal where it takes them for granted."""
    if not unitriangular:
        return np.triu(a) if upper else np.tril(a)
    return (np.triu(a, 1) if upper else np.tril(a, -1)) + np.eye(a.shape[-1], dtype=a.dtype)


def solve_triangular(
    a: PlainArray, b: PlainArray, upper: bool = False, unitriangular: bool = False
) -> PlainArray:
    """X with T X = B for stacks (..., n, n) and (..., n, k), by substitution. A zero on the diagonal divides (inf, nan).

    Raises ArgumentError for shapes that do not fit.
    """
    a, b = square("solve_triangular", a), np.asarray(b)
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise ArgumentError(
            f"solve_triangular: matrices of shape {a.shape} do not fit right-hand sides of shape {b.shape}; shapes (..., n, n) and "
            "(..., n, k) are expected, so write a vector as b[:, None]"
        )
    dtype = np.result_type(a, b)
    a, b = lapack(a.astype(dtype)), lapack(b.astype(dtype))
    n, batch = a.shape[-1], np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.array(np.broadcast_to(b, batch + b.shape[-2:]))
    with np.errstate(all="ignore"):
        for k in range(n - 1, -1, -1) if upper else range(n):
            if not unitriangular:
                x[..., k, :] /= a[..., k, k, None]
            rest = slice(0, k) if upper else slice(k + 1, n)
            x[..., rest, :] -= a[..., rest, k, None] * x[..., k, None, :]
        return x.astype(dtype, copy=False)


def triangular_inverse(a: PlainArray, upper: bool = False, unitriangular: bool = False) -> PlainArray:
    """The inverse of each triangular matrix; infinities and NaN where there is none."""
    return solve_triangular(a, np.eye(a.shape[-1], dtype=a.dtype), upper, unitriangular)


# --- Cholesky --------------------------------------------------------------------------------------------------------


def cholesky(a: PlainArray) -> PlainArray:
    """L with A = L L^T, of which the lower triangle is read. Raises numpy.linalg.LinAlgError where A is not positive definite."""
    a = square("cholesky", a)
    if not long(a):
        return np.linalg.cholesky(lapack(a)).astype(a.dtype, copy=False)
    low = np.zeros_like(a)
    for j in range(a.shape[-1]):
        column = a[..., j:, j] - np.matmul(low[..., j:, :j], low[..., j, :j, None])[..., 0]
        if not np.all(column[..., 0] > 0):
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        low[..., j:, j] = column / np.sqrt(column[..., :1])
    return low


# --- Householder -----------------------------------------------------------------------------------------------------


def qr(a: PlainArray) -> tuple[PlainArray, PlainArray]:
    """Q of shape (..., m, k) and R of shape (..., k, n), k = min(m, n), with LAPACK's signs: R_jj has the sign opposite to the pivot."""
    a = matrices("qr", a)
    if not long(a):
        q, r = np.linalg.qr(lapack(a))
        return q.astype(a.dtype, copy=False), r.astype(a.dtype, copy=False)
    m, n = a.shape[-2:]
    k = min(m, n)
    r, vectors, _ = eliminated(a)
    q = np.zeros((*a.shape[:-2], m, k), a.dtype)
    q[..., np.arange(k), np.arange(k)] = 1
    for j in range(k - 1, -1, -1):
        q -= _reflection(vectors[j], q)
    return q, np.triu(r[..., :k, :])


def eliminated(a: PlainArray) -> tuple[PlainArray, list[PlainArray], list[tuple[PlainArray, PlainArray]]]:
    """R, the vector of each reflection, of norm sqrt(2) or zero, and for each step the pivot and the norm below it.

    As in LAPACK there is no reflection where nothing is below the pivot.
    """
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    r = np.array(a).reshape(math.prod(batch), m, n)
    vectors, met = [], []
    for j in range(min(m, n)):
        pivot, below = r[:, j, j].copy(), r[:, j + 1 :, j]
        top = np.max(np.abs(r[:, j:, j]), axis=-1)
        top = np.where((top > 0) & np.isfinite(top), top, 1)
        rest = np.sqrt(np.sum((below / top[:, None]) ** 2, axis=-1)) * top
        beta = -np.copysign(np.hypot(pivot, rest), pivot)
        v = np.zeros((len(r), m), a.dtype)
        v[:, j] = pivot - beta
        v[:, j + 1 :] = below
        v /= top[:, None]
        size = np.sqrt(np.sum(v * v, axis=-1))
        v = np.where(
            (rest > 0)[:, None], v * (np.sqrt(v.dtype.type(2)) / np.where(size > 0, size, 1))[:, None], 0
        )
        r -= _reflection(v, r)
        vectors.append(v.reshape(*batch, m))
        met.append((pivot.reshape(batch), rest.reshape(batch)))
    return r.reshape(a.shape), vectors, met


def _reflection(v: PlainArray, x: PlainArray) -> PlainArray:
    """v v^T x: what a reflection takes away."""
    return v[..., :, None] * np.matmul(v[..., None, :], x)


def orthonormal(x: PlainArray) -> PlainArray:
    """The orthonormal columns nearest to those of x, which are so already to half the digits: two steps of Newton's iteration.

    Higham, Functions of Matrices, section 8.3.
    """
    for _ in range(2):
        x = x @ (1.5 * np.eye(x.shape[-1], dtype=x.dtype) - 0.5 * (transposed(x) @ x))
    return x
