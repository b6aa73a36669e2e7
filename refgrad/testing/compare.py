"""Compare an array with a Ball: every element within its bound, nothing passed over in silence."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds import Format, reference_slack
from refgrad.rounding import parts
from refgrad.testing.verdict import Comparison, Element

Array = Any
_LISTED = 10


def compare(got: Array, expected: Any, fmt: Format, what: str = "", *, nan: bool = False) -> Comparison:
    """Judge ``got`` (the framework's numbers, exact in float64) against ``expected`` (a Ball, or an exact array).

    A finite expected value must be met within its radius; beyond the format's range an overflow may stand for it. An infinite
    one must be met exactly. Where the reference is NaN nothing is defined, and nothing is counted; with ``nan`` (values: NaN is what the
    function gives there) another number is wrong.
    """
    value, radius = parts(expected)
    if np.shape(got) != np.shape(value):
        return Comparison(note=f"{what} has shape {np.shape(got)}, expected {np.shape(value)}")
    result = Comparison()
    if np.size(got) == 0:
        return result
    got = np.asarray(got).astype(fmt.wide).ravel()
    value = np.asarray(value).astype(fmt.wide).ravel()
    bound = np.asarray(radius).ravel() * reference_slack(fmt)
    shape = np.shape(expected) if not hasattr(expected, "shape") else expected.shape

    with np.errstate(all="ignore"):
        magnitude = np.abs(value)
        defined = ~np.isnan(value) & ~np.isnan(bound) & ~(np.isinf(bound) & np.isfinite(value))
        overflow = np.isfinite(value) & np.isinf(got) & (magnitude + bound >= fmt.max) & (np.sign(got) == np.sign(value))
        endless = np.isinf(value)
        counted = defined & np.isfinite(value) & ~overflow
        error = np.abs(got - value)
        error = np.where(np.isnan(error), np.inf, error)
        wrong = (counted & ~(error <= bound)) | (defined & endless & (got != value))
        if nan:
            wrong = wrong | (np.isnan(value) & ~np.isinf(bound) & ~np.isnan(got))
        # An unbounded true value beyond the range may come as the largest numbers of the format do.
        ratio = np.where(error == 0, 0.0, np.where(bound > 0, error / np.where(bound > 0, bound, 1.0), np.inf))
        ulps = error / (2 * fmt.u * np.maximum(magnitude, fmt.eta / fmt.u))

    result.skipped = int(np.size(got) - counted.sum() - (defined & endless).sum())
    result.elements = int(counted.sum())
    if result.elements:
        small = 64 * fmt.eta
        result.loose = int((bound[counted] > np.maximum(0.1 * magnitude[counted], small)).sum())
        result.blind = int((bound[counted] >= np.maximum(magnitude[counted], small)).sum())
        seen = counted & (magnitude > 0)
        with np.errstate(over="ignore"):
            result.sensitivities = (bound[seen] / magnitude[seen]).astype(float)

    def element(k: int) -> Element:
        place = tuple(int(i) for i in np.unravel_index(k, shape)) if shape else ()
        return Element(float(got[k]), float(value[k]), float(bound[k]), float(ratio[k]), float(ulps[k]), place, what)

    if result.elements:
        result.worst = element(int(np.argmax(np.where(counted, ratio, -1.0))))
    if wrong.any():
        order = np.argsort(np.where(wrong, -np.where(np.isnan(ratio), np.inf, ratio), 1.0), kind="stable")
        result.wrong = [element(int(k)) for k in order[: min(_LISTED, int(wrong.sum()))]]
    return result
