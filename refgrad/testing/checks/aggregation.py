"""Aggregation of all answers of a check: a verdict for each array, and one for the dtype and mode.

An array is decided where at least one element with a nonzero reference value has a bound below its magnitude, or where all reference
values are zero. An element whose reference value is zero does not decide an array, because it does not show a missing term. A reference
value counts as zero where the reference cannot distinguish it from zero: the bound is a multiple of the format's unit roundoff, and the
reference itself may err by the same multiple of its own unit roundoff. This holds for rounding errors only. Where an element may have any
value of a set (the derivative of abs at 0), a bound around zero is blind.

Supplementary inputs, which the check constructs, can show an error. Agreement there does not decide an array.

An array without elements has no number that could be wrong. Where all are of this kind, their shapes and dtypes may decide.

An array without a correct bit in any element of any answer is wrong, even where rounding explains each element.

Of an element out of bounds another formula may leave no bit: 1 - y^2 for the slope of a saturated tanh. It is imprecise at best. It is no
evidence that an array is right, and an array in which no other element decides is undecided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.bounds.rules import reference_slack
from refgrad.testing.checks.array_verdict import (
    ArrayVerdict,
    Evidence,
    LargeEvidence,
    Question,
    beginning,
    widened,
)
from refgrad.testing.judging.compare import LARGE
from refgrad.testing.judging.tally import Tally
from refgrad.testing.judging.verdict import (
    AGREE,
    DISAGREE,
    ERROR,
    IMPRECISE,
    UNDECIDED,
    UNSUPPORTED,
    Comparison,
    Element,
    Verdict,
    digits,
)
from refgrad.tracing.ball import Ball, parts

_LISTED = 10
EMPTY = "every array is empty; shapes and dtypes were compared"
_WORST_FIRST = (ERROR, DISAGREE, UNDECIDED, IMPRECISE, AGREE, UNSUPPORTED)


@dataclass
class _ArrayTotals:
    """The sums over all answers for one array.

    given     elements compared at the given inputs
    seen      elements among them with a nonzero reference value and a bound below it
    correct   whether one of these has a correct bit
    lost      imprecise elements
    bitless   number of elements out of bounds of which a formula that kernels use leaves no bit
    ratio     the largest ratio of error to bound
    sizes     whether an expected array has elements, for each kind that was met
    """

    part: ArrayVerdict
    given: int = 0
    seen: int = 0
    correct: bool = False
    lost: list[Element] = field(default_factory=list)
    bitless: int = 0
    ratio: float = -1.0
    sizes: set[bool] = field(default_factory=set)


class Aggregation:
    """The comparisons of one dtype and mode, aggregated by array.

    inputs          kept for the evidence of wrong answers
    supplementary   whether the next answers are for inputs that the check has constructed; they cannot decide an array
    shapes_decide   whether arrays agree that have no element, because their shapes and dtypes were compared
    choices         whether a derivative is not unique somewhere, so that a bound does not come from rounding alone
    """

    def __init__(self, mode: str, fmt: Format, device: str, inputs: tuple[Any, ...] = ()) -> None:
        self.mode, self.inputs = mode, inputs
        self.slack = reference_slack(fmt)
        self.supplementary = False
        self.choices = False
        self.shapes_decide = False
        self.tally = Tally(mode, fmt.name, device)
        self.totals: dict[str, _ArrayTotals] = {}
        self.failure: tuple[str, str] | None = None

    def add(
        self,
        what: str,
        found: Comparison,
        question: Question,
        seeds: tuple[PlainArray | None, ...] = (),
        index: int = 0,
        got: Callable[[], PlainArray | None] = lambda: None,
        expected: Ball | PlainArray | None = None,
        more: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        """Add one answer. A comparison that was added before counts as a question only.

        what       the name of the array
        found      the comparison of the answer
        seeds      cotangents or tangents
        index      of the input or output
        got        returns the answer, for the evidence
        expected   the reference value
        more       returns further fields of the evidence
        """
        s = self.totals.setdefault(what, _ArrayTotals(ArrayVerdict(what)))
        part = s.part
        part.asked += 1
        if expected is not None:
            s.sizes.add(bool(parts(expected)[0].size))
        wrong = bool(found.wrong or found.note)
        if wrong and question not in part.wrong_in:
            part.wrong_in.append(question)
        if found.already_counted:
            return
        found.already_counted = True
        part.elements += found.elements
        s.given += 0 if self.supplementary else found.elements
        part.loose += found.loose
        part.skipped += found.skipped
        part.imprecise += found.imprecise
        part.count += found.count
        self._add_sharpness(s, found)
        if found.make_worst is not None and found.ratio > s.ratio:
            s.ratio, part.worst = found.ratio, found.worst
        if found.note and found.note not in part.notes:
            part.notes.append(found.note)
        part.wrong = part.wrong or list(found.wrong)
        s.lost += [*found.least_precise, *found.lost]
        s.bitless += found.bitless
        excused = found.imprecise or found.bitless
        if (wrong and not _is_disagreement(part)) or (excused and part.evidence is None):
            part.evidence = self._evidence(question, seeds, index, got(), expected, more(), keep=wrong)
            part.status = DISAGREE if wrong else IMPRECISE
        self.tally.add(-1, self.mode, found)
        # This frees the arrays; no deviation is recorded that could match elements of a check.
        found.every_wrong = None

    def _evidence(
        self,
        question: Question,
        seeds: tuple[PlainArray | None, ...],
        index: int,
        got: PlainArray | None,
        expected: Ball | PlainArray | None,
        more: dict[str, Any],
        *,
        keep: bool,
    ) -> Evidence:
        """The evidence of an answer: LargeEvidence for an imprecise answer of a large array, else Evidence with all arrays."""
        if expected is None:
            return Evidence(question, self.inputs, seeds, index, widened(got), None, None, **more)
        value, radius = parts(expected)
        recompute, slack = more.get("recompute"), self.slack
        if keep or got is None or got.size <= LARGE or got.shape != value.shape:
            return Evidence(question, self.inputs, seeds, index, widened(got), value, radius * slack, **more)

        def due(seeds: tuple[PlainArray | None, ...]) -> tuple[PlainArray, PlainArray]:
            value, radius = parts(expected) if recompute is None else recompute(seeds)
            return value, radius * slack

        if recompute is not None:
            expected = None  # recomputed when needed
        first = beginning(got.shape)
        part = widened(got[first]), value[first], radius[first] * slack
        return LargeEvidence(question, self.inputs, seeds, index, got.copy(), part, due, **more)

    def failed(self, status: str, reason: str) -> None:
        """Record an exception of func or of the framework: status UNSUPPORTED or ERROR, and its message. Earlier answers stay."""
        if self.failure is None or (status == ERROR and self.failure[0] != ERROR):
            self.failure = status, reason

    def disagrees(self) -> bool:
        """Whether an array has a wrong answer so far."""
        return any(s.part.wrong or s.part.notes for s in self.totals.values())

    def _add_sharpness(self, s: _ArrayTotals, found: Comparison) -> None:
        if found.sharpness is None:
            return
        sight = found.sharpness.detectability()
        if found.blind:
            s.part.blind += sight.covered if self.choices else sight.blind
        s.seen += 0 if self.supplementary else sight.seen
        s.correct = (
            s.correct or found.correct > 0 or (sight.seen > 0 and not found.imprecise and not found.wrong)
        )
        if sight.smallest is not None:
            known = s.part.smallest
            s.part.smallest = sight.smallest if known is None else min(known, sight.smallest)

    def verdict(self) -> Verdict:
        """The verdict, with one for each array. Its status is the worst of theirs, or that of the recorded exception."""
        v = self.tally.verdict()
        v.parts = [self._decided(s) for s in self.totals.values()]
        found = {p.status for p in v.parts}
        if v.status == IMPRECISE and DISAGREE in found:
            v.message = (
                f"{self.mode}: no element has a correct bit, though rounding could explain each of them"
            )
        if self.totals and v.status != DISAGREE:
            v.status = next(status for status in _WORST_FIRST if status in found)
            if v.elements == 0 and v.status == AGREE:
                if self.shapes_decide and all(s.sizes == {False} for s in self.totals.values()):
                    v.reason = EMPTY
                else:
                    v.status = UNDECIDED
            if v.status == UNDECIDED:
                undecided = [p for p in v.parts if p.status == UNDECIDED]
                v.reason = "; ".join(f"{p.what}: {p.reason}" for p in undecided) or "nothing to compare"
        if self.failure is not None:
            status, reason = self.failure
            if not self.totals or (status == ERROR and v.status != DISAGREE):
                v.status, v.reason = status, reason
            else:
                v.reason = f"{v.reason}; {reason}" if v.reason else reason
        return v

    @staticmethod
    def _decided(s: _ArrayTotals) -> ArrayVerdict:
        p = s.part
        if p.wrong or p.notes:
            p.status = DISAGREE
        elif s.given == 0 and p.skipped:
            p.status, p.reason = UNDECIDED, "the reference has no finite value or bound there"
        elif p.blind and not s.seen:
            p.status, p.reason = UNDECIDED, "every bound is as large as the number it bounds"
        elif s.bitless and not (s.seen and s.correct):  # beside right elements such elements are imprecise
            p.status, p.reason = (
                UNDECIDED,
                "out of bounds, but a formula that kernels use leaves no bit there",
            )
        elif p.imprecise and not s.correct:
            p.status, p.count, p.wrong = DISAGREE, p.imprecise, sorted(s.lost, key=digits)[:_LISTED]
            p.reason = "no element has a correct bit"
        elif p.imprecise or s.bitless:
            p.status, p.wrong = IMPRECISE, sorted(s.lost, key=digits)[:_LISTED]
            p.imprecise += s.bitless
        return p


def _is_disagreement(part: ArrayVerdict) -> bool:
    """Whether the evidence is that of a wrong answer. Such evidence replaces that of an imprecise answer."""
    return part.status == DISAGREE
