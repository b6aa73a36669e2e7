"""Drawings of computational graphs, with values above the edges and gradients below.

``draw`` returns SVG text, ``steps`` an HTML fragment that shows the drawing node by node. Both load what renders them, and NumPy, when they
are called. rendering.py computes the numbers and writes a drawing, layout.py places nodes and edges, numbers.py formats values, fold.py
shortens long graphs.
"""

from __future__ import annotations

from refgrad.painters import PAINTERS

TYPE_CHECKING = False  # as in typing, which is not needed otherwise
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from refgrad.graph import Graph

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
    from refgrad.draw.rendering import drawing

    return drawing(f, args, local, node)


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
    from refgrad.draw.rendering import step_by_step

    return step_by_step(f, args, local)


PAINTERS.append(draw)
