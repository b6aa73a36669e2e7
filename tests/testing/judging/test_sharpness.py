"""The statistics of bounds: those of a sampled large array equal or approximate those of all elements."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.judging.sharpness import Detectability, SampledSharpness, Sharpness, median

FMT = FORMATS["float32"]


def elements(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    bound, size = rng.uniform(1e-9, 1e-7, n), np.abs(rng.standard_normal(n)) * 10.0 ** rng.integers(-9, 1, n)
    size[::7] = 0
    bound[1::50] = np.inf
    return bound, size


def condensed(bound: np.ndarray, size: np.ndarray) -> SampledSharpness:
    kept = SampledSharpness(bound.size, FMT)
    for start in range(0, bound.size, 1000):
        kept.add(bound[start : start + 1000], size[start : start + 1000])
    kept.close()
    return kept


@pytest.mark.parametrize("n", [1, 2, 999, 4000, 50_000, 50_001])
def test_condensed_arrays_say_what_whole_ones_say(n: int) -> None:
    bound, size = elements(n)
    few, whole = condensed(bound, size), Sharpness(bound, size, FMT)
    assert few.typical_and_largest() == whole.typical_and_largest()
    assert few.detectability() == whole.detectability()
    assert median([few]) == median([whole])
    assert few.relative_bounds()[0].size < 5000


def test_the_median_of_several_arrays_counts_each_element_once() -> None:
    some = [elements(n) for n in (60_000, 20_000, 500)]
    exact = median([Sharpness(*x, FMT) for x in some])
    shares = np.concatenate([Sharpness(*x, FMT).relative_bounds()[0] for x in some])
    found = median([condensed(*x) for x in some[:2]] + [Sharpness(*some[2], FMT)])
    assert abs(np.mean(shares <= found) - np.mean(shares <= exact)) < 1 / 4000


def test_nothing_kept_says_nothing() -> None:
    nothing = condensed(np.ones(5), np.zeros(5))
    assert nothing.detectability() == Detectability(5, 0, 0, None)
    assert nothing.typical_and_largest() == (0.0, 0.0)
    assert median([]) is None
    assert median([nothing]) is None
