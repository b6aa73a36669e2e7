"""Real eigenvalues and eigenvectors of matrices without symmetry, the two results of np.linalg.eig, as ops.

Derivatives: Magnus, "On differentiating eigenvalues and eigenvectors" (1985); Boeddeker et al., "On the computation of complex-valued
gradients with application to statistically optimum beamforming" (2017). Columns of V have norm 1, so the derivative has no part along them.
What eigenvalues.py says of signs and of eigenvalues that meet holds here as well.

Frameworks return complex arrays, whose order of eigenvalues is not documented, so there is no twin. The bounds assume LAPACK's order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.errors import NoRuleError
from refgrad.op import Op, register
from refgrad.op.traits import REGULAR
from refgrad.ops import dense_spectra, samplers
from refgrad.ops.dense_linalg import inverse_or_nan
from refgrad.ops.eigenvalues import STEPS, backward_error, gaps, reciprocal_gaps, steady
from refgrad.ops.solving import finite, solve


def _real(a: PlainArray) -> tuple[PlainArray, PlainArray]:
    w, v = dense_spectra.eig(a)
    if w.dtype.kind == "c":
        raise NoRuleError(
            "np.linalg.eig: a matrix has complex eigenvalues, which have neither an error bound nor a place in a graph. Matrices with real "
            "eigenvalues are expected there; use np.linalg.eigh for symmetric ones."
        )
    return w, v


# --- what rounding does ----------------------------------------------------------------------------------------------


def _condition(run: Evaluation) -> tuple[PlainArray, PlainArray, PlainArray]:
    """|V^-1| |E| |V| in spectral norms, bounded by Frobenius', the norms of V, and the gaps of eigenvalues."""
    (a,), (e,) = run.xs, run.es
    w, v = _real(a)
    size, inverse, largest = (np.sqrt(np.sum(x * x, axis=(-2, -1))) for x in (v, inverse_or_nan(v), a))
    error = backward_error(run.fmt, largest, a.shape[-1], None if e is None else np.broadcast_to(e, a.shape))
    return size * inverse * error, size, gaps(w)


def _values_rounding(run: Evaluation) -> Any:
    """|l_hat - l| <= |V^-1| |E| |V| where the discs of that radius are apart (Bauer and Fike, Numerische Mathematik 2, 1960)."""
    if run.y.shape[-1] == 1 and run.es[0] is None:
        return None
    moved, _, gap = _condition(run)
    return finite(np.where(gap > 2 * moved[..., None], moved[..., None], np.inf))


def _vectors_rounding(run: Evaluation) -> Any:
    """An eigenvector of A + E is V (e_i + p) with |p| <= m/(gap - 2m), m = |V^-1| |E| |V|; normalised, it moves by 2 |V| |p| at most.

    V^-1 (A + E) V = L + F, |F| <= m, so that (l_hat - l_j) p_j = (F (e_i + p))_j, and |l_hat - l_j| >= gap - m.
    """
    n = run.y.shape[-1]
    if n == 1:
        return None
    moved, size, gap = _condition(run)
    room = gap - 2 * moved[..., None]
    radius = np.where(room > 0, 2 * size[..., None] * moved[..., None] / np.where(room > 0, room, 1), np.inf)
    return finite(np.broadcast_to((radius + STEPS * n * run.fmt.u)[..., None, :], run.y.shape))


# --- rules -----------------------------------------------------------------------------------------------------------


def _transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _values_jvp(a_dot: Array, a: Array) -> Array:
    """dl = diag(V^-1 dA V)."""
    v = real_eigenvectors(a)
    return np.diagonal(solve(v, np.matmul(a_dot, v)), axis1=-2, axis2=-1)


def _values_vjp(y_bar: Array, a: Array) -> Array:
    """A_bar = V^-T diag(l_bar) V^T."""
    t = _transposed(real_eigenvectors(a))
    return solve(t, y_bar[..., :, None] * t)


def _normal(z: Array, v: Array) -> Array:
    """What is left of each column without its part along the column of V."""
    return z - v * np.sum(v * z, axis=-2, keepdims=True)


def _vectors_jvp(a_dot: Array, a: Array, y: Array) -> Array:
    """dV = V (F * V^-1 dA V) without the parts along V."""
    inner = reciprocal_gaps(real_eigenvalues(a)) * solve(y, np.matmul(a_dot, y))
    return _normal(np.matmul(y, inner), y)


def _vectors_vjp(y_bar: Array, a: Array, y: Array) -> Array:
    """A_bar = V^-T (F * V^T G) V^T, G the cotangent without its parts along V."""
    t = _transposed(y)
    inner = reciprocal_gaps(real_eigenvalues(a)) * np.matmul(t, _normal(y_bar, y))
    return solve(t, np.matmul(inner, t))


# --- the ops ---------------------------------------------------------------------------------------------------------


def _draw(rng: np.random.Generator) -> Any:
    """Matrices with real eigenvalues that are apart."""
    n = int(rng.integers(1, 5))
    batch = samplers.stack(rng)
    w = np.cumsum(rng.uniform(1.0, 1.5, (*batch, n)), axis=-1) - rng.uniform(0, n)
    v = np.linalg.qr(rng.standard_normal((*batch, n, n)))[0] + 0.15 * rng.standard_normal((*batch, n, n))
    return (v @ (w[..., :, None] * np.linalg.inv(v)),), {}


def _draw_steady(rng: np.random.Generator) -> Any:
    return steady(rng, _draw, lambda a: [np.linalg.eig(a)[1]])


real_eigenvalues: Op = register(
    "eigvals",
    lambda a: _real(a)[0].copy(),
    jvp=_values_jvp,
    vjp=_values_vjp,
    rounding=_values_rounding,
    numpy=(np.linalg.eigvals,),
    domain=sampled(_draw_steady),
    singular=REGULAR,
)

real_eigenvectors: Op = register(
    "eig_vectors",
    lambda a: _real(a)[1].copy(),
    jvp=_vectors_jvp,
    vjp=_vectors_vjp,
    rounding=_vectors_rounding,
    domain=sampled(_draw_steady),
    singular=REGULAR,
    helper=True,
)
