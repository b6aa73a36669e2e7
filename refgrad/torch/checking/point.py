"""func and its reference at one set of inputs, in one dtype: what is asked, what is due, and how an answer compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.bounds.formats import Format
from refgrad.formula import by_each
from refgrad.testing.checks.seeds import WHOLE, ZERO, drawn
from refgrad.testing.judging.alternative_formulas import Reach, apart, largest, widened
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.intermediate_scales import Scales
from refgrad.testing.judging.ties import Tied, has_choices, judge_ties
from refgrad.testing.judging.verdict import Comparison
from refgrad.testing.power.array_mutations import planted
from refgrad.torch.checking.asking import Answer, Asker, fingerprint
from refgrad.torch.checking.plan import Ask
from refgrad.torch.checking.reference import Reference, shaken
from refgrad.torch.checking.roundings import counted
from refgrad.torch.program import as_array
from refgrad.tracing.ball import Ball, exact, parts

Array = Any
Seeds = list[Array | None]  # cotangents by output, tangents by input; None for one that is not given
VALUE, REVERSE, FORWARD = "value", "reverse", "forward"


class Point:
    """The inputs ``arguments``, tensors in the judged dtype, of which those at ``active`` are differentiated.

    Equal questions have the same expected answer, which is computed once; an answer with the same bits has the same verdict.
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
        self.asker = Asker(func, arguments)
        self.plain = tuple(as_array(x.detach()) if isinstance(x, Tensor) else x for x in arguments)
        self.reference = Reference(
            function,
            [
                exact(x, fmt) if isinstance(t, Tensor) and t.is_floating_point() else x
                for t, x in zip(arguments, self.plain, strict=True)
            ],
            active,
            fmt,
        )
        self.dtype: torch.dtype = getattr(torch, fmt.storage)
        self.device = next(x.device.type for x in arguments if isinstance(x, Tensor))
        self._draws: dict[tuple[str, str, int], list[Array]] = {}  # those that are asked with again
        self._due: dict[tuple[Any, ...], list[Any]] = {}
        self._known: dict[tuple[Any, ...], tuple[bytes, Comparison]] = {}
        self.scales = scales or Scales()
        self._shaken: Reference | None = None
        self._losses: dict[str, float] = {}
        self.choices: bool | None = None  # whether a gradient is a matter of choice somewhere
        self._tied: dict[tuple[Any, ...], tuple[bytes | None, ...]] = {}

    def seeds(self, mode: str, ask: Ask) -> Seeds:
        """The cotangents of the outputs, or the tangents of the inputs."""
        key = (mode, ask.question.draw, ask.draw)
        draws = self._draws.get(key)
        if draws is None:
            shapes = (
                [self.reference.shape(k) for k in range(self.reference.count)]
                if mode == REVERSE
                else [np.shape(x) for x in self.plain]
            )
            draws = [
                drawn(ask.question.draw, self.rng, shape, self.fmt, self.scales.unit(mode))
                for shape in shapes
            ]
            if ask.question.draw == WHOLE and ask.draw == 0:
                self._draws[key] = draws
        return [x if k in ask.seeded else None for k, x in enumerate(draws)]

    def release(self, mode: str) -> None:
        """Let go of what the questions of a mode shared: no other one is asked."""
        self._draws = {key: x for key, x in self._draws.items() if key[0] != mode}
        self._due = {key: x for key, x in self._due.items() if key[0] != mode}
        self.reference.release()

    def due(self, mode: str, ask: Ask, seeds: Seeds) -> list[Any]:
        """The gradients of the active inputs, or the tangents of the outputs. Those of zeros are zero where a gradient is finite."""
        key = (mode, ask.question.draw, ask.draw, ask.seeded)
        ordinary = self._due.get((mode, WHOLE, 0, ask.seeded))
        if ask.question.draw == ZERO and ordinary is not None:
            return [_zero_where_finite(x) for x in ordinary]
        if key in self._due:
            return self._due[key]
        found = (
            self.reference.pulled(seeds)
            if mode == REVERSE
            else self.reference.pushed([seeds[k] for k in self.active])
        )
        if ask.question.draw == WHOLE and ask.draw == 0:  # asked again in other layouts
            self._due[key] = found
        return found

    def promise_where_finite(self, ask: Ask, answer: Answer) -> None:
        """Expect nothing where a bound has no end or the answer is not finite: for inputs that nobody asked about."""
        key = (REVERSE, ask.question.draw, ask.draw, ask.seeded)
        self._due[key] = [_bounded(x, got) for x, got in zip(self._due[key], answer.found, strict=True)]
        self.reference.expected = [
            _bounded(x, got) for x, got in zip(self.reference.expected, answer.outputs, strict=True)
        ]

    def compared(
        self,
        mode: str,
        got: Tensor | None,
        expected: Any,
        what: str,
        index: int,
        ask: Ask | None = None,
        seeds: Sequence[Array | None] = (),
        *,
        plant: bool = False,
    ) -> Comparison:
        """One array against its Ball. ``plant`` says that errors may be planted in it, where somebody asked for that."""
        if got is None:
            some = bool(np.any(parts(expected)[0] != 0))
            return Comparison(note=f"{what}: func gave none, one is due") if some else Comparison()
        if got.dtype != self.dtype:
            return Comparison(note=f"{what} has dtype {got.dtype}, expected {self.dtype}")
        if got.device.type != self.device:
            return Comparison(note=f"{what} is on device {got.device}, expected {self.device}")
        key = (mode, index) if ask is None else (mode, index, ask.question.draw, ask.draw, ask.seeded)
        known, bits = self._known.get(key), b"%r" % (tuple(got.shape),) + fingerprint(got)
        if known is not None and known[0] == bits:
            return known[1]
        came = numbers(got)
        found = self._judged(mode, came, expected, what, index, seeds)
        self.scales.learn((mode, index), found, seeds)
        self._known[key] = bits, found
        return planted(came, expected, self.fmt, found) if plant else found

    def tied(self, ask: Ask, seeds: Seeds, due: Sequence[Any], found: Sequence[Tensor | None]) -> list[Tied]:
        """What tied elements of the active inputs got together. The same answer is judged once."""
        if (
            not self.reference.choices
            or ask.question.active != self.active
            or any(g is not None and (g.dtype != self.dtype or g.device.type != self.device) for g in found)
        ):
            return []
        xs, y_bars = (
            [self.plain[k] for k in self.active],
            [seeds[k] for k in self.reference.differentiable],
        )
        if self.choices is None and ask.question.draw == WHOLE:
            self.choices = has_choices(self.reference.smooth, xs, y_bars, due, self.fmt)
        if not self.choices:
            return []
        key = (ask.question.draw, ask.draw, ask.seeded)
        bits = tuple(None if g is None else fingerprint(g) for g in found)
        if self._tied.get(key) == bits:
            return []
        self._tied[key] = bits
        came = [None if g is None else numbers(g) for g in found]
        loss = self.fmt.u * self.reference.rounded[REVERSE]
        return judge_ties(self.reference.smooth, xs, y_bars, due, came, self.fmt, self.rng, loss)

    def _judged(
        self, mode: str, came: Array, expected: Any, what: str, index: int, seeds: Sequence[Array | None]
    ) -> Comparison:
        """Compare; where something is out of bounds, with all that may be said of func's own formula."""
        loss = self.fmt.u * self.reference.rounded[mode]
        hidden = self.scales.of((mode, index), seeds, expected, loss)
        found = compare(came, expected, self.fmt, what, hidden=hidden)
        if found.wrong and self._loss(mode) > loss:
            hidden = self.scales.of((mode, index), seeds, expected, self._loss(mode))
            found = compare(came, expected, self.fmt, what, hidden=hidden)
        if found.wrong:
            named = [Reach(apart(x, expected), b) for x, b in by_each(lambda: self._anew(mode, index, seeds))]
            expected, reach = widened(expected, came, named, zeros=True), largest([r.bound for r in named])
            found = compare(came, expected, self.fmt, what, hidden=hidden, reach=reach)
        if found.wrong and all(
            2 * abs(e.got - e.expected) < abs(e.expected) or e.got == 0 for e in found.wrong
        ):
            near = self._reach(mode, index, seeds, expected, hidden.loss)
            reach = near if reach is None else np.fmax(reach, near)
            found = compare(came, expected, self.fmt, what, hidden=hidden, reach=reach)
        return found

    def _reach(
        self, mode: str, index: int, seeds: Sequence[Array | None], expected: Any, loss: float
    ) -> Array:
        """How far a formula may lie from expected that is backward stable, or that starts from the value of an elementwise function."""
        value, bound = parts(expected)
        near, radius = parts(self._near(mode, index, seeds))
        reach = radius + np.abs(near - value)
        given = [x for x in seeds if x is not None]
        moved = self.reference.from_value(given[0]) if len(given) == 1 else None
        return reach if moved is None else np.maximum(reach, bound + loss * moved)

    def _near(self, mode: str, index: int, seeds: Sequence[Array | None]) -> Any:
        """The expected array where inputs and seeds may be off by one rounding."""
        if self._shaken is None:
            self._shaken = self.reference.shaken()
        if mode == VALUE:
            return self._shaken.expected[index]
        moved = [None if x is None else shaken(exact(x, self.fmt)) for x in seeds]
        if mode == REVERSE:
            return self._shaken.pulled(moved)[self.active.index(index)]
        return self._shaken.pushed([moved[k] for k in self.active])[index]

    def _anew(self, mode: str, index: int, seeds: Sequence[Array | None]) -> Any:
        """The expected array, from the arguments on."""
        reference = Reference(self.reference.function, self.reference.balls, self.active, self.fmt)
        if mode == VALUE:
            return reference.expected[index]
        if mode == REVERSE:
            return reference.pulled(seeds)[self.active.index(index)]
        return reference.pushed([seeds[k] for k in self.active])[index]

    def _loss(self, mode: str) -> float:
        """The relative error to which the roundings of the operations that torch runs add up."""
        if mode not in self._losses:
            self._losses[mode] = self.fmt.u * counted(self.func, self.arguments, self.active, mode)
        return self._losses[mode]


def integers(got: Tensor, expected: Any, what: str) -> Comparison:
    """Integers and booleans are equal or wrong."""
    came, due = as_array(got), np.asarray(getattr(expected, "value", expected))
    if came.shape != due.shape:
        return Comparison(note=f"{what} has shape {came.shape}, expected {due.shape}")
    off = np.flatnonzero(came.ravel() != due.ravel())
    if not off.size:
        return Comparison(elements=int(due.size))
    at = np.unravel_index(off[0], due.shape)
    place = "[" + ", ".join(str(int(i)) for i in at) + "]" if at else ""
    return Comparison(
        elements=int(due.size),
        note=f"{what}{place}: got {came[at].item()!r}, expected {due[at].item()!r}; {off.size} of {due.size} differ",
    )


def numbers(t: Tensor) -> Array:
    """The elements as NumPy holds them, in the memory of the tensor where it may; in float64 where NumPy lacks the dtype."""
    lacking = t.dtype == torch.bfloat16 or t._is_zerotensor()
    return as_array(t.detach()) if lacking else t.numpy(force=True)


def _zero_where_finite(x: Any) -> Ball | Array:
    value, radius = parts(x)
    zero = np.where(np.isfinite(value) & np.isfinite(radius), 0.0, np.nan).astype(value.dtype)
    return Ball(zero, None, x.fmt) if isinstance(x, Ball) else zero


def _bounded(x: Any, got: Tensor | None) -> Any:
    if not isinstance(x, Ball):
        return x
    value, radius = parts(x)
    sure = np.isfinite(radius)
    if got is not None and tuple(got.shape) == value.shape:
        sure = sure & np.isfinite(as_array(got.detach()))
    return Ball(np.where(sure, value, np.nan), radius, x.fmt)
