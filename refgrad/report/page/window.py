"""Which part of a large graph is drawn: what stands around the first wrong node, and how much is left out before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refgrad.testing.cases.neighbourhood import nearest


@dataclass(frozen=True, slots=True)
class Window:
    """The nodes that are drawn, and those that are not.

    ``before`` lead to a drawn node, ``after`` are led to by one, ``beside`` neither. All edges between the first and a drawn node go
    one way, and so do those to the second: the window has no way out and in again.
    """

    shown: tuple[int, ...]
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()


FEW = 2  # nodes that are drawn where everything else before, or after, the window is
STEPS = 3  # edges between the middle and a node that is drawn


def window(of: Sequence[Sequence[int]], middle: int, most: int) -> Window:
    """At most so many of the nodes that STEPS edges join to ``middle``; a smaller graph whole.

    ``of`` lists operands, which come before their users.
    """
    n = len(of)
    if n <= most:
        return Window(tuple(range(n)))
    above, below = _reached(of)
    inside = 1 << middle
    up, down = above[middle], below[middle]  # whom the window depends on, and who depends on it
    near = nearest(of, middle, STEPS)
    allowed = sum(1 << k for k in near)
    for k in near[1:]:
        wider, wider_up, wider_down = inside | 1 << k, up | above[k], down | below[k]
        wider |= wider_up & wider_down  # what lies between two nodes of the window belongs to it
        if wider.bit_count() <= most and not wider & ~allowed:
            inside, up, down = wider, wider_up, wider_down
        if inside.bit_count() == most:
            break
    for rest in (up & ~inside, down & ~inside):  # a box for so few would take their room
        if rest.bit_count() <= FEW:
            inside |= rest
    for k in _bits(inside):
        up, down = up | above[k], down | below[k]
    everything = (1 << n) - 1
    return Window(
        _bits(inside), _bits(up & ~inside), _bits(down & ~inside), _bits(everything & ~(inside | up | down))
    )


def _reached(of: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """By node, the sets (as bits) of the nodes that it depends on, and of those that depend on it."""
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
