"""Two calls with the same tensors, whose numbers are overwritten in between, as an optimizer overwrites the weights.

A kernel that keeps a cast, packed or transposed copy of a weight, and finds it again by the tensor or by its address, answers every other
question correctly, and trains on the weights of the first step. An answer that the two calls share may be kept from a call long before: it
is judged for both.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor

from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.elsewhere import compare
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.further_calls import FACTORS, scaled
from refgrad.torch.checking.layouts import CONTIGUOUS

_WHEN = "after the inputs were overwritten in place, as an optimizer does,"
BEFORE = (
    "func is wrong there, or uses what it kept of a former call, such as a copy that it finds by an address"
)
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
        there = partial(point.another, point.func, point.reference.function, others)
        compare(answered, there, first, f"with the inputs times {factor}", BEFORE, answer)
        answered.add_values(answer.outputs, _WHEN, _ADVICE)
        answered.add_gradients(answer.found, _WHEN, _ADVICE)
        return ""
    return ""
