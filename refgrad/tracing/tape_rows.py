"""Rows of what a tape holds: the elementwise part of a program can be walked some rows at a time.

An entry is a compact one or an Entry (see reverse.py). Any other, of a derivative that the user defined, is not known to be elementwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refgrad.blocks import Joined, rows
from refgrad.bounds.formats import Format
from refgrad.op import apply
from refgrad.ops import indexing
from refgrad.tracing.array import TracedArray
from refgrad.tracing.ball import Ball
from refgrad.tracing.entry import Entry

# Numbers of the rules of compact entries that change the shape: products of matrices, reductions, operands that were broadcast.
RESHAPING: set[int] = set()
SUMMED: dict[int, int] = {}  # of these, operands that were broadcast: the number of the rule before the sum
CHOOSING: set[int] = set()  # numbers of the rules of ops that select


def elementwise_part(tape: list[Any], places: set[int], shape: tuple[int, ...]) -> list[Any] | None:
    """The entries that lead to the places, None in place of others; no list where one of them is not elementwise on this shape.

    So it is where arrays of the shape, and what broadcasts to it without being differentiated, are all that the entries hold.
    """
    some: list[Any] = [None] * (max(places) + 1)
    wanted = set(places)
    for k in range(max(places), -1, -1):
        entry = tape[k]
        if k not in wanted or entry is None:
            continue
        if type(entry) is not tuple:
            if (
                not isinstance(entry, Entry)
                or not entry.ordinary
                or not entry.op.elementwise
                or any(edge.shape != shape for edge in entry.edges)
            ):
                return None
            wanted.update(edge.place for edge in entry.edges)
        else:
            if not RESHAPING.isdisjoint(entry[1::3]):
                return None
            wanted.update(entry[::3])
        if any(getattr(x, "_level", 0) > 0 for x in saved(entry)):  # blocks would be differentiated once more
            return None
        some[k] = entry
    return some


def saved(entry: Any) -> Iterator[Any]:
    """What an entry holds for its rules."""
    if type(entry) is not tuple:
        return (x for edge in entry.edges for x in edge.saved)
    return (x for kept in entry[2::3] for x in kept)


def entry_rows(entry: Any, here: slice, shape: tuple[int, ...], own: tuple[int, ...]) -> Any:
    """An entry of the tape with the rows ``here`` of what it holds, which have the shape ``own``."""
    if entry is None:
        return None
    if type(entry) is not tuple:
        edges = [
            edge._replace(saved=tuple([ball_rows(x, here, shape) for x in edge.saved]), shape=own)
            for edge in entry.edges
        ]
        return Entry(entry.op, edges)
    return tuple(
        [
            tuple([ball_rows(x, here, shape) for x in item]) if k % 3 == 2 else item
            for k, item in enumerate(entry)
        ]
    )


def ball_rows(x: Any, here: slice, shape: tuple[int, ...]) -> Any:
    """The rows of x, by the op: in-place operators on a view of a user's own are another matter."""
    if isinstance(x, TracedArray) and x.shape == shape:
        return apply(indexing.getitem, (x,), {"key": (here,)})
    return rows(x, here, shape)


class Balls(Joined):
    """A Ball, put together from Balls of its rows."""

    __slots__ = ("fmt",)

    def __init__(self, shape: tuple[int, ...], fmt: Format) -> None:
        super().__init__(shape)
        self.fmt = fmt

    def ball(self) -> Ball:
        assert self.value is not None
        return Ball(self.value, self.radius, self.fmt)


def joined(whole: Balls | None, part: Any, here: slice, shape: tuple[int, ...]) -> Balls | None:
    """``whole`` with the rows ``here``, made where there is none yet; where a part is None, all of them are."""
    if part is None:
        return None
    if whole is None:
        whole = Balls(shape, part.fmt)
    whole.put(here, part.value, part.radius)
    return whole
