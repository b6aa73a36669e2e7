"""What a comparison keeps of its bounds: how sharp they were, without the arrays where these are large.

A check compares the same array many times. Of a small array bounds and expected magnitudes are kept as they are; of a large one what is
ever asked of them, and some of its order statistics in place of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.testing.judging.imprecision import typical_and_largest

Array = Any
_LEFT = 2**12 - 1  # order statistics of a large array; odd, so that its median is one of them


def noise(fmt: Format) -> float:
    """The reference's own error, in units of the bound."""
    return float(np.finfo(fmt.wide).eps) / 2 / fmt.u


@dataclass(frozen=True, slots=True)
class Detectability:
    """What the bounds of one array let see.

    covered    elements with a bound, above zero, as large as they are
    blind      those of them that are not zero by the reference's own error
    seen       elements that are not zero, with a bound below them
    smallest   the least share bound/size of these, None where there are none
    """

    covered: int
    blind: int
    seen: int
    smallest: float | None


class Sharpness:
    """Bounds and expected magnitudes of the elements compared: arrays of one dimension and size."""

    __slots__ = ("bound", "fmt", "size")

    def __init__(self, bound: Array, size: Array, fmt: Format) -> None:
        self.bound, self.size, self.fmt = bound, size, fmt

    def typical_and_largest(self) -> tuple[float, float]:
        """As imprecision.typical_and_largest."""
        return typical_and_largest(self.bound, self.size)

    def detectability(self) -> Detectability:
        """What was to be seen."""
        bound, size = self.bound, self.size
        hidden = bound >= size
        covered = int(np.count_nonzero(hidden & (bound > 0)))
        blind = int(np.count_nonzero(hidden & (size > noise(self.fmt) * bound))) if covered else 0
        some = (size > 0) & (bound < size)
        seen = int(np.count_nonzero(some))
        return Detectability(covered, blind, seen, float(np.min(bound[some] / size[some])) if seen else None)

    def relative_bounds(self) -> tuple[Array, float]:
        """bound/size of the elements that are not zero, and of how many elements each of them is one."""
        some = self.size > 0
        return self.bound[some] / self.size[some], 1.0


class SampledSharpness:
    """As Sharpness, of ``count`` elements at most, which are given some at a time; ``close`` after the last of them."""

    __slots__ = ("_buffer", "_endless", "_filled", "_left", "_share", "_sight", "fmt")

    def __init__(self, count: int, fmt: Format) -> None:
        self.fmt = fmt
        self._buffer: Array = np.empty(count)
        self._filled = self._endless = 0
        self._sight = Detectability(0, 0, 0, None)
        self._share = 0.0, 0.0
        self._left: tuple[Array, float] = np.empty(0), 1.0

    def add(self, bound: Array, size: Array) -> None:
        """Some more elements."""
        own, before = Sharpness(bound, size, self.fmt), self._sight
        sight, (shares, _) = own.detectability(), own.relative_bounds()
        if shares.dtype != self._buffer.dtype:
            wider = np.empty(self._buffer.size, np.result_type(shares, self._buffer))
            wider[: self._filled] = self._buffer[: self._filled]
            self._buffer = wider
        self._buffer[self._filled : self._filled + shares.size] = shares
        self._filled += shares.size
        self._endless += int(np.count_nonzero(~np.isfinite(bound) & (size > 0)))
        least = [x for x in (before.smallest, sight.smallest) if x is not None]
        self._sight = Detectability(
            before.covered + sight.covered,
            before.blind + sight.blind,
            before.seen + sight.seen,
            min(least, default=None),
        )
        top = np.max(size, where=np.isfinite(bound), initial=0.0)
        self._share = 0.0, max(self._share[1], float(top))

    def close(self) -> None:
        """Keep what is asked for, and let the arrays go."""
        shares, count = self._buffer[: self._filled], self._filled
        shares.sort()  # those without an end are the last
        usual = shares[: count - self._endless]
        if usual.size:
            with quiet():
                middle = np.mean(usual[(usual.size - 1) // 2 : usual.size // 2 + 1])
            self._share = float(middle), self._share[1]
        else:
            self._share = 0.0, 0.0
        if count > _LEFT:
            places = ((2 * np.arange(_LEFT) + 1) * count) // (2 * _LEFT)
            self._left = shares[places], count / _LEFT
        else:
            self._left = shares.copy(), 1.0
        self._buffer = None

    def typical_and_largest(self) -> tuple[float, float]:
        """As imprecision.typical_and_largest."""
        return self._share

    def detectability(self) -> Detectability:
        """What was to be seen."""
        return self._sight

    def relative_bounds(self) -> tuple[Array, float]:
        """As those of Sharpness; the order statistics that are left, each of which stands for many."""
        return self._left


def median(kept: list[Sharpness | SampledSharpness]) -> float | None:
    """The median of bound/size over the elements of several arrays that are not zero; None where there are none."""
    found = [k.relative_bounds() for k in kept]
    shares = np.concatenate([x for x, _ in found]) if found else np.empty(0)
    if not len(shares):
        return None
    if all(weight == 1 for _, weight in found):
        middle = len(shares) // 2
        return float(np.partition(shares, middle)[middle])
    order = np.argsort(shares)
    weights = np.cumsum(np.concatenate([np.full(x.size, weight) for x, weight in found])[order])
    return float(shares[order][int(np.searchsorted(weights, weights[-1] / 2, side="right"))])


__all__ = ["Detectability", "SampledSharpness", "Sharpness", "median", "noise"]
