"""Fault localization: the op to which a failing result is attributed, with evidence from the other results of the run.

A result names its first wrong op. Two kinds of results do not determine one op, and other results decide:

- An end-to-end result compares inputs and outputs only. It is attributed to the op that a node-by-node result of the same case names:
  first one of the same direction, then one of the values, then any other.
- A result in reverse mode may name "a or b": a cotangent is a sum, and each op that contributed may be wrong. It is attributed to the one
  of them that another result names alone; of several, to the one named most often.

Without such evidence a result keeps the op that it names itself; an end-to-end result may keep none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END
from refgrad.records import FAILURES, IMPRECISE, Result

OR = " or "  # separates the ops of which one is at fault
# By end-to-end mode, the node-by-node mode of the same direction.
END_TO_END = {REVERSE_END_TO_END: REVERSE, FORWARD_END_TO_END: FORWARD}


class Blame:
    """Attribution of the failing and imprecise results of one run to ops."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._alone: dict[str, Counter[str]] = defaultdict(Counter)  # status -> op -> results
        # By case and status, the op that each node-by-node mode names.
        self._named: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for r in results:
            if r.status not in (*FAILURES, IMPRECISE) or r.mode in END_TO_END or not r.op:
                continue
            self._named[r.id, r.status].setdefault(r.mode, r.op)
            if OR not in r.op:
                self._alone[r.status][r.op] += 1

    def op(self, r: Result) -> str:
        """The op to which a result is attributed; "a or b" where the evidence does not decide, "" where no result names an op."""
        return self._settled(r.status, self._end_to_end(r) if r.mode in END_TO_END else r.op)

    def certain(self, r: Result) -> bool:
        """Whether the result itself determines one op."""
        return r.mode not in END_TO_END and OR not in r.op

    def _end_to_end(self, r: Result) -> str:
        named = self._named.get((r.id, r.status), {})
        for mode in (END_TO_END[r.mode], "value", *named):
            if mode in named:
                return named[mode]
        return r.op if r.first_wrong is None else r.first_wrong[1]

    def _settled(self, status: str, op: str) -> str:
        if OR not in op:
            return op
        alone = self._alone[status]
        candidates = [name for name in op.split(OR) if alone[name]]
        return min(candidates, key=lambda name: (-alone[name], name), default=op)
