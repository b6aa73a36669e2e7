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
    got = np.asarray(got, fmt.wide).ravel()
    value = np.asarray(value, fmt.wide).ravel()
    bound = np.asarray(radius).ravel() * reference_slack(fmt)
    shape = np.shape(expected) if not hasattr(expected, "shape") else expected.shape

    with np.errstate(all="ignore"):
        size, error = np.abs(value), np.abs(got - value)
        if np.isfinite((error + bound).sum()):  # the usual case: numbers everywhere
            counted, wrong = None, error > bound
            kept_bound, kept_size = bound, size
        else:
            counted, wrong, result.skipped = _exceptional(got, value, bound, size, fmt, nan)
            error = np.where(np.isnan(error), np.inf, error)
            kept_bound, kept_size = bound[counted], size[counted]
        ratio = np.divide(
            error, bound, out=np.zeros_like(error), where=error != 0
        )  # no bound, and an error: infinite
        result.elements = int(kept_bound.size)
        result.kept = (kept_bound, kept_size)
        wide = kept_bound > np.maximum(0.1 * kept_size, 64 * fmt.eta)
        result.loose = int(np.count_nonzero(wide))
        if result.loose:
            result.blind = int(np.count_nonzero(wide & (kept_bound >= kept_size)))

    def element(k: int) -> Element:
        place = tuple(int(i) for i in np.unravel_index(k, shape)) if shape else ()
        with np.errstate(invalid="ignore"):  # infinity over infinity
            ulp = error[k] / (2 * fmt.u * max(size[k], fmt.eta / fmt.u))
        return Element(
            float(got[k]), float(value[k]), float(bound[k]), float(ratio[k]), float(ulp), place, what
        )

    if result.elements:
        result.worst = element(int(np.argmax(ratio if counted is None else np.where(counted, ratio, -1.0))))
    if wrong.any():
        order = np.argsort(np.where(wrong, -np.where(np.isnan(ratio), np.inf, ratio), 1.0), kind="stable")
        result.wrong = [element(int(k)) for k in order[: min(_LISTED, int(wrong.sum()))]]
    return result


def _exceptional(
    got: Array, value: Array, bound: Array, size: Array, fmt: Format, nan: bool
) -> tuple[Array, Array, int]:
    """Which elements count, which are wrong, and how many define nothing, where NaN, infinities or endless bounds are about."""
    finite, endless = np.isfinite(value), np.isinf(value)
    defined = ~np.isnan(value) & ~np.isnan(bound) & ~(np.isinf(bound) & finite)
    overflow = finite & np.isinf(got) & (size + bound >= fmt.max) & (np.sign(got) == np.sign(value))
    counted = defined & finite & ~overflow
    within = np.abs(got - value) <= bound
    wrong = (counted & ~within) | (defined & endless & (got != value))
    if nan:
        wrong = wrong | (np.isnan(value) & ~np.isinf(bound) & ~np.isnan(got))
    return counted, wrong, int(got.size - counted.sum() - (defined & endless).sum())
