"""Ties: where several elements share a subgradient, what they get together is judged as well as what each gets.

At a tie (of max, min, sort, pooling) each element may get any share in [0, 1], but the shares add up to one. If both get the whole, or none
does, each is a member of its set, and together they are no subgradient. Which elements are tied with each other, no bound says.

But equal numbers that move alike stay equal. So move all elements of one value by one amount, v, and ask forward mode for the derivative
along v. Where every choice at every tie gives the same number, it is <y_bar, y_dot>, and any right gradient has <x_bar, v> equal to it.

The bound holds for every choice. Forward mode's Ball encloses the derivative along v under all of them. Of the gradient only rounding is
charged, as the difference of two radii: one of the format, in which a run may round and choose, and one of the format without rounding, in
which it may only choose. The first charges each rounding at the size that the sets allow, so that the difference is enough for any choice.
A choice is itself a number that rounds, and so does its product: that is added. Beyond the bound a sum is imprecise, and not wrong, where
each element may have lost what rounding does to the largest of its gradient (precision.py) and a bit of the sum is correct.

Where v leaves a kink (a clamp at its bound, a relu at 0) forward mode's Ball is as wide as the sets, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format, without_rounding
from refgrad.quiet import quiet
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import typical_and_largest
from refgrad.testing.judging.verdict import Comparison
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.transforms import jvp, vjp

Array = Any
Function = Callable[..., Any]
_BUCKETS = 12  # how many groups of values are moved at first, one group at a time
_PASSES = 36  # of forward mode at most


@dataclass(frozen=True, slots=True)
class Tied:
    """What was found of tied elements together.

    inputs   positions of the inputs that they are elements of
    found    one number compared: the sum of the gradient over them
    """

    inputs: tuple[int, ...]
    found: Comparison


@dataclass(slots=True)
class _Input:
    """One input: what came, and of each element what is allowed, what rounding may do, and whether a set is a part of it."""

    x: Array
    got: Array
    radius: Array
    rounding: Array
    open: Array
    usual: float  # what rounding does to the largest element, see precision.py


def judge_ties(
    f: Function,
    xs: Sequence[Array],
    y_bars: Sequence[Array | None],
    expected: Sequence[Any],
    got: Sequence[Any],
    fmt: Format,
    rng: np.random.Generator,
    loss: float = 0.0,
) -> list[Tied]:
    """Judge what tied elements got together; an empty list where there are none, which costs next to nothing.

    f         the reference as a function of the differentiated inputs alone; an array, or a tuple of floating-point arrays
    xs        these inputs, arrays of numbers of the judged format
    y_bars    a cotangent for each output, None for an output without one
    expected  the gradient that the reference gave for them over Balls of ``fmt``
    got       the gradient that came: arrays, or Balls where it rounds by itself; None stands for zeros
    loss      what is known of a hidden formula, see precision.Hidden
    """
    if not any(_may_be_open(x_bar, fmt) for x_bar in expected):
        return []
    seeds, sets = _choices(f, xs, y_bars, fmt)
    inputs = [_input(*fields, fmt, loss) for fields in zip(xs, got, expected, sets, strict=True)]
    return _Search(f, inputs, seeds, fmt, rng).run()


def has_choices(
    f: Function, xs: Sequence[Array], y_bars: Sequence[Array | None], expected: Sequence[Any], fmt: Format
) -> bool:
    """Whether a gradient is a matter of choice somewhere at these inputs, for the arguments of judge_ties.

    Cotangents that are nowhere zero show each choice, so the answer holds for all others. Constants that the format cannot hold leave a
    radius without any rounding, too: a choice is what rounding adds little to.
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
    f: Function, xs: Sequence[Array], y_bars: Sequence[Array | None], fmt: Format
) -> tuple[list[Array], list[Any]]:
    """The cotangents of all outputs, and the gradient without rounding: its radii are those of the sets alone."""
    bare = without_rounding(fmt)
    value, pullback = vjp(lambda *balls: _tuple(f(*balls)), *[exact(x, bare) for x in xs])
    seeds = [
        np.zeros(parts(y)[0].shape) if y_bar is None else np.asarray(y_bar, float)
        for y, y_bar in zip(value, y_bars, strict=True)
    ]
    return seeds, list(pullback(tuple(exact(y_bar, bare) for y_bar in seeds)))


def _may_be_open(expected: Any, fmt: Format) -> bool:
    """Whether some radius is more than rounding usually makes of it: half of the digits are lost."""
    value, radius = parts(expected)
    with quiet():
        return bool(np.any((radius > np.sqrt(fmt.u) * np.abs(value)) & np.isfinite(radius)))


def _input(x: Array, got: Any, expected: Any, chosen: Any, fmt: Format, loss: float) -> _Input:
    (value, radius), (centre, span) = parts(expected), parts(chosen)
    x_bar, own = parts(np.zeros(value.shape) if got is None else got)
    if x_bar.shape != value.shape:  # which is a disagreement of its own
        x_bar, own = np.full(value.shape, np.nan), np.zeros(value.shape)
    with quiet():
        rounding = np.abs(value - centre) + (radius - span) + 4 * fmt.store(np.abs(centre), span)
        rounding = np.where(np.isfinite(x_bar) & ~np.isnan(rounding), rounding + own, np.inf)
        is_open = np.isfinite(rounding) & (span > fmt.u * radius) & (span > 64 * fmt.eta)
        typical, largest = typical_and_largest(rounding, np.abs(centre) + span)
        usual = max(typical if typical < 1 else 0.0, loss) * largest
    return _Input(np.asarray(x, float), x_bar.astype(fmt.wide), radius, rounding, is_open, usual)


def _tuple(y: Any) -> tuple[Any, ...]:
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)


class _Search:
    """Moves the values of open elements, some at a time, until forward mode has a sharp answer or ``_PASSES`` are over."""

    def __init__(
        self, f: Function, inputs: list[_Input], seeds: list[Array], fmt: Format, rng: np.random.Generator
    ) -> None:
        self.f, self.inputs, self.seeds, self.fmt, self.rng = f, inputs, seeds, fmt, rng
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

    def _signs(self, bucket: Array) -> tuple[bool, ...]:
        """Whether opposite numbers are to move alike or oppositely: both, where there are such numbers."""
        low = min(
            (float(i.x[np.isin(np.abs(i.x), bucket)].min(initial=np.inf)) for i in self.inputs), default=0.0
        )
        return (False, True) if low < 0 else (False,)

    def _moved(self, bucket: Array, odd: bool) -> Tied | None:
        """What the elements of these sizes got together; None where that is open."""
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
            due, came, step = np.sum(y_bar * value), np.sum(v * x_bar), np.abs(v)
            sums = np.sum(np.abs(y_bar * value)) + np.sum(np.abs(v * x_bar))
            bound = np.sum(np.abs(y_bar) * radius) + np.sum(step * rounding)
            bound = bound + (y_bar.size + v.size) * np.finfo(wide).eps * sums
            if not (np.isfinite(due) and 2 * bound < np.sum(step * alone)):
                return None  # hardly more is said than of each alone
            usual = sum(float(np.sum(np.abs(v))) * i.usual for v, i in zip(vs, self.inputs, strict=True))
        what = _words(bucket, odd, moved)
        return Tied(moved, compare(came, Ball(due, bound, fmt), fmt, what, reach=bound + usual))


def _flat(fields: list[tuple[Array, ...]], wide: Any) -> list[Array]:
    """Arrays end to end, field by field, in the wide format, without the places where the first field is zero."""
    found = []
    for arrays in zip(*fields, strict=True):
        there = [np.broadcast_to(a, f[0].shape)[f[0] != 0] for a, f in zip(arrays, fields, strict=True)]
        found.append(np.concatenate(there).astype(wide))
    return found


def _words(bucket: Array, odd: bool, moved: tuple[int, ...]) -> str:
    """What is compared, as a message names it."""
    sizes = ", ".join(f"{x:.6g}" for x in np.sort(bucket)[:3]) + (", ..." if bucket.size > 3 else "")
    names = " and ".join(f"input {k}" for k in moved)
    weighted = "" if bucket.size == 1 else ", weighted by value"
    signs = " by sign" if odd else ""
    return f"gradient of {names} summed{signs} over tied elements of size {sizes}{weighted}"


__all__ = ["Tied", "judge_ties"]
