"""Singular values and vectors, the three results of np.linalg.svd, as ops.

Derivatives: Papadopoulo and Lourakis, "Estimating the Jacobian of the singular value decomposition" (2000); Townsend, "Differentiating the
singular value decomposition" (2016). Singular values and vectors are eigenvalues and eigenvectors of [[0, A], [A^T, 0]], whose eigenvalues
are s, -s and zeros (Golub and Van Loan, Matrix Computations, section 8.6): what eigenvalues.py says of gaps holds for those.

A pair of singular vectors is unique up to a common sign, so a derivative exists for functions that no sign changes. Where singular values
meet, or one is zero beside a complement of the vectors, they have no derivative: it is NaN where rounding cannot tell them apart.
The columns of full matrices beyond the first k = min(m, n) are unique up to a rotation. Their derivative is that of the rotation that turns
them least, which is right for functions that no rotation of them changes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.op import Op, register
from refgrad.op.traits import REGULAR
from refgrad.ops import dense_spectra, samplers
from refgrad.ops.eigenvalues import STEPS, backward_error, reciprocal_gaps, steady, turned
from refgrad.ops.solving import finite


def _transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


# --- what rounding does ----------------------------------------------------------------------------------------------


def _error(run: Evaluation, s: PlainArray) -> PlainArray:
    (a,), (e,) = run.xs, run.es
    e = None if e is None else np.broadcast_to(e, a.shape)
    return backward_error(run.fmt, np.max(s, axis=-1, initial=0), max(a.shape[-2:]), e)


def _values_rounding(run: Evaluation) -> Any:
    """|s_hat - s| <= |E|: Weyl."""
    return finite(np.broadcast_to(_error(run, run.y)[..., None], run.y.shape))


def _distances(s: PlainArray, shape: tuple[int, ...]) -> PlainArray:
    """For each singular value the distance to the other eigenvalues of [[0, A], [A^T, 0]]: s, -s, and zeros unless A is square."""
    k = s.shape[-1]
    others = np.concatenate(
        [s, -s, *([np.zeros_like(s[..., :1])] if shape[-2] != shape[-1] and k else [])], axis=-1
    )
    d = np.abs(s[..., :, None] - others[..., None, :])
    d = np.where(np.eye(k, others.shape[-1], dtype=bool), np.inf, d)
    return np.min(d, axis=-1, initial=np.inf)


def _vectors_rounding(run: Evaluation) -> Any:
    """The eigenvector (u, v)/sqrt(2) turns, by sqrt(2) as much in u or v; and STEPS n roundings of the computed orthogonality."""
    (a,), n = run.xs, max(run.xs[0].shape[-2:])
    s = dense_spectra.svd(a)[1]
    radius = np.sqrt(2.0) * turned(_error(run, s)[..., None], _distances(s, a.shape)) + STEPS * n * run.fmt.u
    return finite(np.broadcast_to(radius[..., None, :], run.y.shape))


def _complement_rounding(run: Evaluation) -> Any:
    """A single vector turns as others do. About several nothing is known: no rotation of them is distinguished."""
    (a,), n = run.xs, max(run.xs[0].shape[-2:])
    if run.y.shape[-1] == 0:
        return None
    if run.y.shape[-1] > 1:
        return np.full(run.y.shape, np.inf)
    s = dense_spectra.svd(a)[1]
    radius = turned(_error(run, s), np.min(s, axis=-1, initial=np.inf)) + STEPS * n * run.fmt.u
    return finite(np.broadcast_to(radius[..., None, None], run.y.shape))


# --- rules -----------------------------------------------------------------------------------------------------------


def _values_jvp(a_dot: Array, a: Array) -> Array:
    """ds_i = u_i^T dA v_i."""
    return np.sum(singular_vectors(a) * np.matmul(a_dot, singular_vectors(a, right=True)), axis=-2)


def _values_vjp(y_bar: Array, a: Array) -> Array:
    """A_bar = U diag(s_bar) V^T."""
    return np.matmul(singular_vectors(a) * y_bar[..., None, :], _transposed(singular_vectors(a, right=True)))


def _reciprocals(s: Array) -> tuple[Array, Array]:
    """E_ij = 1/(s_j^2 - s_i^2), 0 on the diagonal, and 1/s_i; NaN where rounding cannot tell what is subtracted apart, or s_i from 0."""
    k = s.shape[-1]
    f = reciprocal_gaps(np.concatenate([s, -s], axis=-1))
    minus, plus = f[..., :k, :k], -f[..., :k, k:]  # 1/(s_j - s_i) and 1/(s_j + s_i)
    inverse = 2.0 * np.diagonal(plus, axis1=-2, axis2=-1)
    return np.where(np.eye(k, dtype=bool), 0.0, minus * plus), inverse


def _vectors_jvp(a_dot: Array, a: Array, y: Array, right: bool) -> Array:
    """dU = U (E * (P S + S P^T)) + (I - U U^T) dA V S^-1 with P = U^T dA V; V is U of the transposed matrix."""
    a_dot, k = _transposed(a_dot) if right else a_dot, y.shape[-1]
    s, other = singular_values(a), singular_vectors(a, right=not right)
    e, inverse = _reciprocals(s)
    moved = np.matmul(a_dot, other)
    p = np.matmul(_transposed(y), moved)
    within = np.matmul(y, e * (p * s[..., None, :] + s[..., :, None] * _transposed(p)))
    if y.shape[-2] == k:
        return within
    return within + (moved - np.matmul(y, p)) * inverse[..., None, :]


def _vectors_vjp(y_bar: Array, a: Array, y: Array, right: bool) -> Array:
    """A_bar = U (M + M^T) S V^T + (I - U U^T) U_bar S^-1 V^T with M = E * (U^T U_bar)."""
    k = y.shape[-1]
    s, other = singular_values(a), singular_vectors(a, right=not right)
    e, inverse = _reciprocals(s)
    inner = np.matmul(_transposed(y), y_bar)
    m = e * inner
    g = np.matmul(y, (m + _transposed(m)) * s[..., None, :])
    if y.shape[-2] != k:
        g = g + (y_bar - np.matmul(y, inner)) * inverse[..., None, :]
    g = np.matmul(g, _transposed(other))
    return _transposed(g) if right else g


def _complement_jvp(a_dot: Array, a: Array, y: Array, right: bool) -> Array:
    """dU2 = -U1 S^-1 V1^T dA^T U2, as U2^T U1 = 0 and U2^T dU1 = U2^T dA V1 S^-1."""
    a_dot = _transposed(a_dot) if right else a_dot
    first, other = singular_vectors(a, right=right), singular_vectors(a, right=not right)
    _, inverse = _reciprocals(singular_values(a))
    return -np.matmul(
        first, inverse[..., :, None] * np.matmul(_transposed(other), np.matmul(_transposed(a_dot), y))
    )


def _complement_vjp(y_bar: Array, a: Array, y: Array, right: bool) -> Array:
    """A_bar = -U2 U2_bar^T U1 S^-1 V1^T."""
    first, other = singular_vectors(a, right=right), singular_vectors(a, right=not right)
    _, inverse = _reciprocals(singular_values(a))
    inner = np.matmul(_transposed(y_bar), first) * inverse[..., None, :]
    g = -np.matmul(y, np.matmul(inner, _transposed(other)))
    return _transposed(g) if right else g


# --- the ops ---------------------------------------------------------------------------------------------------------


def _thin(a: PlainArray, right: bool = False) -> PlainArray:
    u, s, v = dense_spectra.svd(a)
    return (v if right else u)[..., : s.shape[-1]].copy()


def _rest(a: PlainArray, right: bool = False) -> PlainArray:
    u, s, v = dense_spectra.svd(a)
    return (v if right else u)[..., s.shape[-1] :].copy()


def drawn(rng: np.random.Generator, shapes: tuple[tuple[int, int], ...] = samplers.MATRICES) -> PlainArray:
    """A stack of matrices whose singular values are apart from each other and from zero."""
    m, n = shapes[int(rng.integers(len(shapes)))]
    batch = samplers.stack(rng)
    k = min(m, n)
    if not k * math.prod(batch):
        return np.zeros((*batch, m, n))
    u, v = (np.linalg.qr(rng.standard_normal((*batch, d, k)))[0] for d in (m, n))
    s = np.cumsum(rng.uniform(0.5, 1.0, (*batch, k)), axis=-1)
    return np.asarray((u * s[..., None, :]) @ np.swapaxes(v, -1, -2))


def _draw_vectors(rng: np.random.Generator) -> Any:
    return (drawn(rng),), {"right": bool(rng.integers(2))}


def _draw_complement(rng: np.random.Generator) -> Any:
    """With a complement of one vector at most, about which something is known."""
    right = bool(rng.integers(2))
    a = drawn(rng, ((2, 1), (3, 2), (4, 3), (2, 2)))
    return (np.swapaxes(a, -1, -2) if right else a,), {"right": right}


singular_values: Op = register(
    "svdvals",
    lambda a: dense_spectra.svd(a)[1].copy(),
    jvp=_values_jvp,
    vjp=_values_vjp,
    rounding=_values_rounding,
    torch=lambda torch, a: torch.linalg.svdvals(a),
    domain=sampled(lambda rng: ((drawn(rng),), {})),
    special=(
        Special(
            (np.diag([2.0, 0.0]),),
            [2.0, 0.0],
            (([[1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0], [0.0, 1.0]]),),
            "kink: a singular value of zero",
        ),
    ),
    singular=REGULAR,
)

singular_vectors: Op = register(
    "singular_vectors",
    _thin,
    jvp=_vectors_jvp,
    vjp=_vectors_vjp,
    rounding=_vectors_rounding,
    domain=sampled(lambda rng: steady(rng, _draw_vectors, lambda a, right: [_thin(a), _thin(a, right=True)])),
    singular=REGULAR,
    helper=True,
)

# What full matrices have beyond the thin ones.
singular_complement: Op = register(
    "singular_complement",
    _rest,
    jvp=_complement_jvp,
    vjp=_complement_vjp,
    rounding=_complement_rounding,
    domain=sampled(
        lambda rng: steady(
            rng, _draw_complement, lambda a, right: [_thin(a), _thin(a, right=True), _rest(a, right)]
        )
    ),
    singular=REGULAR,
    helper=True,
)
