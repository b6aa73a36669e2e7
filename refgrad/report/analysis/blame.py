"""Which op a failing result is held against: where the result alone does not settle it, the rest of the run is asked.

A result names its first wrong op. Two kinds of results leave it open, and both are settled by what was seen elsewhere:

- An end-to-end result sees inputs and outputs alone. It is held against the op that the node-by-node judgement of the same case names,
  first that of the same direction, then that of the values, then any other.
- Reverse mode may have to say "a or b": a cotangent is a sum, and any op that sent a part may be at fault. Where one of them was found
  wrong alone, in any other result of the run, it is the one; of several, the one found so most often.

Where nothing was seen elsewhere, the result keeps the name it has, and an end-to-end result without one keeps none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from refgrad.records import FAILURES, IMPRECISE, Result
from refgrad.testing.judging.end_to_end import WHOLE_FORWARD, WHOLE_REVERSE
from refgrad.testing.judging.node_by_node import FORWARD, REVERSE

OR = " or "  # between the ops of which one is at fault
END_TO_END = {WHOLE_REVERSE: REVERSE, WHOLE_FORWARD: FORWARD}  # mode -> its counterpart node by node


class Blame:
    """What the failing results of one run say about each other."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._alone: dict[str, Counter[str]] = defaultdict(Counter)  # status -> op -> results
        self._anchored: dict[tuple[str, str], dict[str, str]] = defaultdict(
            dict
        )  # case, status -> mode -> op
        for r in results:
            if r.status not in (*FAILURES, IMPRECISE) or r.mode in END_TO_END or not r.op:
                continue
            self._anchored[r.id, r.status].setdefault(r.mode, r.op)
            if OR not in r.op:
                self._alone[r.status][r.op] += 1

    def op(self, r: Result) -> str:
        """The op; "a or b" where it stays open, "" where nothing names one."""
        return self._settled(r.status, self._end_to_end(r) if r.mode in END_TO_END else r.op)

    def certain(self, r: Result) -> bool:
        """Whether the result names this op by itself."""
        return r.mode not in END_TO_END and OR not in r.op

    def _end_to_end(self, r: Result) -> str:
        named = self._anchored.get((r.id, r.status), {})
        for mode in (END_TO_END[r.mode], "value", *named):
            if mode in named:
                return named[mode]
        return r.op if r.first_wrong is None else r.first_wrong[1]

    def _settled(self, status: str, op: str) -> str:
        if OR not in op:
            return op
        alone = self._alone[status]
        guilty = [name for name in op.split(OR) if alone[name]]
        return min(guilty, key=lambda name: (-alone[name], name), default=op)
