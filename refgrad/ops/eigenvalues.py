"""Eigenvalues and eigenvectors of symmetric matrices, the two results of np.linalg.eigh, as ops.

Derivatives: Magnus, "On differentiating eigenvalues and eigenvectors" (1985); Giles, "Collected matrix derivative results" (2008). As the
decomposition they read one triangle: the tangent of the other does not count, and its cotangent is zero (see triangular.py).

Eigenvectors are unique up to their sign, so a derivative exists for functions that no sign changes, such as V f(L) V^T. Where eigenvalues
meet, any rotation of their vectors is as good, and they have no derivative. A function of L and V may have one there, but it does not
follow from the cotangents of L and V: V L V^T is A, while V and L alone give the diagonal of V^T A_bar V and nothing beside it. So the
derivative of eigenvectors is NaN where rounding cannot tell two eigenvalues apart, and the gradient of a function of eigenvalues alone
stays a number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.op import Op, register
from refgrad.op.traits import REGULAR
from refgrad.ops import dense_factors, dense_spectra, samplers
from refgrad.ops.solving import finite
from refgrad.ops.triangular import folded, symmetric_from

# --- what rounding does ----------------------------------------------------------------------------------------------

# Decompositions by orthogonal transformations are backward stable: they are exact for A + E, |E| <= p(n) u |A|, in the spectral norm,
# with a modestly growing p(n) (LAPACK Users' Guide, third edition, sections 4.7 to 4.9). The guide leaves p open. Ten roundings stand for
# each of the n steps, as in the rule of cofactors (solving.py).
STEPS = 10


def backward_error(fmt: Any, largest: PlainArray, n: int, e: Any) -> PlainArray:
    """A bound of |E| in the spectral norm: what a backward stable decomposition makes, and the operand's own radius."""
    made = STEPS * n * fmt.u * largest + n * fmt.eta
    return made if e is None else made + np.sqrt(np.sum(e * e, axis=(-2, -1)))


def gaps(w: PlainArray) -> PlainArray:
    """For each of ascending or descending numbers (..., n) the distance to the nearest other one; infinite for a single one."""
    d = np.abs(w[..., None, :] - w[..., :, None])
    d = np.where(np.eye(w.shape[-1], dtype=bool), np.inf, d)
    return np.min(d, axis=-1, initial=np.inf)


def turned(error: PlainArray, gap: PlainArray) -> PlainArray:
    """How far a unit eigenvector turns, |v_hat - v| for the nearer sign: sqrt(2) sin t with sin t <= |E|/(gap - |E|).

    The distance to the perturbed other eigenvalues is gap - |E| or more (Davis and Kahan, SIAM Journal on Numerical Analysis 7, 1970).
    Infinite from sin t = 1/2.
    """
    room = gap - error
    sine = error / np.where(room > 0, room, 1)
    return np.where((room > 0) & (sine <= 0.5), np.sqrt(2.0) * sine, np.inf)


def _symmetric_radius(run: Evaluation) -> Any:
    (a,), (e,) = run.xs, run.es
    return None if e is None else dense_factors.mirrored(np.broadcast_to(e, a.shape), run.params["UPLO"])


def _values_rounding(run: Evaluation) -> Any:
    """|l_hat - l| <= |E|: Weyl."""
    fmt, y = run.fmt, run.y
    n = y.shape[-1]
    if n == 1 and run.es[0] is None:
        return None
    error = backward_error(fmt, np.max(np.abs(y), axis=-1, initial=0), n, _symmetric_radius(run))
    return finite(np.broadcast_to(error[..., None], y.shape))


def _vectors_rounding(run: Evaluation) -> Any:
    """The turn of each column, and STEPS n roundings of the orthogonality of what is computed."""
    fmt, y, (a,) = run.fmt, run.y, run.xs
    n = y.shape[-1]
    if n == 1:
        return None
    w, _ = dense_spectra.eigh(a, run.params["UPLO"])
    error = backward_error(fmt, np.max(np.abs(w), axis=-1, initial=0), n, _symmetric_radius(run))
    radius = turned(error[..., None], gaps(w)) + STEPS * n * fmt.u
    return finite(np.broadcast_to(radius[..., None, :], y.shape))


# --- gaps of eigenvalues in rules ------------------------------------------------------------------------------------


def told_apart(w: PlainArray) -> PlainArray:
    """Which pairs of eigenvalues, (..., n, n), rounding can tell apart."""
    w = np.asarray(w)
    n = w.shape[-1]
    size = np.max(np.abs(w), axis=-1, initial=0)[..., None, None]
    far = np.abs(w[..., None, :] - w[..., :, None]) > 2 * n * np.finfo(w.dtype).eps * size
    return far & ~np.eye(n, dtype=bool)


# Whether rounding can tell two numbers of a decomposition apart, each of which may err by n eps times the largest; False for a number and
# itself. No radius counts: a gap that contains zero in the judged format has a reciprocal about which nothing is known.
apart = register(
    "apart",
    told_apart,
    jvp=None,
    vjp=None,
    rounding=lambda run: None,
    domain=sampled(lambda rng: ((rng.standard_normal((2, 3)),), {})),
    helper=True,
)


def reciprocal_gaps(w: Array) -> Array:
    """F_ij = 1/(w_j - w_i), 0 on the diagonal; NaN where rounding cannot tell the two apart."""
    far = apart(w)
    gap = w[..., None, :] - w[..., :, None]
    same = np.eye(w.shape[-1], dtype=bool)
    return np.where(far, 1.0 / np.where(far, gap, 1.0), np.where(same, 0.0, np.nan).astype(w.dtype))


# --- the ops ---------------------------------------------------------------------------------------------------------


def _transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _values_jvp(a_dot: Array, a: Array, UPLO: str) -> Array:
    """dl_i = v_i^T dA v_i."""
    v = eigenvectors(a, UPLO=UPLO)
    return np.sum(v * np.matmul(symmetric_from(a_dot, UPLO), v), axis=-2)


def _values_vjp(y_bar: Array, a: Array, UPLO: str) -> Array:
    """A_bar = V diag(l_bar) V^T."""
    v = eigenvectors(a, UPLO=UPLO)
    return folded(np.matmul(v * y_bar[..., None, :], _transposed(v)), UPLO)


def _vectors_jvp(a_dot: Array, a: Array, y: Array, UPLO: str) -> Array:
    """dV = V (F * V^T dA V)."""
    inner = np.matmul(_transposed(y), np.matmul(symmetric_from(a_dot, UPLO), y))
    return np.matmul(y, reciprocal_gaps(eigenvalues(a, UPLO=UPLO)) * inner)


def _vectors_vjp(y_bar: Array, a: Array, y: Array, UPLO: str) -> Array:
    """A_bar is the symmetric part of V (F * V^T V_bar) V^T."""
    inner = reciprocal_gaps(eigenvalues(a, UPLO=UPLO)) * np.matmul(_transposed(y), y_bar)
    g = np.matmul(y, np.matmul(inner, _transposed(y)))
    return folded(0.5 * (g + _transposed(g)), UPLO)


def steady(rng: np.random.Generator, draw: Any, vectors: Any) -> Any:
    """Operands and parameters near which LAPACK changes no sign of a vector.

    A change of sign is a jump, between vectors as good as each other. ``vectors(x, **params)`` gives them in columns. Perturbations are
    tried, which are as large as the steps of a difference quotient.
    """
    while True:
        (x,), params = draw(rng)
        found = vectors(x, **params)
        moved = [vectors(x + rng.uniform(-(2.0**-5), 2.0**-5, x.shape), **params) for _ in range(12)]
        if all(
            np.all(np.sum(a * b, axis=-2) > 0) for other in moved for a, b in zip(found, other, strict=True)
        ):
            return (x,), params


def _draw(rng: np.random.Generator) -> Any:
    """Symmetric matrices whose eigenvalues are apart, with other numbers in the triangle that is not read."""
    n = int(rng.integers(1, 5))
    batch = samplers.stack(rng)
    uplo = "LU"[int(rng.integers(2))]
    q = np.linalg.qr(rng.standard_normal((*batch, n, n)))[0]
    w = np.cumsum(rng.uniform(0.5, 1.5, (*batch, n)), axis=-1) - rng.uniform(0, n)
    a = (q * w[..., None, :]) @ np.swapaxes(q, -1, -2)
    other = np.triu(rng.standard_normal((n, n)), 1)
    return (a + (other if uplo == "L" else other.T),), {"UPLO": uplo}


def _torch_values(torch: Any, a: Any, UPLO: str = "L") -> Any:
    """torch reads one triangle too, and returns the symmetric gradient."""
    a = torch.tril(a) + torch.tril(a, -1).mT if UPLO == "L" else torch.triu(a) + torch.triu(a, 1).mT
    return torch.linalg.eigvalsh(a, UPLO)


eigenvalues: Op = register(
    "eigvalsh",
    lambda a, UPLO="L": dense_spectra.eigh(a, UPLO)[0].copy(),
    jvp=_values_jvp,
    vjp=_values_vjp,
    rounding=_values_rounding,
    torch=_torch_values,
    domain=sampled(_draw),
    singular=REGULAR,
)

eigenvectors: Op = register(
    "eigenvectors",
    lambda a, UPLO="L": dense_spectra.eigh(a, UPLO)[1].copy(),
    jvp=_vectors_jvp,
    vjp=_vectors_vjp,
    rounding=_vectors_rounding,
    domain=sampled(lambda rng: steady(rng, _draw, lambda a, UPLO: [np.linalg.eigh(a, UPLO)[1]])),
    singular=REGULAR,
    helper=True,
)
