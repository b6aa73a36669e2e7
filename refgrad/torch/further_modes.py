"""Ask torch for one derivative in all the ways it has, and for second derivatives in every order of its modes.

With f the program, y_bar its cotangent and x_dot its tangent, the first derivative comes four ways: plain backward, backward
that records itself (create_graph), torch.func.vjp and torch.func.jvp. The second derivative along x_dot, the gradient of
<x_dot, x_bar>, comes three ways; double backward also gives the gradient in y_bar, which is the tangent again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from refgrad.bounds.formats import format_of
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.modes import (
    CREATE_GRAPH,
    FUNC_JVP,
    FUNC_VJP,
    JVP_OF_VJP,
    PLAIN,
    PUSHED,
    REPEAT,
    REVERSE_OF_REVERSE,
    VJP_OF_JVP,
    Modes,
)
from refgrad.torch.devices import device
from refgrad.torch.program import Program, as_array, tensor
from refgrad.torch.raising_node import raising_node
from refgrad.torch.refusal import no_answer

Array = Any
Ask = Callable[["_Question"], "Answer"]
Answer = tuple[Tensor | None, ...]


class _Question:
    """The program as a function of its floating-point inputs, with its cotangent and tangents."""

    def __init__(self, case: Case) -> None:
        where, dtype = device(case.device), getattr(torch, format_of(case.dtype, case.device).storage)
        self.program = Program(case, where, dtype)
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


def _plain(q: _Question) -> Answer:
    xs = q.leaves()
    return tuple(torch.autograd.grad(q.f(*xs), xs, q.y_bar, allow_unused=True))


def _create_graph(q: _Question) -> Answer:
    xs = q.leaves()
    return tuple(torch.autograd.grad(q.f(*xs), xs, q.y_bar, create_graph=True, allow_unused=True))


def _func_vjp(q: _Question) -> Answer:
    _, pullback = torch.func.vjp(q.f, *[x.detach() for x in q.leaves()])
    return tuple(pullback(q.y_bar))


def _func_jvp(q: _Question) -> Answer:
    with torch.no_grad():
        _, y_dot = torch.func.jvp(q.f, tuple(x.detach() for x in q.leaves()), q.x_dot)
    return (y_dot,)


def _pairing(x_bars: Answer, q: _Question) -> tuple[list[Tensor], list[Tensor]]:
    """The gradients that can be differentiated further, with the tangents that weigh them."""
    chosen = [(g, t) for g, t in zip(x_bars, q.x_dot, strict=True) if g is not None and g.requires_grad]
    return [g for g, _ in chosen], [t for _, t in chosen]


def _reverse_of_reverse(q: _Question) -> Answer:
    """The gradient of <x_dot, x_bar> in the inputs, and last in y_bar."""
    xs, y_bar = q.leaves(), q.y_bar.detach().requires_grad_()
    x_bars = torch.autograd.grad(q.f(*xs), xs, y_bar, create_graph=True, allow_unused=True)
    gradients, weights = _pairing(x_bars, q)
    if not gradients:
        return (None,) * (len(xs) + 1)
    return tuple(torch.autograd.grad(gradients, (*xs, y_bar), weights, allow_unused=True))


def _jvp_of_vjp(q: _Question) -> Answer:
    def gradients(*xs: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.func.vjp(q.f, *xs)[1](q.y_bar))

    _, second = torch.func.jvp(gradients, tuple(x.detach() for x in q.leaves()), q.x_dot)
    return tuple(second)


def _vjp_of_jvp(q: _Question) -> Answer:
    def tangent(*xs: Tensor) -> Tensor:
        y_dot: Tensor = torch.func.jvp(q.f, xs, q.x_dot)[1]
        return y_dot

    _, pullback = torch.func.vjp(tangent, *[x.detach() for x in q.leaves()])
    return tuple(pullback(q.y_bar))


_FIRST: dict[str, Ask] = {
    PLAIN: _plain,
    CREATE_GRAPH: _create_graph,
    FUNC_VJP: _func_vjp,
    FUNC_JVP: _func_jvp,
}
_SECOND: dict[str, Ask] = {
    REVERSE_OF_REVERSE: _reverse_of_reverse,
    JVP_OF_VJP: _jvp_of_vjp,
    VJP_OF_JVP: _vjp_of_jvp,
}


def observe_modes(case: Case) -> Modes:
    """Every way asked once, plain backward twice (a second answer that differs is a finding of its own)."""
    q = _Question(case)
    seen = Modes(q.names)
    for name, ask in {**_FIRST, **_SECOND}.items():
        answer = _asked(q, ask, seen, name)
        if name == REVERSE_OF_REVERSE and answer is not None:
            seen.answers[PUSHED], answer = answer[-1:], answer[:-1]
        if answer is not None:
            seen.answers[name] = answer
    if PLAIN in seen.answers:
        seen.again = _asked(q, _plain, seen, REPEAT)
    return seen


def _asked(q: _Question, ask: Ask, seen: Modes, mode: str) -> list[Array] | None:
    """The arrays of one answer. Whatever torch raises instead is kept as the reason why there is none."""
    q.program.at = -1
    try:
        return [as_array(t) for t in ask(q)]
    except Exception as error:  # noqa: BLE001 - of one mode: the others are asked all the same
        seen.unavailable[mode] = no_answer(error, raising_node(q.program))
        return None
