"""Local derivatives of a gate and their products with the upstream gradient: scalars, elementwise derivatives, small Jacobians."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.draw.numbers import MOST, SPACE, Lines, array_lines
from refgrad.graph import Graph


def sent_back(graph: Graph, k: int, y_bar: PlainArray | None = None) -> dict[int, PlainArray]:
    """The cotangents that node k sends to its operands, by position, for its own cotangent or for ``y_bar``.

    Empty where the node has no op, or no value or cotangent.
    """
    if y_bar is None:
        y_bar = None if graph.cotangents is None else graph.cotangents[k]
    if graph.values is None or y_bar is None or graph.nodes[k].op is None:
        return {}
    node, values = graph.nodes[k], graph.values
    sent = node.contributions([values[j] for j in node.of], values[k], y_bar)
    return {position: x_bar for position, _, x_bar in sent}


def local(graph: Graph, k: int, position: int) -> PlainArray | None:
    """The derivative of node k with respect to one operand, computed from the cotangents for unit vectors.

    It has the operand's shape where k has one element, or where the Jacobian is diagonal; otherwise it is the Jacobian, with one row for
    each element of k. None where it is empty or too large to show.
    """
    assert graph.values is not None
    x_shape, y = np.shape(graph.values[graph.nodes[k].of[position]]), np.asarray(graph.values[k])
    if not 0 < y.size <= MOST * MOST or len(x_shape) > 2 or max((*x_shape, 1)) > MOST or 0 in x_shape:
        return None
    unit_vectors = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    jacobian = np.array([np.ravel(sent_back(graph, k, unit)[position]) for unit in unit_vectors])
    if y.size == 1:
        return jacobian.reshape(x_shape)
    if x_shape == y.shape and not np.any(jacobian[~np.eye(y.size, dtype=bool)]):
        return np.diagonal(jacobian).reshape(x_shape)
    return jacobian if max(jacobian.shape) <= MOST else None


def local_lines(graph: Graph, k: int, position: int) -> Lines:
    """The local derivative as lines of text; the size of the Jacobian where that is too large to show."""
    found = local(graph, k, position)
    return _prefixed("local ", _size(graph, k, position) if found is None else array_lines(found))


def product(graph: Graph, k: int, position: int, gradient: PlainArray) -> Lines:
    """``upstream × local = gradient`` as lines of text.

    An elementwise derivative is a factor (×); a Jacobian is multiplied from the left by the upstream gradient as a row vector (·).
    """
    assert graph.cotangents is not None
    found = local(graph, k, position)
    if found is None:
        return (*array_lines(gradient), f"= upstream · {_size(graph, k, position)[0]}")
    upstream, factor, result = array_lines(graph.cotangents[k]), array_lines(found), array_lines(gradient)
    sign = "×" if np.shape(found) == np.shape(gradient) else "·"
    if len(upstream) == len(factor) == len(result) == 1 and np.size(gradient) == 1:
        return (f"{upstream[0]} {sign} {factor[0]} = {result[0]}",)
    return (*_prefixed("  ", upstream), *_prefixed(f"{sign} ", factor), *_prefixed("= ", result))


def _size(graph: Graph, k: int, position: int) -> Lines:
    assert graph.values is not None
    return (f"Jacobian {np.size(graph.values[k])} × {np.size(graph.values[graph.nodes[k].of[position]])}",)


def _prefixed(sign: str, lines: Lines) -> Lines:
    """Lines after a sign; all but the first are indented."""
    return tuple(
        (sign if i == 0 else " " * len(sign)).replace(" ", SPACE) + line for i, line in enumerate(lines)
    )
