"""Computational graphs as lectures draw them: values above the edges, gradients below.

``draw`` gives an SVG text, ``steps`` an HTML fragment that goes through the same drawing one node at a time. Layout follows
what is in layout.py; numbers.py says how values are written, fold.py how long graphs are shortened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arguments import function, names_of
from refgrad.draw.fold import fold
from refgrad.draw.picture import Picture, checked, find, picture
from refgrad.draw.steps import walk
from refgrad.draw.svg import svg
from refgrad.errors import GraphError, refuse_tensor
from refgrad.graph import Graph
from refgrad.tree import flatten

FOLDED, MOST = 60, 240  # from here on repeated layers are folded; no more gates than this are drawn

__all__ = ["draw", "steps"]


def draw(
    f: Graph | Callable[..., Any], *args: Any, local: bool = False, node: int | str | None = None
) -> str:
    """The computational graph of f at ``args`` as SVG text.

    Above each edge stands the value, below it the gradient that the gate sends back to this operand: of the output, or of
    the sum of all elements of all outputs. A node with several users shows the sum Σ that it receives. Numbers in a gate
    (+1, ×2) are constants. Arrays up to 4 × 4 are written out; of larger ones the shape and the range of values are shown.
    Beyond 60 nodes repeated layers are folded into one gate that says how many there are.

    Args:
        f: a function of NumPy arrays, or a Graph. A Graph without ``args`` is drawn with the numbers of its last forward
            and backward, or without numbers.
        args: the arguments of f, of any shapes; floats carry gradients, integers and booleans do not.
        local: write the local derivative of each gate under the gradient. Where it is a matrix, its size stands there.
        node: a node at which ``upstream × local`` is written out: its number, or the name of an input or of an op that occurs once.

    Returns:
        A complete SVG document, the same bytes for the same graph and numbers. Hovering over a gate shows its node's number.

    Raises:
        GraphError: an unknown node; a graph without output; more than 240 nodes that do not fold.
        ArgumentError: f is no function. DtypeError: an argument is a torch tensor.
    """
    return svg(_picture(f, args, local, node))


def steps(f: Graph | Callable[..., Any], *args: Any, local: bool = False) -> str:
    """The same drawing as an HTML fragment that goes through it one node at a time: forward, then backward.

    Buttons and the arrow keys step; each step is said in words, with ``upstream × local`` written out. It needs no other file and
    no network. Without JavaScript it shows the last step and the list of all steps.

    Args:
        f: as for ``draw``; a Graph without ``args`` shows the numbers of its last forward and backward.
        args: the arguments of f.
        local: write the local derivative of each gate under the gradient.

    Returns:
        A ``<figure>`` element, the same bytes for the same graph and numbers.

    Raises:
        GraphError: as ``draw``, and for a graph without numbers.
    """
    found = _picture(f, args, local, None, explain=True)
    if not any(w.values for w in found.wires):
        raise GraphError("a graph without numbers has no steps: give arguments, or call g.forward(...) first")
    return walk(found)


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
        again = Graph()  # the caller's graph keeps the numbers of its own last run
        again.nodes, again.outputs = graph.nodes, graph.outputs
        with np.errstate(all="ignore"):
            again.forward(*(args if isinstance(f, Graph) else flatten(args)[0]))
            _backward(again)
        graph = again
    with np.errstate(all="ignore"):
        found = picture(graph, name if name.isidentifier() else "f", local, find(graph, node), explain)
    found = fold(found, FOLDED)
    checked(found.gates, MOST)
    return found


def _backward(graph: Graph) -> None:
    """Gradients of the sum of the outputs, where all of them are floats."""
    assert graph.values is not None
    outputs = [np.asarray(graph.values[k]) for k in graph.outputs]
    if all(y.dtype.kind == "f" for y in outputs):
        graph.backward(*[np.ones_like(y) for y in outputs])


Graph.painter = staticmethod(draw)
