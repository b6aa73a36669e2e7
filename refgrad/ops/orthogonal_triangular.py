"""The factors of A = Q R, the two results of np.linalg.qr, as ops.

Derivatives: Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2018). Where the first min(m, n) columns of A
are dependent there is no derivative: R has no inverse. With Householder's method the sign of each row of R is opposite to that of the
pivot, so the factors jump where a pivot is zero.

Rounding: the computed R is exact for A + E with |E_j| <= c |A_j| column by column, and so is a matrix with orthonormal columns near the
computed Q (Higham, Accuracy and Stability of Numerical Algorithms, theorem 19.4 and equation 19.13).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import REGULAR
from refgrad.ops import dense_factors, samplers
from refgrad.ops.dense_factors import transposed
from refgrad.ops.eigenvalues import steady
from refgrad.ops.solving import finite
from refgrad.ops.triangular import majorant, solve_triangular

# --- what rounding does ----------------------------------------------------------------------------------------------


def _reflections(m: int, n: int) -> int:
    """How many u the min(m, n) reflections of columns of m elements and less make, relative to the norm of a column.

    A reflection x - t v (v^T x) of length d, |v|^2 t = 2: the norm of a column errs by d/2 + 2 roundings, the tail of v, scaled by the
    first element, by d/2 + 5 and t by d/2 + 7, which is 3d + 34 in t v v^T. Applied to x it makes 2d + 7 more.
    """
    return sum(5 * d + 41 for d in range(m, m - min(m, n), -1))


def _error(run: Evaluation) -> tuple[PlainArray, PlainArray]:
    """Bounds of the norm of E, column by column, and whether the signs of all pivots are certain."""
    fmt, (a,), (e,) = run.fmt, run.xs, run.es
    m, n = a.shape[-2:]
    size = np.sqrt(np.sum(a * a, axis=-2))
    error = _reflections(m, n) * fmt.u * size + m * fmt.eta
    carried = np.zeros_like(size) if e is None else np.sqrt(np.sum(np.broadcast_to(e * e, a.shape), axis=-2))
    sure = np.ones(a.shape[:-2], bool)
    _, _, met = dense_factors.eliminated(a)
    for j, (pivot, rest) in enumerate(met):
        if j < m - 1:  # of a single element there is no reflection
            reach = carried[..., j] + (error[..., j] if j else 0)
            # The sign of a pivot of zero is that of the zero in LAPACK, and positive in MKL.
            sure &= (np.abs(pivot) > reach) & ((rest > reach) | ((rest == 0) & (reach == 0)))
    return error + carried, sure


def _moved(run: Evaluation) -> tuple[PlainArray, PlainArray, PlainArray, PlainArray]:
    """G, S, the norms of columns of E and which matrices have certain signs, for the first k columns.

    With g_j a bound of the norm of column j of E R^-1: R + dR = (I + D) R, D upper triangular, and (I + D)^T (I + D) = I + W with
    |W_ij| <= g_i + g_j + g_i g_j. So |D| <= S as for Cholesky's factor (triangular.py), transposed.
    """
    error, sure = _error(run)
    k = min(run.xs[0].shape[-2:])
    r = np.abs(dense_factors.triangular_inverse(dense_factors.qr(run.xs[0])[1][..., :k], upper=True))
    g = np.matmul(error[..., None, :k], r)[..., 0, :]
    w = g[..., :, None] + g[..., None, :] + g[..., :, None] * g[..., None, :]
    return g, transposed(majorant(np.where(np.isfinite(w), w, np.inf))), error, sure


def _r_rounding(run: Evaluation) -> Any:
    """|dR| <= S |R| for the first k columns; the others turn with Q: |E_j| and what moves Q, |dQ| |A_j|."""
    y, fmt = run.y, run.fmt
    k, n = y.shape[-2:]
    if not y.size:
        return None
    g, s, error, sure = _moved(run)
    radius = s @ np.abs(y[..., :k])
    if n > k:
        turn = _q_columns(g, s, run)
        size = np.sqrt(np.sum(run.xs[0] ** 2, axis=-2))[..., None, k:]
        rest = turn[..., :, None] * (size + error[..., None, k:]) + error[..., None, k:]
        radius = np.concatenate([radius, rest], axis=-1)
    radius = np.triu(radius) + fmt.eta * np.triu(np.ones((k, n)))
    return finite(np.where(sure[..., None, None], radius, np.inf))


def _q_columns(g: PlainArray, s: PlainArray, run: Evaluation) -> PlainArray:
    """Bounds of the norms of the columns of dQ, and of what the computed Q differs from an orthonormal one.

    Q + dQ = (A + E)(R + dR)^-1 = (Q + E R^-1)(I + D)^-1, so that dQ = (E R^-1 - Q D)(I + D)^-1, and the columns of Q have norm 1.
    """
    k = s.shape[-1]
    first = g + np.sqrt(np.sum(s * s, axis=-2))
    inverse = dense_factors.triangular_inverse(np.eye(k) - np.minimum(s, 1e300), upper=True)
    norms = np.matmul(first[..., None, :], np.maximum(inverse, 0))[..., 0, :]
    fine = np.all(np.diagonal(s, axis1=-2, axis2=-1) < 0.5, axis=-1)[..., None]
    made = _reflections(run.xs[0].shape[-2], k) * run.fmt.u
    return np.where(fine, norms + made, np.inf)


def _q_rounding(run: Evaluation) -> Any:
    if not run.y.size:
        return None
    g, s, _, sure = _moved(run)
    radius = np.broadcast_to(_q_columns(g, s, run)[..., None, :], run.y.shape)
    return finite(np.where(sure[..., None, None], radius, np.inf))


# --- rules -----------------------------------------------------------------------------------------------------------


def _transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _over(x: Array, r: Array) -> Array:
    """X R^-1 for an upper triangular R."""
    return _transposed(solve_triangular(_transposed(r), _transposed(x)))


def _under(x: Array, r: Array) -> Array:
    """X R^-T for an upper triangular R."""
    return _transposed(solve_triangular(r, _transposed(x), upper=True))


def _mirrored(n: Array) -> Array:
    """The symmetric matrix with the upper triangle of N."""
    return np.triu(n) + _transposed(np.triu(n, 1))


def _upper(c: Array) -> Array:
    """dR R^-1 for C = Q^T dA R^-1: the part of C below the diagonal goes to Omega = Q^T dQ, and its negative above it."""
    return np.triu(c) + _transposed(np.tril(c, -1))


def _full_rank(r: PlainArray) -> PlainArray:
    r = np.asarray(r)
    k = min(r.shape[-2:])
    pivots = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    size = np.max(np.abs(r), axis=(-2, -1), initial=0)
    return np.all(pivots > max(r.shape[-2:]) * np.finfo(r.dtype).eps * size[..., None], axis=-1)[
        ..., None, None
    ] | (k == 0)


def _skew(c: Array) -> Array:
    """Omega, the skew-symmetric matrix with the part of C below its diagonal."""
    low = np.tril(c, -1)
    return low - _transposed(low)


# Whether rounding can tell all pivots from zero, of shape (..., 1, 1). No radius counts: where one may be zero in the judged format,
# nothing is known of a quotient by it.
full_rank = register(
    "full_rank",
    _full_rank,
    jvp=None,
    vjp=None,
    rounding=lambda run: None,
    domain=sampled(lambda rng: ((rng.standard_normal((2, 3, 3)),), {})),
    helper=True,
)


def _square(r: Array) -> Array:
    """The first columns of R, or NaN where they are dependent and nothing has a derivative."""
    first = r[..., : r.shape[-2]]
    return np.where(full_rank(first), first, np.nan)


def _r_jvp(a_dot: Array, a: Array, y: Array) -> Array:
    """dR1 = up(C) R1 with C = Q^T dA1 R1^-1; dR2 = Q^T dA2 - Omega R2."""
    k, n = y.shape[-2:]
    r = _square(y)
    moved = np.matmul(_transposed(factor_q(a)), a_dot)
    c = _over(moved[..., :k], r)
    first = np.matmul(_upper(c), r)
    if n == k:
        return first
    return np.concatenate([first, moved[..., k:] - np.matmul(_skew(c), y[..., k:])], axis=-1)


def _r_jvp_by_difference(a_dot: Array, a: Array, y: Array) -> Array:
    """dR = Q^T dA - Omega R in all columns."""
    moved = np.matmul(_transposed(factor_q(a)), a_dot)
    return moved - np.matmul(_skew(_over(moved[..., : y.shape[-2]], _square(y))), y)


def _r_vjp_by_difference(y_bar: Array, a: Array, y: Array) -> Array:
    """A_bar = Q R_bar, less Q L R1^-T in the first columns, L the lower part of N - N^T, N = R_bar R^T."""
    k, n = y.shape[-2:]
    q, inner = factor_q(a), np.matmul(y_bar, _transposed(y))
    first = np.matmul(q, _under(np.tril(inner - _transposed(inner), -1), _square(y)))
    if n > k:
        first = np.concatenate([first, np.zeros((*first.shape[:-1], n - k), first.dtype)], axis=-1)
    return np.matmul(q, y_bar) - first


def _r_vjp(y_bar: Array, a: Array, y: Array) -> Array:
    """A1_bar = Q sym(R1_bar R1^T) R1^-T, sym from the upper triangle, and what comes by Q from R2 = Q^T A2; A2_bar = Q R2_bar."""
    k, n = y.shape[-2:]
    q, r = factor_q(a), _square(y)
    first = np.matmul(q, _mirrored(np.matmul(np.triu(y_bar[..., :k]), _transposed(r))))
    if n == k:
        return _under(first, r)
    q_bar = np.matmul(a[..., k:], _transposed(y_bar[..., k:]))
    first = first + q_bar - np.matmul(q, _mirrored(np.matmul(_transposed(q), q_bar)))
    return np.concatenate([_under(first, r), np.matmul(q, y_bar[..., k:])], axis=-1)


def _q_jvp(a_dot: Array, a: Array, y: Array) -> Array:
    """dQ = dA1 R1^-1 - Q up(C)."""
    moved = _over(a_dot[..., : y.shape[-1]], _square(factor_r(a)))
    return moved - np.matmul(y, _upper(np.matmul(_transposed(y), moved)))


def _q_vjp(y_bar: Array, a: Array, y: Array, a_shape: tuple[int, ...]) -> Array:
    """A1_bar = (Q_bar - Q sym(Q^T Q_bar)) R1^-T, sym from the upper triangle."""
    k, n = y.shape[-1], a_shape[-1]
    g = _under(y_bar - np.matmul(y, _mirrored(np.matmul(_transposed(y), y_bar))), _square(factor_r(a)))
    return g if n == k else np.concatenate([g, np.zeros((*g.shape[:-1], n - k), g.dtype)], axis=-1)


# --- the ops ---------------------------------------------------------------------------------------------------------


def _draw(rng: np.random.Generator) -> Any:
    m, n = samplers.MATRICES[int(rng.integers(len(samplers.MATRICES)))]
    batch = samplers.stack(rng)
    a = rng.standard_normal((*batch, m, n))
    if not min(m, n) * math.prod(batch):
        return (a,), {}
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return ((u * rng.uniform(0.7, 1.5, (*batch, 1, min(m, n)))) @ vh,), {}


def _draw_steady(rng: np.random.Generator) -> Any:
    return steady(rng, _draw, lambda a: [np.linalg.qr(a)[0]])


factor_r: Op = register(
    "qr_r",
    lambda a: dense_factors.qr(a)[1],
    jvp=_r_jvp,
    vjp=_r_vjp,
    rounding=_r_rounding,
    torch=lambda torch, a: torch.linalg.qr(a)[1],
    domain=sampled(_draw_steady),
    usual=(
        Formula(
            "the tangent as Q^T dA - Omega R, and its transpose, which leave rounding below the diagonal (torch)",
            jvp=_r_jvp_by_difference,
            vjp=_r_vjp_by_difference,
        ),
    ),
    singular=REGULAR,
)

factor_q: Op = register(
    "qr_q",
    lambda a: dense_factors.qr(a)[0],
    jvp=_q_jvp,
    vjp=_q_vjp,
    rounding=_q_rounding,
    torch=lambda torch, a: torch.linalg.qr(a)[0],
    domain=sampled(_draw_steady),
    singular=REGULAR,
)
