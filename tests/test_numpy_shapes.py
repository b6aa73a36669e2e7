"""NumPy's functions on every rank and along every axis: NumPy's values and slopes, or NumPy's own error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from tests.numpy_shapes import SHAPES, along_axes, of_two, whole
from tests.numpy_walk import Call, judged

# NumPy refuses an array without an axis to interpolate along by an error of its reshape; refgrad gives the empty result.
EMPTY_INTERPOLATION = {"median", "quantile", "percentile"}


def judge(calls: Iterator[Call]) -> Counter[str]:
    """Judge each call with its first two arrays traced in turn. Returns how many outcomes of each kind there were."""
    counted: Counter[str] = Counter()
    found = []
    for call in calls:
        if call.name in EMPTY_INTERPOLATION and call.kwargs.get("axis") == () and not np.size(call.args[0]):
            continue
        leaves = call.leaves()
        for place in [k for k, x in enumerate(leaves) if type(x) is np.ndarray and x.dtype.kind == "f"][:2]:
            outcome = judged(call, place)
            counted[outcome.kind] += 1
            if not outcome.accepted:
                found.append(f"{call}, leaf {place}: {outcome.kind}: {outcome.why}")
    assert not found, "\n".join(found[:20])
    return counted


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_calls_along_axes_are_numpys(shape: tuple[int, ...], order: str) -> None:
    if order == "C" or len(shape) > 1:
        counted = judge(along_axes(shape, order))
        assert counted["right"] > 2 * counted["refused"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_calls_of_whole_arrays_are_numpys(shape: tuple[int, ...]) -> None:
    counted = judge(whole(shape))
    assert counted["right"] > 2 * counted["refused"]


@pytest.mark.parametrize("other", SHAPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_calls_of_two_arrays_are_numpys(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    counted = judge(of_two(shape, other))
    assert counted["right"] > 2 * counted["refused"]
