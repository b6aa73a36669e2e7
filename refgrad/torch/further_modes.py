"""The further modes of torch: every way of computing a first derivative, and second derivatives in every order of the modes.

Let f be the program, y_bar its cotangent and x_dot its tangent. torch computes the first derivative in four ways: backward, backward
that records its own graph (create_graph), torch.func.vjp and torch.func.jvp. It computes the second derivative along x_dot, which is
the gradient of <x_dot, x_bar>, in three ways. Double backward also gives the gradient with respect to y_bar, which equals the tangent.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import format_of
from refgrad.errors import OUTSIDE
from refgrad.modes import (
    AGREEMENT,
    FORWARD,
    FORWARD_END_TO_END,
    FORWARD_OVER_REVERSE,
    FUNCTIONAL_FORWARD,
    FUNCTIONAL_REVERSE,
    PLAIN_REVERSE,
    RECORDED_REVERSE,
    REPEATED_REVERSE,
    REVERSE,
    REVERSE_END_TO_END,
    REVERSE_OVER_FORWARD,
    REVERSE_OVER_REVERSE,
    TRANSPOSED_REVERSE,
    VALUE,
)
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import ModeAnswers
from refgrad.torch.devices import device
from refgrad.torch.program import Program, as_array_or_none, tensor
from refgrad.torch.raising_node import raising_node
from refgrad.torch.refusal import no_answer
from refgrad.torch.replacement import TORCH, Namespaces
from refgrad.torch.side_effects import settings_kept

Call = Callable[["_Program"], "Answer"]
Answer = tuple[Tensor | None, ...]


class _Program:
    """The program as a function of its floating-point inputs, with its cotangent and tangents."""

    def __init__(self, case: Case, namespaces: Namespaces = TORCH) -> None:
        where, dtype = device(case.device), getattr(torch, format_of(case.dtype, case.device).storage)
        self.program = Program(case, where, dtype, namespaces)
        self.names = [name for name, leaf in self.program.leaves.items() if leaf.is_floating_point()]
        self.output = case.graph.outputs[0]
        self.y_bar = self.program.cotangent
        self.x_dot = tuple(tensor(case.tangents[name], where, dtype) for name in self.names)

    def leaves(self) -> tuple[Tensor, ...]:
        return tuple(self.program.leaves[name].detach().requires_grad_() for name in self.names)

    def f(self, *xs: Tensor) -> Tensor:
        y = self.program.run({**self.program.leaves, **dict(zip(self.names, xs, strict=True))})[self.output]
        assert y is not None
        return y


def _plain_reverse(q: _Program) -> Answer:
    xs = q.leaves()
    return tuple(torch.autograd.grad(q.f(*xs), xs, q.y_bar, allow_unused=True))


def _recorded_reverse(q: _Program) -> Answer:
    xs = q.leaves()
    return tuple(torch.autograd.grad(q.f(*xs), xs, q.y_bar, create_graph=True, allow_unused=True))


def _functional_reverse(q: _Program) -> Answer:
    _, pullback = torch.func.vjp(q.f, *[x.detach() for x in q.leaves()])
    return tuple(pullback(q.y_bar))


def _functional_forward(q: _Program) -> Answer:
    with torch.no_grad():
        _, y_dot = torch.func.jvp(q.f, tuple(x.detach() for x in q.leaves()), q.x_dot)
    return (y_dot,)


def _pairing(x_bars: Answer, q: _Program) -> tuple[list[Tensor], list[Tensor]]:
    """The gradients that can be differentiated again, with the tangents that weigh them."""
    chosen = [(g, t) for g, t in zip(x_bars, q.x_dot, strict=True) if g is not None and g.requires_grad]
    return [g for g, _ in chosen], [t for _, t in chosen]


def _reverse_over_reverse(q: _Program) -> Answer:
    """The gradient of <x_dot, x_bar> with respect to the inputs, and last with respect to y_bar."""
    xs, y_bar = q.leaves(), q.y_bar.detach().requires_grad_()
    x_bars = torch.autograd.grad(q.f(*xs), xs, y_bar, create_graph=True, allow_unused=True)
    gradients, weights = _pairing(x_bars, q)
    if not gradients:
        return (None,) * (len(xs) + 1)
    return tuple(torch.autograd.grad(gradients, (*xs, y_bar), weights, allow_unused=True))


def _forward_over_reverse(q: _Program) -> Answer:
    def gradients(*xs: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.func.vjp(q.f, *xs)[1](q.y_bar))

    _, second = torch.func.jvp(gradients, tuple(x.detach() for x in q.leaves()), q.x_dot)
    return tuple(second)


def _reverse_over_forward(q: _Program) -> Answer:
    def tangent(*xs: Tensor) -> Tensor:
        y_dot: Tensor = torch.func.jvp(q.f, xs, q.x_dot)[1]
        return y_dot

    _, pullback = torch.func.vjp(tangent, *[x.detach() for x in q.leaves()])
    return tuple(pullback(q.y_bar))


# What torch calls the modes.
CALLS = {
    VALUE: VALUE,
    REVERSE: "backward",
    FORWARD: "forward-mode AD (dual tensors)",
    REVERSE_END_TO_END: "backward",
    FORWARD_END_TO_END: "forward-mode AD (dual tensors)",
    RECORDED_REVERSE: "backward with create_graph=True",
    FUNCTIONAL_REVERSE: "func.vjp",
    FUNCTIONAL_FORWARD: "func.jvp",
    TRANSPOSED_REVERSE: "double backward, in the cotangent",
    AGREEMENT: AGREEMENT,
    REVERSE_OVER_REVERSE: "double backward",
    FORWARD_OVER_REVERSE: "func.jvp of func.vjp",
    REVERSE_OVER_FORWARD: "func.vjp of func.jvp",
    REPEATED_REVERSE: "backward, twice",
}

_OF_MODES: dict[str, Call] = {
    PLAIN_REVERSE: _plain_reverse,
    RECORDED_REVERSE: _recorded_reverse,
    FUNCTIONAL_REVERSE: _functional_reverse,
    FUNCTIONAL_FORWARD: _functional_forward,
    REVERSE_OVER_REVERSE: _reverse_over_reverse,
    FORWARD_OVER_REVERSE: _forward_over_reverse,
    REVERSE_OVER_FORWARD: _reverse_over_forward,
}


def observe_modes(case: Case, namespaces: Namespaces = TORCH) -> ModeAnswers:
    """The answers in every further mode. ``namespaces`` holds replaced functions (replacement.py).

    Plain reverse mode is evaluated twice: the judge compares the two answers.
    """
    q = _Program(case, namespaces)
    seen = ModeAnswers(q.names)
    for name, call in _OF_MODES.items():
        answer = _answered(q, call, seen, name)
        if name == REVERSE_OVER_REVERSE and answer is not None:
            seen.answers[TRANSPOSED_REVERSE], answer = answer[-1:], answer[:-1]
        if answer is not None:
            seen.answers[name] = answer
    if PLAIN_REVERSE in seen.answers:
        seen.again = _answered(q, _plain_reverse, seen, REPEATED_REVERSE)
    return seen


def _answered(q: _Program, call: Call, seen: ModeAnswers, mode: str) -> list[PlainArray | None] | None:
    """The arrays of one answer. An exception of torch is recorded as the reason why the mode has none."""
    q.program.at = -1
    try:
        with settings_kept():
            answer = call(q)
        return [as_array_or_none(t) for t in answer]
    except OUTSIDE:
        raise
    except BaseException as error:  # noqa: BLE001 - the other modes are evaluated all the same
        seen.unavailable[mode] = no_answer(error, raising_node(q.program))
        return None
