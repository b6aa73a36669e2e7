"""Wrong elements at a branch of the reference: np.where(x > 0, x, 0) at x = 0 has one slope, np.maximum(x, 0) has all between 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.quiet import quiet
from refgrad.testing.judging.verdict import Comparison
from refgrad.torch.checking.point import Point
from refgrad.torch.checking.reference import Reference
from refgrad.tracing.ball import exact, parts

# A step to either side of the inputs changes a smooth gradient by about as much, and one at a branch by a part of itself. The note is a
# hint and decides nothing.
_STEP = 2.0**-24
_PART = 2.0**-10
_DRAWS = 6  # of the steps: of three equal elements each is the largest in some draw


def note(point: Point, seeds: Sequence[PlainArray | None], k: int, found: Comparison) -> str:
    """Advice where the gradient of the reference jumps at each listed wrong element, and func gives a number from side to side; else "".

    seeds    the cotangents
    k        the position of the input
    found    the comparison of its gradient
    """
    if not found.wrong:
        return ""
    try:
        near = np.stack(
            [_gradient(point, seeds, k, side, draw) for draw in range(_DRAWS) for side in (-1, 1)]
        )
    except Exception:  # noqa: BLE001  a reference may raise anything beside the given inputs; then there is no advice
        return ""
    least, most = near.min(0), near.max(0)
    for e in found.wrong:
        low, high = float(least[e.element]), float(most[e.element])
        room = _PART * (high - low)
        jumps = high - low > _PART * max(abs(low), abs(high))
        if not (jumps and low - room <= e.got <= high + room):
            return ""
    place = found.wrong[0].element
    return (
        f"the reference has a branch at input {k}{list(place)}: beside it the gradient is from {least[place]:.4g} to {most[place]:.4g}, "
        "and func gives a number in this range. A comparison, such as in np.where, chooses one of them; where all are right, write the "
        "reference with np.maximum, np.minimum, np.abs, np.clip or np.max"
    )


def _gradient(point: Point, seeds: Sequence[PlainArray | None], k: int, side: int, draw: int) -> PlainArray:
    """The gradient of the reference, each active input a step to one side, equal elements by different steps."""
    balls, rng = list(point.reference.balls), np.random.default_rng(draw)
    for j in point.active:
        x = np.asarray(point.plain[j], np.float64)
        balls[j] = exact(
            x + side * _STEP * np.maximum(np.abs(x), 1.0) * rng.uniform(0.5, 1.0, x.shape), point.fmt
        )
    with quiet():
        reference = Reference(point.reference.function, balls, point.active, point.fmt)
        return parts(reference.pull_back(list(seeds))[point.active.index(k)])[0]
