"""Constant factors and offsets that explain a wrong array. A factor may be named after the size of an axis, such as 1/n."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from refgrad.quiet import quiet
from refgrad.testing.checks.plausibility import BITS, Difference

# Names and shapes of arrays; "" names the explained array itself.
Sizes = Sequence[tuple[str, tuple[int, ...]]]
_SIMPLE = (1.0, 2.0, 0.5)
_NAMED = 3  # names listed, at most


def factor(d: Difference, sizes: Sizes) -> str:
    """One factor for all elements, in words; "" where there is none."""
    low, high = _interval(d)
    if not low <= high or low <= 1 <= high or low <= 0 <= high:
        return ""
    inside = [(c, name) for c, name in named_factors(sizes) if low <= c <= high]
    fitting = [(c, name) for c, name in inside if d.bits(c * d.expected, abs(c) * d.window) >= BITS]
    if fitting:
        return _factor_in_words(fitting)
    c = (low + high) / 2
    if d.bits(c * d.expected, abs(c) * d.window, free=tuple(range(d.got.ndim))) < BITS:
        return ""
    return f"every element is about {c:.{_digits(c, high - low)}g} times the expected value"


def _factor_in_words(fitting: list[tuple[float, str]]) -> str:
    """A factor in words, with its names; with the value of each name where these differ."""
    c = fitting[0][0]
    if c == -1:
        return "every element has the opposite sign: it is -1 times the expected value"
    if abs(c) in _SIMPLE:  # such a factor needs no name, but may have one
        places = [
            name.partition(", ")[2]
            for value, name in fitting
            if value == c and name.startswith(("n for", "1/n for"))
        ]
        return f"every element is {c:.6g} times the expected value" + (
            f" (2 is {places[0]})" if places else ""
        )
    plain = [(value, name) for value, name in fitting if name.lstrip("-").startswith(("n for", "1/n for"))]
    fitting = plain or fitting  # n is preferred to sqrt of another n
    one = len({value for value, _ in fitting}) < 2
    names = list(dict.fromkeys(name if one else f"{name} = {value:.6g}" for value, name in fitting))
    why = f", which is {' or '.join(names[:_NAMED])}" if names else ""
    return f"every element is {c:.6g} times the expected value{why}"


def _digits(c: float, width: float) -> int:
    """Number of certain digits of a number, at least two."""
    return int(np.clip(math.floor(math.log10(abs(c) / width)) if width > 0 else 12, 2, 12))


def _interval(d: Difference) -> tuple[float, float]:
    """The interval of factors for which every element lies within its window; empty (low > high) where there are none."""
    with quiet():
        size = np.abs(d.expected)
        informative = np.isfinite(d.expected) & (d.window < size / 8) & np.isfinite(d.got)
        if not informative.any():
            return 1.0, 0.0
        got, expected, window = d.got[informative], d.expected[informative], d.window[informative]
        ratio = got / expected
        half = np.abs(ratio) * (window / size[informative] + d.fmt.u) * (1 + 2 * window / size[informative])
        half += d.fmt.eta / size[informative]
        return float(np.max(ratio - half)), float(np.min(ratio + half))


def named_factors(sizes: Sizes) -> Iterator[tuple[float, str]]:
    """The factors with a name, the simplest first."""
    yield from ((sign * c, "") for c in _SIMPLE for sign in (-1.0, 1.0))
    seen: dict[int, list[str]] = {}
    own_axes: set[str] = set()  # axes of the explained array itself
    for what, shape in sizes:
        of = f" of {what}" if what else ""
        for axis, n in enumerate(shape):
            seen.setdefault(n, []).append(f"the size of axis {axis}{of}")
        if len(shape) > 1:
            seen.setdefault(math.prod(shape), []).append(f"the number of elements{of or ' of the array'}")
        for k in range(2, len(shape)):
            seen.setdefault(math.prod(shape[:k]), []).append(f"the product of the first {k} sizes{of}")
            seen.setdefault(math.prod(shape[-k:]), []).append(f"the product of the last {k} sizes{of}")
        own_axes |= set() if what else {place for places in seen.values() for place in places}
    for n, places in seen.items():
        if n > 1:
            own = [place for place in places if place in own_axes] or places[:1]
            size = f"for n = {n}, {' and '.join(own[:2])}"
            yield from (
                (float(n), f"n {size}"), (1 / n, f"1/n {size}"), (math.sqrt(n), f"sqrt(n) {size}"),
                (1 / math.sqrt(n), f"1/sqrt(n) {size}"), (n / (n - 1), f"n/(n - 1) {size}"), ((n - 1) / n, f"(n - 1)/n {size}"),
                (n - 1.0, f"n - 1 {size}"), (-float(n), f"-n {size}"), (-1 / n, f"-1/n {size}"),
            )  # fmt: skip


def slice_factors(d: Difference) -> str:
    """One factor for each slice along an axis, in words; "" where there is none."""
    for axis in range(d.got.ndim if d.got.ndim > 1 else 0):
        if d.got.shape[axis] < 2:
            continue
        with quiet():
            size = np.where(np.isfinite(d.expected), np.abs(d.expected), 0.0)
            sure = np.argmax(
                np.where(d.window > 0, size / np.maximum(d.window, d.fmt.eta), size), axis=axis, keepdims=True
            )
            c = np.take_along_axis(d.got, sure, axis) / np.take_along_axis(d.expected, sure, axis)
            c = np.where(np.isfinite(c), c, 1.0)
            predicted, window = c * d.expected, (np.abs(c) + 1) * d.window
        if d.bits(predicted, window, free=(axis,)) >= BITS:
            span = f"from {np.min(c):.4g} to {np.max(c):.4g}"
            return f"each slice along axis {axis} is the expected array times a factor of the slice, {span}"
    return ""


def offsets(d: Difference) -> str:
    """One offset for all elements, or for each slice along an axis, in words; "" where there is none."""
    every = tuple(range(d.got.ndim))
    for axes in (every, *((axis,) for axis in every if d.got.ndim > 1 and d.got.shape[axis] > 1)):
        with quiet():
            off = np.where(np.isfinite(d.expected) & np.isfinite(d.window), d.got - d.expected, np.nan)
            if not np.any(np.isfinite(off)):
                return ""
            ends = [f.reduce(off, axis=axes, keepdims=True) for f in (np.fmax, np.fmin)]
            middle = (ends[0] + ends[1]) / 2
            middle = np.where(np.isfinite(middle), middle, 0.0)
            around = d.window + d.fmt.u * (np.abs(d.expected) + np.abs(middle))
        if d.bits(d.expected + middle, around, free=axes) >= BITS:
            if axes == every:
                return f"every element is the expected value plus {float(middle.flat[0]):.6g}"
            return (
                f"the answer differs from the expected array by a number that is constant along axis {axes[0]}, "
                f"from {np.min(middle):.4g} to {np.max(middle):.4g}"
            )
    return ""
