"""Wrong backward formulas that frameworks have shipped, each with the right formula and the public report.

In every run the judge must accept the right formula of each of ``MUTANTS`` and detect the wrong one. ``WAITING`` are the reports that
cannot be executed, with the reason.
"""

from __future__ import annotations

from . import (
    attention,
    ctc,
    elementwise,
    engine,
    indexing,
    linalg,
    normalization,
    reductions,
    sampling,
    scans,
)
from .record import Kind, Mutant, Waiting, Way

MUTANTS: tuple[Mutant, ...] = (
    *elementwise.MUTANTS,
    *attention.MUTANTS,
    *ctc.MUTANTS,
    *normalization.MUTANTS,
    *reductions.MUTANTS,
    *scans.MUTANTS,
    *linalg.MUTANTS,
    *indexing.MUTANTS,
    *engine.MUTANTS,
    *sampling.MUTANTS,
)

WAITING: tuple[Waiting, ...] = (
    Waiting(
        "pt-155048",
        "https://github.com/pytorch/pytorch/issues/155048",
        "amax, max",
        "nothing to catch: a report on the documentation; either way of sharing a gradient among ties is a valid derivative",
    ),
    Waiting(
        "pt-198017",
        "https://github.com/pytorch/pytorch/issues/198017",
        "forward mode of several ops",
        "a formula: an umbrella report, which names none of its own",
    ),
    Waiting(
        "pt-43519",
        "https://github.com/pytorch/pytorch/pull/43519",
        "max, min, median of all elements",
        "nothing to catch: the gradient went to one of several tied elements, a valid derivative; sharing it is a convention",
    ),
)

__all__ = ["MUTANTS", "WAITING", "Kind", "Mutant", "Waiting", "Way"]
