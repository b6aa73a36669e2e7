"""Sweeps over a graph: the numbers of both modes, and what a subclass changes goes on from there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.sweep import Sweep
from refgrad.tracing.ball import exact, parts
from refgrad.transforms import jvp, vjp
from tests.within import assert_within

FMT = FORMATS["float32"]
X, Y = np.float64(np.float32([0.3, 1.2, -0.7])), np.float64(np.float32([1.5, 0.25, 2.0]))
X_DOT, Y_DOT, BAR = np.array([1.0, -0.5, 0.25]), np.array([0.5, 2.0, -1.0]), np.array([0.75, -1.25, 0.5])


def f(x: Any, y: Any) -> Any:
    return np.exp(np.sin(x) * y) + x


GRAPH = Graph.record(f, X, Y)
CASE = Case("graphs", GRAPH, {"x": X, "y": Y}, {"x": X_DOT, "y": Y_DOT}, BAR, "float32")
LAST = GRAPH.outputs[0]
SIN = next(k for k, node in enumerate(GRAPH.nodes) if str(node) == "sin")


def numbers(x: Any) -> np.ndarray[Any, Any]:
    return np.asarray(parts(x)[0], float)


def test_a_sweep_gives_the_balls_of_both_modes() -> None:
    sweep, (x, y) = Sweep(CASE, FMT), (exact(X, FMT), exact(Y, FMT))
    value, pullback = vjp(f, x, y)
    due = [value, jvp(f, (x, y), (exact(X_DOT, FMT), exact(Y_DOT, FMT)))[1], *pullback(exact(BAR, FMT))]
    given = [sweep.values[LAST], sweep.tangents[LAST], *(sweep.cotangents[k] for k in GRAPH.inputs.values())]
    for found, expected in zip(given, due, strict=True):
        assert np.array_equal(numbers(found), numbers(expected))
        assert np.all(parts(found)[1] > 0)


class Changed(Sweep):
    """Each hook of sin doubles what passes it."""

    def __init__(self, hook: str) -> None:
        self.hook = hook
        super().__init__(CASE, FMT)

    def _doubled(self, hook: str, k: int, x: Any) -> Any:
        return 2.0 * x if hook == self.hook and k == SIN else x

    def value(self, k: int, y: Any) -> Any:
        return self._doubled("value", k, y)

    def arriving(self, k: int, y_bar: Any) -> Any:
        return self._doubled("arriving", k, y_bar)

    def sent(self, k: int, _position: int, x_bar: Any, _y_bar: Any) -> Any:
        return self._doubled("sent", k, x_bar)

    def moved(self, k: int, y_dot: Any, _x_dots: list[Any]) -> Any:
        return self._doubled("moved", k, y_dot)


@pytest.mark.parametrize("hook", ["value", "arriving", "sent", "moved"])
def test_what_a_subclass_changes_goes_on_from_there(hook: str) -> None:
    """Only a changed value moves the point. Through sin the slope is cos(x) y exp(sin(x) y)."""
    sweep, of_value, of_slope = Changed(hook), 1.0 + (hook == "value"), 1.0 + (hook in ("arriving", "sent"))
    inner = of_value * np.sin(X)
    power = np.exp(inner * Y)
    assert_within(power + X, sweep.values[LAST])
    slope = power * Y * np.cos(X)
    assert_within(BAR * (of_slope * slope + 1), sweep.cotangents[GRAPH.inputs["x"]])
    assert_within(BAR * power * inner, sweep.cotangents[GRAPH.inputs["y"]])
    moved = (1.0 + (hook == "moved")) * slope * X_DOT + X_DOT + power * inner * Y_DOT
    assert_within(moved, sweep.tangents[LAST])
