"""From the answers to all questions of a check to a verdict for each array, and to that of a dtype and mode.

An array is undecided where no element of it was seen: each element whose expected value is not zero had a bound as large as itself. One
that is expected to be zero shows nothing of a missing term, so it does not make an array decided; where every expected value is zero, the
array is. Zero is also what the reference cannot tell from zero: the bound is a multiple of the format's unit roundoff, and its own value
may be off by the same multiple of its own unit roundoff. That holds of rounding. Where an element may have any derivative of a set (abs
at 0) a bound around zero is blind.

Inputs that a check makes up may show a mistake; that nothing is wrong there decides nothing about the inputs that were given.

An array of which no element has a correct bit in any answer is wrong, though rounding may explain each element by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from refgrad.bounds.formats import Format
from refgrad.bounds.rules import reference_slack
from refgrad.testing.checks.part import Evidence, LargeEvidence, Part, Question, beginning, widened
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
from refgrad.tracing.ball import parts

Array = Any
_LISTED = 10
_WORST_FIRST = (ERROR, DISAGREE, UNDECIDED, IMPRECISE, AGREE, UNSUPPORTED)


@dataclass
class _Sum:
    """Everything that was found of one array."""

    part: Part
    given: int = 0  # elements compared at the inputs that were given
    seen: int = 0  # of those, expected not to be zero, with a bound below them
    correct: bool = False  # whether an element that was seen has a correct bit
    lost: list[Element] = field(default_factory=list)
    ratio: float = -1.0


class Gathering:
    """Gathers the comparisons of one dtype and mode by array. ``inputs`` are kept for the evidence of a wrong answer."""

    def __init__(self, mode: str, fmt: Format, device: str, inputs: tuple[Any, ...] = ()) -> None:
        self.mode, self.inputs = mode, inputs
        self.slack = reference_slack(fmt)
        self.made_up = (
            False  # whether answers to questions at other inputs than those given follow: they decide nothing
        )
        self.choices = False  # whether a derivative is a matter of choice somewhere, so that a bound is no matter of rounding
        self.tally = Tally(mode, fmt.name, device)
        self.sums: dict[str, _Sum] = {}
        self.failure: tuple[str, str] | None = None

    def add(
        self,
        what: str,
        found: Comparison,
        question: Question,
        seeds: tuple[Array | None, ...] = (),
        index: int = 0,
        got: Callable[[], Array] = lambda: None,
        expected: Any = None,
        more: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        """Count one answer to a question; of an answer that was counted before, only that it was asked for.

        ``what`` names the array. Where they differ, expected is kept, and what ``got()`` gives.
        """
        s = self.sums.setdefault(what, _Sum(Part(what)))
        part = s.part
        part.asked += 1
        wrong = bool(found.wrong or found.note)
        if wrong and question not in part.wrong_in:
            part.wrong_in.append(question)
        if found.counted:
            return
        found.counted = True
        part.elements += found.elements
        s.given += 0 if self.made_up else found.elements
        part.loose += found.loose
        part.skipped += found.skipped
        part.imprecise += found.imprecise
        part.count += found.count
        self._sharpest(s, found)
        if found.nearest is not None and found.ratio > s.ratio:
            s.ratio, part.worst = found.ratio, found.worst
        if found.note and found.note not in part.notes:
            part.notes.append(found.note)
        part.wrong = part.wrong or list(found.wrong)
        s.lost += found.lost
        if (wrong and not _sure(part)) or (found.imprecise and part.evidence is None):
            part.evidence = self._evidence(question, seeds, index, got(), expected, more(), keep=wrong)
            part.status = DISAGREE if wrong else IMPRECISE
        self.tally.add(-1, self.mode, found)
        found.outside = (
            None  # which holds the arrays: of a check nothing is recorded that could excuse its elements
        )

    def _evidence(
        self,
        question: Question,
        seeds: tuple[Array | None, ...],
        index: int,
        got: Array,
        expected: Any,
        more: dict[str, Any],
        *,
        keep: bool,
    ) -> Evidence:
        """The evidence of an answer; of a large one that is not to be kept as it is, what is needed to have it again."""
        if expected is None:
            return Evidence(question, self.inputs, seeds, index, widened(got), None, None, **more)
        value, radius = parts(expected)
        ask, slack = more.get("ask"), self.slack
        if keep or got is None or got.size <= LARGE or got.shape != value.shape:
            return Evidence(question, self.inputs, seeds, index, widened(got), value, radius * slack, **more)

        def due(seeds: tuple[Array | None, ...]) -> tuple[Array, Array]:
            value, radius = parts(expected) if ask is None else ask(seeds)
            return value, radius * slack

        if ask is not None:
            expected = None  # which is computed again
        first = beginning(got.shape)
        part = widened(got[first]), value[first], radius[first] * slack
        return LargeEvidence(question, self.inputs, seeds, index, got.copy(), part, due, **more)

    def failed(self, status: str, reason: str) -> None:
        """What func or the framework raised in this mode, in its words: ``unsupported`` or ``error``. What was compared stays."""
        if self.failure is None or (status == ERROR and self.failure[0] != ERROR):
            self.failure = status, reason

    def _sharpest(self, s: _Sum, found: Comparison) -> None:
        if found.kept is None:
            return
        sight = found.kept.sight()
        if found.blind:
            s.part.blind += sight.covered if self.choices else sight.blind
        s.seen += 0 if self.made_up else sight.seen
        s.correct = (
            s.correct or found.correct > 0 or (sight.seen > 0 and not found.imprecise and not found.wrong)
        )
        if sight.smallest is not None:
            known = s.part.smallest
            s.part.smallest = sight.smallest if known is None else min(known, sight.smallest)

    def verdict(self) -> Verdict:
        """The verdict with its parts; its status is the worst of theirs, or that of what was raised."""
        v = self.tally.verdict()
        v.parts = [self._settled(s) for s in self.sums.values()]
        found = {p.status for p in v.parts}
        if v.status == IMPRECISE and DISAGREE in found:
            v.message = (
                f"{self.mode}: no element has a correct bit, though rounding could explain each of them"
            )
        if self.sums and v.status != DISAGREE:
            v.status = next(status for status in _WORST_FIRST if status in found)
            if v.elements == 0 and v.status == AGREE:
                v.status = UNDECIDED
            if v.status == UNDECIDED:
                undecided = [p for p in v.parts if p.status == UNDECIDED]
                v.reason = "; ".join(f"{p.what}: {p.reason}" for p in undecided) or "nothing to compare"
        if self.failure is not None:
            status, reason = self.failure
            if not self.sums or (status == ERROR and v.status != DISAGREE):
                v.status, v.reason = status, reason
            else:
                v.reason = f"{v.reason}; {reason}" if v.reason else reason
        return v

    @staticmethod
    def _settled(s: _Sum) -> Part:
        p = s.part
        if p.wrong or p.notes:
            p.status = DISAGREE
        elif s.given == 0 and p.skipped:
            p.status, p.reason = UNDECIDED, "the reference has no finite value or bound there"
        elif p.blind and not s.seen:
            p.status, p.reason = UNDECIDED, "every bound is as large as the number it bounds"
        elif p.imprecise and not s.correct:
            p.status, p.count, p.wrong = DISAGREE, p.imprecise, sorted(s.lost, key=digits)[:_LISTED]
            p.reason = "no element has a correct bit"
        elif p.imprecise:
            p.status, p.wrong = IMPRECISE, sorted(s.lost, key=digits)[:_LISTED]
        return p


def _sure(part: Part) -> bool:
    """Whether the evidence is of a wrong answer: one of an imprecise answer gives way to it."""
    return part.status == DISAGREE
