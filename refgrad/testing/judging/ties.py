"""Ties: judges the sum of the gradient over elements that share a subgradient, beside the single elements.

At a tie (of max, min, sort, pooling) the derivative of each element lies in [0, 1], and the derivatives sum to one. If every tied element
gets one, or every one gets zero, each is a member of its set, but together they are no subgradient. Elementwise bounds do not tell which
elements are tied with each other.

Equal numbers that move by the same amount stay equal. So all elements of one value are moved by one amount, v, and forward mode gives the
derivative along v. Where every choice at every tie gives the same number, it is <y_bar, y_dot>, and <x_bar, v> of any correct gradient
equals it.

The bound is valid for every choice. The Ball of forward mode encloses the derivative along v for all of them. For the gradient only
rounding is allowed, as the difference of two radii: that in the format, which covers rounding and choice, and that in the format without
rounding, which covers choice alone. The first uses the largest magnitude in each set, so the difference is sufficient for any choice. The
rounding of the chosen derivative itself, and of its product, is added. A sum out of bounds is imprecise and not wrong where each element
may have lost what rounding does to the largest element of its gradient (imprecision.py), and a bit of the sum is correct.

Where moving by v leaves a kink (a clamp at its bound, a relu at 0) the Ball of forward mode is as wide as the sets, and nothing is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, without_rounding
from refgrad.quiet import quiet
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import typical_and_largest
from refgrad.testing.judging.verdict import Comparison
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import jvp, vjp

Function = Callable[..., Any]
_BUCKETS = 12  # number of groups of values at the start; one group is moved at a time
_PASSES = 36  # largest number of runs of forward mode


@dataclass(frozen=True, slots=True)
class Tied:
    """The finding about a group of tied elements.

    inputs   positions of the inputs that contain the elements
    found    the comparison of one number, the sum of the gradient over the group
    along    for each input the direction that moves the group: the sum is its pairing with the gradient
    """

    inputs: tuple[int, ...]
    found: Comparison
    along: tuple[PlainArray, ...]


@dataclass(slots=True)
class _Input:
    """One input and its gradient; for each element the radius, the bound of rounding alone, and whether a set is allowed."""

    x: PlainArray
    got: PlainArray
    radius: PlainArray
    rounding: PlainArray
    open: PlainArray
    usual: float  # the rounding error of the largest element, see imprecision.py


def judge_ties(
    f: Function,
    xs: Sequence[PlainArray],
    y_bars: Sequence[PlainArray | None],
    expected: Sequence[Any],
    got: Sequence[Any],
    fmt: Format,
    rng: np.random.Generator,
    loss: float = 0.0,
    names: Sequence[str] = (),
) -> list[Tied]:
    """Judge the sums of the gradient over tied elements; an empty list, at almost no cost, where there are none.

    f         the reference as a function of the differentiated inputs alone; an array, or a tuple of floating-point arrays
    xs        these inputs, arrays of numbers of the judged format
    y_bars    a cotangent for each output, None for an output without one
    expected  their gradient by the reference, over Balls of ``fmt``
    got       the observed gradient: arrays, or Balls where its own error is known; None stands for zeros
    loss      what is known about a hidden formula, see imprecision.Hidden
    names     of the inputs, for messages; "input 0" and so on where none are given
    """
    if not any(_may_be_open(x_bar, fmt) for x_bar in expected):
        return []
    seeds, sets = _choices(f, xs, y_bars, fmt)
    inputs = [_input(*fields, fmt, loss) for fields in zip(xs, got, expected, sets, strict=True)]
    names = names or [f"input {k}" for k in range(len(xs))]
    return _Search(f, inputs, seeds, fmt, rng, names).run()


def has_choices(
    f: Function,
    xs: Sequence[PlainArray],
    y_bars: Sequence[PlainArray | None],
    expected: Sequence[Any],
    fmt: Format,
) -> bool:
    """Whether a set of derivatives is allowed for some element of the gradient. The arguments are those of judge_ties.

    Cotangents without zeros show every set, so the answer is valid for all other cotangents. Constants that the format cannot represent
    leave a radius without rounding as well. A set is told from them by its radius, to which rounding adds little.
    """
    if not any(_may_be_open(x_bar, fmt) for x_bar in expected):
        return False
    for x_bar, chosen in zip(expected, _choices(f, xs, y_bars, fmt)[1], strict=True):
        (_, radius), (_, span) = parts(x_bar), parts(chosen)
        with quiet():
            if np.any((span > 0) & (radius - span <= np.sqrt(fmt.u) * span)):
                return True
    return False


def _choices(
    f: Function, xs: Sequence[PlainArray], y_bars: Sequence[PlainArray | None], fmt: Format
) -> tuple[list[PlainArray], list[Any]]:
    """The cotangents of all outputs, and the gradient without rounding, whose radii are those of the sets alone."""
    bare = without_rounding(fmt)
    value, pullback = vjp(lambda *balls: _tuple(f(*balls)), *[exact(x, bare) for x in xs])
    seeds = [
        np.zeros(parts(y)[0].shape) if y_bar is None else np.asarray(y_bar, float)
        for y, y_bar in zip(value, y_bars, strict=True)
    ]
    return seeds, list(pullback(tuple(exact(y_bar, bare) for y_bar in seeds)))


def _may_be_open(expected: Ball | PlainArray, fmt: Format) -> bool:
    """Whether some radius is larger than rounding usually makes it: half of the digits."""
    value, radius = parts(expected)
    with quiet():
        return bool(np.any((radius > np.sqrt(fmt.u) * np.abs(value)) & np.isfinite(radius)))


def _input(
    x: PlainArray, got: Any, expected: Ball | PlainArray, chosen: Any, fmt: Format, loss: float
) -> _Input:
    (value, radius), (centre, span) = parts(expected), parts(chosen)
    x_bar, own = parts(np.zeros(value.shape) if got is None else got)
    if x_bar.shape != value.shape:  # a wrong shape is a disagreement that is found elsewhere
        x_bar, own = np.full(value.shape, np.nan), np.zeros(value.shape)
    with quiet():
        # A bound of the format may be the smaller one, where its numbers end.
        rounding = (
            np.abs(value - centre) + np.maximum(radius - span, 0.0) + 4 * fmt.store(np.abs(centre), span)
        )
        rounding = np.where(np.isfinite(x_bar) & ~np.isnan(rounding), rounding + own, np.inf)
        is_open = np.isfinite(rounding) & (span > fmt.u * radius) & (span > 64 * fmt.eta)
        typical, largest = typical_and_largest(rounding, np.abs(centre) + span)
        usual = max(typical if typical < 1 else 0.0, loss) * largest
    return _Input(np.asarray(x, float), x_bar.astype(fmt.wide), radius, rounding, is_open, usual)


def _tuple(y: Any) -> tuple[Any, ...]:
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)


class _Search:
    """Moves groups of values of elements with sets, until forward mode has a sharp answer for each or ``_PASSES`` runs are used."""

    def __init__(
        self,
        f: Function,
        inputs: list[_Input],
        seeds: list[PlainArray],
        fmt: Format,
        rng: np.random.Generator,
        names: Sequence[str],
    ) -> None:
        self.f, self.inputs, self.seeds, self.fmt, self.rng, self.names = f, inputs, seeds, fmt, rng, names
        self.left = _PASSES

    def run(self) -> list[Tied]:
        sizes = np.unique(np.concatenate([np.abs(i.x[i.open]).ravel() for i in self.inputs]))
        sizes = sizes[np.isfinite(sizes)]
        found: list[Tied] = []
        waiting = [b for b in np.array_split(self.rng.permutation(sizes), _BUCKETS) if b.size]
        while waiting and self.left > 0:
            bucket = waiting.pop(0)
            answers = [self._moved(bucket, odd) for odd in self._signs(bucket)]
            found += [a for a in answers if a is not None]
            if not any(answers) and bucket.size > 1:
                half = bucket.size // 2
                waiting += [bucket[:half], bucket[half:]]
        return found

    def _signs(self, bucket: PlainArray) -> tuple[bool, ...]:
        """Whether numbers of opposite sign move in the same or in opposite directions: both, where there are negative numbers."""
        low = min(
            (float(i.x[np.isin(np.abs(i.x), bucket)].min(initial=np.inf)) for i in self.inputs), default=0.0
        )
        return (False, True) if low < 0 else (False,)

    def _moved(self, bucket: PlainArray, odd: bool) -> Tied | None:
        """The comparison for the elements of these magnitudes; None where the bound is not sharp enough."""
        self.left -= 1
        fmt, wide = self.fmt, self.fmt.wide
        weights = np.ones(1) if bucket.size == 1 else self.rng.uniform(1, 2, bucket.size)
        order = np.argsort(bucket)
        vs = []
        for i in self.inputs:
            place = np.searchsorted(bucket, np.abs(i.x), sorter=order).clip(max=bucket.size - 1)
            v = np.where(bucket[order][place] == np.abs(i.x), weights[order][place], 0.0)
            vs.append(v * np.sign(i.x) if odd else v)
        _, y_dots = jvp(
            lambda *balls: _tuple(self.f(*balls)),
            [exact(i.x, fmt) for i in self.inputs],
            [exact(v, fmt) for v in vs],
        )
        moved = tuple(k for k, v in enumerate(vs) if np.any(v != 0))
        with quiet():
            y_bar, value, radius = _flat(
                [(s, *parts(d)) for s, d in zip(self.seeds, y_dots, strict=True)], wide
            )
            fields = [(v, i.got, i.rounding, i.radius) for v, i in zip(vs, self.inputs, strict=True)]
            v, x_bar, rounding, alone = _flat(fields, wide)
            expected, observed, step = np.sum(y_bar * value), np.sum(v * x_bar), np.abs(v)
            sums = np.sum(np.abs(y_bar * value)) + np.sum(np.abs(v * x_bar))
            bound = np.sum(np.abs(y_bar) * radius) + np.sum(step * rounding)
            bound = bound + (y_bar.size + v.size) * np.finfo(wide).eps * sums
            if not (np.isfinite(expected) and 2 * bound < np.sum(step * alone)):
                return None  # hardly sharper than the elementwise bounds
            usual = sum(float(np.sum(np.abs(v))) * i.usual for v, i in zip(vs, self.inputs, strict=True))
        what = _words(bucket, odd, [self.names[k] for k in moved])
        found = compare(observed, Ball(expected, bound, fmt), fmt, what, reach=bound + usual)
        return Tied(moved, found, tuple(vs))


def _flat(fields: Sequence[tuple[PlainArray, ...]], wide: Any) -> list[PlainArray]:
    """Concatenated arrays, field by field, in the wide format, without the elements where the first field is zero."""
    found = []
    for arrays in zip(*fields, strict=True):
        there = [np.broadcast_to(a, f[0].shape)[f[0] != 0] for a, f in zip(arrays, fields, strict=True)]
        found.append(np.concatenate(there).astype(wide))
    return found


def _words(bucket: PlainArray, odd: bool, moved: Sequence[str]) -> str:
    """The name of the compared number in messages."""
    sizes = ", ".join(f"{x:.6g}" for x in np.sort(bucket)[:3]) + (", ..." if bucket.size > 3 else "")
    weighted = "" if bucket.size == 1 else ", weighted by value"
    signs = " by sign" if odd else ""
    return f"gradient of {' and '.join(moved)} summed{signs} over tied elements of size {sizes}{weighted}"


__all__ = ["Tied", "judge_ties"]
