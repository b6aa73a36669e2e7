"""Large arrays, compared in a few passes: what a Ball says of an array is worked out once and held against several ways."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from refgrad.bounds.formats import Format
from refgrad.bounds.rules import reference_slack
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.sharpness import Sharpness
from refgrad.testing.judging.verdict import Comparison, Element
from refgrad.tracing.ball import Ball, parts

SAMPLED = 997  # of so many elements one says how small an error would have been seen


class Limits:
    """The numbers that are due, and how far each may be off; the same comparison as ``compare``, which takes over where one is."""

    def __init__(self, expected: Ball, fmt: Format) -> None:
        self.expected, self.fmt = expected, fmt
        self.value, self.bound = expected.value, parts(expected)[1] * reference_slack(fmt)
        self.ordinary = bool(np.isfinite(self.bound).all())
        self.size = np.abs(self.value)
        self.loose = int((self.bound > 0.1 * self.size).sum())
        self.blind = int((self.bound >= self.size).sum()) if self.loose else 0
        self.kept = Sharpness(self.bound.ravel()[::SAMPLED].copy(), self.size.ravel()[::SAMPLED].copy(), fmt)

    def compare(self, got: ArrayLike, what: str) -> Comparison:
        """Hold an array against the limits; what each element would have betrayed is kept of a sample."""
        got = np.asarray(got, self.value.dtype)
        if got.shape != self.value.shape or not self.ordinary:
            return compare(got, self.expected, self.fmt, what)
        with np.errstate(all="ignore"):
            error = np.abs(got - self.value)
            ratio = np.divide(error, self.bound, out=np.zeros_like(error), where=error != 0)
        k = np.unravel_index(np.argmax(ratio), ratio.shape)  # NaN counts as the greatest
        if not ratio[k] <= 1:
            return compare(got, self.expected, self.fmt, what)
        ulp = float(error[k]) / (2 * self.fmt.u * max(float(self.size[k]), self.fmt.eta / self.fmt.u))
        worst = Element(
            float(got[k]),
            float(self.value[k]),
            float(self.bound[k]),
            float(ratio[k]),
            ulp,
            tuple(map(int, k)),
            what,
        )
        return Comparison(
            got.size, self.loose, self.blind, 0, worst.ratio, lambda: worst, sharpness=self.kept
        )
