"""Compare arrays with Balls: every element within its bound, nothing passed over in silence.

Small arrays are laid end to end and compared in one pass: a case has a dozen of them, and a pass costs the same for all as for one. A large
one is compared some elements at a time, and of these only counts and the worst elements are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refgrad.bounds import magnitudes
from refgrad.bounds.formats import Format
from refgrad.bounds.rules import reference_slack
from refgrad.quiet import quiet
from refgrad.testing.judging.imprecision import Hidden, explained, with_digits
from refgrad.testing.judging.sharpness import SampledSharpness, Sharpness
from refgrad.testing.judging.verdict import Comparison, Element
from refgrad.tracing.ball import parts

Array = Any
Pair = tuple[Array, Any, str]  # what observed, what was expected, what it is called
Listed = list[tuple[float, Element]]  # with how bad each is
_LISTED = 10
_BLOCK = 2**14  # elements at a time
LARGE = 4 * _BLOCK  # elements above which an array is compared in blocks


def compare(
    got: Array,
    expected: Any,
    fmt: Format,
    what: str = "",
    *,
    nan: bool = False,
    hidden: Hidden | None = None,
    reach: Array | None = None,
) -> Comparison:
    """Judge ``got`` (the framework's numbers, exact in float64) against ``expected`` (a Ball, or an exact array).

    A finite expected value must be met within its radius; beyond the format's range an overflow may stand for it. An infinite
    one must be met exactly. Where the reference is NaN nothing is defined, and nothing is counted; with ``nan`` (values: NaN is what the
    function gives there) another number is wrong.

    An element out of its bound is imprecise instead of wrong where the rounding of another formula explains it (precision.py): with
    ``hidden``, that of any formula for the whole array; with ``reach``, that of a formula whose bound is reach, of the shape of got.

    With ``hidden``, NaN or infinity is wrong wherever the reference is finite, even where its bound is endless.
    """
    return compare_all([(got, expected, what)], fmt, nan=nan, hidden=hidden, reach=reach)[0]


def compare_all(
    pairs: Sequence[Pair],
    fmt: Format,
    *,
    nan: bool = False,
    hidden: Hidden | None = None,
    reach: Array | None = None,
) -> list[Comparison]:
    """``compare`` for several arrays at once; ``reach`` is for one alone."""
    found: list[Comparison] = []
    judged: list[tuple[Comparison, str, tuple[int, ...]]] = []
    flat: list[tuple[Array, Array, Array]] = []
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
            flat.append(
                (observed.ravel(), value.ravel(), np.asarray(radius).ravel())
            )  # a radius may be a number
    if flat:
        line = _Concatenated(flat, fmt, nan, hidden, reach)
        start = 0
        for comparison, what, shape in judged:
            stop = start + math.prod(shape)
            line.enter(comparison, what, shape, start, stop)
            start = stop
    return found


class _Concatenated:
    """Arrays end to end, compared element by element; ``first`` is the place of the first one in its array."""

    def __init__(
        self,
        flat: list[tuple[Array, Array, Array]],
        fmt: Format,
        nan: bool,
        hidden: Hidden | None,
        reach: Array | None,
        first: int = 0,
    ) -> None:
        self.hidden, self.first = hidden, first
        self.reach = None if reach is None else np.ravel(reach) * reference_slack(fmt)
        got, value, radius = (np.concatenate(arrays) for arrays in zip(*flat, strict=True))
        self.fmt = fmt
        self.got, self.value = got.astype(fmt.wide, copy=False), value.astype(fmt.wide, copy=False)
        self.bound = radius * reference_slack(fmt)
        self.counted: Array = None  # which elements count; None for all
        with quiet():
            # Large arrays in float64: what that rounds is far below reference_slack (bounds/magnitudes.py).
            self.size, self.error = (
                magnitudes.size(self.value, self.value),
                magnitudes.size(self.got - self.value, self.value),
            )
            if math.isfinite(np.add.reduce(self.error + self.bound)):  # the usual case: numbers everywhere
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
            self.ratio = self.error / self.bound  # no bound, and an error: infinite
            self.ratio[self.error == 0] = 0
            self.ratio[np.isnan(self.ratio)] = np.inf  # no number, and a bound without end
            self.loose = self.bound > np.maximum(0.1 * self.size, 64 * fmt.eta)
        self.any_loose, self.any_wrong = (
            bool(np.count_nonzero(self.loose)),
            bool(np.count_nonzero(self.wrong)),
        )

    def enter(self, c: Comparison, what: str, shape: tuple[int, ...], start: int, stop: int) -> None:
        """Enter what was found of the array that lies from ``start`` to ``stop``."""
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

    def count(self, c: Comparison, here: slice) -> tuple[Array, Array]:
        """Enter how many elements there are of each kind; bounds and magnitudes of those that count."""
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
        """The place, counted from ``here``, of the largest error in units of its bound."""
        ratio = self.ratio[here]
        return int((ratio if self.counted is None else np.where(self.counted[here], ratio, -1.0)).argmax())

    def wrong_and_excused(self, here: slice, usual: tuple[float, float] | None = None) -> tuple[Array, Array]:
        """Which elements are wrong, and which are out of bounds alone. ``usual`` as for precision.explained."""
        wrong = self.wrong[here]
        excused = np.zeros(wrong.shape, bool)
        found = self.got[here], self.error[here], self.bound[here], self.size[here]
        if self.reach is not None:
            excused |= np.isfinite(self.reach) & (self.error[here] <= self.reach) & with_digits(*found)
        if self.hidden is not None:
            excused |= explained(*found[1:], self.hidden, usual)
        excused &= wrong
        return wrong & ~excused, excused

    def worst(self, c: Comparison, wrong: Array, what: str, shape: tuple[int, ...], start: int) -> Listed:
        """Count the wrong elements; those furthest out of their bounds."""
        c.count += int(np.count_nonzero(wrong))
        ratio = self.ratio[start : start + wrong.size]
        return self._listed(np.where(np.isnan(ratio), np.inf, ratio), wrong, what, shape, start)

    def lost(self, c: Comparison, excused: Array, what: str, shape: tuple[int, ...], start: int) -> Listed:
        """Count elements as imprecise; those with the fewest correct digits."""
        here = slice(start, start + excused.size)
        c.imprecise += int(np.count_nonzero(excused))
        with quiet():
            relative = self.error[here] / self.size[here]  # not finite where zero is expected
        return self._listed(np.nan_to_num(relative, nan=np.inf), excused, what, shape, start)

    def correct(self, here: slice) -> int:
        """How many elements have a correct bit."""
        return int(np.count_nonzero(2 * self.error[here] < self.size[here]))

    def _listed(self, severity: Array, some: Array, what: str, shape: tuple[int, ...], start: int) -> Listed:
        """The gravest of some elements; of equal ones, the first."""
        order = np.argsort(np.where(some, -severity, 1.0), kind="stable")
        listed = order[: min(_LISTED, np.count_nonzero(some))]
        return [(float(severity[k]), self.element(int(k), start, shape, what)) for k in listed]

    def element(self, k: int, start: int, shape: tuple[int, ...], what: str) -> Element:
        """Element k of the array that begins at ``start``."""
        at = start + k
        error, size = self.error[at], self.size[at]
        with quiet():  # infinity over infinity
            ulp = error / (2 * self.fmt.u * max(size, self.fmt.eta / self.fmt.u))
        return Element(
            float(self.got[at]), float(self.value[at]), float(self.bound[at]), float(self.ratio[at]), float(ulp),
            _place(self.first + k, shape), what,
        )  # fmt: skip


class _InBlocks:
    """A large array, compared some elements at a time.

    Imprecise is judged by the whole array: where anything is out of bounds, its blocks are compared once more.
    """

    def __init__(
        self,
        arrays: tuple[Array, Array, Array],
        fmt: Format,
        nan: bool,
        hidden: Hidden | None,
        reach: Array | None,
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
        """Enter what was found."""
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
        """Enter which elements are wrong, and which are imprecise alone."""
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
        """As imprecision.typical_and_largest, of all elements."""
        whole = SampledSharpness(self.arrays[0].size, self.fmt)
        for line in self.lines():
            usual = np.isfinite(line.size) & np.isfinite(line.bound)
            whole.add(line.bound[usual], line.size[usual])
        whole.close()
        return whole.typical_and_largest()


_ALL = slice(None)


def _most_severe(listed: Listed) -> Listed:
    """Those that are to be listed; of equal ones, the first."""
    return sorted(listed, key=lambda pair: -pair[0])[:_LISTED]


def _place(k: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The indices of element k."""
    place: list[int] = []
    for n in reversed(shape):
        k, i = divmod(k, n)
        place.append(i)
    return tuple(reversed(place))


def _exceptional(
    got: Array, value: Array, bound: Array, size: Array, fmt: Format, nan: bool
) -> tuple[Array, Array, Array]:
    """Which elements count, which are wrong, and which define nothing, where NaN, infinities or endless bounds are about."""
    finite, endless = np.isfinite(value), np.isinf(value)
    defined = ~np.isnan(value) & ~np.isnan(bound) & ~(np.isinf(bound) & finite)
    overflow = finite & np.isinf(got) & (size + bound >= fmt.max) & (np.sign(got) == np.sign(value))
    counted = defined & finite & ~overflow
    within = np.abs(got - value) <= bound
    wrong = (counted & ~within) | (defined & endless & (got != value))
    if nan:
        wrong = wrong | (np.isnan(value) & ~np.isinf(bound) & ~np.isnan(got))
    return counted, wrong, ~counted & ~(defined & endless)


def _unexpected_exceptional(got: Array, value: Array, bound: Array, size: Array, fmt: Format) -> Array:
    """NaN or infinity where the reference has a number of the format's range, though perhaps a bound without end; no overflow."""
    overflow = np.isfinite(bound) & np.isinf(got) & (size + bound >= fmt.max)
    return ~np.isfinite(got) & np.isfinite(value) & (size < fmt.max) & ~overflow
