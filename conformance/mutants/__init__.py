"""Wrong backward formulas that were really shipped, each beside the right one, by their public reports.

``MUTANTS`` are executable: in every run the judge must accept the right formula and catch the wrong one. ``WAITING`` are
those that are not, with the reason. Together they are the whole catalogue.
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
