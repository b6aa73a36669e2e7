"""Scaled Bessel functions in half formats and running log-sums as torch computes them.

In half formats the loop over single numbers adds up the series of i0e in the half format. Forward mode of logcumsumexp divides running sums
of exp(x - the largest x) by each other, and adds 1e-13 to the divisor; reverse mode takes logarithms of the cotangents, positive and
negative ones apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refgrad import special
from refgrad.ops.products import ghost
from refgrad.ops.running_logsumexp import by_logarithms, logcumsumexp
from refgrad.ops.stop_gradient import stop_gradient
from refgrad.testing.deviations.recorded_formula import TANGENT, Formula, Inputs, Outcomes
from refgrad.transforms import jvp, vjp

ADDED = 1e-13
OF_HALF = 7  # roundings: the largest error at all numbers of bfloat16 and float16 is 5.0 and 6.4


def _i0e(x: Any) -> Any:
    y = special.i0e(x)
    return y + ghost(y, roundings=OF_HALF)


def _i0e_in_half(inputs: Inputs) -> Outcomes:
    """i0e: its value, and its slope as the difference of i1e and sign(x) i0e."""
    x = inputs.xs[0]
    if inputs.second:
        return {}
    found: Outcomes = {"value": [_i0e(x)]}
    slope = special.i1e(x) - np.sign(x) * _i0e(x)
    if inputs.y_bar is not None:
        found[0] = [inputs.y_bar * slope]
    if inputs.xs_dot[0] is not None:
        found[TANGENT] = [inputs.xs_dot[0] * slope]
    return found


def _quotient(x_dot: Any, x: Any, axis: int, *, added: float, held: bool = True) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    top = stop_gradient(top) if held else top
    top = np.where(top == -np.inf, 0.0, top)  # no term: the sum is 0, and so is the tangent
    weights = np.exp(x - top)
    return np.cumsum(x_dot * weights, axis) / (np.cumsum(weights, axis) + added)


def _variant(added: float) -> Any:
    """The op with these rules, which call it again, so that second derivatives are theirs."""
    op: Any = replace(
        logcumsumexp,
        jvp=lambda x_dot, x, axis: _quotient(x_dot, x, axis, added=added),
        vjp=lambda y_bar, x, y, axis: by_logarithms(y_bar, x, y, axis, op),
        usual=(),
    )
    return op


def _by_running_sums(inputs: Inputs) -> Outcomes:
    """logcumsumexp: its tangent, the gradient with which the tangent does not agree, and second derivatives in which it stands."""
    [x], [x_dot], axis = inputs.xs, inputs.xs_dot, inputs.params["axis"]
    if x_dot is None:
        return {}
    added = 0.0 if inputs.fmt.u * inputs.fmt.least_normal > ADDED else ADDED  # the format may round it to 0
    if not inputs.second:
        return {TANGENT: [_quotient(x_dot, x, axis, added=added)], **_by_logarithms(inputs)}
    op = _variant(added)

    def running(z: Any) -> Any:
        return op(z, axis=axis)

    found: Outcomes = {0: [jvp(lambda z: vjp(running, z)[1](inputs.y_bar)[0], (x,), (x_dot,))[1]]}
    for held in (True, False):  # whether the largest element counts as a constant
        found[0].append(
            vjp(lambda z, held=held: _quotient(x_dot, z, axis, added=added, held=held), x)[1](inputs.y_bar)[0]
        )
    return found


def _by_logarithms(inputs: Inputs) -> Outcomes:
    """logcumsumexp: its gradient."""
    if inputs.second or inputs.y_bar is None:
        return {}
    [x], axis = inputs.xs, inputs.params["axis"]
    return {0: [by_logarithms(inputs.y_bar, x, logcumsumexp(x, axis=axis), axis)]}


RUNNING_FORMULAS: dict[str, Formula] = {
    "i0e in a half format": _i0e_in_half,
    "logcumsumexp by logarithms of cotangents": _by_logarithms,
    "logcumsumexp by running sums and 1e-13": _by_running_sums,
}
