"""The statuses of a result, in the order in which reports list them."""

from __future__ import annotations

DISAGREE, ERROR, IMPRECISE, KNOWN = "disagree", "error", "imprecise", "known"
UNDECIDED, UNSUPPORTED, AGREE = "undecided", "unsupported", "agree"

STATUSES = (DISAGREE, ERROR, IMPRECISE, KNOWN, UNDECIDED, UNSUPPORTED, AGREE)
FAILURES = (DISAGREE, ERROR)  # these fail a run; KNOWN is a failure that the file of deviations records
