"""The errors of ops in a run, with its disagreements attributed to ops."""

from __future__ import annotations

import math

from refgrad.records import DISAGREE, Result
from refgrad.report.analysis.blame import END_TO_END, OR, Blame
from refgrad.report.analysis.mode_groups import group_of
from refgrad.report.analysis.op_tally import OpTally
from refgrad.report.analysis.run import Run


def op_errors(run: Run) -> OpTally:
    """The errors by column and op. A disagreement counts for the ops at fault, and its other errors as their consequences."""
    errors = OpTally()
    errors.update(run.tally.ops)
    blame = Blame(run.results)
    for r in run.results:
        if r.status == DISAGREE:
            _add_disagreement(errors, r, set(blame.op(r).split(OR)) - {""})
    return errors


def _add_disagreement(errors: OpTally, r: Result, at_fault: set[str]) -> None:
    """Add a disagreement to the ops at fault. The errors of an end-to-end result are recorded under the op of the output."""
    suspects = r.ops if r.mode in END_TO_END else r.op.split(OR)
    errors.add(r, cleared=frozenset(suspects) - at_fault)
    for op in at_fault:
        found = errors.at((r.device, r.dtype, group_of(r.mode)), op)
        if found.worst <= 1:  # wrong without a wrong number of this op, such as a shape or a missing gradient
            found.worst = math.nan


def level_of(ratio: float) -> str:
    """The level of a ratio of error to bound: "low", "mid", "near", or "wrong" beyond the bound and for NaN."""
    return "low" if ratio <= 0.1 else "mid" if ratio <= 0.5 else "near" if ratio <= 1 else "wrong"
