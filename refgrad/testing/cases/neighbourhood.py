"""The neighbourhood of a node in a graph, for drawings and excerpts of large graphs."""

from __future__ import annotations

from collections.abc import Sequence


def nearest(of: Sequence[Sequence[int]], start: int, steps: int | None = None) -> list[int]:
    """The nodes within ``steps`` edges of ``start``, in either direction, sorted by distance; all connected nodes for None.

    ``of`` lists the operands of each node.
    """
    neighbours: list[list[int]] = [list(operands) for operands in of]
    for k, operands in enumerate(of):
        for j in operands:
            neighbours[j].append(k)
    found, distance = [start], {start: 0}
    for k in found:  # the loop body appends to the list: breadth-first search
        for j in sorted(set(neighbours[k]) - distance.keys()) if distance[k] != steps else ():
            distance[j] = distance[k] + 1
            found.append(j)
    return found
