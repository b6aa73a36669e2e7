"""Second derivatives of a reference over Balls, for each order of nesting forward and reverse mode.

With y = f(x), cotangents y_bar and tangents x_dot, the derivatives of the pairing <y_bar, J x_dot> are the gradient in x (the second
gradient), J x_dot (the gradient in y_bar) and J^T y_bar (the gradient in x_dot). Each order of nesting gives some of them. A framework
may compute each of them in any order that gives it, so the bound is the largest of all orders. It is seldom much larger than that of a
single order (``alone``), which takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.tracing.ball import Ball, parts
from refgrad.tracing.reached import over_balls
from refgrad.transforms import jvp, vjp

Function = Callable[..., tuple[Any, ...]]


class Nested:
    """The first and second derivatives of ``f`` at ``xs`` along one set of seeds. Each is computed on first use.

    The properties have the largest bounds of all orders; ``alone`` has those of a single order.

    f             function of Balls; its result is a tuple of floating-point arrays
    xs            Balls, the inputs
    y_bars        Balls of the shapes of the outputs: cotangents
    x_dots        Balls of the shapes of the inputs: tangents
    y_bar_dots    Balls of the shapes of the outputs: tangents of the cotangents
    x_dots_again  Balls of the shapes of the inputs: the tangents of the outer level in forward over forward
    """

    def __init__(
        self,
        f: Function,
        fmt: Format,
        xs: Sequence[Ball],
        *,
        y_bars: Sequence[Ball],
        x_dots: Sequence[Ball],
        y_bar_dots: Sequence[Ball],
        x_dots_again: Sequence[Ball],
    ) -> None:
        self.f, self.fmt, self.xs = f, fmt, tuple(xs)
        self.y_bars, self.y_bar_dots = tuple(y_bars), tuple(y_bar_dots)
        self.x_dots, self.x_dots_again = tuple(x_dots), tuple(x_dots_again)

    def anew(self) -> Nested:
        """A copy without cached results."""
        return Nested(
            self.f,
            self.fmt,
            self.xs,
            y_bars=self.y_bars,
            x_dots=self.x_dots,
            y_bar_dots=self.y_bar_dots,
            x_dots_again=self.x_dots_again,
        )

    def alone(self, order: str) -> list[Ball]:
        """The derivatives that the order of this name gives, with the bounds of this order alone."""
        found: dict[str, Callable[[], Sequence[Any]]] = {
            "reverse over reverse": lambda: self._reverse_over_reverse,
            "reverse over forward": lambda: self._reverse_over_forward,
            "forward over reverse": lambda: self._forward_over_reverse,
            "forward over forward": lambda: self._forward_over_forward(self.x_dots, self.x_dots_again),
            "reverse": lambda: self._gradient(*self.xs),
            "forward": lambda: jvp(self.f, self.xs, self.x_dots)[1],
        }
        return widest([found[order]()], self.fmt)

    @cached_property
    def second_gradient(self) -> list[Ball]:
        """The gradient of <y_bar, J x_dot> in each input."""
        n = len(self.xs)
        return widest(
            [
                jvp(self._gradient, self.xs, self.x_dots)[1],
                self._reverse_over_reverse[:n],
                self._reverse_over_forward[:n],
            ],
            self.fmt,
        )

    @cached_property
    def tangent(self) -> list[Ball]:
        """J x_dot, the tangent of each output."""
        return widest(
            [jvp(self.f, self.xs, self.x_dots)[1], self._reverse_over_reverse[len(self.xs) :]], self.fmt
        )

    @cached_property
    def gradient(self) -> list[Ball]:
        """J^T y_bar, the gradient of each input."""
        return widest([self._gradient(*self.xs), self._reverse_over_forward[len(self.xs) :]], self.fmt)

    @cached_property
    def tangent_of_gradient(self) -> list[Ball]:
        """The tangent of J^T y_bar where the inputs move along x_dot and the cotangents along y_bar_dot."""
        moved = _pulled_back(self.f, self.xs, self.y_bar_dots)
        apart = tuple(a + b for a, b in zip(self.second_gradient, moved, strict=True))
        return widest([self._forward_over_reverse, apart], self.fmt)

    @cached_property
    def second_tangent(self) -> list[Ball]:
        """The second derivative of each output along both sets of tangents."""
        one, other = self.x_dots, self.x_dots_again
        return widest(
            [self._forward_over_forward(one, other), self._forward_over_forward(other, one)], self.fmt
        )

    def _forward_over_forward(self, inner: tuple[Ball, ...], outer: tuple[Ball, ...]) -> Any:
        return jvp(lambda *xs: jvp(self.f, xs, inner)[1], self.xs, outer)[1]

    def _gradient(self, *xs: Any) -> Any:
        return _pulled_back(self.f, xs, self.y_bars)

    def _gradient_of_both(self, *given: Any) -> Any:
        n = len(self.xs)
        return _pulled_back(self.f, given[:n], given[n:])

    def _tangent_of_both(self, *given: Any) -> Any:
        n = len(self.xs)
        return jvp(self.f, given[:n], given[n:])[1]

    @cached_property
    def _reverse_over_reverse(self) -> tuple[Any, ...]:
        return _pulled_back(self._gradient_of_both, (*self.xs, *self.y_bars), self.x_dots)

    @cached_property
    def _forward_over_reverse(self) -> tuple[Any, ...]:
        along = (*self.x_dots, *self.y_bar_dots)
        found: tuple[Any, ...] = jvp(self._gradient_of_both, (*self.xs, *self.y_bars), along)[1]
        return found

    @cached_property
    def _reverse_over_forward(self) -> tuple[Any, ...]:
        return _pulled_back(self._tangent_of_both, (*self.xs, *self.x_dots), self.y_bars)


def _pulled_back(f: Callable[..., Any], xs: Sequence[Any], y_bars: Sequence[Any]) -> Any:
    """The cotangents of xs, in which what f does not select has no part."""
    with over_balls():
        return vjp(f, *xs)[1](tuple(y_bars))


def widest(answers: Sequence[Sequence[Any]], fmt: Format) -> list[Ball]:
    """For each array, elementwise, the first value that is not NaN with the largest radius of all answers."""
    found = []
    for same in zip(*answers, strict=True):
        value, radius = parts(same[0])
        for other, reach in map(parts, same[1:]):
            value, radius = np.where(np.isnan(value), other, value), np.fmax(radius, reach)
        found.append(Ball(value, radius, fmt))
    return found


def stacked(balls: Sequence[Ball], fmt: Format) -> Ball:
    """Balls of one shape, stacked along a new first axis."""
    values, radii = zip(*map(parts, balls), strict=True)
    return Ball(np.stack(values), np.stack(radii), fmt)
