"""Rendering of a graph with numbers: forward, backward, the picture, and the text of the drawing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arguments import function, names_of
from refgrad.draw.fold import fold
from refgrad.draw.picture import Picture, check_size, find_node, picture
from refgrad.draw.steps_html import steps_html
from refgrad.draw.svg import svg
from refgrad.errors import GraphError, refuse_tensor
from refgrad.graph import Graph
from refgrad.tree import flatten

FOLDED, MOST = 60, 240  # gates beyond which repeated layers are folded; gates of a drawing, at most


def drawing(f: Graph | Callable[..., Any], args: tuple[Any, ...], local: bool, node: int | str | None) -> str:
    """The SVG text of ``refgrad.draw.draw``, which describes arguments and errors."""
    return svg(_picture(f, args, local, node))


def step_by_step(f: Graph | Callable[..., Any], args: tuple[Any, ...], local: bool) -> str:
    """The HTML fragment of ``refgrad.draw.steps``, which describes arguments and errors."""
    found = _picture(f, args, local, None, explain=True)
    if not any(w.values for w in found.wires):
        raise GraphError("a graph without numbers has no steps: give arguments, or call g.forward(...) first")
    return steps_html(found)


def _picture(
    f: Graph | Callable[..., Any],
    args: tuple[Any, ...],
    local: bool,
    node: int | str | None,
    explain: bool = False,
) -> Picture:
    function(f, "draw")
    for x, what in zip(flatten(args)[0], names_of(args), strict=True):
        refuse_tensor(x, f"draw: {what}")
    name = getattr(f, "__name__", "f")
    graph = f if isinstance(f, Graph) else Graph.record(f, *args)
    if args:
        copy = Graph()  # a copy: the caller's graph keeps the numbers of its last run
        copy.nodes, copy.outputs = graph.nodes, graph.outputs
        with np.errstate(all="ignore"):
            copy.forward(*(args if isinstance(f, Graph) else flatten(args)[0]))
            _backward(copy)
        graph = copy
    with np.errstate(all="ignore"):
        found = picture(graph, name if name.isidentifier() else "f", local, find_node(graph, node), explain)
    found = fold(found, FOLDED)
    check_size(found.gates, MOST)
    return found


def _backward(graph: Graph) -> None:
    """Compute the gradients of the sum of the outputs, if all outputs are floating-point."""
    assert graph.values is not None
    outputs = [np.asarray(graph.values[k]) for k in graph.outputs]
    if all(y.dtype.kind == "f" for y in outputs):
        graph.backward(*[np.ones_like(y) for y in outputs])
