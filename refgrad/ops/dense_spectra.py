"""Eigenvalues and singular values of stacks of matrices in every float format, with their vectors.

np.linalg refuses long double. There the vectors that LAPACK finds in float64 are made orthonormal, and Jacobi's method ends the work: so
little is left that one or two sweeps suffice, and the signs of the vectors are LAPACK's. Golub and Van Loan, Matrix Computations,
sections 8.5 and 8.6.3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.ops.dense_factors import matrices, mirrored, orthonormal, qr, transposed
from refgrad.ops.dense_linalg import inverse_or_nan, lapack, long, square

_SWEEPS = 30  # at most
Factors = tuple[PlainArray, ...]


def _remembered(factorise: Callable[..., Factors]) -> Callable[..., Factors]:
    """Value, rounding and derivatives of one op factorise the same small matrix again and again: the last factors are kept.

    They are not to be written to.
    """

    @functools.lru_cache(maxsize=64)
    def kept(data: bytes, dtype: Any, shape: tuple[int, ...], args: tuple[Any, ...]) -> Factors:
        found = factorise(np.frombuffer(data, dtype).reshape(shape), *args)
        for array in found:
            array.flags.writeable = False
        return found

    @functools.wraps(factorise)
    def call(a: PlainArray, *args: Any) -> Factors:
        a = np.asarray(a)
        return factorise(a, *args) if a.size > 256 else kept(a.tobytes(), a.dtype, a.shape, args)

    return call


def _scaled(a: PlainArray) -> tuple[PlainArray, PlainArray]:
    """Each matrix divided by a power of two, so that its largest element is near 1, and the powers."""
    top = np.max(np.abs(a), axis=(-2, -1), keepdims=True, initial=0)
    exponent = np.where((top > 0) & np.isfinite(top), np.frexp(top)[1], 0)
    return np.ldexp(a, -exponent), np.ldexp(np.ones((), a.dtype), exponent)[..., 0]


# --- symmetric matrices ----------------------------------------------------------------------------------------------


@_remembered
def eigh(a: PlainArray, uplo: Any = "L") -> Factors:
    """Eigenvalues (..., n) in ascending order and eigenvectors (..., n, n) in columns, of the triangle ``uplo``.

    Raises numpy.linalg.LinAlgError where LAPACK does not converge.
    """
    a = square("eigh", a)
    if not long(a) or not a.size:
        w, v = np.linalg.eigh(lapack(a) if not long(a) else a.astype(np.float64), uplo)
        return w.astype(a.dtype), v.astype(a.dtype)
    a, scale = _scaled(mirrored(a, uplo))
    v = orthonormal(np.linalg.eigh(a.astype(np.float64), uplo)[1].astype(a.dtype))
    n, batch = a.shape[-1], a.shape[:-2]
    w, v = _jacobi((transposed(v) @ a @ v).reshape(-1, n, n), v.reshape(-1, n, n))
    order = np.argsort(w, axis=-1, kind="stable")
    w, v = np.take_along_axis(w, order, -1), np.take_along_axis(v, order[:, None, :], -1)
    return w.reshape(*batch, n) * scale, orthonormal(v).reshape(*batch, n, n)


def _angle(gap: PlainArray, product: PlainArray) -> tuple[PlainArray, PlainArray]:
    """Cosine and sine of the smaller rotation that makes a pair orthogonal: tan(2t) = 2 product / gap."""
    with np.errstate(all="ignore"):
        t = 2 * product / (gap + np.copysign(np.hypot(gap, 2 * product), gap))
    t = np.where(product == 0, 0, t)
    c = 1 / np.sqrt(1 + t * t)
    return c, t * c


def _turned(x: PlainArray, p: int, q: int, c: PlainArray, s: PlainArray) -> None:
    """Columns p and q turned, in place."""
    c, s = c[:, None], s[:, None]
    x[:, :, p], x[:, :, q] = c * x[:, :, p] - s * x[:, :, q], s * x[:, :, p] + c * x[:, :, q]


def _jacobi(b: PlainArray, v: PlainArray) -> tuple[PlainArray, PlainArray]:
    """The diagonal of V^T B V for the V that makes it diagonal, and the columns of v turned alike."""
    b, v = b.copy(), v.copy()
    n, small = b.shape[-1], np.finfo(b.dtype).eps
    size = np.max(np.abs(b), axis=(-2, -1), initial=0)
    for _ in range(_SWEEPS):
        off = np.abs(b) * (1 - np.eye(n, dtype=b.dtype))
        if not np.any(np.max(off, axis=(-2, -1), initial=0) > small * small * size):
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                c, s = _angle(b[:, q, q] - b[:, p, p], b[:, p, q])
                _turned(b, p, q, c, s)
                _turned(transposed(b), p, q, c, s)
                _turned(v, p, q, c, s)
                b[:, p, q] = b[:, q, p] = np.where(s == 0, b[:, p, q], 0)
    return np.diagonal(b, axis1=-2, axis2=-1).copy(), v


# --- singular values -------------------------------------------------------------------------------------------------


@_remembered
def svd(a: PlainArray) -> Factors:
    """U (..., m, m), singular values (..., k) in descending order and V (..., n, n), not transposed, k = min(m, n).

    Raises numpy.linalg.LinAlgError where LAPACK does not converge, and for a matrix that is not finite: with an infinity LAPACK may not
    return.
    """
    a = matrices("svd", a)
    m, n = a.shape[-2:]
    if not np.all(np.isfinite(a)):
        raise np.linalg.LinAlgError("SVD did not converge: a matrix has an element that is not finite")
    if not long(a) or not a.size:
        u, s, vh = np.linalg.svd(lapack(a) if not long(a) else a.astype(np.float64))
        return u.astype(a.dtype), s.astype(a.dtype), transposed(vh).astype(a.dtype)
    a, scale = _scaled(a)
    u64, _, vh = np.linalg.svd(a.astype(np.float64))
    if m < n:
        v, s, u = _sharpened(transposed(a), transposed(vh), u64)
    else:
        u, s, v = _sharpened(a, u64, transposed(vh))
    return u, s * scale, v


def _sharpened(a: PlainArray, u64: PlainArray, v64: PlainArray) -> tuple[PlainArray, PlainArray, PlainArray]:
    """The factors of A with no fewer rows than columns, from LAPACK's. Where a singular value is zero, U keeps what LAPACK gives."""
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    v = orthonormal(v64.astype(a.dtype))
    b, v = _hestenes((a @ v).reshape(-1, m, n), v.reshape(-1, n, n))
    s = np.sqrt(np.sum(b * b, axis=-2))
    order = np.argsort(-s, axis=-1, kind="stable")
    s = np.take_along_axis(s, order, -1)
    b, v = (np.take_along_axis(x, order[:, None, :], -1) for x in (b, v))
    known = s > n * np.finfo(s.dtype).eps * s[:, :1]
    start = u64.reshape(-1, m, m).astype(a.dtype)
    u = np.concatenate(
        [np.where(known[:, None, :], b / np.where(known, s, 1)[:, None, :], start[..., :n]), start[..., n:]],
        -1,
    )
    q, r = qr(u)
    u = q * np.copysign(1, np.diagonal(r, axis1=-2, axis2=-1))[:, None, :]
    return u.reshape(*batch, m, m), s.reshape(*batch, n), orthonormal(v).reshape(*batch, n, n)


def _hestenes(b: PlainArray, v: PlainArray) -> tuple[PlainArray, PlainArray]:
    """The columns of b turned until they are orthogonal, and those of v alike."""
    b, v = b.copy(), v.copy()
    n, small = b.shape[-1], np.finfo(b.dtype).eps
    for _ in range(_SWEEPS):
        moved = False
        for p in range(n - 1):
            for q in range(p + 1, n):
                first, second = (np.sum(b[:, :, k] ** 2, axis=-1) for k in (p, q))
                product = np.sum(b[:, :, p] * b[:, :, q], axis=-1)
                product = np.where(np.abs(product) <= small * np.sqrt(first * second), 0, product)
                if np.any(product):
                    moved = True
                    c, s = _angle(second - first, product)
                    _turned(b, p, q, c, s)
                    _turned(v, p, q, c, s)
        if not moved:
            break
    return b, v


# --- matrices without symmetry ---------------------------------------------------------------------------------------


def _real_where_possible(w: PlainArray, v: PlainArray) -> Factors:
    """Real parts where all eigenvalues are real: NumPy from 2.5 on gives complex arrays in any case."""
    return (w, v) if np.any(w.imag) else (w.real, v.real)


@_remembered
def eig(a: PlainArray) -> Factors:
    """Eigenvalues (..., n) in LAPACK's order and eigenvectors (..., n, n) of norm 1; both complex where one eigenvalue is.

    In long double Newton's method sharpens what LAPACK finds, for real ones: V (I + F B), B what is off the diagonal of V^-1 A V and
    F the reciprocal gaps of eigenvalues.
    """
    a = square("eig", a)
    if not long(a):
        w, v = _real_where_possible(*np.linalg.eig(lapack(a)))
        kinds = [x.dtype if x.dtype.kind == "c" else a.dtype for x in (w, v)]
        return w.astype(kinds[0]), v.astype(kinds[1])
    a, scale = _scaled(a)
    w, v = _real_where_possible(*np.linalg.eig(a.astype(np.float64)))
    if w.dtype.kind == "c":
        return w * scale.astype(np.float64), v
    if not a.size:
        return w.astype(a.dtype), v.astype(a.dtype)
    v = v.astype(a.dtype)
    for _ in range(3):
        b = inverse_or_nan(v) @ a @ v
        w = np.diagonal(b, axis1=-2, axis2=-1)
        gap = w[..., None, :] - w[..., :, None]
        apart = np.abs(gap) > 2.0**-40 * np.max(np.abs(w), axis=-1)[..., None, None]
        v = v + v @ (b * np.where(apart, 1 / np.where(apart, gap, 1), 0))
        v = v / np.sqrt(np.sum(v * v, axis=-2, keepdims=True))
    return (w * scale).copy(), v
