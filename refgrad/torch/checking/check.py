"""gradcheck in one dtype: compares func in torch with the reference over Balls, with a verdict for each mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, format_of
from refgrad.errors import ArgumentError
from refgrad.testing.checks.aggregation import Aggregation
from refgrad.testing.checks.array_verdict import Question
from refgrad.testing.checks.seeds import WHOLE
from refgrad.testing.judging.verdict import ERROR, UNSUPPORTED, Comparison, Verdict
from refgrad.torch.checking import (
    computed_inputs,
    earlier_gradients,
    further_calls,
    kept_inputs,
    kinks,
    no_cotangent,
    one_graph,
    one_tensor,
    overwritten,
    plan,
    reused_memory,
    supplementary,
    triangles,
    without_graph,
)
from refgrad.torch.checking.answered import Answered
from refgrad.torch.checking.complex_tensors import lazy_variants
from refgrad.torch.checking.evaluation import Answer, Raised
from refgrad.torch.checking.layouts import CONTIGUOUS, EXPANDED, GIVEN
from refgrad.torch.checking.memory import same_bits, wrote_into
from refgrad.torch.checking.mixed_dtypes import finer_dtypes, in_dtype, notes_of
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.point import FORWARD, REVERSE, VALUE, Point, is_no_finer, numbers
from refgrad.torch.checking.remarks import said
from refgrad.torch.circumstances import circumstances
from refgrad.torch.forward_mode import overlaps
from refgrad.torch.refusal import described, fails_inside_torch, refuses
from refgrad.tracing.ball import parts

# Of func, in ways in which a program uses it.
_USES = (
    one_graph.judge,
    computed_inputs.judge,
    earlier_gradients.judge,
    further_calls.judge,
    overwritten.judge,
    reused_memory.judge,
    kept_inputs.judge,
    one_tensor.judge,
)
_STREAM = 1  # distinguishes the generator from one with the same seed that made the user's inputs


@dataclass(frozen=True)
class Settings:
    """The options of a check; see gradcheck."""

    repeats: int = 3
    seed: int = 0
    reverse: bool = True
    forward: bool = True
    fast: bool = False
    undefined: bool = True
    nondet_tol: float = 0.0


@dataclass
class Check:
    """A check in one dtype.

    func       torch callable
    function   the reference, the same function of NumPy arrays
    given      the inputs as the user gave them
    active     positions of the differentiated inputs
    kept       positions of the inputs that keep their dtype
    notes      questions that were left out, with reasons
    raised     the first exception of func that is no refusal
    """

    func: Callable[..., Any]
    function: Callable[..., Any]
    given: tuple[Any, ...]
    active: tuple[int, ...]
    dtype: str
    settings: Settings
    kept: frozenset[int] = frozenset()
    notes: list[str] = field(default_factory=list)
    raised: Exception | None = None

    def __post_init__(self) -> None:
        self.device = next(x.device.type for x in self.given if isinstance(x, Tensor))
        self.fmt: Format = format_of(self.dtype, self.device)
        dtype: torch.dtype = getattr(torch, self.fmt.storage)
        self.arguments = in_dtype(self.given, dtype, self.kept)
        self.notes += notes_of(self.kept, self.arguments, self.dtype)
        self.rng = np.random.default_rng((self.settings.seed, _STREAM))
        self.point = Point(self.func, self.function, self.arguments, self.active, self.fmt, self.rng)
        self.value, self.reverse, self.forward = (
            Aggregation(mode, self.fmt, self.device, self.point.plain) for mode in (VALUE, REVERSE, FORWARD)
        )
        for aggregation in (self.value, self.reverse, self.forward):
            aggregation.shapes_decide = True

    def verdicts(self) -> list[Verdict]:
        """The verdicts on the value and on the requested modes."""
        requested = (
            [self.value] + [self.reverse] * self.settings.reverse + [self.forward] * self.settings.forward
        )
        first = next(plan.forward(self.arguments, self.active, fast=True))
        try:
            outputs = self.point.evaluator.outputs(first).outputs
        except Raised as raised:
            status = UNSUPPORTED if refuses(raised.error) else ERROR
            self.raised = raised.error
            for aggregation in requested:
                aggregation.failed(status, f"func raised {described(raised.error)}")
            return [aggregation.verdict() for aggregation in requested]
        self.point.reference.check_count(len(outputs))
        self._set_wider(outputs)
        self._values(self.point, Answer(outputs), first)
        if not self.settings.fast and not self.value.disagrees():
            without_graph.judge(self.point, first, self.value)
        outputs = tuple(map(_without_memory, outputs))
        if self.settings.reverse:
            self._judge_reverse(outputs)
            self.point.release(REVERSE)
        if self.settings.forward:
            self._judge_forward()
            self.point.release(FORWARD)
        for change in dict.fromkeys(self.point.evaluator.changes):
            note = f"{change}; func has to leave the settings of torch as they are"
            self.value.add("output 0", Comparison(note=note), first.question)
        return [aggregation.verdict() for aggregation in requested]

    def _set_wider(self, outputs: tuple[Tensor, ...]) -> None:
        """Take outputs in a wider format for statistics, where another one has the judged format; also those in the format of an input."""
        judged = self.point.dtype
        given, beside = finer_dtypes(self.arguments, judged), any(y.dtype == judged for y in outputs)
        self.point.wider = frozenset(
            k
            for k, y in enumerate(outputs)
            if not is_no_finer(y.dtype, judged) and (beside or y.dtype in given)
        )
        for k in sorted(self.point.wider):
            self._note(
                f"{self.dtype}: output {k} has dtype {outputs[k].dtype}, and is judged by the bounds of {self.dtype}"
            )

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
        requests = plan.reverse(
            self.arguments,
            self.active,
            outputs,
            used,
            repeats=settings.repeats,
            fast=settings.fast,
            undefined=settings.undefined,
            lazily=tuple(lazy_variants(self.func)),
        )
        for number, request in enumerate(requests):
            if not self._add_reverse(self.point, request, first=number == 0):
                return
        if self.point.evaluator.single_backward:
            self._note(
                "a compiled backward of func runs once for each call (donated buffers): it is asked with retain_graph=False"
            )
        if not settings.fast:
            self.point.release(REVERSE)
            equal_rows = supplementary.expanded(self.arguments, self.active)
            self._judge_supplementary(equal_rows, EXPANDED, used)
            whole = supplementary.with_whole_significand(self.arguments, self.active, self.fmt)
            self._judge_supplementary(whole, "of the whole significand", used)

    def _obstacle(self, outputs: tuple[Tensor, ...], used: tuple[int, ...]) -> str:
        """Why torch has no gradient of func; "" where it has one."""
        reference = self.point.reference
        for k, y in enumerate(outputs):
            if tuple(y.shape) != reference.shape(k):
                return f"not asked for, because output {k} has shape {tuple(y.shape)}, expected {reference.shape(k)}"
            if y.is_complex():
                return f"not asked for, because output {k} has dtype {y.dtype}"
        if not used and reference.differentiable:
            return "the outputs are cut off from the inputs (requires_grad is False)"
        return ""

    def _add_reverse(self, point: Point, request: Request, *, first: bool = False) -> bool:
        """Evaluate one question and add the answer. Returns whether further questions can be answered."""
        question, seeds = request.question, point.seeds(REVERSE, request)
        try:
            recorded = first and not self.settings.fast
            answer = point.evaluator.reverse(request, seeds, twice=first, recorded=recorded)
        except Raised as raised:
            return self._raised(raised, request, self.reverse, first=first)
        self._values(point, answer, request)
        answer.outputs = ()  # frees the tensors that func saved for its backward
        expected = point.expected_arrays(REVERSE, request, seeds)
        ties = point.tied(request, seeds, expected, answer.found)
        self.reverse.choices = self.forward.choices = self.reverse.choices or bool(point.choices)
        found = dict(zip(question.active, answer.found, strict=False))
        again = dict(zip(question.active, answer.again or (), strict=False))
        with_graph = dict(zip(question.active, answer.recorded, strict=False))
        for k, x_bar in zip(self.active, expected, strict=True):
            if k not in question.active:
                continue
            assert x_bar is not None, "every active input has an expected gradient"
            what, got = f"gradient of input {k}", found.get(k)
            compared = point.compared(REVERSE, got, x_bar, what, k, request, seeds, plant=first)
            place, due = self.active.index(k), point.arguments[k].dtype
            more = partial(circumstances, point, REVERSE, request, seeds, expected, place, due)
            self.reverse.add(what, compared, question, tuple(seeds), k, _array(got), x_bar, more)
            if first:
                self._note(kinks.note(point, seeds, k, compared))
            if first and compared.wrong and got is not None:
                self._note(triangles.note(k, point.plain[k], numbers(got), parts(x_bar)[0]))
            if k in again:
                self._repeated(got, again[k], what, question)
            if k in with_graph and not compared.wrong and not compared.note:
                judged = point.compared(REVERSE, with_graph[k], x_bar, what, k, request, seeds)
                self.reverse.add(what, said(judged, what, "with create_graph=True"), question)
        right = not self.value.disagrees() and not self.reverse.disagrees()
        if first and not self.settings.fast and right:
            answered = Answered(point, request, seeds, expected, self.reverse)
            for judge in (*_USES, *[no_cotangent.judge] * self.settings.undefined):
                self._note(judge(answered))
        for tied in ties:
            k = self.active[tied.inputs[0]]
            self.reverse.add(f"gradient of input {k}", tied.found, question, tuple(seeds), k)
        for name in answer.written:
            note = Comparison(note=wrote_into(name))
            self.reverse.add(f"gradient of input {self.active[0]}", note, question)
        return True

    def _repeated(self, got: Tensor | None, again: Tensor | None, what: str, question: Question) -> None:
        """Add a disagreement where two evaluations of one graph differ by more than nondet_tol."""
        if got is None or again is None or same_bits(got, again):
            return
        allowed = self.settings.nondet_tol
        apart = (got.double() - again.double()).abs()
        apart[(got == again) | (got.isnan() & again.isnan())] = 0.0  # equal elements, infinities included
        difference = float(apart.max()) if apart.numel() else 0.0
        if not difference <= allowed:
            note = f"{what}: asked twice, the answers differ by up to {difference:.3g}; nondet_tol allows {allowed:.3g}"
            self.reverse.add(what, Comparison(note=note), question)

    def _judge_supplementary(
        self, arguments: tuple[Any, ...], description: str, used: tuple[int, ...]
    ) -> None:
        """Judge supplementary inputs, which the check constructs, in contiguous and in their own layout.

        The reference may refuse them. Elements with an infinite bound are not judged, nor those at which func has no finite value in
        contiguous memory, because an intermediate result may have overflowed.
        """
        if all(a is b for a, b in zip(arguments, self.arguments, strict=True)):
            return
        question = Question(REVERSE, WHOLE, self.active, used, description, CONTIGUOUS)
        request = Request(question, 0, tuple(GIVEN if isinstance(x, Tensor) else "" for x in arguments), used)
        contiguous = replace(
            request, layouts=tuple(CONTIGUOUS if isinstance(x, Tensor) else "" for x in arguments)
        )
        try:
            point = self.point.another(self.func, self.function, arguments)
            seeds = point.seeds(REVERSE, request)
            point.expected_arrays(REVERSE, request, seeds)
        except Exception as error:  # noqa: BLE001 - a reference may raise anything at these inputs; the note reports it
            self._note(f"not judged with inputs {description}: the reference raised {described(error)}")
            return
        try:
            answer = point.evaluator.reverse(contiguous, seeds)
        except Raised as raised:
            self._note(f"not judged with inputs {description}: func raised {described(raised.error)}")
            return
        point.restrict_to_finite(request, answer)
        if description == EXPANDED:
            point.choose_as(answer)
        point.reference.release()  # the expected values are known
        del answer
        aggregations, inputs = (self.value, self.reverse), self.point.plain
        for aggregation in aggregations:
            aggregation.inputs, aggregation.supplementary = point.plain, True
        self._add_reverse(point, request)
        for aggregation in aggregations:
            aggregation.inputs, aggregation.supplementary = inputs, False
        point.release(REVERSE)

    # --- forward mode ---

    def _judge_forward(self) -> None:
        for k in self.active:
            if overlaps(self.arguments[k]):
                self._note(
                    f"elements of input {k} share memory, so torch makes no dual tensor of it: forward mode is asked with a dense copy"
                )
        requests = plan.forward(self.arguments, self.active, fast=self.settings.fast)
        for number, request in enumerate(requests):
            if not self._add_forward(request, first=number == 0):
                return

    def _add_forward(self, request: Request, *, first: bool) -> bool:
        """Evaluate one question and add the answer. Returns whether further questions can be answered."""
        point = self.point
        seeds = point.seeds(FORWARD, request)
        try:
            answer = point.evaluator.forward(request, [seeds[k] for k in request.seeded])
        except Raised as raised:
            return self._raised(raised, request, self.forward, first=first)
        floating = [y.is_floating_point() for y in answer.outputs]
        answer.outputs = ()
        try:
            expected = point.expected_arrays(FORWARD, request, seeds)
        except ArgumentError as error:  # the reference has a derivative of its own that is not linear
            self.forward.failed(UNSUPPORTED, f"the reference has no forward mode: {described(error)}")
            return False
        for k, y_dot in enumerate(expected):
            if y_dot is None or not floating[k]:
                continue
            what, got = f"tangent of output {k}", answer.found[k]
            compared = point.compared(FORWARD, got, y_dot, what, k, request, seeds, plant=first)
            due = None if got is None else point.due_dtype(FORWARD, k, got.dtype)
            more = partial(circumstances, point, FORWARD, request, seeds, expected, k, due)
            self.forward.add(what, compared, request.question, tuple(seeds), k, _array(got), y_dot, more)
        for name in answer.written:
            self.forward.add("tangent of output 0", Comparison(note=wrote_into(name)), request.question)
        return True

    # --- both ---

    def _values(self, point: Point, answer: Answer, request: Request) -> None:
        for k, (y, expected) in enumerate(zip(answer.outputs, point.reference.expected, strict=True)):
            what = f"output {k}"
            compared = point.compared_value(y, k)
            due = point.due_dtype(VALUE, k, y.dtype)
            more = partial(circumstances, point, VALUE, request, (), (), k, due)
            self.value.add(what, compared, request.question, (), k, _array(y), expected, more)

    def _raised(self, raised: Raised, request: Request, aggregation: Aggregation, *, first: bool) -> bool:
        """Record an exception. Returns whether further questions make sense."""
        words, description = described(raised.error), request.question.description()
        refused = refuses(raised.error) or (aggregation is self.forward and fails_inside_torch(raised.error))
        if raised.where == "call" and not refused:  # func refuses a layout: no gradient is wrong
            self._note(f"not judged with {description}: func raised {words}")
        elif refused:
            aggregation.failed(UNSUPPORTED, words)
        else:
            aggregation.failed(ERROR, f"{raised.where} raised {words} ({description})")
            self.raised = self.raised or raised.error
        return not first

    def _note(self, text: str) -> None:
        if text and text not in self.notes:
            self.notes.append(text)


def _without_memory(y: Tensor) -> Tensor:
    """A tensor with the shape, dtype and requires_grad of an output, without memory."""
    return torch.empty(y.shape, dtype=y.dtype, device="meta", requires_grad=y.requires_grad)


def _array(t: Tensor | None) -> Callable[[], PlainArray | None]:
    return lambda: None if t is None else numbers(t.detach())
