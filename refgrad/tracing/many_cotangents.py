"""The walk back for many cotangents of one output at once, along a leading axis: the rows of a Jacobian.

The rule of an elementwise op takes all of them in one call, because what it keeps broadcasts against them. Any other rule is called for
each, without the cost of a walk for each. So the numbers are those of single walks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.tracing.cotangents import fit
from refgrad.tracing.entry import Entry
from refgrad.tracing.extended_range import walked_in_range
from refgrad.tracing.reached import undefined
from refgrad.tracing.reverse import RULES, Seeds, Tape
from refgrad.tracing.tape_rows import RESHAPING


def many_pulled_back(tape: Tape, place: int, y_bars: Array, inputs: list[int]) -> list[Any] | None:
    """Cotangents of the inputs for each of ``y_bars``, the cotangents of the output at ``place``. All arrays are plain.

    An input on which the output does not depend has None. The result is None where a cotangent leaves the range of its dtype or is
    NaN, and where a rule of the user is met: then they have to be pulled back one at a time.
    """
    if any(entry is not None and type(entry) not in (tuple, Entry) for entry in tape):
        return None
    bars = walked_in_range(_walk, tape, [(place, y_bars)], inputs)
    return None if bars is None or undefined(bars) else bars


def _walk(tape: list[Any], seeds: Seeds, inputs: list[int]) -> list[Any]:
    [(last, y_bars)] = seeds
    bars: list[Any] = [None] * (last + 1)
    bars[last] = y_bars
    for k in range(last, -1, -1):
        y_bar, entry = bars[k], tape[k]
        if y_bar is None or entry is None:
            continue
        bars[k] = None
        for place, x_bar in _sent(entry, y_bar):
            bars[place] = x_bar if bars[place] is None else bars[place] + x_bar
    return [bars[i] if i <= last else None for i in inputs]


def _sent(entry: Any, y_bar: Array) -> list[tuple[int, Array]]:
    """The cotangents of the operands of an entry, with their places."""
    if type(entry) is tuple:
        triples = (entry,) if len(entry) == 3 else (entry[:3], entry[3:])
        return [
            (i, _each(rule, y_bar, saved) if rule in RESHAPING else RULES[rule](y_bar, *saved))
            for i, rule, saved in triples
        ]
    if _elementwise(entry, y_bar.shape[1:]):
        return [
            (edge.place, fit(edge.rule(y_bar, *edge.saved), y_bar.shape, edge.dtype, entry.op))
            for edge in entry.edges
        ]
    rows = [entry.cotangents(row) for row in y_bar]
    return [(edge.place, np.stack([row[k] for row in rows])) for k, edge in enumerate(entry.edges)]


def _each(rule: int, y_bar: Array, saved: tuple[Any, ...]) -> Array:
    return np.stack([RULES[rule](row, *saved) for row in y_bar])


def _elementwise(entry: Entry, shape: tuple[int, ...]) -> bool:
    """Whether the rules of an entry take cotangents with a further axis: they know no shape, and no operand was broadcast."""
    sig = entry.op.signature
    return (
        entry.op.elementwise
        and entry.ordinary
        and not sig.variadic
        and all(edge.shape == shape for edge in entry.edges)
        and not any(kind == "shape" for needs in sig.vjp if needs is not None for kind, _ in needs.inputs)
    )
