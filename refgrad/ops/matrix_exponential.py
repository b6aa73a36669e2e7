"""The exponential of a matrix.

Derivative: exp [[A, E], [0, A]] has the derivative of exp at A in direction E in its upper right block, and the adjoint of that is the
derivative at A^T (Higham, Functions of Matrices, sections 3.2 and 10.6). So every order follows from larger exponentials.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.op import Op, register
from refgrad.ops import samplers
from refgrad.ops.dense_linalg import lapack, square
from refgrad.ops.solving import finite

_TERMS = 18  # 2^-18/18! is below the rounding of long double
# The largest of the schemes with few products (Bader, Blanes and Casas, Mathematics 7, 2019).
_COEFFICIENT = 11.0
_MOST = 1100  # squarings: more than any matrix of float64 needs


def _squarings(a: PlainArray) -> PlainArray:
    """How often each matrix is halved until its 1-norm is at most 1/2."""
    norm = np.max(np.sum(np.abs(a), axis=-2), axis=-1, initial=0)
    return np.where(np.isfinite(norm), np.clip(np.frexp(norm)[1] + 1, 0, _MOST), 0)


def _expm(a: PlainArray) -> PlainArray:
    """Scaling, Taylor's polynomial by Horner's rule, and squaring (Moler and Van Loan, SIAM Review 45, 2003, method 3).

    The elementwise exponential of a 1x1 matrix. NaN for a larger one with an element that is not finite.
    """
    a = square("matrix_exp", a)
    if a.shape[-1] == 1:
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(a)
    dtype, a = a.dtype, lapack(a)
    times = _squarings(a)
    one = np.eye(a.shape[-1], dtype=a.dtype)
    with np.errstate(all="ignore"):
        x = np.ldexp(a, -times[..., None, None])
        y = np.broadcast_to(one, a.shape)
        for k in range(_TERMS, 0, -1):
            y = one + np.matmul(x, y) / a.dtype.type(k)
        for k in range(int(np.max(times, initial=0))):
            y = np.where((k < times)[..., None, None], np.matmul(y, y), y)
        known = np.all(np.isfinite(a), axis=(-2, -1), keepdims=True)
        return np.where(known, y, np.nan).astype(dtype, copy=False)


def _moved(a: PlainArray, e: Any, fmt: Any, times: PlainArray) -> Any:
    """How far rounding and a radius of A take a computation that halves ``times`` and squares as often.

    The polynomial errs by (TERMS (n + 1)) u exp|X| at most, by Horner's rule or another sum of its terms, and E moves it by
    exp(|X| + E) - exp |X|. Each of its operations, and the halving before them, may underflow: eta, which a product of matrices multiplies
    by a coefficient and by n elements of exp|X| at most. Squaring: |Y_hat^2 - Y^2| <= |Y| R + R |Y| + R^2, and n roundings of (|Y| + R)^2.
    """
    n = a.shape[-1]
    x = np.ldexp(a, -times[..., None, None])
    size = np.abs(x)
    largest = _expm(size)
    top = np.max(largest, axis=(-2, -1), keepdims=True, initial=0.0)
    radius = _TERMS * (n + 1) * (fmt.u * largest + _COEFFICIENT * n * fmt.eta * top)
    if e is not None:
        radius = radius + np.maximum(
            _expm(size + np.ldexp(np.broadcast_to(e, a.shape), -times[..., None, None])) - largest, 0
        ) * (1 + 4 * n * fmt.u)
    y = _expm(x)
    for k in range(int(np.max(times, initial=0))):
        top = np.abs(y) + radius
        step = (
            np.abs(y) @ radius + radius @ np.abs(y) + radius @ radius + n * fmt.u * (top @ top) + n * fmt.eta
        )
        on = (k < times)[..., None, None]
        radius, y = np.where(on, step, radius), np.where(on, np.matmul(y, y), y)
    return radius


def _rounding(run: Evaluation) -> Any:
    """The largest of what kernels make that scale to a 1-norm of at most 8, 4, 2, 1 or 1/2; those of LAPACK's kind stop at 5.4.

    Where all is exactly zero, the identity is exact. An element of several that overflows may be NaN as well: its sum has terms of both
    signs.
    """
    fmt, (a,), (e,) = run.fmt, run.xs, run.es
    if not a.size:
        return None
    times = _squarings(a)
    radius = _moved(a, e, fmt, times)
    for fewer in range(1, 5):
        radius = np.maximum(radius, _moved(a, e, fmt, np.maximum(times - fewer, 0)))
    if e is None:
        radius = np.where(np.any(a != 0, axis=(-2, -1), keepdims=True), radius, 0.0)
    known: Any = finite(radius)
    unknown = np.isinf(run.y) & np.isinf(known)
    if a.shape[-1] > 1 and np.any(unknown):
        return np.where(unknown, np.nan, run.y), known
    return known


def _block(a: Array, corner: Array) -> Array:
    """[[A, corner], [0, A]]."""
    return np.concatenate(
        [np.concatenate([a, corner], axis=-1), np.concatenate([np.zeros_like(corner), a], axis=-1)], axis=-2
    )


def _along(a: Array, direction: Array) -> Array:
    n = a.shape[-1]
    return matrix_exp(_block(a, direction))[..., :n, n:]


def _transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _draw(rng: np.random.Generator) -> Any:
    n = int(rng.integers(1, 4))
    batch = samplers.stack(rng)
    return (rng.standard_normal((*batch, n, n)) * [0.3, 1.0, 1.5][int(rng.integers(3))],), {}


matrix_exp: Op = register(
    "matrix_exp",
    _expm,
    jvp=lambda a_dot, a: _along(a, a_dot),
    vjp=lambda y_bar, a: _along(_transposed(a), y_bar),
    rounding=_rounding,
    torch=lambda torch, a: torch.linalg.matrix_exp(a),
    domain=sampled(_draw),
    special=(
        Special((np.zeros((2, 2)),), np.eye(2), ((np.ones((2, 2)), np.ones((2, 2))),), "the identity"),
        Special(([[0.0, 1.0], [0.0, 0.0]],), [[1.0, 1.0], [0.0, 1.0]], (None,), "nilpotent"),
    ),
)
