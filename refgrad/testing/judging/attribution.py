"""Attributes an end-to-end disagreement to the op that node-by-node judgement of the same case finds wrong.

End-to-end judgement compares only inputs and outputs, so its verdict knows no op of its own. The node-by-node verdict of the same mode
names the first wrong op. Where that verdict agrees and a value is wrong, the wrong value explains the gradient. Where neither disagrees,
the framework's engine itself may be wrong, and no op is named.
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END, VALUE
from refgrad.testing.judging.tally import place
from refgrad.testing.judging.verdict import DISAGREE, Verdict

CAUSES = {REVERSE_END_TO_END: (REVERSE, VALUE), FORWARD_END_TO_END: (FORWARD, VALUE)}
NO_OP = (-1, "")  # first wrong node and op of a disagreement that no single node explains


def attribute(verdicts: Sequence[Verdict]) -> None:
    """Set the first wrong node and op of the end-to-end disagreements among the verdicts on one case, in place.

    It may be called again after the node-by-node verdicts name another op.
    """
    by_mode = {v.mode: v for v in verdicts}
    for v in verdicts:
        if v.mode not in CAUSES or v.status != DISAGREE or v.first_wrong is None:
            continue
        causes = [by_mode[mode] for mode in CAUSES[v.mode] if mode in by_mode]
        named = [cause.first_wrong for cause in causes if cause.status == DISAGREE]
        before, v.first_wrong = v.first_wrong, next((found for found in named if found), NO_OP)
        if before == v.first_wrong:
            continue
        words = "no single node is found wrong, " if v.first_wrong == NO_OP else place(*v.first_wrong)
        v.message = v.message.replace(place(*before), words, 1)
