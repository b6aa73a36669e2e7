"""Inputs that other ops have computed, as the activations of a network are. Every other question is about leaves, as its weights are.

A func may ask for ``x.is_leaf`` or for the type of a parameter, and has no ``.grad`` to add to. In a layer both kinds come together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.point import Point

_MOST = 4  # inputs that are computed alone, at most


def judge(answered: Answered) -> str:
    """Add disagreements of values and gradients. Returns why a question was not judged, the first one; "" where all were."""
    point, reasons = answered.point, []
    for computed in _choices(point):
        when = "with inputs that are no leaves"
        if computed != point.active:
            when = f"with no leaf as input {' and '.join(map(str, computed))}, and leaves as the others,"
        reasons.append(answered.again(_of_computed(point.func, computed), when))
    return next(filter(None, reasons), "")


def _choices(point: Point) -> Iterator[tuple[int, ...]]:
    """The inputs that are computed: all of them, all that are no parameters, and each of the first alone."""
    parameters = [k for k in point.active if isinstance(point.arguments[k], Parameter)]
    alone = [(k,) for k in point.active[:_MOST]]
    activations = tuple(k for k in point.active if k not in parameters)
    yield from (choice for choice in dict.fromkeys([point.active, activations, *alone]) if choice)


def _of_computed(func: Any, computed: Collection[int]) -> Any:
    """func with copies of these inputs, which torch records."""
    return lambda *xs: func(
        *[
            x.clone() if k in computed and isinstance(x, Tensor) and x.requires_grad else x
            for k, x in enumerate(xs)
        ]
    )
