"""The Moore-Penrose inverse.

Derivative: Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate"
(1973). It holds where the rank is constant. A matrix of lower rank has neighbours of higher rank whose inverses are arbitrarily large:
there it is the derivative along the matrices of that rank, and that of the composition with singular values cut off.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.op import Op, register
from refgrad.op.traits import REGULAR
from refgrad.ops import dense_spectra
from refgrad.ops.dense_factors import matrices, transposed
from refgrad.ops.eigenvalues import STEPS, backward_error
from refgrad.ops.singular_values import drawn
from refgrad.ops.solving import finite


def _pinv(a: PlainArray, rcond: float = 1e-15) -> PlainArray:
    """V S^+ U^T, where singular values up to rcond times the largest count as zero."""
    a = matrices("pinv", a)
    u, s, v = dense_spectra.svd(a)
    k = s.shape[-1]
    kept = s > rcond * np.max(s, axis=-1, keepdims=True, initial=0)
    inverse = np.where(kept, 1 / np.where(kept, s, 1), 0).astype(s.dtype)
    y = np.matmul(v[..., :k] * inverse[..., None, :], transposed(u[..., :k]))
    return np.asarray(y.astype(a.dtype, copy=False))


def _transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _outside(a: Array, y: Array) -> tuple[Array, Array]:
    """I - A Y and I - Y A, the projections on what A does not reach."""
    m, n = a.shape[-2:]
    return np.eye(m, dtype=a.dtype) - np.matmul(a, y), np.eye(n, dtype=a.dtype) - np.matmul(y, a)


def _jvp(a_dot: Array, a: Array, y: Array) -> Array:
    """dY = -Y dA Y + Y Y^T dA^T (I - A Y) + (I - Y A) dA^T Y^T Y."""
    left, right = _outside(a, y)
    t = _transposed(a_dot)
    moved = -np.matmul(y, np.matmul(a_dot, y))
    moved = moved + np.matmul(y, np.matmul(np.matmul(_transposed(y), t), left))
    return moved + np.matmul(np.matmul(right, np.matmul(t, _transposed(y))), y)


def _vjp(y_bar: Array, a: Array, y: Array) -> Array:
    """A_bar = -Y^T Y_bar Y^T + (I - A Y) Y_bar^T Y Y^T + Y^T Y Y_bar^T (I - Y A); both projections are symmetric."""
    left, right = _outside(a, y)
    t, g = _transposed(y), _transposed(y_bar)
    moved = -np.matmul(t, np.matmul(y_bar, t))
    moved = moved + np.matmul(np.matmul(left, np.matmul(g, y)), t)
    return moved + np.matmul(t, np.matmul(np.matmul(y, g), right))


def _rounding(run: Evaluation) -> Any:
    """(1 + sqrt 5)/2 |A^+| |B^+| |F| for the matrix B = A + F of the same rank that is inverted (Wedin, BIT 13, 1973).

    B is A + E with the singular values cut off that count as zero, so that |F| <= 2 |E| where there are any. Infinite where E may move a
    singular value across the limit. The factors are orthonormal to STEPS n roundings, and are multiplied.
    """
    fmt, y, (a,), (e,) = run.fmt, run.y, run.xs, run.es
    if not y.size:
        return None
    n = max(a.shape[-2:])
    s = dense_spectra.svd(a)[1]
    top = s[..., :1]
    error = backward_error(fmt, s[..., 0], n, None if e is None else np.broadcast_to(e, a.shape))[..., None]
    limit = run.params["rcond"] * top
    kept = s > limit
    slack = error * (1 + run.params["rcond"])
    sure = np.all(np.where(kept, s - slack > limit, s + slack < limit), axis=-1)
    least = np.min(np.where(kept, s, np.inf), axis=-1)
    error = np.where(np.all(kept, axis=-1), 1.0, 2.0) * error[..., 0]
    room = least - error
    inverse = 1 / np.where(room > 0, room, 1)
    radius = (
        (1 + np.sqrt(5)) / 2 * error / least + (2 * STEPS * n + s.shape[-1] + 2) * fmt.u
    ) * inverse + fmt.eta
    return finite(np.broadcast_to(np.where(sure & (room > 0), radius, np.inf)[..., None, None], y.shape))


def _draw(rng: np.random.Generator) -> Any:
    return (drawn(rng),), {"rcond": 1e-6} if rng.integers(4) == 0 else {}


pinv: Op = register(
    "pinv",
    _pinv,
    jvp=_jvp,
    vjp=_vjp,
    rounding=_rounding,
    torch=lambda torch, a, rcond=1e-15: torch.linalg.pinv(a, rtol=rcond),
    domain=sampled(_draw),
    singular=REGULAR,
)
