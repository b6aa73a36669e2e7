"""Linear systems that are not square, or have more axes than two, and condition numbers, under NumPy's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.functions.complex_factors import complex_pinv
from refgrad.functions.complex_spectra import hermitian_from
from refgrad.functions.factorizations import is_complex, matrices, svdvals
from refgrad.functions.linalg import matrix_norm
from refgrad.functions.registry import implements, operand
from refgrad.ops import pseudoinverse, solving, triangular
from refgrad.tracing.differentiable_arguments import plain


@implements(np.linalg.pinv)
def pinv(a: Array, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Array:
    """The Moore-Penrose inverse (..., n, m) of matrices (..., m, n). Singular values up to rcond times the largest count as zero.

    ``hermitian`` reads the lower triangle. Of a matrix of lower rank the derivative is that along matrices of the same rank. Raises
    NoRuleError where rcond cuts a singular value that is no rounding error.
    """
    _refuse_complex("pinv", rcond, rtol)
    a = matrices(a, "pinv")
    if rcond is not None and rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if rcond is None:
        rcond = 1e-15 if rtol is np._NoValue else _least(a) if rtol is None else rtol
    if hermitian:
        a = hermitian_from(a) if is_complex(a, "pinv") else triangular.symmetric_from(a)
    limit = _single(plain(rcond), "pinv: rcond")
    _refuse_cuts(a, limit, "pinv")
    return _inverse(a, limit, "pinv")


def _inverse(a: Array, limit: float, who: str) -> Array:
    return complex_pinv(a, limit) if is_complex(a, who) else pseudoinverse.pinv(a, rcond=limit)


def _least(a: Array) -> float:
    """The relative size below which rounding may make a singular value of zero."""
    return float(max(a.shape[-2:]) * np.finfo(a.dtype).eps)


def _refuse_complex(who: str, *limits: Any) -> None:
    """Raises NoRuleError where a limit is complex."""
    if any(np.iscomplexobj(plain(x)) for x in limits if x is not None):
        raise NoRuleError(
            f"np.linalg.{who}: rcond and rtol are real numbers, got a complex one. Write its real part."
        )


def _refuse_cuts(a: Array, limit: float, who: str) -> None:
    """Raises NoRuleError where a cut singular value is not zero up to rounding: then A^+ is that of another matrix, which turns with A."""
    x = _computed(plain(a))
    if x.size and np.isfinite(x).all():
        s = np.linalg.svd(x, compute_uv=False)
        if np.any((s <= limit * s[..., :1]) & (s > _least(a) * s[..., :1])):
            raise NoRuleError(
                f"np.linalg.{who}: rcond={limit:g} cuts a singular value that is not zero, and the derivative of what is left has no rule. "
                "Take a smaller rcond, or write it with np.linalg.svd."
            )


def _single(x: Any, what: str) -> float:
    if np.ndim(x):
        raise ArgumentError(f"np.linalg.{what} is one number for all matrices, got shape {np.shape(x)}")
    return float(x)


@implements(np.linalg.lstsq)
def lstsq(a: Array, b: Array, rcond: Any = None) -> Any:
    """The shortest x that makes |b - a x| least, for shapes (m, n) and (m,) or (m, k), with residuals, rank and singular values.

    Of a matrix of lower rank the derivative is that along matrices of the same rank.
    """
    a, b = operand(a), operand(b)
    wider = np.result_type(a.dtype, b.dtype)
    a, b = [z if z.dtype == wider else z.astype(wider) for z in (a, b)]
    rcond = plain(rcond)
    rank = np.linalg.lstsq(_computed(plain(a)), _computed(plain(b)), rcond)[2]  # raises where NumPy does
    limit = _least(a) if rcond is None else float(rcond)
    if not 0 < limit < 1:  # which LAPACK takes for machine precision
        limit = float(np.finfo(a.dtype).eps)
    _refuse_cuts(a, limit, "lstsq")
    x = np.matmul(_inverse(a, limit, "lstsq"), b)
    m, n = a.shape
    rest = b - np.matmul(a, x)
    rest = rest if b.ndim == 2 else rest[:, None]
    squares = np.sum(
        np.square(rest.real) + np.square(rest.imag) if a.dtype.kind == "c" else np.square(rest), axis=0
    )
    return x, squares if rank == n < m else squares[:0], rank, svdvals(a)


def _computed(x: Any) -> Any:
    x = np.asarray(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Array, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """How many singular values exceed tol: integers, which have no derivative."""
    return np.linalg.matrix_rank(plain(A), plain(tol), hermitian, rtol=plain(rtol))


@implements(np.linalg.cond)
def cond(x: Array, p: Any = None) -> Array:
    """Condition numbers (...) of matrices (..., m, n) in the norm p: infinite for singular ones, NaN where an element is."""
    x = matrices(x, "cond")
    if not x.size:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = svdvals(x)
        y = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        null = _computed(plain(s))[..., 0] == 0
        return np.where(null, np.inf, y)[()] if null.any() else y
    if x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    due = np.linalg.cond(_computed(plain(x)), p)
    regular = np.isfinite(due)
    safe = np.where(regular[..., None, None], x, np.eye(x.shape[-1], dtype=x.dtype))
    y = matrix_norm(safe, ord=p) * matrix_norm(solving.inv(safe), ord=p)
    y = np.where(regular, y, due.astype(y.dtype))
    return y if y.ndim else y[()]  # a scalar, as in NumPy


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Array, b: Array, axes: Any = None) -> Array:
    """x with tensordot(a, x, x.ndim) = b: the last axes of a are those of x, after ``axes`` have moved there."""
    a, b = operand(a), operand(b)
    if axes is not None:
        order = list(range(a.ndim))
        for k in axes:
            order.remove(k)
            order.insert(a.ndim, k)
        a = np.transpose(a, order)
    shape = a.shape[-(a.ndim - b.ndim) :]
    size = math.prod(shape)
    if a.size != size**2:
        raise np.linalg.LinAlgError(
            f"tensorsolve: the axes of a beyond those of b have {size} elements, and a has {a.size}, not {size**2}"
        )
    return np.reshape(solving.solve(np.reshape(a, (size, size)), np.ravel(b)), shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Array, ind: int = 2) -> Array:
    """The inverse of tensordot(a, x, ind) in x."""
    a = operand(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = a.shape[ind:] + a.shape[:ind]
    size = math.prod(a.shape[ind:])
    return np.reshape(solving.inv(np.reshape(a, (size, -1))), shape)
