"""Cotangents of inputs from cotangents of outputs: the walk back, in the way that suits the numbers.

Large Balls are walked some rows at a time where the program is elementwise, which bounds the memory. Plain arrays are walked once more
in a wider range where cotangents leave that of their dtypes (extended_range.py), and along selected elements where a gradient is NaN
(reached.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refgrad.blocks import COUNT, slices
from refgrad.op import Traced
from refgrad.tracing.extended_range import walked
from refgrad.tracing.reached import undefined, walked_where_reached
from refgrad.tracing.reverse import Seeds, Tape, walk
from refgrad.tracing.tape_rows import ball_rows, elementwise_part, entry_rows, joined


def pull_back(tape: Tape, seeds: Seeds, inputs: list[int]) -> list[Any]:
    """Cotangents of the inputs, None where no output depends on one.

    seeds     places of outputs on the tape, each with its cotangent
    inputs    places of inputs on the tape
    """
    bars = _pulled_back(tape, seeds, inputs)
    return walked_where_reached(tape, seeds, inputs, bars) if undefined(bars) else bars


def _pulled_back(tape: Tape, seeds: Seeds, inputs: list[int]) -> list[Any]:
    if seeds and all(isinstance(y_bar, Traced) and y_bar._level == 0 for _, y_bar in seeds):
        shapes = {y_bar.shape for _, y_bar in seeds}
        blocks = slices(seeds[0][1].shape) if len(shapes) == 1 else None
        if blocks is not None:
            part = elementwise_part(tape, {place for place, _ in seeds}, seeds[0][1].shape)
            if part is not None:
                return _in_blocks(part, seeds, inputs, blocks)
    return walked(walk, tape, seeds, inputs)


def _in_blocks(part: list[Any], seeds: Seeds, inputs: list[int], blocks: Iterator[slice]) -> list[Any]:
    """As pull_back, some rows at a time: what lies between the outputs and the inputs takes no memory then."""
    shape, before, across, once = seeds[0][1].shape, COUNT.rounded, COUNT.across, 0
    whole: list[Any] = [None] * len(inputs)
    for here in blocks:
        own = [(place, ball_rows(y_bar, here, shape)) for place, y_bar in seeds]
        entries = [entry_rows(e, here, shape, own[0][1].shape) for e in part]
        start = COUNT.rounded
        found = walk(entries, own, inputs)
        once = once or COUNT.rounded - start
        whole = [joined(x, bar, here, shape) for x, bar in zip(whole, found, strict=True)]
    # the program has these operations once, whatever the number of blocks, and cutting is none of them
    COUNT.rounded, COUNT.across = before + once, across
    return [None if x is None else x.ball() for x in whole]
