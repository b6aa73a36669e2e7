"""Dense linear algebra on stacks of matrices in every float format: NumPy's own where it has one, elimination elsewhere.

np.linalg refuses long double, which the third judge and the reference for float64 compute in. Golub and Van Loan, Matrix
Computations, chapter 3; Higham, Accuracy and Stability of Numerical Algorithms, chapter 9.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.errors import ArgumentError


def square(name: str, x: PlainArray) -> PlainArray:
    """The operand as a stack of square matrices; the error names what came instead."""
    x = np.asarray(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ArgumentError(f"{name}: square matrices are expected, shape (..., n, n); got shape {x.shape}")
    return x


def long(x: PlainArray) -> bool:
    """Whether the operand is in a long double that is wider than float64, which LAPACK does not compute in."""
    return bool(x.dtype in (np.longdouble, np.clongdouble)) and np.dtype(np.longdouble) != np.float64


def lapack(x: PlainArray) -> PlainArray:
    """float16 is computed in float32."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def lu(x: PlainArray, complete: bool = False) -> tuple[PlainArray, PlainArray, PlainArray, PlainArray]:
    """P A Q = L U: (L and U in one array, row order, column order, sign of both permutations), not to be written to.

    Partial pivoting, or complete: then zero pivots come last, and a zero pivot means a zero rest. A zero pivot leaves
    its column of L at zero. Value, rounding and derivatives of one op factor the same small matrix again and again: the last
    factors are kept.
    """
    if x.size > _LARGE:
        return _eliminated(x, complete)
    kept = _kept if x.size <= _SMALL else _few_kept
    return kept(x.tobytes(), x.dtype, x.shape, complete)


_SMALL, _LARGE = 64, 1 << 14  # elements


def _factors(
    data: bytes, dtype: Any, shape: tuple[int, ...], complete: bool
) -> tuple[PlainArray, PlainArray, PlainArray, PlainArray]:
    factors = _eliminated(np.frombuffer(data, dtype).reshape(shape), complete)
    for array in factors:
        array.flags.writeable = False
    return factors


_kept = functools.lru_cache(maxsize=64)(_factors)
_few_kept = functools.lru_cache(maxsize=8)(_factors)  # at most some megabytes


def _eliminated(x: PlainArray, complete: bool) -> tuple[PlainArray, PlainArray, PlainArray, PlainArray]:
    batch, n = x.shape[:-2], x.shape[-1]
    a = np.array(x).reshape(math.prod(batch), n, n)
    stack = np.arange(len(a))
    rows = np.tile(np.arange(n), (len(a), 1))
    columns, sign = rows.copy(), np.ones(len(a), a.dtype)
    for k in range(n):
        if complete:
            flat = np.argmax(np.abs(a[:, k:, k:]).reshape(len(a), -1), axis=1)
            p, q = k + flat // (n - k), k + flat % (n - k)
            a[stack, :, k], a[stack, :, q] = a[stack, :, q], a[stack, :, k]
            columns[stack, k], columns[stack, q] = columns[stack, q], columns[stack, k]
            sign = np.where(q == k, sign, -sign)
        else:
            p = k + np.argmax(_size(a[:, k:, k]), axis=1)
        a[stack, k], a[stack, p] = a[stack, p], a[stack, k]
        rows[stack, k], rows[stack, p] = rows[stack, p], rows[stack, k]
        sign = np.where(p == k, sign, -sign)
        pivot = a[:, k, k]
        a[:, k + 1 :, k] = np.where(
            pivot[:, None] == 0, 0, a[:, k + 1 :, k] / np.where(pivot == 0, 1, pivot)[:, None]
        )
        a[:, k + 1 :, k + 1 :] -= a[:, k + 1 :, k, None] * a[:, k, None, k + 1 :]
    return a.reshape(x.shape), rows.reshape(*batch, n), columns.reshape(*batch, n), sign.reshape(batch)


def _size(x: PlainArray) -> PlainArray:
    """What partial pivoting compares: magnitudes, and of complex numbers |re| + |im|, as LAPACK does."""
    return np.abs(x.real) + np.abs(x.imag) if x.dtype.kind == "c" else np.abs(x)


def _substitute(a: PlainArray, b: PlainArray, lower: bool) -> PlainArray:
    """Solve with the unit lower or the upper triangle of ``a``; zero pivots divide (inf, nan)."""
    n, b = a.shape[-1], b.copy()
    for k in range(n) if lower else range(n - 1, -1, -1):
        rest = slice(k + 1, n) if lower else slice(0, k)
        if not lower:
            b[..., k, :] = b[..., k, :] / a[..., k, k, None]
        b[..., rest, :] -= a[..., rest, k, None] * b[..., k, None, :]
    return b


def solve_or_nan(a: PlainArray, b: PlainArray) -> PlainArray:
    """x with a x = b for stacks of matrices (..., n, n) and (..., n, k); NaN for singular matrices."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    factors, rows, _, _ = lu(a)
    b = np.broadcast_to(b, batch + b.shape[-2:])
    rows = np.broadcast_to(rows, batch + rows.shape[-1:])
    factors = np.broadcast_to(factors, batch + a.shape[-2:])
    with np.errstate(all="ignore"):
        x = _substitute(
            factors, _substitute(factors, np.take_along_axis(b, rows[..., None], -2), lower=True), lower=False
        )
    singular = np.any(np.diagonal(factors, axis1=-2, axis2=-1) == 0, axis=-1)
    return np.where(singular[..., None, None], np.nan, x).astype(x.dtype)


def inverse_or_nan(a: PlainArray) -> PlainArray:
    """The inverse of each matrix; NaN for singular ones."""
    return solve_or_nan(a, np.eye(a.shape[-1], dtype=a.dtype))


def solve(a: PlainArray, b: PlainArray) -> PlainArray:
    """np.linalg.solve in every float format: b is a vector only if it has exactly one dimension.

    Raises numpy.linalg.LinAlgError for a singular matrix, ArgumentError for shapes that do not fit.
    """
    a, b = square("solve", a), np.asarray(b)
    if b.ndim == 0 or b.shape[-1 if b.ndim == 1 else -2] != a.shape[-1]:
        raise ArgumentError(
            f"solve: matrices of shape {a.shape} do not fit right-hand sides of shape {b.shape}"
        )
    dtype = np.result_type(a, b)
    if not long(np.empty(0, dtype)):
        return np.linalg.solve(lapack(a), lapack(b)).astype(dtype, copy=False)
    a, b = a.astype(dtype), b.astype(dtype)
    x = _checked(solve_or_nan(a, b[:, None] if b.ndim == 1 else b), a)
    return x[..., 0] if b.ndim == 1 else x


def inv(a: PlainArray) -> PlainArray:
    """np.linalg.inv in every float format. Raises numpy.linalg.LinAlgError for a singular matrix."""
    a = square("inv", a)
    if not long(a):
        return np.linalg.inv(lapack(a)).astype(a.dtype, copy=False)
    return _checked(inverse_or_nan(a), a)


def _checked(x: PlainArray, a: PlainArray) -> PlainArray:
    if (
        np.any(np.isnan(x))
        and np.all(np.isfinite(a))
        and np.any(np.diagonal(lu(a)[0], axis1=-2, axis2=-1) == 0)
    ):
        raise np.linalg.LinAlgError("Singular matrix")
    return x


def det(a: PlainArray) -> PlainArray:
    """Determinants; 1 for 0x0 matrices."""
    a = square("det", a)
    if a.shape[-1] == 1:  # exact, where NumPy goes through logarithms
        return a[..., 0, 0].copy()[()]
    if not long(a):
        return np.linalg.det(lapack(a)).astype(a.dtype)[()]
    factors, _, _, sign = lu(a)
    return (sign * np.prod(np.diagonal(factors, axis1=-2, axis2=-1), axis=-1))[()]


def slogdet(a: PlainArray) -> tuple[PlainArray, PlainArray]:
    """Sign and logarithm of the absolute value of determinants: 0 and -inf for singular matrices."""
    a = square("slogdet", a)
    if not long(a):
        sign, logarithm = np.linalg.slogdet(lapack(a))
        return sign.astype(a.dtype)[()], logarithm.astype(a.dtype)[()]
    factors, _, _, sign = lu(a)
    d = np.diagonal(factors, axis1=-2, axis2=-1)
    with np.errstate(divide="ignore"):
        return (sign * np.prod(np.sign(d), axis=-1))[()], np.sum(np.log(np.abs(d)), axis=-1)[()]


def cofactor(a: PlainArray) -> PlainArray:
    """Cofactor matrices C = det(A) A^-T, the gradient of the determinant, of singular matrices too.

    From P A Q = L U with complete pivoting: adj(A) = sign Q adj(U) L^-1 P. With U = [[U1, u], [0, d]],
    adj(U) = det(U1) [[d U1^-1, -U1^-1 u], [0, 1]]: no division by the last pivot, the one that vanishes at rank n - 1.
    At rank n - 2 or less det(U1) = 0.
    """
    a = square("cofactor", a)
    n = a.shape[-1]
    if a.size == 0:
        return a.copy()
    if n == 2:  # the elements themselves, however far apart their sizes are
        return a[..., ::-1, ::-1] * np.array([[1, -1], [-1, 1]], a.dtype)
    factors, rows, columns, sign = lu(lapack(a), complete=True)
    low = _substitute(factors, np.broadcast_to(np.eye(n, dtype=factors.dtype), factors.shape), lower=True)
    u1 = factors[..., :-1, :-1].copy()
    d = np.diagonal(u1, axis1=-2, axis2=-1)
    scale = (sign * np.prod(d, axis=-1))[..., None, None]
    np.einsum("...ii->...i", u1)[...] = np.where(d == 0, 1, d)
    rest = factors[..., -1:, -1:] * low[..., :-1, :] - factors[..., :-1, -1:] * low[..., -1:, :]
    adjugate = scale * np.concatenate([_substitute(u1, rest, lower=False), low[..., -1:, :]], axis=-2)
    # adj(A) = Q M P: row columns[k] of the result is row k of M, column rows[k] is column k of M; C is its transpose.
    adjugate = np.take_along_axis(adjugate, np.argsort(columns, axis=-1)[..., :, None], -2)
    adjugate = np.take_along_axis(adjugate, np.argsort(rows, axis=-1)[..., None, :], -1)
    return np.swapaxes(adjugate, -1, -2).astype(a.dtype)
