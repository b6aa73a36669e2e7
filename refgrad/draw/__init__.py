"""Drawings of computational graphs, with values above the edges and gradients below.

``draw`` returns SVG text, ``steps`` an HTML fragment that shows the drawing node by node. layout.py places nodes and edges, numbers.py
formats values, fold.py shortens long graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arguments import function, names_of
from refgrad.draw.fold import fold
from refgrad.draw.picture import Picture, check_size, find_node, picture
from refgrad.draw.steps import steps_html
from refgrad.draw.svg import svg
from refgrad.errors import GraphError, refuse_tensor
from refgrad.graph import Graph
from refgrad.tree import flatten

FOLDED, MOST = 60, 240  # gates beyond which repeated layers are folded; gates of a drawing, at most

__all__ = ["draw", "steps"]


def draw(
    f: Graph | Callable[..., Any], *args: Any, local: bool = False, node: int | str | None = None
) -> str:
    """The computational graph of f at ``args`` as SVG text.

    The value stands above each edge, and below it the gradient that the gate sends to this operand: the gradient of the output, or of
    the sum of all elements of all outputs. A node with several users shows the sum Σ of the gradients that it receives. Numbers in a
    gate (+1, ×2) are constants. Arrays up to 4 × 4 are written out; larger ones are shown by their shape and range of values. Beyond 60
    nodes, repeated layers are folded into one gate with their number.

    Args:
        f: a function of NumPy arrays, or a Graph. A Graph without ``args`` is drawn with the numbers of its last forward
            and backward, or without numbers.
        args: the arguments of f, of any shapes; floats carry gradients, integers and booleans do not.
        local: show the local derivative of each gate below the gradient, or the size of the Jacobian where that is large.
        node: a node at which ``upstream × local`` is written out: its number, or the name of an input or of an op that occurs once.

    Returns:
        A complete SVG document. Equal graphs and numbers give equal bytes. A gate's tooltip shows the number of its node.

    Raises:
        GraphError: the node is unknown, the graph has no output, or it has more than 240 nodes that do not fold.
        ArgumentError: f is not callable.
        DtypeError: an argument is a torch tensor.
    """
    return svg(_picture(f, args, local, node))


def steps(f: Graph | Callable[..., Any], *args: Any, local: bool = False) -> str:
    """The computational graph of f as an HTML fragment that shows it node by node: forward, then backward.

    Buttons and arrow keys change the step. Each step is described in words, with ``upstream × local`` written out. The fragment needs no
    other file. Without JavaScript it shows the last step and the list of all steps.

    Args:
        f: a function of NumPy arrays, or a Graph; a Graph without ``args`` shows the numbers of its last forward and backward.
        args: the arguments of f, of any shapes.
        local: show the local derivative of each gate below the gradient.

    Returns:
        A ``<figure>`` element. Equal graphs and numbers give equal bytes.

    Raises:
        GraphError, ArgumentError, DtypeError: as ``draw``; GraphError also for a graph without numbers.
    """
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


Graph.painter = staticmethod(draw)
