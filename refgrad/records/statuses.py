"""What a result can come to: the one list of statuses, in the order in which a reader wants them."""

from __future__ import annotations

DISAGREE, ERROR, IMPRECISE, KNOWN = "disagree", "error", "imprecise", "known"
UNDECIDED, UNSUPPORTED, AGREE = "undecided", "unsupported", "agree"

STATUSES = (DISAGREE, ERROR, IMPRECISE, KNOWN, UNDECIDED, UNSUPPORTED, AGREE)
FAILURES = (DISAGREE, ERROR)  # these fail a run; KNOWN is one of them that a file of deviations records
