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
        magnitude, error = np.abs(value), np.abs(got - value)
        if np.isfinite(error).all() and np.isfinite(bound).all():  # the usual case: numbers everywhere
            counted, wrong, skipped = None, error > bound, 0
        else:
            counted, wrong, skipped = _exceptional(got, value, bound, magnitude, fmt, nan)
            error = np.where(np.isnan(error), np.inf, error)
        ratio = np.where(error == 0, 0.0, error / bound)  # a bound of zero and an error: infinite
        ulps = error / (2 * fmt.u * np.maximum(magnitude, fmt.eta / fmt.u))
        kept_bound, kept_size = (
            (bound, magnitude) if counted is None else (bound[counted], magnitude[counted])
        )
        small = 64 * fmt.eta
        result.skipped, result.elements = skipped, int(kept_bound.size)
        result.loose = int((kept_bound > np.maximum(0.1 * kept_size, small)).sum())
        result.blind = int((kept_bound >= np.maximum(kept_size, small)).sum())
        seen = kept_size > 0
        result.sensitivities = (kept_bound[seen] / kept_size[seen]).astype(float)

    def element(k: int) -> Element:
        place = tuple(int(i) for i in np.unravel_index(k, shape)) if shape else ()
        return Element(
            float(got[k]), float(value[k]), float(bound[k]), float(ratio[k]), float(ulps[k]), place, what
        )

    if result.elements:
        result.worst = element(int(np.argmax(ratio if counted is None else np.where(counted, ratio, -1.0))))
    if wrong.any():
        order = np.argsort(np.where(wrong, -np.where(np.isnan(ratio), np.inf, ratio), 1.0), kind="stable")
        result.wrong = [element(int(k)) for k in order[: min(_LISTED, int(wrong.sum()))]]
    return result


def _exceptional(
    got: Array, value: Array, bound: Array, magnitude: Array, fmt: Format, nan: bool
) -> tuple[Array, Array, int]:
    """Which elements count, which are wrong, and how many define nothing, where NaN, infinities or endless bounds are about."""
    finite, endless = np.isfinite(value), np.isinf(value)
    defined = ~np.isnan(value) & ~np.isnan(bound) & ~(np.isinf(bound) & finite)
    overflow = finite & np.isinf(got) & (magnitude + bound >= fmt.max) & (np.sign(got) == np.sign(value))
    counted = defined & finite & ~overflow
    within = np.abs(got - value) <= bound
    wrong = (counted & ~within) | (defined & endless & (got != value))
    if nan:
        wrong = wrong | (np.isnan(value) & ~np.isinf(bound) & ~np.isnan(got))
    return counted, wrong, int(got.size - counted.sum() - (defined & endless).sum())
