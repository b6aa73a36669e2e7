"""A second walk back that leaves alone what no output depends on, where the first one met zero times infinity.

``np.where(r > 0, 1 / r, 0.0)`` at r = 0 does not select the quotient. Its cotangent is zero there, and so is the derivative. But the rule
of the quotient multiplies that zero by an infinite slope. So where a gradient is NaN, the walk is repeated with a mask for each cotangent:
which elements were selected on the way from the outputs. A rule gives nothing elsewhere. A cotangent that is zero as a number, as that of
the root in ``np.sqrt(x)**2`` at 0, is no reason to leave a path out: its limit counts.

Only operations that select or move elements make a mask narrower (``selects`` in the record), only elementwise ones keep it. From any
other, as from a product of matrices, all elements count as reached.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from refgrad.errors import ArgumentError
from refgrad.op import Traced
from refgrad.tracing.cotangents import accumulate, fit, summed, unbroadcast
from refgrad.tracing.differentiable_arguments import plain
from refgrad.tracing.entry import Entry
from refgrad.tracing.reverse import RULES, Seeds
from refgrad.tracing.tape_rows import CHOOSING, RESHAPING, SUMMED


class _Asked(threading.local):
    """Whether NaN and infinite radii of Balls are looked at in this thread."""

    balls = False


_ASKED = _Asked()


@contextlib.contextmanager
def over_balls() -> Iterator[None]:
    """Within, what is not selected has no part in gradients over Balls either.

    For a function that judges another one. A graph that a framework runs is judged op by op: its own zero times infinity is NaN, too.
    """
    before, _ASKED.balls = _ASKED.balls, True
    try:
        yield
    finally:
        _ASKED.balls = before


def undefined(bars: list[Any]) -> bool:
    """Whether a cotangent, of plain numbers at its lowest level, has a NaN; whether one of Balls has no finite bound, where it is asked."""
    for x in bars:
        if isinstance(x, Traced):
            x = (_unbounded(x) if _ASKED.balls else None) if x._levels()[-1] == 0 else x._sample()
        if type(x) is np.ndarray:
            x = np.add.reduce(x, axis=None)  # infinities of both signs make a NaN, too
        if x is not None and x != x:  # noqa: PLR0124  in a tenth of the time of np.isnan
            return True
    return False


def _unbounded(x: Any) -> Any:
    """An array with NaN where the Ball below all levels has no finite value or radius; None for a symbol, which has no value."""
    while x._level > 0:
        try:
            x = x._value
        except ArgumentError:
            return None
    return x.value - x.value if x.radius is None else (x.value - x.value) + (x.radius - x.radius)


def walked_where_reached(tape: list[Any], seeds: Seeds, inputs: list[int], found: list[Any]) -> list[Any]:
    """``found``, cotangents of the inputs, with those of a walk along selected elements in place of NaN.

    It is ``found`` itself where a rule of the user takes part: nobody knows what it reaches.
    """
    again = _walk(tape, seeds, inputs)
    if again is None:
        return found
    return [x if y is None else _in_place_of_nan(x, y) for x, y in zip(found, again, strict=True)]


def _in_place_of_nan(x: Any, y: Any) -> Any:
    if isinstance(x, Traced) or isinstance(y, Traced):
        return y
    return np.where(np.isnan(x), y, x)[()] if isinstance(x, np.generic) else np.where(np.isnan(x), y, x)


def _walk(tape: list[Any], seeds: Seeds, inputs: list[int]) -> list[Any] | None:
    last = max([place for place, _ in seeds], default=-1)
    bars: list[Any] = [None] * (last + 1)
    masks: list[Any] = [None] * (last + 1)  # arrays of booleans; True where all elements are reached
    for place, y_bar in seeds:
        accumulate(bars, place, y_bar)
        masks[place] = True
    for k in range(last, -1, -1):
        y_bar, entry = summed(bars, k), tape[k]
        if y_bar is None or entry is None:
            continue
        bars[k] = None
        if type(entry) not in (tuple, Entry):
            return None
        for place, x_bar, mask in (_of_rules if type(entry) is tuple else _of_entry)(entry, y_bar, masks[k]):
            accumulate(bars, place, x_bar)
            masks[place] = _either(masks[place], mask)
    return [bars[i] if i <= last else None for i in inputs]


def _of_rules(entry: Any, y_bar: Any, mask: Any) -> list[tuple[int, Any, Any]]:
    """The cotangents of the operands of a compact entry, with their places and masks."""
    found = []
    for i, rule, saved in (entry,) if len(entry) == 3 else (entry[:3], entry[3:]):
        if rule in CHOOSING:
            reached = RULES[rule](_numbers(mask, y_bar), *saved)
            found.append((i, RULES[rule](y_bar, *saved), plain(reached) != 0))
        elif rule in SUMMED:
            x_bar = _masked(RULES[SUMMED[rule]](y_bar, *saved[1:]), mask)
            reached = mask is True or unbroadcast(np.asarray(mask, float), saved[0]) != 0
            found.append((i, unbroadcast(x_bar, saved[0]), reached))
        elif rule in RESHAPING:
            found.append((i, RULES[rule](y_bar, *saved), True))
        else:
            found.append((i, _masked(RULES[rule](y_bar, *saved), mask), mask))
    return found


def _of_entry(entry: Entry, y_bar: Any, mask: Any) -> list[tuple[int, Any, Any]]:
    """The same of an Entry."""
    if entry.op.selects:
        reached = [plain(x) != 0 for x in entry.cotangents(_numbers(mask, y_bar))]
        return [
            (e.place, *both) for e, *both in zip(entry.edges, entry.cotangents(y_bar), reached, strict=True)
        ]
    if not entry.op.elementwise:
        return [(e.place, x_bar, True) for e, x_bar in zip(entry.edges, entry.cotangents(y_bar), strict=True)]
    found = []
    for edge, answer in zip(entry.edges, entry.answers(y_bar), strict=True):
        x_bar = fit(_masked(answer, mask), edge.shape, edge.dtype, entry.op)
        found.append(
            (edge.place, x_bar, mask is True or unbroadcast(np.asarray(mask, float), edge.shape) != 0)
        )
    return found


def _masked(x_bar: Any, mask: Any) -> Any:
    return x_bar if mask is True else np.where(mask, x_bar, x_bar.dtype.type(0))


def _numbers(mask: Any, y_bar: Any) -> Any:
    """1 where an element is reached, 0 elsewhere."""
    return np.broadcast_to(np.asarray(mask), y_bar.shape).astype(y_bar.dtype)


def _either(a: Any, b: Any) -> Any:
    if a is None:
        return b
    return True if a is True or b is True else a | b
