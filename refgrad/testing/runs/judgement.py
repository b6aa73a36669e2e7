"""Judges one observation: node by node, from end to end, and in the framework's further modes."""

from __future__ import annotations

import math
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

from refgrad.collector import paused
from refgrad.modes import VALUE
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation, mark
from refgrad.testing.deviations.element_setting import Setting
from refgrad.testing.judging.attribution import attribute
from refgrad.testing.judging.end_to_end import EndToEnd, judge_fused
from refgrad.testing.judging.modes import judge_modes
from refgrad.testing.judging.node_by_node import NodeByNode, settle_node_by_node
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.shared_evaluation import evaluate_together
from refgrad.testing.judging.verdict import DISAGREE, ERROR, IMPRECISE, UNDECIDED, Element, Verdict, digits
from refgrad.testing.power.audit import EVERY, Audit


class Observed(NamedTuple):
    """A case with what the framework computed for it; with an audit, errors are planted in the observation as well."""

    case: Case
    seen: Observation
    audit: Audit | None = None


WIDE = 64  # elements of an input from which a case is wide


def sampled(case: Case) -> bool:
    """Whether a case is one of the sample of a run, one case in EVERY: audited, and judged from end to end unless it is wide.

    The id of the case decides.
    """
    return int(case.id, 16) % EVERY == 0


def wide(case: Case) -> bool:
    """Whether a case has wide arrays. A run judges it from end to end only for a finding.

    Where all verdicts node by node agree, a disagreement from end to end shows that one of the two judgements is wrong, or that an observed
    array is not the one that the framework computed with. Neither depends on the number of elements, whereas the cost does: a wide case
    takes as long as thirty others.
    """
    return any(x.size >= WIDE for x in case.inputs.values())


def judge_together(sweep: Sequence[Observed], *, end_to_end: bool | None = None) -> list[list[Verdict]]:
    """The verdicts on several observations, in their order: those of ``judge`` on each.

    ``end_to_end``: whether cases have verdicts from end to end. None, as runs judge: those that are ``sampled`` or audited and not
    ``wide``, and those where a verdict node by node is a finding or undecided. The others have none, because the judgement node by node
    compares all their arrays. A sweep holds many objects for a short time, none of them in a cycle.
    """
    with quiet(), paused() if len(sweep) > 1 else nullcontext():
        judgements = [_Judgement(*observed) for observed in sweep]
        by_node = [j.node_judge for j in judgements if j.by_node]
        if len(by_node) > 1:
            evaluate_together(by_node)
        drafts = [
            d for j in by_node for d in (j.draft_of_value(), j.draft_of_reverse(), j.draft_of_forward())
        ]
        settled = settle_node_by_node(drafts)
        for k, judgement in enumerate([j for j in judgements if j.by_node]):
            judgement.verdicts = settled[3 * k : 3 * k + 3]
        for judgement in judgements:
            judgement.complete(end_to_end)
        for judgement in judgements:
            # after all judging: where that raises an exception, it is repeated case by case
            judgement.plant()
        return [judgement.verdicts for judgement in judgements]


def failed(error: BaseException) -> Verdict:
    """The verdict ``error`` on a case whose observation or judgement raised an exception."""
    trace = "".join(traceback.format_exception(error, limit=-3))
    return Verdict(VALUE, ERROR, reason=f"{type(error).__name__}: {error}", message=trace)


def marked(observed: Observed, verdicts: list[Verdict], deviations: Sequence[Deviation]) -> list[Verdict]:
    """The verdicts on a case, with the names of the recorded disagreements that explain them."""
    for v in verdicts:
        v.seen = observed.seen if v.evidence is not None else None
    mark(verdicts, deviations, Setting(observed.case, observed.seen))
    return verdicts


def judge(
    case: Case, seen: Observation, audit: Audit | None = None, *, end_to_end: bool = True
) -> list[Verdict]:
    """All verdicts on one observation: value, reverse and forward mode node by node.

    A case of order 1 also has a verdict from end to end for both modes; where it is a disagreement, it names the op that is wrong node by
    node. A case of order 2 has verdicts on the framework's further modes instead. With an audit, errors are planted in the observation,
    and the audit counts those that these judges detect. Without ``end_to_end`` there are only the verdicts node by node. Where the
    framework gave no values, there is a single verdict. A fused backend (Profile) has only verdicts from end to end. Refusals are compared
    with the list of expected ones, where the observation has one.
    """
    return judge_together([Observed(case, seen, audit)], end_to_end=end_to_end)[0]


class _Judgement:
    """The judgement of one observation. ``by_node`` says whether it is judged node by node; ``complete`` adds all other verdicts."""

    def __init__(self, case: Case, seen: Observation, audit: Audit | None) -> None:
        self.case, self.seen, self.audit = case, seen, audit
        self.node_judge = NodeByNode(case, seen)
        self.fused = seen.profile is not None and seen.profile.fused
        self.by_node = VALUE not in seen.unavailable and not self.fused
        self.verdicts: list[Verdict] = []
        self.end_to_end_judge: EndToEnd | None = None

    def complete(self, end_to_end: bool | None) -> None:
        """Add the verdicts from end to end or in further modes, and compare refusals with the list of expected ones."""
        case, seen = self.case, self.seen
        if VALUE in seen.unavailable:
            self.verdicts = [self.node_judge.value()]
        elif self.fused:
            self.verdicts = judge_fused(case, seen)
        elif not case.inputs:  # there is nothing to differentiate
            self.verdicts = self.verdicts[:1]
        elif self.further:
            assert seen.modes is not None
            if end_to_end is not False:
                self.verdicts += judge_modes(case, seen, seen.modes, self.node_judge)
        elif self._wanted() if end_to_end is None else end_to_end:
            self._judge_end_to_end()
        if seen.support is not None:
            seen.support.check(case, self.verdicts)

    @property
    def further(self) -> bool:
        """Whether the case is judged in the framework's further modes."""
        return (
            self.seen.modes is not None and self.case.graph.nodes[self.case.graph.outputs[0]].op is not None
        )

    def _wanted(self) -> bool:
        """Whether the case is judged from end to end in a run."""
        if any(map(_open, self.verdicts)):
            return True
        return (self.audit is not None or sampled(self.case)) and not wide(self.case)

    def _judge_end_to_end(self) -> None:
        judge, (_, reverse, forward) = EndToEnd(self.case, self.seen), self.verdicts
        self.verdicts += [
            _imprecise_end_to_end(judge.reverse(), reverse),
            _imprecise_end_to_end(judge.forward(), forward),
        ]
        attribute(self.verdicts)
        if self.audit is not None:
            self.end_to_end_judge = judge

    def plant(self) -> None:
        """Plant errors, where the case is audited and judged node by node."""
        if self.audit is not None and self.by_node:
            self.audit.plant(self.node_judge, self.end_to_end_judge, single=self.further)


def _imprecise_end_to_end(verdict: Verdict, by_node: Verdict) -> Verdict:
    """The verdict from end to end: imprecise where it disagrees and the judgement node by node found no error but lost digits.

    The effect of lost digits from end to end depends on the program: a later subtraction may cancel all correct digits. NaN, infinity, a
    missing array and a wrong shape are no loss of digits, and remain a disagreement.
    """
    lost = verdict.status == DISAGREE and by_node.status == IMPRECISE
    if not lost or any(c.note for _, _, c in verdict.wrong_nodes) or not all(map(_finite, verdict.wrong)):
        return verdict
    verdict.status, verdict.first_wrong = IMPRECISE, by_node.first_wrong
    verdict.imprecise = sum(c.count for _, _, c in verdict.wrong_nodes)
    verdict.digits = min(map(digits, verdict.wrong))
    return verdict


def _open(verdict: Verdict) -> bool:
    """Whether a verdict is a finding, or compared arrays and decided nothing."""
    undecided = verdict.status == UNDECIDED and verdict.elements + verdict.skipped > 0
    return undecided or verdict.status in (DISAGREE, ERROR)


def _finite(e: Element) -> bool:
    return math.isfinite(e.got) and math.isfinite(e.expected)
