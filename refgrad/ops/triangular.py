"""Triangular systems and Cholesky's factor.

Derivatives: Giles, "Collected matrix derivative results" (2008); Murray, "Differentiation of the Cholesky decomposition" (2016). Rounding
rules: Higham, Accuracy and Stability of Numerical Algorithms, theorems 8.5 and 10.3.

Cholesky's factor reads the lower triangle of its operand, and so do its derivatives: the tangent of the other triangle does not count, and
its cotangent is zero. Along a symmetric direction this is the derivative of a function of symmetric matrices. A framework that returns the
symmetric gradient G gives half of what stands below the diagonal here: the products with a symmetric direction are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.op import Op, register
from refgrad.op.traits import POLE, REFUSED
from refgrad.ops import dense_factors, samplers
from refgrad.ops.solving import amplified, finite

# --- triangular systems ----------------------------------------------------------------------------------------------


def _read(a: Array, upper: bool, unitriangular: bool) -> Array:
    """The part of a matrix that the solver reads."""
    k = 1 if unitriangular else 0
    return np.triu(a, k) if upper else np.tril(a, -k)


def _jvp_a(a_dot: Array, a: Array, y: Array, upper: bool, unitriangular: bool) -> Array:
    """T X = B: T dX = -dT X."""
    moved = np.matmul(_read(a_dot, upper, unitriangular), y)
    return -solve_triangular(a, moved, upper=upper, unitriangular=unitriangular)


def _vjp_a(y_bar: Array, a: Array, y: Array, upper: bool, unitriangular: bool) -> Array:
    """T_bar is what the solver reads of -(T^-T Y_bar) Y^T."""
    return -_read(
        np.matmul(_vjp_b(y_bar, a, upper, unitriangular), np.swapaxes(y, -1, -2)), upper, unitriangular
    )


def _vjp_b(y_bar: Array, a: Array, upper: bool, unitriangular: bool) -> Array:
    return solve_triangular(np.swapaxes(a, -1, -2), y_bar, upper=not upper, unitriangular=unitriangular)


def _triangular_rounding(run: Evaluation) -> Any:
    """|x_hat - x| <= (I - G)^-1 |T^-1| (|E||x| + e_b), G = |T^-1||E|, |E| <= gamma |T| + e.

    Substitution has n roundings for each element, and one more where a kernel multiplies by reciprocals of the diagonal.
    """
    fmt, y, (a, b), (ea, eb) = run.fmt, run.y, run.xs, run.es
    upper, unit = run.params["upper"], run.params["unitriangular"]
    n = a.shape[-1]
    size = np.abs(dense_factors.triangle(a, upper, unit))
    inverse = np.abs(dense_factors.triangular_inverse(a, upper, unit))
    gamma = (n + 1) * fmt.u
    e = gamma / (1 - min(gamma, 0.5)) * size
    if ea is not None:
        e = e + _plain_read(np.broadcast_to(ea, a.shape), upper, unit)
    side = np.zeros(b.shape) if eb is None else np.broadcast_to(eb, b.shape)
    lost = n * fmt.eta
    return finite(amplified(inverse @ e, inverse @ (e @ np.abs(y) + side + lost)) + lost)


def _plain_read(a: PlainArray, upper: bool, unitriangular: bool) -> PlainArray:
    k = 1 if unitriangular else 0
    return np.triu(a, k) if upper else np.tril(a, -k)


_BATCHES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((), ()),
    ((2,), (2,)),
    ((3, 1), (2,)),
    ((), (2,)),
    ((2,), ()),
    ((0,), (0,)),
)


def _draw_triangular(rng: np.random.Generator) -> Any:
    n, k = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    left, right = _BATCHES[int(rng.integers(len(_BATCHES)))]
    a = 0.5 * rng.standard_normal((*left, n, n)) + rng.choice([-1.0, 1.0]) * 2 * np.eye(n)
    flags = {"upper": bool(rng.integers(2)), "unitriangular": bool(rng.integers(2))}
    return (a, rng.standard_normal((*right, n, k))), flags


def _torch_triangular(torch: Any, a: Any, b: Any, upper: bool = False, unitriangular: bool = False) -> Any:
    return torch.linalg.solve_triangular(a, b, upper=upper, unitriangular=unitriangular)


solve_triangular: Op = register(
    "solve_triangular",
    dense_factors.solve_triangular,
    jvp={
        "a": _jvp_a,
        "b": lambda b_dot, a, upper, unitriangular: solve_triangular(
            a, b_dot, upper=upper, unitriangular=unitriangular
        ),
    },
    vjp={"a": _vjp_a, "b": _vjp_b},
    rounding=_triangular_rounding,
    torch=_torch_triangular,
    domain=sampled(_draw_triangular),
    broadcasts=True,
    core=2,
    singular=POLE,
)


# --- Cholesky --------------------------------------------------------------------------------------------------------


def symmetric_from(a: Array, uplo: str = "L") -> Array:
    """The symmetric matrix of which a traced array holds the lower ("L") or the upper triangle."""
    if uplo.upper() == "L":
        return np.tril(a) + np.swapaxes(np.tril(a, -1), -1, -2)
    return np.triu(a) + np.swapaxes(np.triu(a, 1), -1, -2)


def folded(g: Array, uplo: str = "L") -> Array:
    """The transpose of ``symmetric_from``: the other triangle of a cotangent, added to the one that is read."""
    if uplo.upper() == "L":
        return np.tril(g) + np.tril(np.swapaxes(g, -1, -2), -1)
    return np.triu(g) + np.triu(np.swapaxes(g, -1, -2), 1)


def _halved(m: Array) -> Array:
    """The lower triangle with half the diagonal: the factor of the derivative that is lower triangular."""
    n = m.shape[-1]
    return np.tril(m) * (1 - 0.5 * np.eye(n, dtype=m.dtype))


def _cholesky_jvp(a_dot: Array, y: Array) -> Array:
    """dL = L Phi(L^-1 dA L^-T)."""
    half = solve_triangular(y, symmetric_from(a_dot))
    return np.matmul(y, _halved(solve_triangular(y, np.swapaxes(half, -1, -2))))


def _cholesky_vjp(y_bar: Array, y: Array) -> Array:
    """A_bar = (S + S^T)/2 with S = L^-T Phi(L^T L_bar) L^-1, folded to the triangle that is read."""
    upper = np.swapaxes(y, -1, -2)
    middle = _halved(np.matmul(upper, np.tril(y_bar)))
    middle = middle + np.swapaxes(middle, -1, -2)
    half = np.swapaxes(solve_triangular(upper, middle, upper=True), -1, -2)
    return folded(0.5 * solve_triangular(upper, half, upper=True))


def _cholesky_rounding(run: Evaluation) -> Any:
    """|dL| <= |L| S, S >= low(W + S S^T), W = |L^-1| E |L^-T|, |E| <= gamma_(n+1) |L||L^T| + e; low halves the diagonal.

    (I + D)(I + D)^T = I + L^-1 (A + E - A) L^-T for the exact factor L (I + D) of A + E, D lower triangular, which gives
    D = low(W - D D^T). The terms of its power series in W are bounded by those of S, which is finite where some S satisfies the inequality.
    """
    fmt, y, (e,) = run.fmt, run.y, run.es
    n = y.shape[-1]
    size = np.abs(y)
    gamma = (n + 1) * fmt.u
    error = gamma / (1 - min(gamma, 0.5)) * (size @ dense_factors.transposed(size)) + n * fmt.eta
    if e is not None:
        error = error + dense_factors.mirrored(np.broadcast_to(e, y.shape), "L")
    inverse = np.abs(dense_factors.triangular_inverse(y))
    s = majorant(inverse @ error @ dense_factors.transposed(inverse))
    return finite(size @ s + n * fmt.eta)


def majorant(w: PlainArray) -> PlainArray:
    """Some S >= low(W + S S^T), where low halves the diagonal; infinite where none is found."""
    half = np.tril(np.ones(w.shape[-2:])) - 0.5 * np.eye(w.shape[-1])
    s = np.zeros_like(w)
    for _ in range(8):
        s = half * (w + s @ dense_factors.transposed(s))
    s = s * 1.01
    held = np.all(half * (w + s @ dense_factors.transposed(s)) <= s, axis=(-2, -1), keepdims=True)
    return np.where(held, s, np.inf)


def _draw_definite(rng: np.random.Generator) -> Any:
    n = int(rng.integers(1, 5))
    batch = samplers.stack(rng)
    q = rng.standard_normal((*batch, n, n))
    return (q @ np.swapaxes(q, -1, -2) / n + np.eye(n) + np.triu(rng.standard_normal((n, n)), 1),), {}


cholesky: Op = register(
    "cholesky",
    dense_factors.cholesky,
    jvp=_cholesky_jvp,
    vjp=_cholesky_vjp,
    rounding=_cholesky_rounding,
    # torch reads one triangle too, and returns the symmetric gradient.
    torch=lambda torch, a: torch.linalg.cholesky(torch.tril(a) + torch.tril(a, -1).mT),
    domain=sampled(_draw_definite),
    singular=REFUSED,
)

__all__ = ["cholesky", "folded", "majorant", "solve_triangular", "symmetric_from"]
