"""Concatenated arrays, observed and expected, compared element by element in one pass.

One pass costs about the same for many small arrays as for one. Each array is a segment of the whole; its findings are read from there.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds import magnitudes
from refgrad.bounds.formats import Format
from refgrad.bounds.rules import reference_slack
from refgrad.quiet import quiet
from refgrad.testing.judging.imprecision import Hidden, explained, with_digits
from refgrad.testing.judging.sharpness import Sharpness
from refgrad.testing.judging.verdict import Comparison, Element

Listed = list[tuple[float, Element]]  # each with its severity
LISTED = 10


class Segment(NamedTuple):
    """Counts of one array. The fields up to ``ratio`` are those of Comparison; ``wrong`` counts the elements out of bounds."""

    elements: int
    loose: int
    blind: int
    skipped: int
    ratio: float
    wrong: int


class Concatenated:
    """Concatenated arrays, compared element by element. ``first`` is the flat index of the first element in its own array."""

    def __init__(
        self,
        flat: list[tuple[PlainArray, PlainArray, PlainArray]],
        fmt: Format,
        nan: bool,
        hidden: Hidden | None,
        reach: PlainArray | None,
        first: int = 0,
        *,
        as_they_are: bool = False,
    ) -> None:
        """``flat`` lists (observed, expected, radius), arrays of one axis and of one length.

        Many elements are compared in float64, whose rounding is far below reference_slack (bounds/magnitudes.py). With ``as_they_are``
        they are compared in the format of the reference, so that the numbers do not depend on how many arrays there are.
        """
        self.hidden, self.first = hidden, first
        self.reach = None if reach is None else np.ravel(reach) * reference_slack(fmt)
        got, value, radius = (np.concatenate(arrays) for arrays in zip(*flat, strict=True))
        self.fmt = fmt
        self.got, self.value = got.astype(fmt.wide, copy=False), value.astype(fmt.wide, copy=False)
        self.bound = radius * reference_slack(fmt)
        self.counted: PlainArray | None = None  # mask of the compared elements; None for all
        with quiet():
            size_of = np.abs if as_they_are else functools.partial(magnitudes.size, among=self.value)
            self.size, self.error = size_of(self.value), size_of(self.got - self.value)
            if math.isfinite(np.add.reduce(self.error + self.bound)):
                # the common case: all numbers are finite
                self.wrong = self.error > self.bound
            else:
                self.counted, self.wrong, self.undefined = _exceptional(
                    self.got, self.value, self.bound, self.size, fmt, nan
                )
                if hidden is not None and hidden.finite:
                    unexpected = (
                        _unexpected_exceptional(self.got, self.value, self.bound, self.size, fmt)
                        & self.undefined
                    )
                    self.wrong, self.undefined = self.wrong | unexpected, self.undefined & ~unexpected
                    self.counted = self.counted | unexpected
                self.error = np.where(np.isnan(self.error), np.inf, self.error)
            # An error with a bound of zero gives infinity. Bounds of zeros are subnormal, and a division by one takes thirty times as long.
            off = self.error != 0
            self.ratio = np.zeros(off.shape, np.result_type(self.error, self.bound))
            np.divide(self.error, self.bound, out=self.ratio, where=off)
            np.putmask(self.ratio, np.isnan(self.ratio), np.inf)  # NaN, or infinity over an infinite bound
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

    def comparison(self, what: str, shape: tuple[int, ...], start: int, place: Any) -> Comparison:
        """The findings about the array of this shape that starts at ``start``."""
        found = Comparison(place=place)
        self.enter(found, what, shape, start, start + math.prod(shape))
        return found

    def worst_element(self, what: str, shape: tuple[int, ...], start: int) -> Element:
        """The element of the array that starts at ``start`` with the largest error in units of its bound."""
        return self.element(self.nearest(slice(start, start + math.prod(shape))), start, shape, what)

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

    def segments(self, starts: PlainArray) -> list[Segment]:
        """The counts of the arrays that start at these places, the first of them at 0. None of them is empty."""
        size = self.error.size
        sizes = np.diff([*starts, size])
        ratio = self.ratio
        if self.counted is None:
            elements, skipped = sizes, np.zeros(len(starts), int)
        else:
            elements = np.add.reduceat(self.counted, starts, dtype=int)
            skipped = np.add.reduceat(self.undefined, starts, dtype=int)
            ratio = np.where(self.counted, ratio, 0.0)
        none = [0] * len(starts)
        loose = blind = none
        if self.any_loose:
            there = self.loose if self.counted is None else self.loose & self.counted
            loose = np.add.reduceat(there, starts, dtype=int).tolist()
            blind = np.add.reduceat(there & (self.bound >= self.size), starts, dtype=int).tolist()
        wrong = np.add.reduceat(self.wrong, starts, dtype=int).tolist() if self.any_wrong else none
        with quiet():  # a ratio may leave the range of float64
            largest = np.maximum.reduceat(ratio, starts).astype(float).tolist()
        counts = zip(elements.tolist(), loose, blind, skipped.tolist(), largest, wrong, strict=True)
        return [Segment(*row) for row in counts]

    def relative_bounds(self) -> tuple[PlainArray, PlainArray]:
        """bound/size of each element, and a mask of the elements that have one: those that are compared and not zero."""
        with quiet():
            some = self.size > 0
            return self.bound / self.size, some if self.counted is None else some & self.counted

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
            excused |= (
                np.isfinite(self.reach)
                & (self.error[here] <= self.reach)
                & with_digits(*found, self.fmt.least)
            )
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
        listed = order[: min(LISTED, np.count_nonzero(some))]
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


__all__ = ["LISTED", "Concatenated", "Listed", "Segment"]
