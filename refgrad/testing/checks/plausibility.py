"""How much speaks for an explanation: whether it meets every element, and how unlikely that is to happen by chance.

An explanation predicts every element of the array that came. It is accepted where every element lies within its window of the prediction.
A prediction that hardly differs from what is expected is met by anything that is nearly right, one near zero by anything small, and a wide
window by anything. So each element adds log2(distance / window) bits, where distance is that from the prediction to what is expected or to
zero, the smaller one, and only elements that tell them apart are counted. An explanation is said where the sum reaches BITS: a chance below
one in 2^30, while about 200 are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.testing.judging.imprecision import share

Array = Any
BITS = 30.0
_APART = 8.0  # an element counts where these are so many windows apart
_SAMPLE = 256


@dataclass(slots=True)
class Difference:
    """What came and what was expected, of one shape, and the window in which an explanation has to meet each element."""

    got: Array
    expected: Array
    window: Array
    wrong: Array  # mask: out of the window
    fmt: Format
    sample: tuple[Array, ...]  # the places of a few elements, the largest errors among them

    @classmethod
    def of(
        cls, got: Array, expected: Array, bound: Array, fmt: Format, *, hidden: bool = False
    ) -> Difference:
        """The difference of three arrays of one shape.

        The window is the bound; with ``hidden``, where the kernel may use another formula, at least what rounding can do to
        the largest elements of the array (see precision.py).
        """
        expected = np.asarray(expected, fmt.wide)
        got = np.asarray(got).astype(fmt.wide)
        with quiet():
            bound = np.broadcast_to(np.asarray(bound, fmt.wide), expected.shape)
            size, error = np.abs(expected), np.abs(got - expected)
            typical, largest = share(bound, size) if hidden else (1.0, 0.0)
            window = np.maximum(bound, typical * largest) if typical < 1 else bound
            wrong = out_of_bounds(got, expected, window, fmt)
            grave = np.where(wrong, np.nan_to_num(error / np.maximum(bound, fmt.eta), nan=np.inf), -1.0)
        worst = np.argsort(-grave, axis=None, kind="stable")[: _SAMPLE // 2]
        spread = np.linspace(0, max(grave.size - 1, 0), _SAMPLE // 2).astype(int)[: grave.size]
        places = (
            np.unravel_index(np.unique(np.concatenate([worst, spread])), grave.shape) if grave.ndim else ()
        )
        return cls(got, expected, window, wrong, fmt, places)

    def at(self, region: tuple[Array, ...]) -> Difference:
        """The same for a part of the array, given by the indices along each axis."""
        here = np.ix_(*region)
        wrong = self.wrong[here]
        places = np.unravel_index(np.arange(min(wrong.size, _SAMPLE)), wrong.shape)
        return Difference(self.got[here], self.expected[here], self.window[here], wrong, self.fmt, places)

    def bits(self, prediction: Array, window: Array, *, free: tuple[int, ...] | None = None) -> float:
        """How many bits speak for a prediction; minus infinity where it misses an element.

        prediction, window   arrays that broadcast to the shape of got
        free   None, or the axes along which one number was read off the array itself (all axes: one number for the whole array); of each
               slice the element that tells most is then left out
        """
        for where in (self.sample, ...):
            got, told, expected = (
                self.got[where],
                np.broadcast_to(prediction, self.got.shape)[where],
                self.expected[where],
            )
            with quiet():
                around = (
                    np.broadcast_to(window, self.got.shape)[where] + self.fmt.u * np.abs(told) + self.fmt.eta
                )
                defined = np.isfinite(expected) & np.isfinite(around)
                met = (np.abs(got - told) <= around) | ~defined
            if not np.all(met):
                return -np.inf
        with quiet():
            ratio = np.minimum(np.abs(told - expected), np.abs(told)) / around
            each = np.where(defined & (ratio >= _APART), np.log2(np.maximum(ratio, 1.0) / 2), 0.0)
        each = np.minimum(each, self.fmt.bits)
        if free is None:
            return float(np.sum(each))
        return float(np.sum(np.sum(each, axis=free) - np.max(each, axis=free, initial=0.0)))


def out_of_bounds(got: Array, expected: Array, bound: Array, fmt: Format) -> Array:
    """Which elements are wrong: a mask of the shape of ``expected``.

    An infinite number has to be met exactly, and beyond the format's range an infinity may stand for a finite one. Where NaN is
    expected nothing is defined. A number that is not finite is wrong in the place of a finite one even where the bound is infinite.
    """
    with quiet():
        size, finite, bounded = np.abs(expected), np.isfinite(expected), np.isfinite(bound)
        overflow = bounded & np.isinf(got) & (size + bound >= fmt.max) & (np.sign(got) == np.sign(expected))
        missed = ~overflow & ~(np.abs(got - expected) <= bound)
        wrong = finite & np.where(bounded, missed, ~np.isfinite(got) & (size < fmt.max))
        return wrong | (np.isinf(expected) & (got != expected))
