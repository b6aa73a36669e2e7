"""Which op a disagreement from end to end is due to: the one that the judgement node by node of the same case names.

From end to end only inputs and outputs are compared, so that such a verdict knows no op of its own. The verdict node by node of the same
direction names the first wrong op. Where that agrees and a value is wrong, the gradient is wrong for that reason. Where neither
disagrees, the engine itself may be wrong, and no op is named.
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.modes import FORWARD, FORWARD_END_TO_END, REVERSE, REVERSE_END_TO_END, VALUE
from refgrad.testing.judging.tally import place
from refgrad.testing.judging.verdict import DISAGREE, Verdict

CAUSES = {REVERSE_END_TO_END: (REVERSE, VALUE), FORWARD_END_TO_END: (FORWARD, VALUE)}
NO_OP = (-1, "")  # first wrong node and op of a disagreement that no single node shows


def attribute(verdicts: Sequence[Verdict]) -> None:
    """Give the disagreements from end to end among the verdicts on one case the op that is to blame.

    It may be called again once the verdicts node by node name another one.
    """
    by_mode = {v.mode: v for v in verdicts}
    for v in verdicts:
        if v.mode not in CAUSES or v.status != DISAGREE or v.first_wrong is None:
            continue
        causes = [by_mode[mode] for mode in CAUSES[v.mode] if mode in by_mode]
        named = [cause.first_wrong for cause in causes if cause.status == DISAGREE]
        filed_under, v.first_wrong = v.first_wrong, next((found for found in named if found), NO_OP)
        if filed_under == v.first_wrong:
            continue
        said = "no single node is found wrong, " if v.first_wrong == NO_OP else place(*v.first_wrong)
        v.message = v.message.replace(place(*filed_under), said, 1)
