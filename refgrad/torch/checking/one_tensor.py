"""One tensor for several inputs, as in self-attention: func(x, x), whose gradient is the sum of the gradients of both inputs.

func with one tensor and func with equal copies have to give the same bits. Only where they do not, the reference decides: another order of
the sum is right, and a gradient that is counted twice is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor

from refgrad.testing.judging.verdict import ERROR
from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.elsewhere import compare
from refgrad.torch.checking.evaluation import Answer, Evaluator, Raised
from refgrad.torch.checking.memory import same_bits
from refgrad.torch.checking.point import Point
from refgrad.torch.refusal import described, refuses

_MOST = 4  # groups of inputs, at most

Function = Callable[..., Any]


def judge(answered: Answered) -> str:
    """Add disagreements where inputs are one tensor. Returns why a group was not judged, "" where all were."""
    point, request, seeds = answered.point, answered.request, answered.seeds
    for group in _groups(point):
        try:
            apart = Evaluator(_copied(point.func, group), point.arguments).reverse(request, seeds)
        except Raised:
            continue  # func is not defined at equal inputs
        when = f"with one tensor as inputs {' and '.join(map(str, group))}"
        try:
            one = Evaluator(_merged(point.func, group), point.arguments).reverse(request, seeds)
        except Raised as raised:
            words = f"{raised.where} raised {described(raised.error)}"
            if raised.where == "call" or refuses(raised.error):
                return f"not judged {when}: {words}"
            answered.aggregation.failed(ERROR, f"{words} {when}")
            return ""
        if not _equal(apart, one):
            func, function = (_merged(f, group) for f in (point.func, point.reference.function))
            there = partial(point.another, func, function, point.arguments)
            compare(answered, there, one, when)
    return ""


def _groups(point: Point) -> Iterator[tuple[int, ...]]:
    """The differentiated inputs of one shape and dtype: all of them, and of more than two each and the next."""
    alike: dict[Any, list[int]] = {}
    for k in point.active:
        x = point.arguments[k]
        if x.numel():
            alike.setdefault((x.shape, x.dtype), []).append(k)
    groups = [tuple(ks) for ks in alike.values() if len(ks) > 1]
    pairs = [pair for ks in groups if len(ks) > 2 for pair in pairwise(ks)]
    yield from [*groups, *pairs][:_MOST]


def _merged(func: Function, group: Sequence[int]) -> Function:
    """func with the first input of the group in the place of the others."""
    return lambda *xs: func(*[xs[group[0]] if k in group else x for k, x in enumerate(xs)])


def _copied(func: Function, group: Sequence[int]) -> Function:
    """func with copies of the first input of the group in the place of the others."""
    first, others = group[0], group[1:]
    return lambda *xs: func(*[xs[first].clone() if k in others else x for k, x in enumerate(xs)])


def _equal(a: Answer, b: Answer) -> bool:
    def same(x: Tensor | None, y: Tensor | None) -> bool:
        return x is y if x is None or y is None else same_bits(x, y)

    return all(map(same, (*a.outputs, *a.found), (*b.outputs, *b.found)))
