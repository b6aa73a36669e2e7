"""Formulas of recorded disagreements that use the factors of matrices: det, logabsdet and solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.ops import dense_linalg
from refgrad.quiet import quiet
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Formula,
    Inputs,
    Outcomes,
    composed,
    second_derivative,
)
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import jvp, vjp


def _det_by_logarithm(x: Any) -> Any:
    """The exponential of the logarithm of |det|, with the sign."""
    y = np.linalg.det(x)
    return np.sign(y) * np.exp(np.log(np.abs(y)))


def _det_by_pivots(inputs: Inputs) -> Outcomes:
    """det: its sign times the exponential of the sum of the logarithms of the pivots."""
    [a] = inputs.xs
    sign = np.sign(np.linalg.det(np.asarray(parts(a)[0], float)))
    return {VALUE: [sign * np.exp(np.linalg.slogdet(a)[1])]}


def _det_slope_by_pivots(inputs: Inputs) -> Outcomes:
    """det: the gradient as the value by the logarithms of the pivots, times the transposed inverse."""
    [a] = inputs.xs
    if inputs.y_bar is None:
        return {}
    [y] = _det_by_pivots(inputs)[VALUE]
    inverse = np.swapaxes(np.linalg.inv(a), -2, -1)
    return {0: [(inputs.y_bar * y)[..., None, None] * inverse]}


def _fixed_factors(
    tangent: Callable[..., Any], reach: Callable[[Inputs], PlainArray] | None = None
) -> Formula:
    """Reverse over forward mode in which the factors of the matrix are constants.

    ``tangent(fixed, xs, xs_dot)``: the tangent of the value, from the constant matrix ``fixed`` and the variable operands ``xs``.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        fixed = inputs.xs[0]
        x_bars = vjp(lambda *xs: tangent(fixed, xs, inputs.dots), *inputs.xs)[1](inputs.y_bar)
        if reach is not None:
            value, radius = parts(x_bars[0])
            x_bars = (Ball(value, radius + reach(inputs)[..., None, None], inputs.fmt), *x_bars[1:])
        return {k: [x_bar] for k, x_bar in enumerate(x_bars)}

    return evaluate


def _solve_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    a, b = xs
    lone = len(np.shape(parts(xs_dot[1])[0])) == 1  # a vector; all else is matrices
    solution = np.linalg.solve(a, b)
    columns = solution[..., None] if lone else solution
    change = (xs_dot[1][..., None] if lone else xs_dot[1]) - np.matmul(xs_dot[0], columns)
    found = np.linalg.solve(fixed, change)
    return found[..., 0] if lone else found


def _relative_change(fixed: Any, x_dot: Any) -> Any:
    """The tangent of the determinant by the determinant: the trace of the quotient; undefined where the matrix is singular."""
    y, y_dot = jvp(np.linalg.det, (fixed,), (x_dot,))
    return y_dot / y


def _det_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    return np.linalg.det(xs[0]) * _relative_change(fixed, xs_dot[0])


def _logabsdet_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    return 0 * np.sum(xs[0], axis=(-2, -1)) + _relative_change(fixed, xs_dot[0])


@dataclass(frozen=True)
class _Elimination:
    """Norms of the matrices of a det, and a normwise bound of the rounding of det times the inverse.

    The computed factors, or singular values, are those of a matrix within n^2 u, growth of the pivots included (Higham, ch. 9 and 14),
    and n of them are multiplied. Elements that are zero by the structure of a matrix are computed as rounding noise. The vectors of two
    singular values, and the derivatives that use them, lose digits as the values approach each other (``gap``, relative). Singular
    matrices are replaced by identities here.
    """

    regular: Any
    singular: PlainArray
    inverse: PlainArray
    noise: PlainArray
    gap: PlainArray

    @classmethod
    def of(cls, inputs: Inputs) -> _Elimination:
        x = inputs.xs[0]
        n = x.shape[-1]
        singular: Any = np.isnan(dense_linalg.inverse_or_nan(x.value)).any(axis=(-2, -1))
        regular = exact(np.where(singular[..., None, None], np.eye(n), x.value), inputs.fmt)
        size = np.linalg.svd(np.asarray(regular.value, float), compute_uv=False)
        inverse, condition = 1 / size[..., -1], size[..., 0] / size[..., -1]
        noise = n**3 * inputs.fmt.u * condition * np.prod(size, axis=-1) * inverse
        gap = np.min((size[..., :-1] - size[..., 1:]) / size[..., :1], axis=-1, initial=1.0)
        return cls(regular, singular, inverse, noise, gap)

    def second(self, inputs: Inputs) -> PlainArray:
        """The bound for the derivative along the tangent."""
        change = np.linalg.norm(np.asarray(inputs.xs_dot[0].value, float), axis=(-2, -1))
        with quiet():  # an infinite bound where there is no gap
            noise = self.noise / self.gap
        return (
            2
            * noise
            * self.inverse
            * np.abs(np.asarray(inputs.y_bar.value, float))
            * change
            * inputs.xs[0].shape[-1]
        )


def _det_by_inverse(inputs: Inputs) -> Outcomes:
    """The gradient of det as det times the inverse; undefined where a matrix has no inverse."""
    of, y_bar, x_dot = _Elimination.of(inputs), inputs.y_bar, inputs.xs_dot[0]
    stack = (*of.singular.shape, 1, 1)

    def gradient(y_bar: Any, x: Any) -> tuple[Any, ...]:
        return (np.reshape(y_bar * np.linalg.det(x), stack) * np.swapaxes(np.linalg.inv(x), -2, -1),)

    def judged(ball: Any, radius: PlainArray, lost: PlainArray) -> Any:
        value, own = parts(ball)
        return Ball(np.where(lost, np.nan, value), own + radius, inputs.fmt)

    lost = of.singular.reshape(stack)
    if inputs.second:
        both = second_derivative(gradient, replace(inputs, xs=(of.regular,)))[0]
        return {0: [judged(ball, of.second(inputs).reshape(stack), lost) for ball in both]}
    found: Outcomes = {}
    if y_bar is not None:
        reach = of.noise * np.abs(np.asarray(y_bar.value, float))
        found[0] = [judged(gradient(y_bar, of.regular)[0], reach.reshape(stack), lost)]
    if x_dot is not None:
        tangent = np.sum(gradient(1.0, of.regular)[0] * x_dot, axis=(-2, -1))
        reach = x_dot.shape[-1] * of.noise * np.linalg.norm(np.asarray(x_dot.value, float), axis=(-2, -1))
        found[TANGENT] = [judged(tangent, reach, of.singular)]
    return found


FACTOR_FORMULAS: dict[str, Formula] = {
    "det by the logarithms of its pivots": _det_by_pivots,
    "det by its pivots times the inverse": _det_slope_by_pivots,
    "det by its logarithm": composed(_det_by_logarithm),
    "det by inverse": _det_by_inverse,
    "solve with factors held": _fixed_factors(_solve_tangent),
    "det with factors held": _fixed_factors(
        _det_tangent, lambda inputs: replace(_Elimination.of(inputs), gap=np.asarray(1.0)).second(inputs)
    ),
    "logabsdet with factors held": _fixed_factors(_logabsdet_tangent),
}
