"""The record of one specimen: a wrong torch callable, its right twin, the function in NumPy, and inputs that expose the difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch.autograd import Function

from refgrad.bounds.formats import computed_on

Array = Any
Tensor = torch.Tensor
Generator = torch.Generator
Inputs = Callable[[Generator], tuple[Any, ...]]
FOUR = tuple(computed_on("cpu"))
BOTH = ("float64", "float32")


class Kind(StrEnum):
    """What the mistake has to do with, and thereby what a check has to ask to see it."""

    MATHEMATICS = "mathematics"
    INPUT_LAYOUT = "layout of an input"
    COTANGENT_LAYOUT = "layout of a cotangent"
    SUBSET = "subset of the inputs"
    OUTPUT = "subset of the outputs"
    DRAW = "some cotangents only"
    ROUNDING = "a cotangent rounded"
    ACCUMULATION = "accumulation"
    BLIND = "one input below its bound"
    NOT_FINITE = "NaN or infinity"
    TIE = "tied elements"
    STATED = "a stated derivative"
    WRITING = "writing into an argument"
    TWICE = "another answer when asked again"
    LEAF = "leaf or no leaf"
    FORWARD = "forward mode"
    SECOND = "second order"


@dataclass(frozen=True)
class Specimen:
    """One mistake.

    right, wrong   torch callables of the same function; ``wrong`` has the mistake
    inputs         draws the inputs; floating-point ones that require a gradient are differentiated
    exposed        the dtypes in which ``wrong`` must be called wrong; elsewhere rounding may hide it
    dtypes         the dtypes in which ``right`` works
    status         what a check may answer to ``wrong``
    """

    name: str
    kind: Kind
    right: Callable[..., Any]
    wrong: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: Inputs
    exposed: tuple[str, ...] = BOTH
    dtypes: tuple[str, ...] = FOUR
    status: tuple[str, ...] = ("disagree",)

    def drawn(self, seed: int = 0) -> tuple[Any, ...]:
        """The inputs of one seed."""
        return self.inputs(torch.Generator().manual_seed(seed))


def function(
    forward: Callable[..., Any], backward: Callable[..., Any], jvp: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """``apply`` of a new torch.autograd.Function: ``forward(ctx, *inputs)``, ``backward(ctx, *cotangents)`` and, perhaps, ``jvp``."""
    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    if jvp is not None:
        methods["jvp"] = staticmethod(jvp)
    return type(backward.__name__, (Function,), methods).apply


def normal(*shapes: tuple[int, ...], scale: float = 1.0) -> Inputs:
    """Draws of standard normal numbers of float64, times a scale; they require a gradient."""
    return lambda g: tuple(
        (scale * torch.randn(s, generator=g, dtype=torch.float64)).requires_grad_() for s in shapes
    )


def uniform(low: float, high: float, *shapes: tuple[int, ...]) -> Inputs:
    """Draws of float64 numbers between low and high; they require a gradient."""
    return lambda g: tuple(
        (low + (high - low) * torch.rand(s, generator=g, dtype=torch.float64)).requires_grad_()
        for s in shapes
    )


def fixed(*values: Any) -> Inputs:
    """The same numbers in every draw; they require a gradient."""
    return lambda _: tuple(torch.tensor(v, requires_grad=True) for v in values)


def together(*draws: Inputs) -> Inputs:
    """Inputs of several draws, one after the other."""
    return lambda g: tuple(x for draw in draws for x in draw(g))


def whole(high: int, *shapes: tuple[int, ...]) -> Inputs:
    """Draws of integers from 0 to high - 1, which are not differentiated."""
    return lambda g: tuple(torch.randint(0, high, s, generator=g) for s in shapes)
