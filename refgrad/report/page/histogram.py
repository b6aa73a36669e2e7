"""Histograms of the worst errors, in units of their bounds and in units in the last place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from refgrad.report.analysis.error_bins import RATIOS, ULPS
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.text import brief, short

WIDTH, HEIGHT, TOP, BOTTOM = 560, 224, 38, 38


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin with its bar's position. ``beyond`` says whether the bin lies past the bound."""

    label: str
    meaning: str
    number: int
    shown: str
    x: float
    y: float
    width: float
    height: float
    beyond: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram. ``limit`` is the position of the bound, None where the unit has none."""

    name: str
    title: str
    unit: str
    bars: tuple[Bar, ...]
    total: int
    limit: float | None


def histograms(run: Run) -> tuple[Histogram, ...]:
    """The histograms of a run. A result counts once, by its worst element."""
    cells = list(run.tally.cells.values())
    ratios, ulps = (
        [sum(bins) for bins in zip(*kind, strict=True)]
        for kind in ([c.ratios for c in cells], [c.ulps for c in cells])
    )
    ratio = _histogram("bound", "Worst error in units of its bound", "bound", ratios, RATIOS, limit=1.0)
    return ratio, _histogram("ulp", "The same errors in ULP", "ULP", ulps, ULPS)


def _histogram(
    name: str,
    title: str,
    unit: str,
    found: Sequence[int],
    edges: tuple[float, ...],
    limit: float | None = None,
) -> Histogram:
    numbers = found or [0] * (len(edges) + 2)
    labels = ["0", *[f"≤ {_edge(e)}" for e in edges[1:]], f"> {_edge(edges[-1])}", "nan, ∞"]
    step = WIDTH / len(numbers)
    tallest = max(1, *numbers)
    bars = []
    for k, (n, label) in enumerate(zip(numbers, labels, strict=True)):
        height = 0.0 if n == 0 else max(2.0, (HEIGHT - TOP - BOTTOM) * n / tallest)
        bar = Bar(
            label=label,
            meaning="not finite" if k == len(labels) - 1 else f"{label} {unit}",
            number=n,
            shown=brief(n) if n else "",
            x=round(k * step + 3, 1),
            y=round(HEIGHT - BOTTOM - height, 1),
            width=round(step - 6, 1),
            height=round(height, 1),
            beyond=limit is not None and (k >= len(edges) or edges[k] > limit),
        )
        bars.append(bar)
    place = None if limit is None else round((edges.index(limit) + 1) * step, 1)
    return Histogram(name, title, unit, tuple(bars), sum(numbers), place)


def _edge(e: float) -> str:
    power = round(math.log2(e))
    if e >= 1024 and 2.0**power == e:
        return "1k" if power == 10 else "1M" if power == 20 else short(e)
    return short(e).removeprefix("0")
