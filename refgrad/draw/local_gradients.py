"""What a gate does to gradients: upstream × local, for numbers, elementwise functions and small Jacobians."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.draw.numbers import MOST, SPACE, Lines, shown
from refgrad.graph import Graph, contributions

Array = Any


def sent_back(graph: Graph, k: int, y_bar: Array = None) -> dict[int, Array]:
    """The cotangents that node k sends to its operands, by position: for its own gradient, or for another ``y_bar``."""
    if y_bar is None:
        y_bar = None if graph.cotangents is None else graph.cotangents[k]
    if graph.values is None or y_bar is None or graph.nodes[k].op is None:
        return {}
    return {position: x_bar for position, _, x_bar in contributions(graph.nodes[k], k, graph.values, y_bar)}


def local(graph: Graph, k: int, position: int) -> Array | None:
    """The derivative of node k to one operand, found by sending back one unit vector after the other.

    Of the operand's shape where k has one element, or where each of its elements depends on the operand's own alone; else the Jacobian,
    one row an element of k. None where that is too large to be read, or empty.
    """
    assert graph.values is not None
    x_shape, y = np.shape(graph.values[graph.nodes[k].of[position]]), np.asarray(graph.values[k])
    if not 0 < y.size <= MOST * MOST or len(x_shape) > 2 or max((*x_shape, 1)) > MOST or 0 in x_shape:
        return None
    units = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    jacobian = np.array([np.ravel(sent_back(graph, k, unit)[position]) for unit in units])
    if y.size == 1:
        return jacobian.reshape(x_shape)
    if x_shape == y.shape and not np.any(jacobian[~np.eye(y.size, dtype=bool)]):
        return np.diagonal(jacobian).reshape(x_shape)
    return jacobian if max(jacobian.shape) <= MOST else None


def local_lines(graph: Graph, k: int, position: int) -> Lines:
    """The local derivative in lines of text; the size of the Jacobian where that is all that can be read."""
    found = local(graph, k, position)
    return _behind("local ", _size(graph, k, position) if found is None else shown(found))


def product(graph: Graph, k: int, position: int, gradient: Array) -> Lines:
    """``upstream × local = gradient``, written out.

    An elementwise derivative multiplies (×); a Jacobian is multiplied by what comes from upstream as a row vector (·).
    """
    assert graph.cotangents is not None
    found = local(graph, k, position)
    if found is None:
        return (*shown(gradient), f"= upstream · {_size(graph, k, position)[0]}")
    upstream, factor, result = shown(graph.cotangents[k]), shown(found), shown(gradient)
    sign = "×" if np.shape(found) == np.shape(gradient) else "·"
    if len(upstream) == len(factor) == len(result) == 1 and np.size(gradient) == 1:
        return (f"{upstream[0]} {sign} {factor[0]} = {result[0]}",)
    return (*_behind("  ", upstream), *_behind(f"{sign} ", factor), *_behind("= ", result))


def _size(graph: Graph, k: int, position: int) -> Lines:
    assert graph.values is not None
    return (f"Jacobian {np.size(graph.values[k])} × {np.size(graph.values[graph.nodes[k].of[position]])}",)


def _behind(sign: str, lines: Lines) -> Lines:
    """Lines behind a sign, those after the first indented."""
    return tuple(
        (sign if i == 0 else " " * len(sign)).replace(" ", SPACE) + line for i, line in enumerate(lines)
    )
