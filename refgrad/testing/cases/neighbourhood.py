"""Which nodes of a graph stand nearest to one of them: a picture and an excerpt of a large graph are of those."""

from __future__ import annotations

from collections.abc import Sequence


def nearest(of: Sequence[Sequence[int]], start: int, steps: int | None = None) -> list[int]:
    """The nodes that at most so many edges (any number where None), in either direction, join to ``start``; the nearest first.

    ``of`` lists operands by node.
    """
    beside: list[list[int]] = [list(operands) for operands in of]
    for k, operands in enumerate(of):
        for j in operands:
            beside[j].append(k)
    found, far = [start], {start: 0}
    for k in found:  # which grows
        for j in sorted(set(beside[k]) - far.keys()) if far[k] != steps else ():
            far[j] = far[k] + 1
            found.append(j)
    return found
