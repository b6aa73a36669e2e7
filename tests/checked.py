"""Reports built by hand, as a check builds them: parts from arrays, verdicts from parts."""

from __future__ import annotations

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence, Question
from refgrad.testing.checks.check_report import Report
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.verdict import AGREE, DISAGREE, IMPRECISE, UNDECIDED, Verdict
from refgrad.tracing.ball import Ball

WORST_FIRST = (DISAGREE, UNDECIDED, IMPRECISE, AGREE)


def part(what, got, expected, bound, dtype="float64", question=None, index=0, seeds=(), others=()):
    """The part of one array that was asked for once."""
    fmt = FORMATS[dtype]
    expected = np.asarray(expected, fmt.wide)
    bound = np.broadcast_to(np.asarray(bound, fmt.wide), expected.shape)
    found = compare(np.asarray(got, float), Ball(expected, bound, fmt), fmt, what, hidden=Hidden())
    made = ArrayVerdict(
        what, elements=found.elements, loose=found.loose, blind=found.blind, skipped=found.skipped, imprecise=found.imprecise,
        count=found.count, wrong=found.wrong or found.least_precise, worst=found.worst, notes=[found.note] if found.note else [],
    )  # fmt: skip
    if found.wrong or found.note:
        made.status = DISAGREE
    elif found.imprecise:
        made.status = IMPRECISE
    elif found.elements == found.blind:
        made.status, made.reason = UNDECIDED, "blind bound" if found.elements else "nothing to compare"
    if made.status in (DISAGREE, IMPRECISE):
        asked = question or Question("reverse", "of the whole significand")
        made.evidence = Evidence(
            asked, (expected,), seeds, index, np.asarray(got, float), expected, bound, others=others
        )
    return made


def verdict(mode, parts, **more):
    """The verdict that is the worst of its parts."""
    status = next(s for s in WORST_FIRST if any(p.status == s for p in parts))
    counts = {
        k: sum(getattr(p, k) for p in parts) for k in ("elements", "loose", "blind", "skipped", "imprecise")
    }
    wrong = [e for p in parts for e in p.wrong]
    return Verdict(
        mode, status, parts=parts, wrong=wrong, worst=wrong[0] if wrong else None, **counts, **more
    )


def report(*verdicts, dtype="float64", **more):
    """The report of verdicts in one dtype."""
    return Report("gradcheck(it)", [(dtype, v) for v in verdicts], **more)
