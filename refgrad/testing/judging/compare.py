"""Compares observed arrays with reference values and their error bounds. Every element is compared or counted as skipped.

Small arrays are concatenated and compared in one pass: a case has about a dozen of them, and one pass costs about the same for all of them
as for one. A large array is compared in blocks, of which only counts and the worst elements are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.testing.judging.concatenated import LISTED, Concatenated, Listed
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.sharpness import SampledSharpness
from refgrad.testing.judging.verdict import Comparison, Element
from refgrad.tracing.ball import Ball, parts

Pair = tuple[PlainArray, Any, str]  # the observed array, the expected one, its name in messages
_BLOCK = 2**14  # elements of a block
LARGE = 4 * _BLOCK  # elements above which an array is compared in blocks


def compare(
    got: PlainArray,
    expected: Ball | PlainArray,
    fmt: Format,
    what: str = "",
    *,
    nan: bool = False,
    hidden: Hidden | None = None,
    reach: PlainArray | None = None,
) -> Comparison:
    """Compare ``got`` (the framework's numbers, exact in float64) with ``expected`` (a Ball, or an exact array) of the same shape.

    A number must lie within the radius of a finite expected value. Beyond the range of ``fmt`` an infinity of the same sign may stand for
    it. An infinite expected value must be met exactly. Where the reference is NaN nothing is defined, and the element is skipped. With
    ``nan`` (for values, where NaN is the result of the function) any number there is wrong.

    An element out of bounds is imprecise and not wrong where the rounding of another formula explains it (imprecision.py): with ``hidden``
    that of any formula for the array, with ``reach`` that of a formula with these error bounds (an array of the shape of ``got``).

    With ``hidden``, NaN or infinity is wrong wherever the reference is finite, even where its bound is infinite.

    A shape other than expected gives a Comparison with a note and no elements.
    """
    return compare_all([(got, expected, what)], fmt, nan=nan, hidden=hidden, reach=reach)[0]


def compare_all(
    pairs: Sequence[Pair],
    fmt: Format,
    *,
    nan: bool = False,
    hidden: Hidden | None = None,
    reach: PlainArray | None = None,
) -> list[Comparison]:
    """``compare`` for several arrays in one pass, with one Comparison per array. ``reach`` requires a single array."""
    found: list[Comparison] = []
    judged: list[tuple[Comparison, str, tuple[int, ...]]] = []
    flat: list[tuple[PlainArray, PlainArray, PlainArray]] = []
    for got, expected, what in pairs:
        value, radius = parts(expected)
        observed = np.asarray(got)
        if observed.shape != value.shape:
            found.append(Comparison(note=f"{what} has shape {observed.shape}, expected {value.shape}"))
            continue
        found.append(Comparison())
        if observed.size > LARGE:
            _InBlocks((observed.ravel(), value.ravel(), np.ravel(radius)), fmt, nan, hidden, reach).enter(
                found[-1], what, value.shape
            )
        elif observed.size:
            judged.append((found[-1], what, value.shape))
            # a radius may be a number
            flat.append((observed.ravel(), value.ravel(), np.asarray(radius).ravel()))
    if flat:
        line = Concatenated(flat, fmt, nan, hidden, reach)
        start = 0
        for comparison, what, shape in judged:
            stop = start + math.prod(shape)
            line.enter(comparison, what, shape, start, stop)
            start = stop
    return found


class _InBlocks:
    """A large array, compared in blocks.

    Whether an element is imprecise depends on the whole array. So the blocks are compared a second time where any element is out of bounds.
    """

    def __init__(
        self,
        arrays: tuple[PlainArray, PlainArray, PlainArray],
        fmt: Format,
        nan: bool,
        hidden: Hidden | None,
        reach: PlainArray | None,
    ) -> None:
        self.arrays, self.fmt, self.nan, self.hidden = arrays, fmt, nan, hidden
        self.reach = None if reach is None else np.ravel(reach)

    def lines(self) -> Iterator[Concatenated]:
        size = self.arrays[0].size
        for start in range(0, size, _BLOCK):
            here = slice(start, start + _BLOCK)
            got, value, radius = self.arrays
            reach = self.reach if self.reach is None or self.reach.size < size else self.reach[here]
            block = got[here], value[here], radius[here]
            yield Concatenated([block], self.fmt, self.nan, self.hidden, reach, start)

    def enter(self, c: Comparison, what: str, shape: tuple[int, ...]) -> None:
        """Write the findings into a Comparison."""
        size, wrong, kept = self.arrays[0].size, False, SampledSharpness(self.arrays[0].size, self.fmt)
        nearest: Element | None = None
        for line in self.lines():
            elements = c.elements
            kept.add(*line.count(c, _ALL))
            wrong = wrong or line.any_wrong
            if c.elements > elements:
                k = line.nearest(_ALL)
                if nearest is None or line.ratio[k] > c.ratio:
                    c.ratio, nearest = float(line.ratio[k]), line.element(k, 0, shape, what)
        kept.close()
        c.sharpness = kept
        if nearest is not None:
            c.make_worst = lambda: nearest
        if wrong:
            self._out_of_bounds(
                c, what, shape, kept.typical_and_largest() if c.elements == size else self._share()
            )

    def _out_of_bounds(
        self, c: Comparison, what: str, shape: tuple[int, ...], usual: tuple[float, float]
    ) -> None:
        """Write the wrong and the imprecise elements into a Comparison."""
        worst: Listed = []
        lost: Listed = []
        for line in self.lines():
            wrong, excused = line.wrong_and_excused(_ALL, usual)
            worst = _most_severe(worst + line.worst(c, wrong, what, shape, 0))
            lost = _most_severe(lost + line.lost(c, excused, what, shape, 0))
            c.correct += line.correct(_ALL)
        c.correct = c.correct if c.imprecise else 0
        c.wrong, c.least_precise = [e for _, e in worst], [e for _, e in lost]
        c.every_wrong = lambda: [
            line.element(int(k), 0, shape, what)
            for line in self.lines()
            for k in np.flatnonzero(line.wrong_and_excused(_ALL, usual)[0])
        ]

    def _share(self) -> tuple[float, float]:
        """``imprecision.typical_and_largest`` of all elements."""
        collected = SampledSharpness(self.arrays[0].size, self.fmt)
        for line in self.lines():
            usual = np.isfinite(line.size) & np.isfinite(line.bound)
            collected.add(line.bound[usual], line.size[usual])
        collected.close()
        return collected.typical_and_largest()


_ALL = slice(None)


def _most_severe(listed: Listed) -> Listed:
    """The elements to list, most severe first; of equally severe ones, the first."""
    return sorted(listed, key=lambda pair: -pair[0])[:LISTED]
