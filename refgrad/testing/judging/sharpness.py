"""Statistics of the error bounds of a comparison relative to the expected magnitudes, without the arrays where these are large.

A check compares the same array many times. Of a small array the bounds and expected magnitudes are stored. Of a large array only the
statistics are stored, and a sample of the order statistics of bound/size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.testing.judging.imprecision import typical_and_largest

_LEFT = 2**12 - 1  # sampled order statistics of a large array; odd, so that the median is one of them


def noise(fmt: Format) -> float:
    """The rounding of the reference itself, in units of the unit roundoff of ``fmt``."""
    return float(np.finfo(fmt.wide).eps) / 2 / fmt.u


@dataclass(frozen=True, slots=True)
class Detectability:
    """Which errors the bounds of one array can detect.

    covered    number of elements with a nonzero bound no smaller than their magnitude
    blind      those of them that are nonzero beyond the rounding of the reference itself
    seen       number of nonzero elements with a bound below their magnitude
    smallest   the least bound/size of these; None where there are none
    """

    covered: int
    blind: int
    seen: int
    smallest: float | None


class Sharpness:
    """Bounds and expected magnitudes of the compared elements: one-dimensional arrays of equal length."""

    __slots__ = ("bound", "fmt", "size")

    def __init__(self, bound: PlainArray, size: PlainArray, fmt: Format) -> None:
        self.bound, self.size, self.fmt = bound, size, fmt

    def typical_and_largest(self) -> tuple[float, float]:
        """``imprecision.typical_and_largest`` of the elements."""
        return typical_and_largest(self.bound, self.size)

    def detectability(self) -> Detectability:
        """Which errors were detectable."""
        bound, size = self.bound, self.size
        hidden = bound >= size
        covered = int(np.count_nonzero(hidden & (bound > 0)))
        blind = int(np.count_nonzero(hidden & (size > noise(self.fmt) * bound))) if covered else 0
        some = (size > 0) & (bound < size)
        seen = int(np.count_nonzero(some))
        return Detectability(covered, blind, seen, float(np.min(bound[some] / size[some])) if seen else None)

    def relative_bounds(self) -> tuple[PlainArray, float]:
        """bound/size of the nonzero elements, and the number of elements that each entry stands for."""
        some = self.size > 0
        return self.bound[some] / self.size[some], 1.0


class SampledSharpness:
    """Like Sharpness, for at most ``count`` elements that are added in blocks. Call ``close`` after the last block."""

    __slots__ = ("_buffer", "_endless", "_filled", "_left", "_share", "_sight", "fmt")

    def __init__(self, count: int, fmt: Format) -> None:
        self.fmt = fmt
        self._buffer: PlainArray = np.empty(count)
        self._filled = self._endless = 0
        self._sight = Detectability(0, 0, 0, None)
        self._share = 0.0, 0.0
        self._left: tuple[PlainArray, float] = np.empty(0), 1.0

    def add(self, bound: PlainArray, size: PlainArray) -> None:
        """Add a block of elements."""
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
        """Compute the statistics and release the buffer."""
        shares, count = self._buffer[: self._filled], self._filled
        shares.sort()  # infinite ratios are sorted to the end
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
        self._buffer = np.empty(0)

    def typical_and_largest(self) -> tuple[float, float]:
        """``imprecision.typical_and_largest`` of the elements."""
        return self._share

    def detectability(self) -> Detectability:
        """Which errors were detectable."""
        return self._sight

    def relative_bounds(self) -> tuple[PlainArray, float]:
        """The sampled order statistics of bound/size, and the number of elements that each of them stands for."""
        return self._left


class RelativeBounds:
    """bound/size of the compared elements of several arrays; ``some`` is a mask of the nonzero ones."""

    __slots__ = ("shares", "some")

    def __init__(self, shares: PlainArray, some: PlainArray) -> None:
        self.shares, self.some = shares, some

    def relative_bounds(self) -> tuple[PlainArray, float]:
        """As for Sharpness."""
        return self.shares[self.some], 1.0


def median(collected: list[Sharpness | SampledSharpness | RelativeBounds]) -> float | None:
    """The median of bound/size over the nonzero elements of several arrays; None where there are none."""
    found = [k.relative_bounds() for k in collected]
    shares = (
        found[0][0] if len(found) == 1 else np.concatenate([x for x, _ in found]) if found else np.empty(0)
    )
    if not len(shares):
        return None
    if all(weight == 1 for _, weight in found):
        middle = len(shares) // 2
        return float(np.partition(shares, middle)[middle])
    order = np.argsort(shares)
    weights = np.cumsum(np.concatenate([np.full(x.size, weight) for x, weight in found])[order])
    return float(shares[order][int(np.searchsorted(weights, weights[-1] / 2, side="right"))])


__all__ = ["Detectability", "RelativeBounds", "SampledSharpness", "Sharpness", "median", "noise"]
