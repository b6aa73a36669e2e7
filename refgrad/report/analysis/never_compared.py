"""The ops that a run was to judge and of which it compared nothing."""

from __future__ import annotations

from refgrad.modes import VALUE
from refgrad.report.analysis.blame import END_TO_END
from refgrad.report.analysis.run import Run


def never_compared(run: Run) -> list[str]:
    """The selected and replaced ops of which no element was compared, sorted.

    A part of a run need not draw each of them, nor does a run that judges the failures of another one again. Where programs are judged
    from end to end alone, results name no op but the last, and nothing is known of the others.
    """
    head = run.header
    again = not head.examples and not head.budget
    if head.shard or again or not set(head.modes) - {*END_TO_END, VALUE}:
        return []
    compared = {op for ops in run.tally.ops.columns.values() for op, errors in ops.items() if errors.elements}
    compared |= {op for r in run.results for op, (_, elements, _) in r.ops.items() if elements}
    return sorted(set(head.ops) - compared)
