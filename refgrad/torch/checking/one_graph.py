"""Two cotangents, one after the other, asked of one graph with ``retain_graph=True``, as the rows of a Jacobian are.

A backward that keeps its answer for the next time, or spends what it needs, answers every question of a single backward correctly.
"""

from __future__ import annotations

from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.refusal import described

_WHEN = "after the negative of the cotangent was asked of the same graph"
_ADVICE = "a backward has to answer each cotangent anew"


def judge(answered: Answered) -> str:
    """Add disagreements of the second gradients. Returns why nothing was judged, "" where it was."""
    evaluator, seeds = answered.point.evaluator, answered.seeds
    if evaluator.single_backward:  # one backward for each call
        return ""
    negated = [None if x is None else -x for x in seeds]
    try:
        found = evaluator.after_another(answered.request, seeds, negated)
    except Raised as raised:  # alone it does not: it was asked twice
        return f"not judged {_WHEN}: {raised.where} raised {described(raised.error)}"
    answered.add_gradients(found, _WHEN, _ADVICE)
    return ""
