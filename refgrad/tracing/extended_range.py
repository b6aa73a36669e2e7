"""A second walk back with cotangents in long double, where the range of their dtype does not suffice.

In ``1 / (1 + np.exp(-x))`` at -700 the cotangent of the denominator is -1e-609, and the gradient 1e-305. In float64 the cotangent
underflows to 0, and the gradient would be 0 too. So where a product underflows or overflows on the way back, the walk is repeated with
cotangents in long double, and the gradients are rounded once, at its end. The tape holds the values that the program computed: where one
of them is infinite, the second walk does not help. In long programs cotangents commonly decay to zero, so there the walk is repeated only
where a gradient shows a loss.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

import numpy as np

from refgrad.op import Traced
from refgrad.quiet import silence
from refgrad.tracing.entry import Entry

Seeds = list[tuple[int, Any]]
Walk = Callable[[list[Any], Seeds, list[int]], list[Any]]  # of a tape, seeds and inputs

LONG, COMPLEX_LONG = np.dtype(np.longdouble), np.dtype(np.clongdouble)
MANY = 10_000  # operations in a row of which cotangents commonly die out
_HEARD = ContextVar[list[str]]("heard")


class _Room(threading.local):
    """For each thread a context in which NumPy tells of under- and overflows. To enter errstate would cost more than a small gradient."""

    def __init__(self) -> None:
        self.busy = False
        self.run = _listening()


def _listening() -> Callable[..., Any]:
    run = Context().run
    run(_listen)
    return run


def _listen() -> None:
    silence()
    np.seterr(over="call", under="call")
    np.seterrcall(_hear)
    _HEARD.set([])


def _hear(what: str, _: int) -> None:
    _HEARD.get().append(what)
    np.seterr(over="ignore", under="ignore")  # once is enough: many products of a long walk may underflow


_ROOM = _Room()


def walked(walk: Walk, tape: list[Any], seeds: Seeds, inputs: list[int]) -> list[Any]:
    """``walk(tape, seeds, inputs)``, in a wider range where that of the dtypes does not suffice.

    Cotangents that a user's own rule forms are left as they are, and so are Balls: their range is wide.
    """
    if any(isinstance(y_bar, Traced) for _, y_bar in seeds):
        return walk(tape, seeds, inputs)
    bars, heard = _listened(walk, tape, seeds, inputs)
    if not heard or (len(tape) > MANY and not any(_may_be_lost(x) for x in bars)):
        return bars
    if not all(_can_be_wide(entry) for entry in tape) or any(_over_balls(x) for x in bars):
        return bars
    wide_tape = [_widened(entry) for entry in tape]
    again = walk(wide_tape, [(place, _wide(y_bar)) for place, y_bar in seeds], inputs)
    return [
        x if x is None or wide is None else wide.astype(x.dtype) for x, wide in zip(bars, again, strict=True)
    ]


def walked_in_range(walk: Walk, tape: list[Any], seeds: Seeds, inputs: list[int]) -> list[Any] | None:
    """``walk(tape, seeds, inputs)``; None where the range of the dtypes does not suffice."""
    bars, heard = _listened(walk, tape, seeds, inputs)
    return None if heard else bars


def _listened(*args: Any) -> tuple[list[Any], bool]:
    if _ROOM.busy:  # a rule of a user takes a gradient itself
        return _listening()(_hearing, *args)
    _ROOM.busy = True
    try:
        return _ROOM.run(_hearing, *args)
    finally:
        _ROOM.busy = False


def _hearing(walk: Walk, *args: Any) -> tuple[list[Any], bool]:
    heard = _HEARD.get()
    if heard:
        heard.clear()
        np.seterr(over="call", under="call")
    return walk(*args), bool(heard)


def _can_be_wide(entry: Any) -> bool:
    """Whether the rules of an entry are refgrad's own."""
    return entry is None or type(entry) in (tuple, Entry)


def _widened(entry: Any) -> Any:
    """The entry with what it keeps in long double, and edges that give cotangents in long double."""
    if entry is None:
        return None
    if type(entry) is tuple:
        return tuple([_all_wide(item) if k % 3 == 2 else item for k, item in enumerate(entry)])
    edges = [edge._replace(saved=_all_wide(edge.saved), dtype=_long(edge.dtype)) for edge in entry.edges]
    return Entry(entry.op, edges, entry.ordinary)


def _all_wide(kept: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([_wide(x) for x in kept])


def _wide(x: Any) -> Any:
    if type(x) is tuple:
        return _all_wide(x)
    if isinstance(x, (Traced, np.ndarray, np.generic)) and x.dtype.kind in "fc":
        return x.astype(_long(x.dtype))
    return x


def _long(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return COMPLEX_LONG if dtype.kind == "c" else LONG


def _may_be_lost(x: Any) -> bool:
    """Whether a gradient shows that the range did not suffice: a zero, a subnormal number, infinity or NaN in it."""
    while isinstance(x, Traced):
        x = x._value
    if x is None:
        return False
    size = np.abs(x)
    return not bool(np.all((size >= np.finfo(x.dtype).smallest_normal) & (size < np.inf)))


def _over_balls(x: Any) -> bool:
    while isinstance(x, Traced):
        if x._level == 0:
            return True
        x = x._value
    return False
