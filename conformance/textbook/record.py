"""The record of one item of the lectures: its mathematics, the program in NumPy, the gradient written out, the program in torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from refgrad.bounds.formats import format_of
from refgrad.encode import encode_array
from refgrad.graph import Graph
from refgrad.tracing.ball import exact

from .outcome import Outcome

# What a program of NumPy works on: a number, an array, a traced array or a Ball. Their common operators have no type in NumPy's stubs.
Array: TypeAlias = Any
Formula = Callable[..., Any]
BOTH = ("float64", "float32")
MOST_DRAWN, MOST_WRITTEN = 30, 200  # nodes of a graph, and numbers in it


@dataclass(frozen=True, slots=True)
class Problem:
    """One gradient, four times.

    f         the program: ordinary NumPy code of ``args``, with one array as result
    args      numbers and arrays; they are rounded to the format that is judged
    closed    the gradient written out by hand: ``closed(*args)``, one array for each differentiated argument (a tuple of them
              where there are several), of shape f.shape + argument.shape. With an upstream gradient ``closed(y_bar, *args)`` is its
              product with the Jacobian, of the argument's shape
    torch     the program on tensors. It returns its result, or (result, tensors to differentiate by) where these are no leaves
    wrt       which arguments are differentiated; None: all floating-point ones
    upstream  the gradient that arrives from above, of the result's shape
    also      more ways to the same gradient, by name, with the signature of ``closed``
    shifts    how many of the last arguments shift an intermediate value by nothing (see ``shifted``); drawings go without them
    """

    f: Formula
    args: tuple[Any, ...]
    closed: Formula
    torch: Formula
    wrt: tuple[int, ...] | None = None
    upstream: Any = None
    also: Mapping[str, Formula] = field(default_factory=lambda: MappingProxyType({}))
    shifts: int = 0

    def arrays(self, dtype: str) -> tuple[Array, ...]:
        """The arguments in a format; integer ones stay."""
        return tuple(in_format(x, dtype) for x in self.args)

    def differentiated(self) -> tuple[int, ...]:
        """The positions of the differentiated arguments."""
        floating = tuple(k for k, x in enumerate(self.args) if not _integers(x))
        return floating if self.wrt is None else self.wrt


@dataclass(frozen=True, slots=True)
class Item:
    """One formula, exercise or example.

    id        the deck, D0 to D4, and a short name
    title     what a student would call it
    text      the mathematics as plain text
    problems  what is differentiated
    more      what else has to hold: printed numbers, runs, costs. It adds to the outcome
    dtypes    formats in which it is judged
    """

    id: str
    title: str
    text: str
    problems: tuple[Problem, ...]
    more: Callable[[Outcome], None] | None = None
    dtypes: tuple[str, ...] = BOTH

    @property
    def deck(self) -> str:
        """The deck it comes from."""
        return self.id.partition("-")[0]

    def graph(self) -> Graph:
        """The computational graph of its first problem in float64, run forward and backward: values and gradients at every node.

        Without an upstream gradient, the first element of the result is differentiated.
        """
        problem = self.problems[0]
        args = problem.arrays("float64")[: len(problem.args) - problem.shifts]
        graph = Graph.record(problem.f, *args)
        y = np.asarray(graph.forward(*args))
        if problem.upstream is None:
            y_bar = np.zeros(y.shape)
            y_bar[(0,) * y.ndim] = 1.0
        else:
            y_bar = np.asarray(problem.upstream, float)
        graph.backward(y_bar)
        return graph


def figure(graph: Graph) -> dict[str, Any]:
    """A graph with its inputs and the gradient that arrives from above, as a report reads it; empty where it is too large to draw."""
    assert graph.values is not None
    assert graph.cotangents is not None
    if len(graph.nodes) > MOST_DRAWN or sum(np.size(x) for x in graph.values) > MOST_WRITTEN:
        return {}
    return {
        "graph": graph.to_dict(), "inputs": {name: encode_array(np.asarray(graph.values[k])) for name, k in graph.inputs.items()},
        "cotangent": encode_array(np.asarray(graph.cotangents[graph.outputs[0]])),
    }  # fmt: skip


def in_format(x: Any, dtype: str) -> Array:
    """A number or array rounded to float64 or float32; integers given as an array of integers stay."""
    return x if _integers(x) else np.asarray(x, dtype)


def lifted(arrays: tuple[Array, ...], dtype: str, device: str = "cpu") -> tuple[Any, ...]:
    """Arrays as exact numbers of a format: what is computed from them carries how far rounding may take it there."""
    fmt = format_of(dtype, device)
    return tuple(exact(x, fmt) if np.asarray(x).dtype.kind == "f" else x for x in arrays)


def _integers(x: Any) -> bool:
    """An array of labels is no argument to differentiate; a lone Python number is."""
    return isinstance(x, np.ndarray) and x.dtype.kind in "iub"


def shifted(value: Array, by: Any) -> Array:
    """An intermediate value that can be differentiated by: its gradient is that of a shift of zero, where one is given."""
    return value if by is None else value + by


def named(names: str, f: Formula) -> Formula:
    """f with names for its parameters, by which a graph calls its inputs."""

    def call(*args: Any) -> Any:
        return f(*args)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    vars(call)["__signature__"] = inspect.Signature([inspect.Parameter(n, kind) for n in names.split()])
    return call


def spread(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> Array:
    """Ordinary numbers around 0, the same in every run."""
    return scale * np.random.default_rng(seed).standard_normal(shape)
