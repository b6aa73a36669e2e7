"""func and its reference at one set of inputs in one dtype: seeds, expected arrays and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS, Format
from refgrad.formula import by_each
from refgrad.testing.checks.seeds import WHOLE, ZERO, drawn
from refgrad.testing.judging.alternative_formulas import Reach, apart, largest, widened
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.intermediate_scales import Scales
from refgrad.testing.judging.ties import Tied, has_choices, judge_ties
from refgrad.testing.judging.verdict import Comparison
from refgrad.testing.power.array_mutations import planted
from refgrad.torch.checking.evaluation import Answer, Evaluator
from refgrad.torch.checking.memory import fingerprint
from refgrad.torch.checking.mixed_dtypes import enclosed
from refgrad.torch.checking.plan import Request
from refgrad.torch.checking.reference import Expected, Reference, perturbed
from refgrad.torch.checking.roundings import counted
from refgrad.torch.processor import keep_subnormals
from refgrad.torch.program import LACKING, as_array
from refgrad.tracing.ball import Ball, exact, parts

Seeds = list[PlainArray | None]  # cotangents by output, or tangents by input; None for one that is not given
VALUE, REVERSE, FORWARD = "value", "reverse", "forward"


class Point:
    """func and its reference at ``arguments``, tensors in the judged dtype or in a finer one.

    Expected arrays of equal questions are computed once, and answers with equal bits are compared once.

    func, function   the torch callable and its NumPy reference
    active           positions of the differentiated arguments
    rng              draws the seeds
    wider            outputs in a wider format beside one in the judged format: statistics, such as a logarithm of sums in float32
    scales           sizes of intermediate results, shared between points
    choices          whether a gradient is not unique somewhere; None until it is known
    """

    def __init__(
        self,
        func: Callable[..., Any],
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        active: tuple[int, ...],
        fmt: Format,
        rng: np.random.Generator,
        scales: Scales | None = None,
    ) -> None:
        self.func, self.arguments, self.active, self.fmt, self.rng = func, arguments, active, fmt, rng
        self.evaluator = Evaluator(func, arguments)
        self.plain = tuple(as_array(x.detach()) if isinstance(x, Tensor) else x for x in arguments)
        self.reference = Reference(function, enclosed(arguments, self.plain, fmt), active, fmt)
        self.dtype: torch.dtype = getattr(torch, fmt.storage)
        self.device = next(x.device.type for x in arguments if isinstance(x, Tensor))
        self._draws: dict[tuple[str, str, int], list[PlainArray]] = {}  # the draws that several requests use
        self._expected: dict[tuple[Any, ...], list[Expected | None]] = {}
        self._known: dict[tuple[Any, ...], tuple[bytes, Comparison]] = {}
        self.scales = scales or Scales()
        self._perturbed_reference: Reference | None = None
        self._roomy: Point | None = None
        self.wider: frozenset[int] = frozenset()
        self._has_room: dict[tuple[str, int], bool] = {}
        self._losses: dict[str, float] = {}
        self.choices: bool | None = None
        self._tied: dict[tuple[Any, ...], tuple[bytes | None, ...]] = {}

    def another(
        self, func: Callable[..., Any], function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Point:
        """A point for another func, reference or inputs, with the settings of this one. The reference may raise."""
        point = Point(func, function, arguments, self.active, self.fmt, self.rng, self.scales)
        point.wider = self.wider
        return point

    def seeds(self, mode: str, request: Request) -> Seeds:
        """The cotangents of the outputs, or the tangents of the inputs."""
        key = (mode, request.question.draw, request.draw)
        draws = self._draws.get(key)
        if draws is None:
            shapes = (
                [self.reference.shape(k) for k in range(self.reference.count)]
                if mode == REVERSE
                else [np.shape(x) for x in self.plain]
            )
            draws = [
                drawn(request.question.draw, self.rng, shape, self.fmt, self.scales.unit(mode))
                for shape in shapes
            ]
            if request.question.draw == WHOLE and request.draw == 0:
                self._draws[key] = draws
        return [x if k in request.seeded else None for k, x in enumerate(draws)]

    def release(self, mode: str) -> None:
        """Free the data that the questions of a mode share. No further question of the mode may follow."""
        self._draws = {key: x for key, x in self._draws.items() if key[0] != mode}
        self._expected = {key: x for key, x in self._expected.items() if key[0] != mode}
        self.reference.release()

    def expected_arrays(self, mode: str, request: Request, seeds: Seeds) -> list[Expected | None]:
        """The expected gradients of the active inputs, or tangents of the outputs; for zero seeds, zero where a gradient is finite."""
        keep_subnormals()
        key = (mode, request.question.draw, request.draw, request.seeded)
        ordinary = self._expected.get((mode, WHOLE, 0, request.seeded))
        if request.question.draw == ZERO and ordinary is not None:
            return [None if x is None else _zero_where_finite(x) for x in ordinary]
        if key in self._expected:
            return self._expected[key]
        derivatives: Sequence[Expected | None] = (
            self.reference.pull_back(seeds)
            if mode == REVERSE
            else self.reference.push_forward([seeds[k] for k in self.active])
        )
        found = list(derivatives)
        if request.question.draw == WHOLE and request.draw == 0:  # requests with other layouts share it
            self._expected[key] = found
        return found

    def restrict_to_finite(self, request: Request, answer: Answer) -> None:
        """Exclude elements with an infinite bound or a non-finite answer from judgement, for supplementary inputs."""
        key = (REVERSE, request.question.draw, request.draw, request.seeded)
        self._expected[key] = [
            x if x is None else _bounded(x, got)
            for x, got in zip(self._expected[key], answer.found, strict=True)
        ]
        self.reference.expected = [
            _bounded(x, got) for x, got in zip(self.reference.expected, answer.outputs, strict=True)
        ]

    def choose_as(self, answer: Answer) -> None:
        """Expect the integers of ``answer``. Of equal elements, which the check made, func may choose another index than the reference."""
        for k in self.reference.others:
            self.reference.expected[k] = as_array(answer.outputs[k].detach())

    def compared(
        self,
        mode: str,
        got: Tensor | None,
        expected: Expected,
        what: str,
        index: int,
        request: Request | None = None,
        seeds: Sequence[PlainArray | None] = (),
        *,
        plant: bool = False,
    ) -> Comparison:
        """The comparison of one array with its Ball. With ``plant``, errors may be planted in it, where a run measures its power."""
        if got is None:
            if np.any(parts(expected)[0] != 0):
                return Comparison(note=f"{what}: func gave none, one is due")
            due = self.due_dtype(mode, index, self.dtype)
            got = torch.zeros(np.shape(expected), dtype=due, device=self.device)  # which None stands for
        due = self.due_dtype(mode, index, got.dtype)
        if got.dtype != due:
            meant = mode == VALUE and not is_no_finer(got.dtype, due)
            hint = ". Where that is meant, judge lambda x: func(x).to(x.dtype)" if meant else ""
            return Comparison(note=f"{what} has dtype {got.dtype}, expected {due}{hint}")
        if got.device.type != self.device:
            return Comparison(note=f"{what} is on device {got.device}, expected {self.device}")
        key = (
            (mode, index)
            if request is None
            else (mode, index, request.question.draw, request.draw, request.seeded)
        )
        known, bits = self._known.get(key), b"%r" % (tuple(got.shape),) + fingerprint(got)
        if known is not None and known[0] == bits:
            return known[1]
        values = numbers(got)
        ordinary = request is None or request.question.draw == WHOLE
        found = self._judged(mode, values, expected, what, index, seeds, ordinary=ordinary)
        self.scales.learn((mode, index), found, seeds)
        self._known[key] = bits, found
        return planted(values, expected, self.fmt, found) if plant else found

    def compared_value(self, y: Tensor, k: int) -> Comparison:
        """The comparison of output k with its reference value; integers have to be equal."""
        expected, what = self.reference.expected[k], f"output {k}"
        if k in self.reference.others:
            return integers(y, expected, what)
        return self.compared(VALUE, y, expected, what, k)

    def due_dtype(self, mode: str, index: int, got: torch.dtype) -> torch.dtype:
        """The dtype that an array of dtype ``got`` has to have: a gradient that of its input, an output in ``wider`` its own."""
        if mode == REVERSE:
            dtype: torch.dtype = self.arguments[index].dtype
            return dtype
        return got if index in self.wider and not is_no_finer(got, self.dtype) else self.dtype

    def tied(
        self,
        request: Request,
        seeds: Seeds,
        expected: Sequence[Expected | None],
        found: Sequence[Tensor | None],
    ) -> list[Tied]:
        """The judgement of tied elements of the active inputs, as sums over ties. Equal answers are judged once."""
        if (
            not self.reference.choices
            or request.question.active != self.active
            or any(
                g is not None and (g.dtype != self.arguments[k].dtype or g.device.type != self.device)
                for k, g in zip(self.active, found, strict=False)
            )
        ):
            return []
        xs, y_bars = (
            [self.plain[k] for k in self.active],
            [seeds[k] for k in self.reference.differentiable],
        )
        if self.choices is None and request.question.draw == WHOLE:
            self.choices = has_choices(self.reference.smooth, xs, y_bars, expected, self.fmt)
        if not self.choices:
            return []
        key = (request.question.draw, request.draw, request.seeded)
        bits = tuple(None if g is None else fingerprint(g) for g in found)
        if self._tied.get(key) == bits:
            return []
        self._tied[key] = bits
        values = [None if g is None else numbers(g) for g in found]
        loss = self.fmt.u * self.reference.rounded[REVERSE]
        return judge_ties(self.reference.smooth, xs, y_bars, expected, values, self.fmt, self.rng, loss)

    def _judged(
        self,
        mode: str,
        values: PlainArray,
        expected: Expected,
        what: str,
        index: int,
        seeds: Sequence[PlainArray | None],
        *,
        ordinary: bool = True,
    ) -> Comparison:
        """The comparison. Elements out of bounds are compared again with the bounds of formulas that func may use."""
        loss = self.fmt.u * self.reference.rounded[mode]
        hidden = self.scales.of((mode, index), seeds, expected, loss)
        found = compare(values, expected, self.fmt, what, hidden=hidden)
        if found.skipped and not found.wrong and self.fmt.small_range:
            roomy = self._judged_with_room(mode, values, what, index, seeds)
            agrees = not (roomy.skipped or roomy.wrong)
            # The first question is an ordinary one.
            has_room = self._has_room.setdefault((mode, index), agrees)
            return roomy if has_room and (agrees or ordinary) else found
        if found.wrong and self._loss(mode) > loss:
            hidden = self.scales.of((mode, index), seeds, expected, self._loss(mode))
            found = compare(values, expected, self.fmt, what, hidden=hidden)
        before = found
        if found.wrong:
            named = [
                Reach(apart(x, expected), b) for x, b in by_each(lambda: self._recomputed(mode, index, seeds))
            ]
            expected, reach = widened(expected, values, named, zeros=True), largest([r.bound for r in named])
            found = compare(values, expected, self.fmt, what, hidden=hidden, reach=reach)
        if found.wrong and all(
            2 * abs(e.got - e.expected) < abs(e.expected) or e.got == 0 for e in found.wrong
        ):
            near = self._reach(mode, index, seeds, expected, hidden.loss)
            reach = near if reach is None else np.fmax(reach, near)
            found = compare(values, expected, self.fmt, what, hidden=hidden, reach=reach)
        return found.with_bitless(before) if before.wrong else found

    def _reach(
        self, mode: str, index: int, seeds: Sequence[PlainArray | None], expected: Expected, loss: float
    ) -> PlainArray:
        """The bound for a backward stable formula, and for one that computes an elementwise derivative from the function's value."""
        value, bound = parts(expected)
        near, radius = parts(self._perturbed(mode, index, seeds))
        reach = radius + np.abs(near - value)
        given = [x for x in seeds if x is not None]
        change = self.reference.sensitivity_to_value(given[0]) if len(given) == 1 else None
        return reach if change is None else np.maximum(reach, bound + loss * change)

    def _judged_with_room(
        self,
        mode: str,
        values: PlainArray,
        what: str,
        index: int,
        seeds: Sequence[PlainArray | None],
    ) -> Comparison:
        """The comparison for a kernel that keeps what lies between in the format in which it accumulates: its squares do not overflow.

        A func that agrees with it everywhere in the first question is such a kernel, and is held to it from then on. Of any other,
        elements without a bound are not judged.
        """
        if self._roomy is None:
            fmt = replace(self.fmt, max=FORMATS[self.fmt.accumulator].max)
            self._roomy = Point(
                self.func, self.reference.function, self.arguments, self.active, fmt, self.rng, self.scales
            )
        expected = self._roomy.derived(self._roomy.reference, mode, index, seeds)
        return self._roomy._judged(mode, values, expected, what, index, seeds)

    def _perturbed(self, mode: str, index: int, seeds: Sequence[PlainArray | None]) -> Expected:
        """The expected array for inputs and seeds with an error of one rounding."""
        if self._perturbed_reference is None:
            self._perturbed_reference = self.reference.perturbed()
        perturbed_seeds = [None if x is None else perturbed(exact(x, self.fmt)) for x in seeds]
        return self.derived(self._perturbed_reference, mode, index, perturbed_seeds)

    def _recomputed(self, mode: str, index: int, seeds: Sequence[PlainArray | None]) -> Expected:
        """The expected array, recomputed from the arguments."""
        reference = Reference(self.reference.function, self.reference.balls, self.active, self.fmt)
        return self.derived(reference, mode, index, seeds)

    def derived(
        self, reference: Reference, mode: str, index: int, seeds: Sequence[Expected | None]
    ) -> Expected:
        """The value, the gradient or the tangent of a reference."""
        if mode == VALUE:
            return reference.expected[index]
        if mode == REVERSE:
            return reference.pull_back(seeds)[self.active.index(index)]
        found = reference.push_forward([seeds[k] for k in self.active])[index]
        assert found is not None, "only outputs with a derivative have a tangent to judge"
        return found

    def _loss(self, mode: str) -> float:
        """The relative error that the roundings of the operations in torch can add up to."""
        if mode not in self._losses:
            self._losses[mode] = self.fmt.u * counted(self.func, self.arguments, self.active, mode)
        return self._losses[mode]


def is_no_finer(dtype: torch.dtype, judged: torch.dtype) -> bool:
    """Whether numbers of a dtype are no finer than those of the judged dtype, or none of floating point."""
    return not dtype.is_floating_point or torch.finfo(dtype).eps >= torch.finfo(judged).eps


def integers(got: Tensor, expected: Expected, what: str) -> Comparison:
    """The comparison of integers or booleans, which must be equal."""
    values, right = as_array(got), np.asarray(getattr(expected, "value", expected))
    if values.shape != right.shape:
        return Comparison(note=f"{what} has shape {values.shape}, expected {right.shape}")
    off = np.flatnonzero(values.ravel() != right.ravel())
    if not off.size:
        return Comparison(elements=int(right.size))
    at = np.unravel_index(off[0], right.shape)
    place = "[" + ", ".join(str(int(i)) for i in at) + "]" if at else ""
    return Comparison(
        elements=int(right.size),
        note=f"{what}{place}: got {values[at].item()!r}, expected {right[at].item()!r}; {off.size} of {right.size} differ",
    )


def numbers(t: Tensor) -> PlainArray:
    """The elements as a NumPy array, in the memory of the tensor where possible; in float64 where NumPy lacks the dtype."""
    keep_subnormals()
    lacking = t.dtype in LACKING or t._is_zerotensor()
    return as_array(t.detach()) if lacking else t.numpy(force=True)


def _zero_where_finite(x: Expected) -> Expected:
    value, radius = parts(x)
    zero = np.where(np.isfinite(value) & np.isfinite(radius), 0.0, np.nan).astype(value.dtype)
    return Ball(zero, None, x.fmt) if isinstance(x, Ball) else zero


def _bounded(x: Expected, got: Tensor | None) -> Expected:
    if not isinstance(x, Ball):
        return x
    value, radius = parts(x)
    sure = np.isfinite(radius)
    if got is not None and tuple(got.shape) == value.shape:
        sure = sure & np.isfinite(as_array(got.detach()))
    return Ball(np.where(sure, value, np.nan), radius, x.fmt)
