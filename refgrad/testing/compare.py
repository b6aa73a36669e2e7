"""Compare arrays with Balls: every element within its bound, nothing passed over in silence.

Arrays are laid end to end and compared in one pass. A case has a dozen small ones, and a pass costs the same for all of them
as for one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad import sizes
from refgrad.bounds import Format, reference_slack
from refgrad.quiet import quiet
from refgrad.rounding import parts
from refgrad.testing.precision import Hidden, explained, with_digits
from refgrad.testing.verdict import Comparison, Element

Array = Any
Pair = tuple[Array, Any, str]  # what came, what was expected, what it is called
_LISTED = 10


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
        came = np.asarray(got)
        if came.shape != value.shape:
            found.append(Comparison(note=f"{what} has shape {came.shape}, expected {value.shape}"))
            continue
        found.append(Comparison())
        if came.size:
            judged.append((found[-1], what, value.shape))
            flat.append((came.ravel(), value.ravel(), np.asarray(radius).ravel()))  # a radius may be a number
    if flat:
        line = _Line(flat, fmt, nan, hidden, reach)
        start = 0
        for comparison, what, shape in judged:
            stop = start + math.prod(shape)
            line.tell(comparison, what, shape, start, stop)
            start = stop
    return found


class _Line:
    """Arrays end to end, compared element by element."""

    def __init__(
        self,
        flat: list[tuple[Array, Array, Array]],
        fmt: Format,
        nan: bool,
        hidden: Hidden | None,
        reach: Array | None,
    ) -> None:
        self.hidden = hidden
        self.reach = None if reach is None else np.ravel(reach) * reference_slack(fmt)
        got, value, radius = (np.concatenate(arrays) for arrays in zip(*flat, strict=True))
        self.fmt = fmt
        self.got, self.value = got.astype(fmt.wide, copy=False), value.astype(fmt.wide, copy=False)
        self.bound = radius * reference_slack(fmt)
        self.counted: Array = None  # which elements count; None for all
        with quiet():
            # Large arrays in float64: what that rounds is far below reference_slack (sizes.py).
            self.size, self.error = (
                sizes.size(self.value, self.value),
                sizes.size(self.got - self.value, self.value),
            )
            if math.isfinite(np.add.reduce(self.error + self.bound)):  # the usual case: numbers everywhere
                self.wrong = self.error > self.bound
            else:
                self.counted, self.wrong, self.undefined = _exceptional(
                    self.got, self.value, self.bound, self.size, fmt, nan
                )
                if hidden is not None:
                    strange = _strange(self.got, self.value, self.bound, self.size, fmt) & self.undefined
                    self.wrong, self.undefined = self.wrong | strange, self.undefined & ~strange
                    self.counted = self.counted | strange
                self.error = np.where(np.isnan(self.error), np.inf, self.error)
            self.ratio = self.error / self.bound  # no bound, and an error: infinite
            self.ratio[self.error == 0] = 0
            self.ratio[np.isnan(self.ratio)] = np.inf  # no number, and a bound without end
            self.wide = self.bound > np.maximum(0.1 * self.size, 64 * fmt.eta)
        self.any_wide, self.any_wrong = bool(np.count_nonzero(self.wide)), bool(np.count_nonzero(self.wrong))

    def tell(self, c: Comparison, what: str, shape: tuple[int, ...], start: int, stop: int) -> None:
        """Enter what was found of the array that lies from ``start`` to ``stop``."""
        here = slice(start, stop)
        bound, size, wide, ratio = self.bound[here], self.size[here], self.wide[here], self.ratio[here]
        counted = None if self.counted is None else self.counted[here]
        if counted is not None:
            c.skipped = int(np.count_nonzero(self.undefined[here]))
            bound, size, wide = bound[counted], size[counted], wide[counted]
        c.elements, c.kept = bound.size, (bound, size)
        if self.any_wide:
            c.loose = int(np.count_nonzero(wide))
            c.blind = int(np.count_nonzero(wide & (bound >= size))) if c.loose else 0
        if c.elements:
            nearest = int((ratio if counted is None else np.where(counted, ratio, -1.0)).argmax())
            c.ratio = float(ratio[nearest])
            c.nearest = lambda: self._element(nearest, start, shape, what)
        if self.any_wrong and np.count_nonzero(self.wrong[here]):
            wrong, grave = self.wrong[here], np.where(np.isnan(ratio), np.inf, ratio)
            excused = np.zeros(wrong.shape, bool)
            found = self.got[here], self.error[here], self.bound[here], self.size[here]
            if self.reach is not None:
                excused |= np.isfinite(self.reach) & (self.error[here] <= self.reach) & with_digits(*found)
            if self.hidden is not None:
                excused |= explained(*found[1:], self.hidden)
            excused &= wrong
            if excused.any():
                self._excuse(c, excused, what, shape, start)
                wrong = wrong & ~excused
            order = np.argsort(np.where(wrong, -grave, 1.0), kind="stable")
            c.count = int(np.count_nonzero(wrong))
            c.outside = lambda: [self._element(int(k), start, shape, what) for k in np.flatnonzero(wrong)]
            listed = order[: min(_LISTED, c.count)]
            c.wrong = [self._element(int(k), start, shape, what) for k in listed]

    def _excuse(self, c: Comparison, excused: Array, what: str, shape: tuple[int, ...], start: int) -> None:
        """Count elements as imprecise, and list those with the fewest correct digits."""
        c.imprecise, here = int(np.count_nonzero(excused)), slice(start, start + excused.size)
        c.correct = int(np.count_nonzero(2 * self.error[here] < self.size[here]))
        with quiet():
            relative = self.error[here] / self.size[here]  # not finite where zero is expected
        order = np.argsort(np.where(excused, -np.nan_to_num(relative, nan=np.inf), 1.0), kind="stable")
        c.lost = [self._element(int(k), start, shape, what) for k in order[: min(_LISTED, c.imprecise)]]

    def _element(self, k: int, start: int, shape: tuple[int, ...], what: str) -> Element:
        """Element k of the array that begins at ``start``."""
        at = start + k
        error, size = self.error[at], self.size[at]
        with quiet():  # infinity over infinity
            ulp = error / (2 * self.fmt.u * max(size, self.fmt.eta / self.fmt.u))
        return Element(
            float(self.got[at]), float(self.value[at]), float(self.bound[at]), float(self.ratio[at]), float(ulp),
            _place(k, shape), what,
        )  # fmt: skip


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


def _strange(got: Array, value: Array, bound: Array, size: Array, fmt: Format) -> Array:
    """NaN or infinity where the reference has a number of the format's range, though perhaps a bound without end; no overflow."""
    overflow = np.isfinite(bound) & np.isinf(got) & (size + bound >= fmt.max)
    return ~np.isfinite(got) & np.isfinite(value) & (size < fmt.max) & ~overflow
