"""Two calls with the same tensors, whose numbers are overwritten in between, as an optimizer overwrites the weights.

A kernel that keeps a cast, packed or transposed copy of a weight, and finds it again by the tensor or by its address, answers every other
question correctly, and trains on the weights of the first step.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.elsewhere import compare_two_calls
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.further_calls import FACTORS, scaled
from refgrad.torch.checking.layouts import CONTIGUOUS

_WHEN = "after the inputs were overwritten in place, as an optimizer does,"
_ADVICE = "what a call keeps for the next one must not outlive the numbers of its inputs"


def judge(answered: Answered) -> str:
    """Add disagreements of the calls before and after. Returns a note, always empty: further_calls.py notes what func refuses."""
    point = answered.point
    layouts = tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in point.arguments)
    for factor in FACTORS:
        others = scaled(point, factor)
        try:
            first, answer = point.evaluator.overwriting(
                replace(answered.request, layouts=layouts), answered.seeds, others
            )
        except Raised:
            continue
        compare_two_calls(answered, others, factor, first, answer, _WHEN, _ADVICE)
        return ""
    return ""
