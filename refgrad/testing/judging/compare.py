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
from refgrad.bounds import magnitudes
from refgrad.bounds.formats import Format
from refgrad.bounds.rules import reference_slack
from refgrad.quiet import quiet
from refgrad.testing.judging.imprecision import Hidden, explained, with_digits
from refgrad.testing.judging.sharpness import SampledSharpness, Sharpness
from refgrad.testing.judging.verdict import Comparison, Element
from refgrad.tracing.ball import Ball, parts

Pair = tuple[PlainArray, Any, str]  # the observed array, the expected one, its name in messages
Listed = list[tuple[float, Element]]  # each with its severity
_LISTED = 10
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
        line = _Concatenated(flat, fmt, nan, hidden, reach)
        start = 0
        for comparison, what, shape in judged:
            stop = start + math.prod(shape)
            line.enter(comparison, what, shape, start, stop)
            start = stop
    return found


class _Concatenated:
    """Concatenated arrays, compared element by element. ``first`` is the flat index of the first element in its own array."""

    def __init__(
        self,
        flat: list[tuple[PlainArray, PlainArray, PlainArray]],
        fmt: Format,
        nan: bool,
        hidden: Hidden | None,
        reach: PlainArray | None,
        first: int = 0,
    ) -> None:
        self.hidden, self.first = hidden, first
        self.reach = None if reach is None else np.ravel(reach) * reference_slack(fmt)
        got, value, radius = (np.concatenate(arrays) for arrays in zip(*flat, strict=True))
        self.fmt = fmt
        self.got, self.value = got.astype(fmt.wide, copy=False), value.astype(fmt.wide, copy=False)
        self.bound = radius * reference_slack(fmt)
        self.counted: PlainArray | None = None  # mask of the compared elements; None for all
        with quiet():
            # Large arrays are compared in float64, whose rounding is far below reference_slack (bounds/magnitudes.py).
            self.size, self.error = (
                magnitudes.size(self.value, self.value),
                magnitudes.size(self.got - self.value, self.value),
            )
            if math.isfinite(
                np.add.reduce(self.error + self.bound)
            ):  # the common case: all numbers are finite
                self.wrong = self.error > self.bound
            else:
                self.counted, self.wrong, self.undefined = _exceptional(
                    self.got, self.value, self.bound, self.size, fmt, nan
                )
                if hidden is not None:
                    unexpected = (
                        _unexpected_exceptional(self.got, self.value, self.bound, self.size, fmt)
                        & self.undefined
                    )
                    self.wrong, self.undefined = self.wrong | unexpected, self.undefined & ~unexpected
                    self.counted = self.counted | unexpected
                self.error = np.where(np.isnan(self.error), np.inf, self.error)
            self.ratio = self.error / self.bound  # an error with a bound of zero gives infinity
            self.ratio[self.error == 0] = 0
            self.ratio[np.isnan(self.ratio)] = np.inf  # NaN, or infinity over an infinite bound
            self.loose = self.bound > np.maximum(0.1 * self.size, 64 * fmt.eta)
        self.any_loose, self.any_wrong = (
            bool(np.count_nonzero(self.loose)),
            bool(np.count_nonzero(self.wrong)),
        )

    def enter(self, c: Comparison, what: str, shape: tuple[int, ...], start: int, stop: int) -> None:
        """Write the findings about the elements from ``start`` to ``stop`` into a Comparison."""
        here = slice(start, stop)
        c.sharpness = Sharpness(*self.count(c, here), self.fmt)
        if c.elements:
            nearest = self.nearest(here)
            c.ratio = float(self.ratio[start + nearest])
            c.make_worst = lambda: self.element(nearest, start, shape, what)
        if self.any_wrong and np.count_nonzero(self.wrong[here]):
            wrong, excused = self.wrong_and_excused(here)
            if excused.any():
                c.correct = self.correct(here)
                c.least_precise = [e for _, e in self.lost(c, excused, what, shape, start)]
            c.wrong = [e for _, e in self.worst(c, wrong, what, shape, start)]
            c.every_wrong = lambda: [self.element(int(k), start, shape, what) for k in np.flatnonzero(wrong)]

    def count(self, c: Comparison, here: slice) -> tuple[PlainArray, PlainArray]:
        """Add the numbers of elements of each kind; return bounds and magnitudes of the compared elements."""
        bound, size, loose_here = self.bound[here], self.size[here], self.loose[here]
        if self.counted is not None:
            counted = self.counted[here]
            c.skipped += int(np.count_nonzero(self.undefined[here]))
            bound, size, loose_here = bound[counted], size[counted], loose_here[counted]
        c.elements += bound.size
        if self.any_loose:
            loose = int(np.count_nonzero(loose_here))
            c.loose += loose
            c.blind += int(np.count_nonzero(loose_here & (bound >= size))) if loose else 0
        return bound, size

    def nearest(self, here: slice) -> int:
        """The index, relative to ``here``, of the largest error in units of its bound."""
        ratio = self.ratio[here]
        return int((ratio if self.counted is None else np.where(self.counted[here], ratio, -1.0)).argmax())

    def wrong_and_excused(
        self, here: slice, usual: tuple[float, float] | None = None
    ) -> tuple[PlainArray, PlainArray]:
        """Masks of the wrong elements and of those that are out of bounds but imprecise. ``usual`` as for imprecision.explained."""
        wrong = self.wrong[here]
        excused = np.zeros(wrong.shape, bool)
        found = self.got[here], self.error[here], self.bound[here], self.size[here]
        if self.reach is not None:
            excused |= np.isfinite(self.reach) & (self.error[here] <= self.reach) & with_digits(*found)
        if self.hidden is not None:
            excused |= explained(*found[1:], self.hidden, usual)
        excused &= wrong
        return wrong & ~excused, excused

    def worst(
        self, c: Comparison, wrong: PlainArray, what: str, shape: tuple[int, ...], start: int
    ) -> Listed:
        """Count the wrong elements; return those with the largest ratio of error to bound."""
        c.count += int(np.count_nonzero(wrong))
        ratio = self.ratio[start : start + wrong.size]
        return self._listed(np.where(np.isnan(ratio), np.inf, ratio), wrong, what, shape, start)

    def lost(
        self, c: Comparison, excused: PlainArray, what: str, shape: tuple[int, ...], start: int
    ) -> Listed:
        """Count the imprecise elements; return those with the fewest correct digits."""
        here = slice(start, start + excused.size)
        c.imprecise += int(np.count_nonzero(excused))
        with quiet():
            relative = self.error[here] / self.size[here]  # not finite where zero is expected
        return self._listed(np.nan_to_num(relative, nan=np.inf), excused, what, shape, start)

    def correct(self, here: slice) -> int:
        """The number of elements with at least one correct bit."""
        return int(np.count_nonzero(2 * self.error[here] < self.size[here]))

    def _listed(
        self, severity: PlainArray, some: PlainArray, what: str, shape: tuple[int, ...], start: int
    ) -> Listed:
        """The most severe of the elements in the mask ``some``; of equally severe ones, the first."""
        order = np.argsort(np.where(some, -severity, 1.0), kind="stable")
        listed = order[: min(_LISTED, np.count_nonzero(some))]
        return [(float(severity[k]), self.element(int(k), start, shape, what)) for k in listed]

    def element(self, k: int, start: int, shape: tuple[int, ...], what: str) -> Element:
        """Element k of the array that starts at ``start``."""
        at = start + k
        error, size = self.error[at], self.size[at]
        with quiet():  # infinity divided by infinity
            ulp = error / (2 * self.fmt.u * max(size, self.fmt.eta / self.fmt.u))
        return Element(
            float(self.got[at]),
            float(self.value[at]),
            float(self.bound[at]),
            float(self.ratio[at]),
            float(ulp),
            _place(self.first + k, shape),
            what,
        )


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

    def lines(self) -> Iterator[_Concatenated]:
        size = self.arrays[0].size
        for start in range(0, size, _BLOCK):
            here = slice(start, start + _BLOCK)
            got, value, radius = self.arrays
            reach = self.reach if self.reach is None or self.reach.size < size else self.reach[here]
            block = got[here], value[here], radius[here]
            yield _Concatenated([block], self.fmt, self.nan, self.hidden, reach, start)

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
    return sorted(listed, key=lambda pair: -pair[0])[:_LISTED]


def _place(k: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The indices of element k."""
    place: list[int] = []
    for n in reversed(shape):
        k, i = divmod(k, n)
        place.append(i)
    return tuple(reversed(place))


def _exceptional(
    got: PlainArray, value: PlainArray, bound: PlainArray, size: PlainArray, fmt: Format, nan: bool
) -> tuple[PlainArray, PlainArray, PlainArray]:
    """Masks of the compared, the wrong and the undefined elements, for arrays with NaN, infinities or infinite bounds."""
    finite, infinite = np.isfinite(value), np.isinf(value)
    defined = ~np.isnan(value) & ~np.isnan(bound) & ~(np.isinf(bound) & finite)
    overflow = finite & np.isinf(got) & (size + bound >= fmt.max) & (np.sign(got) == np.sign(value))
    counted = defined & finite & ~overflow
    within = np.abs(got - value) <= bound
    wrong = (counted & ~within) | (defined & infinite & (got != value))
    if nan:
        wrong = wrong | (np.isnan(value) & ~np.isinf(bound) & ~np.isnan(got))
    return counted, wrong, ~counted & ~(defined & infinite)


def _unexpected_exceptional(
    got: PlainArray, value: PlainArray, bound: PlainArray, size: PlainArray, fmt: Format
) -> PlainArray:
    """A mask of NaN and infinities, overflow excepted, where the reference is a number within the range; its bound may be infinite."""
    overflow = np.isfinite(bound) & np.isinf(got) & (size + bound >= fmt.max)
    return ~np.isfinite(got) & np.isfinite(value) & (size < fmt.max) & ~overflow
