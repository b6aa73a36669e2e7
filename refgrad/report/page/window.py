"""The window of a large graph that is drawn: the nodes around the first wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refgrad.testing.cases.neighbourhood import nearest


@dataclass(frozen=True, slots=True)
class Window:
    """A partition of the nodes of a graph.

    shown    drawn nodes
    before   nodes that are not drawn and on which a drawn node depends
    after    nodes that are not drawn and depend on a drawn node
    beside   all other nodes

    No path leaves the drawn nodes and returns to them, so ``before`` and ``after`` are disjoint.
    """

    shown: tuple[int, ...]
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()


FEW = 2  # nodes; so few before, or after, the window are drawn as well
STEPS = 3  # edges from the middle to a drawn node, at most


def window(of: Sequence[Sequence[int]], middle: int, most: int) -> Window:
    """The window around node ``middle``: at most ``most`` nodes within STEPS edges; all nodes of a graph of that size.

    ``of`` lists the operands of each node; they precede their users.
    """
    n = len(of)
    if n <= most:
        return Window(tuple(range(n)))
    above, below = _dependencies(of)
    inside = 1 << middle
    # The nodes that the window depends on, and those that depend on it.
    up, down = above[middle], below[middle]
    near = nearest(of, middle, STEPS)
    allowed = sum(1 << k for k in near)
    for k in near[1:]:
        wider, wider_up, wider_down = inside | 1 << k, up | above[k], down | below[k]
        wider |= wider_up & wider_down  # nodes on a path between two nodes of the window belong to it
        if wider.bit_count() <= most and not wider & ~allowed:
            inside, up, down = wider, wider_up, wider_down
        if inside.bit_count() == most:
            break
    # A box that stands for so few nodes would be as large as they are.
    for rest in (up & ~inside, down & ~inside):
        if rest.bit_count() <= FEW:
            inside |= rest
    for k in _bits(inside):
        up, down = up | above[k], down | below[k]
    everything = (1 << n) - 1
    return Window(
        _bits(inside), _bits(up & ~inside), _bits(down & ~inside), _bits(everything & ~(inside | up | down))
    )


def _dependencies(of: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """By node, the set of nodes that it depends on and the set of those that depend on it, as bit masks."""
    above, below = [0] * len(of), [0] * len(of)
    for k, operands in enumerate(of):
        for j in operands:
            above[k] |= above[j] | 1 << j
    for k in range(len(of) - 1, -1, -1):
        for j in of[k]:
            below[j] |= below[k] | 1 << k
    return above, below


def _bits(x: int) -> tuple[int, ...]:
    found = []
    while x:
        low = x & -x
        found.append(low.bit_length() - 1)
        x ^= low
    return tuple(found)
