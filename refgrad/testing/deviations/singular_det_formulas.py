"""Derivatives of det at singular matrices, and where singular values meet, as torch computes them beside the plain gradient of zeros.

torch.func takes the gradient from a singular value decomposition A = U S V^H: det(U) det(V^H) times U, the products of all other singular
values, and V^H. That is the matrix of cofactors, with the rounding of the decomposition. Its derivative divides by the gaps between the
squares of singular values. Forward mode multiplies the value 0 by the trace of the quotient of tangent and matrix, in whose factors a
pivot of 0 is replaced by the distance of 1 to the next number. Reverse mode through it differentiates the value alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.ops import dense_linalg
from refgrad.quiet import quiet
from refgrad.testing.deviations.recorded_formula import (
    OTHER_MODES,
    PAIRING,
    Formula,
    Inputs,
    Outcomes,
    second_derivative,
)
from refgrad.tracing.ball import Ball, parts
from refgrad.transforms import vjp


def _gradient(y_bar: Any, x: Any) -> tuple[Any, ...]:
    return vjp(np.linalg.det, x)[1](y_bar)


class _Spectrum:
    """The singular values of each matrix and what their rounding does.

    The computed values and vectors are those of a matrix within n^2 u of the norm (Higham, ch. 9; Golub and Van Loan, 5.4.8), ``moved``.

    largest   the product of the n - 1 largest values, each larger by ``moved``
    noise     normwise, how far the matrix of cofactors moves with them: its singular values are the products of n - 1 of the values
    gap       the least difference of neighbours by the largest value; 0 where they may be equal
    """

    def __init__(self, inputs: Inputs) -> None:
        x = np.asarray(parts(inputs.xs[0])[0], float)
        n = x.shape[-1]
        finite = np.isfinite(x).all(axis=(-2, -1))
        self.values = np.linalg.svd(np.where(finite[..., None, None], x, 0.0), compute_uv=False)
        self.moved = n**2 * inputs.fmt.u * self.values[..., :1]
        kept = self.values[..., :-1]
        self.largest = np.prod(kept + self.moved, axis=-1)
        self.noise = n * (self.largest - np.prod(kept, axis=-1)) + n * inputs.fmt.eta
        gaps = kept - self.values[..., 1:]
        with quiet():
            apart = np.where(gaps > self.moved, gaps / self.values[..., :1], 0.0)
        self.gap = np.min(apart, axis=-1, initial=1.0)


def _size(x: Any, axes: tuple[int, ...] = ()) -> PlainArray:
    value = np.abs(np.asarray(parts(x)[0], float))
    return np.asarray(np.linalg.norm(value, axis=axes) if axes else value)


def _widened(ball: Any, more: PlainArray, inputs: Inputs) -> Ball:
    value, radius = parts(ball)
    return Ball(value, radius + more[..., None, None], inputs.fmt)


def _by_singular_values(inputs: Inputs) -> Outcomes:
    """The gradient as the matrix of cofactors, and its derivative, with the rounding of singular values.

    Of the derivative, the terms are of the size of the gradient's largest, times the tangent, by the gaps. They have n^2 roundings of the
    decomposition, by the gaps once more. Where two values may be equal it is not known.
    """
    if inputs.y_bar is None:
        return {}
    of, given, n = _Spectrum(inputs), _size(inputs.y_bar), inputs.xs[0].shape[-1]
    if not inputs.second:
        [x_bar] = _gradient(inputs.y_bar, inputs.xs[0])
        cofactors = _widened(x_bar, of.noise * given, inputs)
        return {0: [cofactors], OTHER_MODES: [cofactors], PAIRING: _pairings(x_bar, of, inputs)}
    with quiet():
        steep = of.largest * given * _size(inputs.xs_dot[0], (-2, -1)) / (of.values[..., 0] * of.gap)
        noise = 2 * n**3 * inputs.fmt.u * steep / of.gap
    noise = np.where(np.isfinite(noise) & (of.gap > 0), noise, 0.0 if n == 1 else np.inf)
    return {0: [_widened(x_bar, noise, inputs) for x_bar in second_derivative(_gradient, inputs)[0]]}


def _pairings(x_bar: Any, of: _Spectrum, inputs: Inputs) -> list[Any]:
    """What forward mode is, times the cotangents: the derivative at regular matrices, and at singular ones 0 or the derivative."""
    x_dot = inputs.xs_dot[0]
    if x_dot is None:
        return []
    value, radius = parts(x_bar)
    direction = np.asarray(parts(x_dot)[0], float)
    each = np.sum(value * direction, axis=(-2, -1))
    singular = of.values[..., -1] <= of.moved[..., 0]
    with quiet():
        condition = np.where(singular, 1.0, of.values[..., 0] / of.values[..., -1])
    noise = of.noise * condition * _size(inputs.y_bar) * _size(x_dot, (-2, -1))
    reach = np.sum(noise + np.sum(radius * np.abs(direction), axis=(-2, -1)))
    return [Ball(np.sum(np.where(singular & lost, 0.0, each)), reach, inputs.fmt) for lost in (True, False)]


def _by_replaced_pivots(inputs: Inputs) -> Outcomes:
    """Reverse over forward mode: cofactors times the trace of the tangent by the matrix whose last pivot, 0, is replaced.

    The trace has the reciprocal of the distance of 1 to the next number, 2 u, and the noise of the cofactors is multiplied by it. Where
    elimination rounds, or leaves more than one pivot 0, the last pivot is rounding alone, and so is the trace.
    """
    [x], [x_dot] = inputs.xs, inputs.xs_dot
    if not inputs.second or inputs.y_bar is None or x_dot is None:
        return {}
    a, n = np.asarray(parts(x)[0], float), x.shape[-1]
    value, radius = parts(_gradient(inputs.y_bar, x)[0])
    lost = radius + (_Spectrum(inputs).noise * _size(inputs.y_bar))[..., None, None]
    found, along = [], np.asarray(parts(x_dot)[0], float)
    # A kernel that stores matrices by columns factors the transpose of one that is stored by rows.
    for m, e in ((a, along), (np.swapaxes(a, -1, -2), np.swapaxes(along, -1, -2))):
        trace, reach, known = [t[..., None, None] for t in _trace_by_replaced_pivots(m, e, inputs.fmt.u)]
        with quiet():
            bound = np.abs(value) * reach + lost * (np.abs(trace) + reach) + n * inputs.fmt.eta
            found.append(Ball(value * trace, np.where(known, bound, np.inf), inputs.fmt))
    return {0: found}


def _trace_by_replaced_pivots(
    a: PlainArray, e: PlainArray, u: float
) -> tuple[PlainArray, PlainArray, PlainArray]:
    """That trace, its bound, and whether the last pivot alone is 0, without any rounding."""
    n = a.shape[-1]
    factors, rows, _, _ = dense_linalg.lu(a)
    low, upper = np.tril(factors, -1) + np.eye(n), np.triu(factors)
    pivots = np.diagonal(upper, axis1=-2, axis2=-1)
    wide = [m.astype(np.longdouble) for m in (low, upper)]
    permuted = np.take_along_axis(a, rows[..., None], -2)
    exact = np.all(np.matmul(*wide) == permuted, axis=(-2, -1))
    known = exact & (pivots[..., -1] == 0) & np.all(pivots[..., :-1] != 0, axis=-1)
    last = np.zeros((n, n))
    last[-1, -1] = 2 * u
    safe = np.where(known[..., None, None], upper + last, np.eye(n))
    along = np.take_along_axis(e, rows[..., None], -2)
    with quiet():
        quotient = np.linalg.solve(
            safe, np.linalg.solve(np.where(known[..., None, None], low, np.eye(n)), along)
        )
        size = np.abs(np.linalg.inv(safe)) @ np.abs(np.linalg.inv(low)) @ np.abs(along)
    trace, total = (np.trace(m, axis1=-2, axis2=-1) for m in (quotient, size))
    return trace, 4 * n**2 * u * total, known


SINGULAR_DET_FORMULAS: dict[str, Formula] = {
    "det by singular values": _by_singular_values,
    "det by a replaced pivot": _by_replaced_pivots,
}

__all__ = ["SINGULAR_DET_FORMULAS"]
