"""Determinants, inverses and linear systems.

Derivatives: Giles, "Collected matrix derivative results" (2008); the determinant's by cofactors, right for singular matrices
too. Rounding rules: kernels eliminate with partial pivoting, so that they solve exactly a problem with A + E,
|E| <= gamma |L||U| (Higham, chapters 9 and 14); a carried radius of A is just more of E.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import HOLOMORPHIC, POLE, REFUSED, REGULAR, SEVERAL, InGraphs
from refgrad.ops import complex_systems, dense_linalg, samplers

# --- how far A + E lies, and what that does ----------------------------------------------------------------------------


def _factor_size(a: Array, gamma: float) -> Array:
    """|L||U| with the rows of A in their order.

    Where two pivot candidates are closer than rounding (their ratio is the largest multiplier of the column), a kernel may
    take either and meets other factors: multipliers are at most 1, so that sum_k |u_kj| then stands for every row.
    """
    factors, rows, _, _ = dense_linalg.lu(np.asarray(a))
    factors = np.abs(factors)
    low, upper = np.tril(factors, -1), np.triu(factors)
    column = np.sum(upper, axis=-2)
    gap = np.diagonal(upper, axis1=-2, axis2=-1) * (1 - np.max(low, axis=-2, initial=0))
    unsure = np.any((gap <= 4 * gamma * column)[..., :-1], axis=-1)
    size = np.take_along_axis(low @ upper + upper, np.argsort(rows, axis=-1)[..., None], -2)
    return np.where(unsure[..., None, None], column[..., None, :], size)


def _backward_error(fmt: Any, a: Array, e: Any, passes: int) -> Array:
    """Elementwise bound of E, the radius of A included.

    One pass of elimination or substitution is n + 1 roundings an element (one more for dividing by a reciprocal):
    |E| <= passes (n + 1) u |L||U|, Higham, theorem 9.4. Kernels for column-major storage factor A^T where A is stored by rows
    (torch: det, solve, inv): the larger of both.
    """
    n = a.shape[-1]
    gamma = (n + 1) * fmt.u
    size = np.maximum(
        _factor_size(a, gamma), np.swapaxes(_factor_size(np.swapaxes(a, -1, -2), gamma), -1, -2)
    )
    gamma *= passes
    return (
        gamma / (1 - min(gamma, 0.5)) * size
        + n * fmt.eta
        + (0.0 if e is None else np.broadcast_to(e, a.shape))
    )


def amplified(g: Array, m: Array) -> Array:
    """(I - G)^-1 M, infinite where the perturbed matrix may be singular.

    For G >= 0 the series sum G^k converges exactly if some w > 0 has (I - G) w > 0 (M-matrices: Berman and Plemmons,
    Nonnegative Matrices, chapter 6); w = (I - G)^-1 1 is tried. A norm of G below 1 would give up much earlier.
    """
    n = g.shape[-1]
    z = dense_linalg.solve_or_nan(
        np.eye(n, dtype=g.dtype) - g, np.concatenate([m, np.ones((*m.shape[:-1], 1), m.dtype)], axis=-1)
    )
    w = z[..., -1:]
    sure = np.all((w > 0) & (w - g @ w > 0.5), axis=(-2, -1), keepdims=True)
    return np.where(sure, np.maximum(z[..., :-1], m), np.inf)


def _relative_det(g: Array) -> Array:
    """|det(I + F) - 1| for |F| <= G: tr G + prod(1 + r_i) - 1 - sum r_i, r the row sums.

    det(I + F) is 1 plus the sum of all principal minors, and a minor is at most the product of its row sums.
    """
    r = np.sum(g, axis=-1)
    return np.trace(g, axis1=-2, axis2=-1) + np.maximum(
        np.expm1(np.sum(np.log1p(r), axis=-1)) - np.sum(r, axis=-1), 0
    )


def _symmetric(a: Array) -> list[Array]:
    """Elementary symmetric functions s_0 ... s_n of the singular values, from above."""
    n = a.shape[-1]
    top = np.max(np.abs(a), axis=(-2, -1), initial=0)
    top = np.where(top > 0, top, 1)
    scaled = (a / top[..., None, None]).astype(np.complex128 if a.dtype.kind == "c" else np.float64)
    # It does not return from NaN.
    sigma = np.linalg.svd(np.where(np.isfinite(scaled), scaled, 0), compute_uv=False)
    sigma = np.where(np.all(np.isfinite(scaled), axis=(-2, -1))[..., None], sigma, np.nan)
    sigma = (sigma + n * 2.0**-50 * sigma[..., :1]).astype(top.dtype) * top[..., None]
    s: list[Array] = [np.ones(a.shape[:-2], top.dtype), *[np.zeros(a.shape[:-2], top.dtype)] * n]
    for k in range(n):
        s = [s[0]] + [s[j] + s[j - 1] * sigma[..., k] for j in range(1, n + 1)]
    return s


def _normwise(s: list[Array], e: Array, m: int, first: int) -> Array:
    """sum over k >= first of s_(m-k) ||E||^k: how far minors of order m move. Ipsen and Rehman, SIMAX 30 (2008)."""
    size = np.sqrt(np.sum(e * e, axis=(-2, -1)))
    total = np.zeros_like(size)
    for k in range(first, m + 1):
        total = total + s[m - k] * size**k
    return total


def finite(radius: Array) -> Array:
    """The radius, infinite where nothing is known of it."""
    return np.where(np.isnan(radius), np.inf, radius)


# --- determinant -----------------------------------------------------------------------------------------------------


def _det_rounding(run: Evaluation) -> Any:
    """tr(|adj A| |E|) exactly to first order, normwise beyond; then a product of n pivots, whose parts may leave the range."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    a = xs[0]
    n = a.shape[-1]
    if n == 0 or (n == 1 and es[0] is None):
        return None
    e = _backward_error(fmt, a, es[0], 1)
    radius = np.sum(np.abs(dense_linalg.cofactor(a)) * e, axis=(-2, -1)) + _normwise(_symmetric(a), e, n, 2)
    radius = radius + n * fmt.u * (np.abs(y) + radius) + n * fmt.eta
    logs = np.log(np.abs(np.diagonal(dense_linalg.lu(a)[0], axis1=-2, axis2=-1)))
    logs = np.where(np.isfinite(logs), logs, 0)
    small, large = np.sum(np.minimum(logs, 0), axis=-1), np.sum(np.maximum(logs, 0), axis=-1)
    # A partial product that underflows loses everything after it; one that overflows is infinite.
    radius = np.where(small < math.log(fmt.eta / fmt.u), radius + np.abs(y) + fmt.eta * np.exp(large), radius)
    return finite(np.where(large > math.log(fmt.max) - 1, np.inf, radius))


def _pivots(low: int) -> Any:
    """A sampler of well-conditioned stacks of square matrices."""

    def draw(rng: np.random.Generator) -> Any:
        n = int(rng.integers(low, 5))
        batch = samplers.stack(rng)
        q = (
            np.linalg.qr(rng.standard_normal((*batch, n, n)))[0]
            if n and math.prod(batch)
            else np.zeros((*batch, n, n))
        )
        return (q * rng.uniform(0.5, 2.0, (*batch, 1, n)) + 0.05 * rng.standard_normal((*batch, n, n)),), {}

    return draw


def _by_permutations(a: Array) -> Any:
    """Matrices of 2 and 3 rows as textbooks write it: the sum of all products of one element of each row and column, with their signs.

    Its error is of the size of the products, not of |L||U|, which elimination of equal rows makes exactly 0 at the last pivots.
    """
    n = a.shape[-1]
    if n not in (2, 3):
        return _by_elimination(a)
    products = []
    for columns in itertools.permutations(range(n)):
        product = functools.reduce(operator.mul, [a[..., i, k] for i, k in enumerate(columns)])
        odd = sum(k > m for k, m in itertools.combinations(columns, 2)) % 2
        products.append(-product if odd else product)
    return np.sum(np.stack(products), axis=0)


det = register(
    "det", dense_linalg.det,
    jvp=lambda a_dot, a: np.sum(cofactor(a) * a_dot, axis=(-2, -1)),
    vjp=lambda y_bar, a: y_bar[..., None, None] * cofactor(a),
    rounding=_det_rounding,
    torch=lambda torch, a: torch.linalg.det(a),
    numpy=(np.linalg.det,),
    domain=sampled(_pivots(0)),
    special=(
        Special((np.zeros((2, 2)),), 0.0, ((np.zeros((2, 2)), np.zeros((2, 2))),), "rank n - 2: all cofactors vanish"),
        Special(([[1.0, 2.0], [2.0, 4.0]],), 0.0, (([[4.0, -2.0], [-2.0, 1.0]], [[4.0, -2.0], [-2.0, 1.0]]),), "rank n - 1: the cofactors"),
        Special((np.diag([1.0, 2.0, 0.0]),), 0.0, ((np.diag([0.0, 0.0, 2.0]), np.diag([0.0, 0.0, 2.0])),), "rank n - 1"),
        Special((np.diag([1.0, 0.0, 0.0]),), 0.0, ((np.zeros((3, 3)), np.zeros((3, 3))),), "rank n - 2"),
    ),
    singular=REGULAR,
    usual=(Formula("the sum over permutations of small matrices: it cancels where elimination does not", _by_permutations),),
    in_graphs=InGraphs(SEVERAL, 3),
    complex_rules=HOLOMORPHIC, by_parts=complex_systems.of_matrices("det_part", dense_linalg.det, _det_rounding),
)  # fmt: skip
_by_elimination = replace(det, usual=())

# --- cofactors: the determinant's derivative, an op of its own so that the determinant has every order ----------------

_MINORS = 8  # up to this size cofactors are differentiated as determinants of minors, right for singular matrices too


def _bordered(a: Array) -> tuple[Array, Array]:
    """For every (i, j) the matrix A with row i and column j cleared and a one at their crossing: its determinant is C_ij."""
    n = a.shape[-1]
    i, j, k, m = np.ogrid[:n, :n, :n, :n]
    keep = ((i != k) & (j != m)).astype(a.dtype)
    return a[..., None, None, :, :] * keep + ((i == k) & (j == m)).astype(a.dtype), keep


def _cofactor_jvp(a_dot: Array, a: Array, y: Array) -> Array:
    """C_ij = det B_ij by rows; above the size limit C = det(A) A^-T gives C tr(A^-1 A_dot) - C A_dot^T A^-T."""
    if a.shape[-1] <= _MINORS:
        b, keep = _bordered(a)
        return np.sum(cofactor(b) * keep * a_dot[..., None, None, :, :], axis=(-2, -1))
    z = np.swapaxes(inv(a), -1, -2)
    return y * np.sum(z * a_dot, axis=(-2, -1))[..., None, None] - y @ np.swapaxes(a_dot, -1, -2) @ z


def _cofactor_vjp(y_bar: Array, a: Array, y: Array) -> Array:
    """The transposes: sum_ij y_bar_ij (cofactors of B_ij), or A^-T <C, y_bar> - A^-T y_bar^T C."""
    if a.shape[-1] <= _MINORS:
        b, keep = _bordered(a)
        return np.sum(y_bar[..., None, None] * keep * cofactor(b), axis=(-4, -3))
    z = np.swapaxes(inv(a), -1, -2)
    return z * np.sum(y * y_bar, axis=(-2, -1))[..., None, None] - z @ np.swapaxes(y_bar, -1, -2) @ y


def _cofactor_rounding(run: Evaluation) -> Any:
    """Kernels form det(A) A^-T by elimination: as accurate as the inverse, blind near singular.

    At exactly singular matrices that way is closed; any backward stable one (a singular value decomposition) moves cofactors,
    minors of order n - 1, by at most sum_k s_(n-1-k) ||E||^k.
    """
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    a = xs[0]
    n = a.shape[-1]
    if n == 0:
        return None
    e = _backward_error(fmt, a, es[0], 3)  # n = 1 too: kernels divide and multiply there as well
    inverse = np.abs(dense_linalg.inverse_or_nan(a))
    g = inverse @ e
    size = np.abs(dense_linalg.det(a))[..., None, None]
    delta = _relative_det(g)[..., None, None]
    moved = size * np.swapaxes(amplified(g, g @ inverse), -1, -2) * (1 + delta) + np.abs(y) * delta
    singular: Any = np.isnan(inverse).any(axis=(-2, -1)) & np.isfinite(a).all(axis=(-2, -1))
    if singular.any():
        stable = 10 * n * fmt.u * np.sqrt(np.sum(a * a, axis=(-2, -1), keepdims=True)) / n + (
            0.0 if es[0] is None else es[0]
        )
        normwise = _normwise(_symmetric(a), np.broadcast_to(stable, a.shape), n - 1, 1)
        moved = np.where(singular[..., None, None], normwise[..., None, None], moved)
    return finite(moved + n * fmt.u * (np.abs(y) + moved) + n * fmt.eta)


cofactor: Op = register(
    "cofactor", dense_linalg.cofactor,
    jvp=_cofactor_jvp,
    vjp=_cofactor_vjp,
    rounding=_cofactor_rounding,
    domain=sampled(_pivots(1)),
    helper=True,
    complex_rules=HOLOMORPHIC, by_parts=complex_systems.of_matrices("cofactor_part", dense_linalg.cofactor, _cofactor_rounding),
)  # fmt: skip

# --- logarithm of the determinant ------------------------------------------------------------------------------------


def _inverse_where_finite(a: Array, y: Array) -> Array:
    """A^-1; NaN instead of an error where log|det A| is not finite."""
    fine = np.isfinite(y)[..., None, None]
    return np.where(fine, inv(np.where(fine, a, np.eye(a.shape[-1], dtype=a.dtype))), np.nan)


def _logabsdet_rounding(run: Evaluation) -> Any:
    """-log(1 - relative error of det), then n logarithms of pivots and their sum, pivots of A or of A^T."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    a = xs[0]
    n = a.shape[-1]
    if n == 0:
        return None
    delta = _relative_det(np.abs(dense_linalg.inverse_or_nan(a)) @ _backward_error(fmt, a, es[0], 1))
    logs = [
        np.sum(np.abs(np.log(np.abs(np.diagonal(dense_linalg.lu(m)[0], axis1=-2, axis2=-1)))), axis=-1)
        for m in (a, np.swapaxes(a, -1, -2))
    ]
    radius = -np.log1p(-np.minimum(delta, 1)) + (2 * fmt.ulp("log") + n - 1) * fmt.u * np.maximum(*logs)
    return finite(radius + fmt.store(y, radius))


logabsdet = register(
    "logabsdet", lambda a: dense_linalg.slogdet(a)[1],
    jvp=lambda a_dot, a, y: np.sum(np.swapaxes(_inverse_where_finite(a, y), -1, -2) * a_dot, axis=(-2, -1)),
    vjp=lambda y_bar, a, y: y_bar[..., None, None] * np.swapaxes(_inverse_where_finite(a, y), -1, -2),
    rounding=_logabsdet_rounding,
    torch=lambda torch, a: torch.linalg.slogdet(a)[1],
    domain=sampled(_pivots(0)),
    special=(Special((np.diag([1.0, 0.0]),), -np.inf, (None,), "log of 0"),),
    singular=POLE,
    in_graphs=InGraphs(SEVERAL, 6),
)  # fmt: skip

# --- inverse ---------------------------------------------------------------------------------------------------------


def _inv_rounding(run: Evaluation) -> Any:
    """|(A + E)^-1 - A^-1| <= (I - G)^-1 G |A^-1| with G = |A^-1||E|."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    a = xs[0]
    g = np.abs(y) @ _backward_error(fmt, a, es[0], 3)
    radius = amplified(g, g @ np.abs(y))
    return finite(radius + a.shape[-1] * fmt.eta)


# Y = A^-1: dY = -Y dA Y.
inv: Op = register(
    "inv", dense_linalg.inv,
    jvp=lambda a_dot, y: -(y @ a_dot @ y),
    vjp=lambda y_bar, y: -(np.swapaxes(y, -1, -2) @ y_bar @ np.swapaxes(y, -1, -2)),
    rounding=_inv_rounding,
    torch=lambda torch, a: torch.linalg.inv(a),
    numpy=(np.linalg.inv,),
    domain=sampled(_pivots(1)),
    singular=REFUSED,
    in_graphs=InGraphs(SEVERAL, 4),
    complex_rules=HOLOMORPHIC, by_parts=complex_systems.of_matrices("inv_part", dense_linalg.inv, _inv_rounding),
)  # fmt: skip

# --- linear systems --------------------------------------------------------------------------------------------------


def _solve_columns(a: Array, b: Array, b_shape: tuple[int, ...]) -> Array:
    """Solve for a stack shaped like the result: its vectors are one column each where b was exactly one vector."""
    return solve(a, b[..., None])[..., 0] if len(b_shape) == 1 else solve(a, b)


def _solve_jvp_a(a_dot: Array, a: Array, b_shape: tuple[int, ...], y: Array) -> Array:
    """A X = B: A dX = -dA X."""
    moved = np.matmul(a_dot, y[..., None])[..., 0] if len(b_shape) == 1 else np.matmul(a_dot, y)
    return -_solve_columns(a, moved, b_shape)


def _solve_vjp_a(y_bar: Array, a: Array, b_shape: tuple[int, ...], y: Array) -> Array:
    """A_bar = -(A^-T Y_bar) Y^T."""
    b_bar = _solve_columns(np.swapaxes(a, -1, -2), y_bar, b_shape)
    return (
        -(b_bar[..., :, None] * y[..., None, :])
        if len(b_shape) == 1
        else -np.matmul(b_bar, np.swapaxes(y, -1, -2))
    )


def _solve_rounding(run: Evaluation) -> Any:
    """|x_hat - x| <= (I - G)^-1 |A^-1| (|E||x| + e_b), G = |A^-1||E|: Higham, theorem 7.4 and 9.4."""
    fmt, y, xs, es = run.fmt, run.y, run.xs, run.es
    a, b = xs
    vector = np.ndim(b) == 1
    x = np.abs(y)[..., None] if vector else np.abs(y)
    inverse = np.abs(dense_linalg.inverse_or_nan(a))
    e = _backward_error(fmt, a, es[0], 3)
    side = np.zeros(np.shape(b)) if es[1] is None else np.broadcast_to(es[1], np.shape(b))
    side = side[:, None] if vector else side
    radius = amplified(inverse @ e, inverse @ (e @ x + side + a.shape[-1] * fmt.eta)) + a.shape[-1] * fmt.eta
    return finite(radius[..., 0] if vector else radius)


def _draw_system(rng: np.random.Generator) -> Any:
    n, k = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    left, right = [((), None), ((), ()), ((2,), (2,)), ((2,), None), ((3, 1), (2,)), ((), (2,))][
        int(rng.integers(6))
    ]
    q = np.linalg.qr(rng.standard_normal((*left, n, n)))[0] * rng.uniform(0.5, 2.0, (*left, 1, n))
    return (
        q + 0.05 * rng.standard_normal((*left, n, n)),
        rng.standard_normal((n,) if right is None else (*right, n, k)),
    ), {}


def _torch_solve(torch: Any, a: Any, b: Any) -> Any:
    """NumPy 2: b is a vector only if one-dimensional; torch guesses from the shapes, so stacks are made explicit."""
    if b.ndim == 1:
        return torch.linalg.solve(a, b.unsqueeze(-1)).squeeze(-1)
    return torch.linalg.solve(a, b.expand(*torch.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]))


solve: Op = register(
    "solve", dense_linalg.solve,
    jvp={"a": _solve_jvp_a, "b": lambda b_dot, a: solve(a, b_dot)},
    vjp={"a": _solve_vjp_a, "b": lambda y_bar, a, b_shape: _solve_columns(np.swapaxes(a, -1, -2), y_bar, b_shape)},
    rounding=_solve_rounding,
    torch=_torch_solve,
    numpy=(np.linalg.solve,),
    domain=sampled(_draw_system),
    broadcasts=True,
    singular=REFUSED,
    in_graphs=InGraphs(SEVERAL, 5),
    complex_rules=HOLOMORPHIC, by_parts=complex_systems.of_matrices("solve_part", dense_linalg.solve, _solve_rounding),
)  # fmt: skip
