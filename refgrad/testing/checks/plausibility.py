"""The plausibility of an explanation: whether it predicts every element, and how improbable that is by chance.

An explanation predicts each element of the observed array within a window. A prediction close to the expected array, one close to zero,
and one with wide windows are easily met by chance. Therefore an element contributes log2(distance / window) bits, where distance is the
smaller of the distances from the prediction to the expected element and to zero; elements with a small ratio contribute nothing. An
explanation is given where the sum reaches BITS. It then holds by chance with probability below 2^-30, and about 200 candidates are tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.quiet import quiet
from refgrad.testing.judging.imprecision import typical_and_largest

BITS = 30.0
_LEAST_RATIO = 8.0  # of distance to window, for an element that counts
_SAMPLE = 256  # elements that are checked first


@dataclass(slots=True)
class Difference:
    """The observed and the expected array, of one shape, and the window within which an explanation must predict each element.

    wrong    mask of the elements beyond their window
    sample   indices of a few elements, those with the largest errors among them
    """

    got: PlainArray
    expected: PlainArray
    window: PlainArray
    wrong: PlainArray
    fmt: Format
    sample: tuple[PlainArray, ...]

    @classmethod
    def of(
        cls, got: PlainArray, expected: PlainArray, bound: PlainArray, fmt: Format, *, hidden: bool = False
    ) -> Difference:
        """The difference of an observed and an expected array; ``bound`` broadcasts to their shape.

        The window is the bound. With ``hidden``, it is at least the rounding error of the array's largest elements, for a kernel that may
        use another formula: see testing/judging/imprecision.py.
        """
        expected = np.asarray(expected, fmt.wide)
        got = np.asarray(got).astype(fmt.wide)
        with quiet():
            bound = np.broadcast_to(np.asarray(bound, fmt.wide), expected.shape)
            size, error = np.abs(expected), np.abs(got - expected)
            typical, largest = typical_and_largest(bound, size) if hidden else (1.0, 0.0)
            window = np.maximum(bound, typical * largest) if typical < 1 else bound
            wrong = out_of_bounds(got, expected, window, fmt)
            severity = np.where(wrong, np.nan_to_num(error / np.maximum(bound, fmt.eta), nan=np.inf), -1.0)
        worst = np.argsort(-severity, axis=None, kind="stable")[: _SAMPLE // 2]
        spread = np.linspace(0, max(severity.size - 1, 0), _SAMPLE // 2).astype(int)[: severity.size]
        places = (
            np.unravel_index(np.unique(np.concatenate([worst, spread])), severity.shape)
            if severity.ndim
            else ()
        )
        return cls(got, expected, window, wrong, fmt, places)

    def at(self, region: tuple[PlainArray, ...]) -> Difference:
        """The difference in a region, which is given by the indices along each axis."""
        here = np.ix_(*region)
        wrong = self.wrong[here]
        places = np.unravel_index(np.arange(min(wrong.size, _SAMPLE)), wrong.shape)
        return Difference(self.got[here], self.expected[here], self.window[here], wrong, self.fmt, places)

    def bits(
        self, prediction: PlainArray, window: PlainArray, *, free: tuple[int, ...] | None = None
    ) -> float:
        """The evidence for a prediction in bits; minus infinity where it misses an element.

        prediction, window   arrays that broadcast to the shape of got
        free                 None, or the axes along which one number was fitted to the observed array (all axes: one number in total). The
                             most informative element of each slice is then left out
        """
        for where in (self.sample, ...):
            got, predicted, expected = (
                self.got[where],
                np.broadcast_to(prediction, self.got.shape)[where],
                self.expected[where],
            )
            with quiet():
                around = (
                    np.broadcast_to(window, self.got.shape)[where]
                    + self.fmt.u * np.abs(predicted)
                    + self.fmt.eta
                )
                defined = np.isfinite(expected) & np.isfinite(around)
                within = (np.abs(got - predicted) <= around) | ~defined
            if not np.all(within):
                return -np.inf
        with quiet():
            ratio = np.minimum(np.abs(predicted - expected), np.abs(predicted)) / around
            each = np.where(defined & (ratio >= _LEAST_RATIO), np.log2(np.maximum(ratio, 1.0) / 2), 0.0)
        each = np.minimum(each, self.fmt.bits)
        if free is None:
            return float(np.sum(each))
        return float(np.sum(np.sum(each, axis=free) - np.max(each, axis=free, initial=0.0)))


def out_of_bounds(got: PlainArray, expected: PlainArray, bound: PlainArray, fmt: Format) -> PlainArray:
    """The mask of the wrong elements, of the shape of ``expected``.

    An infinite element must be equal. Beyond the format's range an infinity may stand for a finite number. Where NaN is expected, nothing
    is defined. A non-finite element in place of a finite one is wrong even where the bound is infinite.
    """
    with quiet():
        size, finite, bounded = np.abs(expected), np.isfinite(expected), np.isfinite(bound)
        overflow = bounded & np.isinf(got) & (size + bound >= fmt.max) & (np.sign(got) == np.sign(expected))
        missed = ~overflow & ~(np.abs(got - expected) <= bound)
        wrong = finite & np.where(bounded, missed, ~np.isfinite(got) & (size < fmt.max))
        return wrong | (np.isinf(expected) & (got != expected))
