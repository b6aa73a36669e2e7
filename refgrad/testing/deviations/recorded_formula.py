"""Formulas of recorded disagreements: what one is given, what it gives, and whether a wrong number is its result.

A formula gives the value and its tangent (by these names) or the gradients of operands (by their position). Where modes disagree it may
say what the other modes have in the place of plain reverse mode: the gradient of its only operand, and the pairing of forward mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.graph import Graph, Node
from refgrad.op import Op, Params
from refgrad.tracing.ball import exact, parts
from refgrad.transforms import jvp, vjp

VALUE, TANGENT, OTHER_MODES, PAIRING = "value", "tangent", "other modes", "pairing"
Outcomes = dict[int | str, list[Any]]  # the framework computes one of these Balls


@dataclass(frozen=True)
class Inputs:
    """The inputs of a formula at one node: operands, parameters, cotangent and tangents. They are Balls, None where there is none."""

    second: bool  # whether a second derivative is computed
    xs: tuple[Any, ...]
    params: Params
    y_bar: Any
    xs_dot: tuple[Any, ...]
    fmt: Format

    @property
    def dots(self) -> tuple[Any, ...]:
        """The tangents, with zeros for a real operand that has none: it is a constant."""
        return tuple(
            exact(np.zeros(np.shape(x)), self.fmt) if x_dot is None and _is_real(x) else x_dot
            for x, x_dot in zip(self.xs, self.xs_dot, strict=True)
        )


Formula = Callable[[Inputs], Outcomes]


def moving(
    graph: Graph, node: Node, xs: Sequence[Any], xs_dot: Sequence[Any], fmt: Format
) -> tuple[Any, ...]:
    """The tangents of an op's operands: zeros for one that has none beside one that has, such as the sign of an input.

    A constant of the program keeps None. So do the operands of a function, which may compute in another way without a tangent.
    """
    if not isinstance(node.op, Op) or all(x_dot is None for x_dot in xs_dot):
        return tuple(xs_dot)
    return tuple(
        exact(np.zeros(np.shape(x)), fmt)
        if x_dot is None and _varies(graph.nodes[j]) and _is_real(x)
        else x_dot
        for j, x, x_dot in zip(node.of, xs, xs_dot, strict=True)
    )


def _varies(node: Node) -> bool:
    return node.op is not None or bool(node.name)


def _is_real(x: Any) -> bool:
    return x is not None and np.dtype(getattr(x, "dtype", type(x))).kind == "f"


def composed(f: Callable[..., Any]) -> Formula:
    """The framework differentiates this composition of other ops in place of the op."""

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second:
            return second_derivative(lambda y_bar, *xs: vjp(f, *xs)[1](y_bar), inputs)
        found: Outcomes = {VALUE: [f(*inputs.xs)]}
        if inputs.y_bar is not None:
            found |= {k: [x_bar] for k, x_bar in enumerate(vjp(f, *inputs.xs)[1](inputs.y_bar))}
        if all(t is not None for t in inputs.xs_dot):
            found[TANGENT] = [jvp(f, inputs.xs, inputs.xs_dot)[1]]
        return found

    return evaluate


def second_derivative(gradient: Callable[..., tuple[Any, ...]], inputs: Inputs) -> Outcomes:
    """The derivative of a gradient along the tangents, forward over reverse and reverse over reverse."""

    def of(*xs: Any) -> tuple[Any, ...]:
        return gradient(inputs.y_bar, *xs)

    forward, reverse = jvp(of, inputs.xs, inputs.dots)[1], vjp(of, *inputs.xs)[1](inputs.dots)
    return {k: list(pair) for k, pair in enumerate(zip(forward, reverse, strict=True))}


def slope(g: Callable[[Any], Any]) -> Formula:
    """The framework multiplies by this slope of a unary op."""

    def evaluate(inputs: Inputs) -> Outcomes:
        if inputs.second:
            return second_derivative(lambda y_bar, x: (y_bar * g(x),), inputs)
        found: Outcomes = {}
        if inputs.y_bar is not None:
            found[0] = [inputs.y_bar * g(inputs.xs[0])]
        if inputs.xs_dot[0] is not None:
            found[TANGENT] = [inputs.xs_dot[0] * g(inputs.xs[0])]
        return found

    return evaluate


def within(got: float, ball: Any, element: tuple[int, ...], slack: float) -> bool:
    """Whether a wrong number is the result of a formula: within its bound, or any number where the formula has no bound."""
    value, radius = parts(ball)  # not rounded to float64, which may move the value by its own radius
    if len(element) != value.ndim or any(i >= n for i, n in zip(element, value.shape, strict=True)):
        return False
    v, r = value[element], radius[element] * slack
    if np.isnan(v) or not np.isfinite(r):
        return True
    return bool(got == v or abs(got - v) <= r)
