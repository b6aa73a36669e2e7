"""One dtype: func in torch against the reference over Balls, question by question, in a verdict for each mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.bounds.formats import Format, format_of
from refgrad.errors import ArgumentError
from refgrad.testing.checks.gathering import Gathering
from refgrad.testing.checks.part import Question
from refgrad.testing.checks.seeds import WHOLE
from refgrad.testing.judging.verdict import ERROR, UNSUPPORTED, Comparison, Verdict
from refgrad.torch.checking import plan
from refgrad.torch.checking.asking import Answer, Raised, same_bits
from refgrad.torch.checking.layouts import CONTIGUOUS, EXPANDED, GIVEN, cast
from refgrad.torch.checking.plan import Ask
from refgrad.torch.checking.point import FORWARD, REVERSE, VALUE, Point, integers, numbers
from refgrad.torch.circumstances import circumstances
from refgrad.torch.refusal import described, fails_inside_torch, refuses

Array = Any
_APART = 1  # a user's inputs may come from a generator with the same seed
_FACTOR = 1 - 2**-8 / math.pi  # no power of two, and close to one


@dataclass(frozen=True)
class Settings:
    """What a check is asked to do; see gradcheck."""

    repeats: int = 3
    seed: int = 0
    reverse: bool = True
    forward: bool = True
    fast: bool = False
    undefined: bool = True
    nondet_tol: float = 0.0


@dataclass
class Check:
    """Everything that is judged in one dtype.

    given    the inputs as the user gave them; ``active`` are the positions of those that are differentiated
    notes    what was not asked, and why
    raised   the first exception of func that was no refusal
    """

    func: Callable[..., Any]
    function: Callable[..., Any]
    given: tuple[Any, ...]
    active: tuple[int, ...]
    dtype: str
    settings: Settings
    notes: list[str] = field(default_factory=list)
    raised: Exception | None = None

    def __post_init__(self) -> None:
        self.device = next(x.device.type for x in self.given if isinstance(x, Tensor))
        self.fmt: Format = format_of(self.dtype, self.device)
        dtype: torch.dtype = getattr(torch, self.fmt.storage)
        self.arguments = tuple(
            cast(x, dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for x in self.given
        )
        self.rng = np.random.default_rng((self.settings.seed, _APART))
        self.point = self._point(self.arguments)
        self.value, self.reverse, self.forward = (
            Gathering(mode, self.fmt, self.device, self.point.plain) for mode in (VALUE, REVERSE, FORWARD)
        )

    def _point(self, arguments: tuple[Any, ...], like: Point | None = None) -> Point:
        scales = None if like is None else like.scales
        return Point(self.func, self.function, arguments, self.active, self.fmt, self.rng, scales)

    def verdicts(self) -> list[Verdict]:
        """Value, reverse mode and forward mode, as far as they were asked for."""
        wanted = (
            [self.value] + [self.reverse] * self.settings.reverse + [self.forward] * self.settings.forward
        )
        first = next(plan.forward(self.arguments, self.active, fast=True))
        try:
            outputs = self.point.asker.outputs(first).outputs
        except Raised as raised:
            status = UNSUPPORTED if refuses(raised.error) else ERROR
            self.raised = raised.error
            for gathering in wanted:
                gathering.failed(status, f"func raised {described(raised.error)}")
            return [gathering.verdict() for gathering in wanted]
        self.point.reference.matched(len(outputs))
        self._values(self.point, Answer(outputs), first)
        outputs = tuple(map(_shape_alone, outputs))
        if self.settings.reverse:
            self._judge_reverse(outputs)
            self.point.release(REVERSE)
        if self.settings.forward:
            self._judge_forward()
            self.point.release(FORWARD)
        return [gathering.verdict() for gathering in wanted]

    # --- reverse mode ---

    def _judge_reverse(self, outputs: tuple[Tensor, ...]) -> None:
        reference, settings = self.point.reference, self.settings
        used = tuple(k for k, y in enumerate(outputs) if y.requires_grad and k in reference.differentiable)
        obstacle = self._obstacle(outputs, used)
        if obstacle:
            question = Question(REVERSE, active=self.active)
            for k in self.active:
                what = f"gradient of input {k}"
                self.reverse.add(what, Comparison(note=f"{what}: {obstacle}"), question)
            return
        for k in reference.differentiable:
            if k not in used:
                self._note(f"output {k} requires no gradient: its value alone is judged")
        asks = plan.reverse(
            self.arguments,
            self.active,
            outputs,
            used,
            repeats=settings.repeats,
            fast=settings.fast,
            undefined=settings.undefined,
        )
        for number, ask in enumerate(asks):
            if not self._asked_reverse(self.point, ask, first=number == 0):
                return
        if not settings.fast:
            self.point.release(REVERSE)
            self._judge_made_up(self._expanded(), EXPANDED, used)
            self._judge_made_up(self._filled(), "of the whole significand", used)

    def _obstacle(self, outputs: tuple[Tensor, ...], used: tuple[int, ...]) -> str:
        """Why torch cannot be asked for a gradient; empty where it can."""
        reference = self.point.reference
        for k, y in enumerate(outputs):
            if tuple(y.shape) != reference.shape(k):
                return f"not asked for, because output {k} has shape {tuple(y.shape)}, expected {reference.shape(k)}"
            if y.is_complex():
                return f"not asked for, because output {k} has dtype {y.dtype}"
        if not used and reference.differentiable:
            return "the outputs are cut off from the inputs (requires_grad is False)"
        return ""

    def _asked_reverse(self, point: Point, ask: Ask, *, first: bool = False) -> bool:
        """Ask one question and enter the answer; false where no other question can be answered."""
        question, seeds = ask.question, point.seeds(REVERSE, ask)
        try:
            answer = point.asker.reverse(ask, seeds, twice=first)
        except Raised as raised:
            return self._raised(raised, ask, self.reverse, first=first)
        self._values(point, answer, ask)
        answer.outputs = ()  # and with them what func saved for its backward
        due = point.due(REVERSE, ask, seeds)
        ties = point.tied(ask, seeds, due, answer.found)
        self.reverse.choices = self.forward.choices = self.reverse.choices or bool(point.choices)
        found = dict(zip(question.active, answer.found, strict=False))
        again = dict(zip(question.active, answer.again or (), strict=False))
        for k, x_bar in zip(self.active, due, strict=True):
            if k not in question.active:
                continue
            what, got = f"gradient of input {k}", found.get(k)
            compared = point.compared(REVERSE, got, x_bar, what, k, ask, seeds, plant=first)
            more = partial(circumstances, point, REVERSE, ask, seeds, due, self.active.index(k))
            self.reverse.add(what, compared, question, tuple(seeds), k, _array(got), x_bar, more)
            if k in again:
                self._repeated(got, again[k], what, question)
        for tied in ties:
            k = self.active[tied.inputs[0]]
            self.reverse.add(f"gradient of input {k}", tied.found, question, tuple(seeds), k)
        for name in answer.written:
            note = Comparison(note=f"func wrote into {name}")
            self.reverse.add(f"gradient of input {self.active[0]}", note, question)
        return True

    def _repeated(self, got: Tensor | None, again: Tensor | None, what: str, question: Question) -> None:
        """The same question to the same graph has the same answer, up to nondet_tol."""
        if got is None or again is None or same_bits(got, again):
            return
        allowed = self.settings.nondet_tol
        apart = (got.double() - again.double()).abs()
        apart[(got == again) | (got.isnan() & again.isnan())] = 0.0  # infinity is equal to itself
        difference = float(apart.max()) if apart.numel() else 0.0
        if not difference <= allowed:
            note = f"{what}: asked twice, the answers differ by up to {difference:.3g}; nondet_tol allows {allowed:.3g}"
            self.reverse.add(what, Comparison(note=note), question)

    def _judge_made_up(self, made: tuple[Any, ...], told: str, used: tuple[int, ...]) -> None:
        """Inputs that nobody asked about, contiguous and as they are.

        The reference need not take them. Where a bound has no end nothing is promised, nor where func has no finite number in contiguous
        memory: what it computes from may have overflowed.
        """
        if all(a is b for a, b in zip(made, self.arguments, strict=True)):
            return
        question = Question(REVERSE, WHOLE, self.active, used, told, CONTIGUOUS)
        ask = Ask(question, 0, tuple(GIVEN if isinstance(x, Tensor) else "" for x in made), used)
        dense = replace(ask, layouts=tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in made))
        try:
            point = self._point(made, self.point)
            seeds = point.seeds(REVERSE, ask)
            point.due(REVERSE, ask, seeds)
        except Exception as error:  # noqa: BLE001 - whatever a reference raises at these inputs
            self._note(f"not judged with inputs {told}: the reference raised {described(error)}")
            return
        try:
            answer = point.asker.reverse(dense, seeds)
        except Raised as raised:
            self._note(f"not judged with inputs {told}: func raised {described(raised.error)}")
            return
        point.promise_where_finite(ask, answer)
        point.reference.release()  # what is due is known
        del answer
        gatherings, inputs = (self.value, self.reverse), self.point.plain
        for gathering in gatherings:
            gathering.inputs, gathering.made_up = point.plain, True
        self._asked_reverse(point, ask)
        for gathering in gatherings:
            gathering.inputs, gathering.made_up = inputs, False
        point.release(REVERSE)

    def _expanded(self) -> tuple[Any, ...]:
        """Inputs whose rows are one row, expanded."""
        return tuple(
            x[:1].expand(x.shape) if k in self.active and x.ndim and x.shape[0] > 1 else x
            for k, x in enumerate(self.arguments)
        )

    def _filled(self) -> tuple[Any, ...]:
        """Inputs that a shorter format holds, made a little smaller, so that they need the whole significand.

        What a backward keeps in the shorter format is not seen otherwise. All get the same factor: equal numbers stay equal, a
        symmetric matrix stays symmetric.
        """
        shorter = {"float64": torch.float32, "float32": torch.bfloat16}.get(self.fmt.name)
        if shorter is None:
            return self.arguments
        return tuple(
            x * _FACTOR if k in self.active and bool((x.to(shorter).to(x.dtype) == x).all()) else x
            for k, x in enumerate(self.arguments)
        )

    # --- forward mode ---

    def _judge_forward(self) -> None:
        asks = plan.forward(self.arguments, self.active, fast=self.settings.fast)
        for number, ask in enumerate(asks):
            if not self._asked_forward(ask, first=number == 0):
                return

    def _asked_forward(self, ask: Ask, *, first: bool) -> bool:
        """Ask one question and enter the answer; false where no other question can be answered."""
        point = self.point
        seeds = point.seeds(FORWARD, ask)
        try:
            answer = point.asker.forward(ask, [seeds[k] for k in ask.seeded])
        except Raised as raised:
            return self._raised(raised, ask, self.forward, first=first)
        floating = [y.is_floating_point() for y in answer.outputs]
        answer.outputs = ()
        try:
            due = point.due(FORWARD, ask, seeds)
        except ArgumentError as error:  # a derivative of the reference's own that is not linear
            self.forward.failed(UNSUPPORTED, f"the reference has no forward mode: {described(error)}")
            return False
        for k, y_dot in enumerate(due):
            if y_dot is None or not floating[k]:
                continue
            what, got = f"tangent of output {k}", answer.found[k]
            compared = point.compared(FORWARD, got, y_dot, what, k, ask, seeds, plant=first)
            more = partial(circumstances, point, FORWARD, ask, seeds, due, k)
            self.forward.add(what, compared, ask.question, tuple(seeds), k, _array(got), y_dot, more)
        for name in answer.written:
            self.forward.add("tangent of output 0", Comparison(note=f"func wrote into {name}"), ask.question)
        return True

    # --- both ---

    def _values(self, point: Point, answer: Answer, ask: Ask) -> None:
        for k, (y, expected) in enumerate(zip(answer.outputs, point.reference.expected, strict=True)):
            what = f"output {k}"
            compared = (
                integers(y, expected, what)
                if k in point.reference.others
                else point.compared(VALUE, y, expected, what, k)
            )
            more = partial(circumstances, point, VALUE, ask, (), (), k)
            self.value.add(what, compared, ask.question, (), k, _array(y), expected, more)

    def _raised(self, raised: Raised, ask: Ask, gathering: Gathering, *, first: bool) -> bool:
        """Enter what was raised; whether another question makes sense."""
        words, told = described(raised.error), ask.question.told()
        refused = refuses(raised.error) or (gathering is self.forward and fails_inside_torch(raised.error))
        if raised.where == "call" and not refused:  # a layout that func does not take: no gradient is wrong
            self._note(f"not judged with {told}: func raised {words}")
        elif refused:
            gathering.failed(UNSUPPORTED, words)
        else:
            gathering.failed(ERROR, f"{raised.where} raised {words} ({told})")
            self.raised = self.raised or raised.error
        return not first

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _shape_alone(y: Tensor) -> Tensor:
    """A tensor as the output, without memory: of its numbers nothing more is asked."""
    return torch.empty(y.shape, dtype=y.dtype, device="meta", requires_grad=y.requires_grad)


def _array(t: Tensor | None) -> Callable[[], Array]:
    return lambda: None if t is None else numbers(t.detach())
