"""The judgement of a program: value, both modes and second order against the plain program and its differences."""

from __future__ import annotations

import dataclasses
import random
import re
import traceback
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import refgrad as rg
from refgrad.errors import RefgradError
from tests.programs.program import Array, Program, Stops, as_traced, function
from tests.programs.scope import LIMIT
from tests.programs.slopes import Slopes, slopes

ROUNDINGS = 512  # more than the operations that one element of a result comes from
SECOND = ("forward over reverse", "reverse over forward", "reverse over reverse", "forward over forward")


@dataclasses.dataclass
class Outcome:
    """What came of a program: 'agrees', 'unsettled', 'refused', or a failure with its kind and evidence."""

    answer: str
    what: str = ""
    evidence: str = ""
    elements: int = 0
    unsettled: int = 0
    # elements where refgrad says NaN and differences settle, such as v**v at v = 0 with a constant v
    undefined: int = 0
    rounded: str = ""  # a value that is NumPy's but for its last bits
    second: str = ""

    @property
    def failed(self) -> bool:
        """Whether the program shows a fault."""
        return self.answer == "failure"


class Failure(Exception):  # noqa: N818 - what is looked for
    """A disagreement: its kind, and the numbers."""

    def __init__(self, what: str, evidence: str) -> None:
        super().__init__(what)
        self.what, self.evidence = what, evidence


def judge(program: Program) -> Outcome:
    """Run the program plainly, in both modes and in a second order."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judging = Judging(program)
        try:
            outcome = judging.outcome()
        except Failure as failure:
            return Outcome("failure", failure.what, failure.evidence)
    outcome.undefined, outcome.rounded = judging.undefined, judging.rounded
    return outcome


class Judging:
    """One program with its arguments, tangents, cotangents and plain results."""

    def __init__(self, program: Program) -> None:
        self.program = program
        source = random.Random(program.seed ^ 0x5EED)
        self.f = function(program)
        self.stops = Stops()
        self.plain = self.f(*self._arguments())
        self.tangents = tuple(_weights(source, x) for x in self._arguments())
        self.cotangents = tuple(_weights(source, y) for y in self.plain)
        self.single = program.single()
        self.order = SECOND[source.randrange(len(SECOND))]
        self.undefined, self.rounded = 0, ""

    def _arguments(self) -> list[Any]:
        return [as_traced(x) for x in self.program.values()]

    def outcome(self) -> Outcome:
        """All comparisons; refused where refgrad refuses one of the two modes."""
        refusals: list[str] = []
        forward = self._asked(
            refusals, "forward", lambda: rg.jvp(self.f, tuple(self.program.values()), self.tangents)
        )
        reverse = self._asked(refusals, "reverse", self._reverse)
        if forward:
            self._same_value(forward[0], "forward")
            self._alike(
                "forward: type, dtype or shape of a tangent", self.program.results, forward[1], self.plain
            )
        if reverse:
            self._same_value(reverse[0], "reverse")
            names = [name for name, _ in self.program.arguments]
            self._alike("reverse: type, dtype or shape of a gradient", names, reverse[1], self._arguments())
        if not forward and not reverse:
            return Outcome("refused", refusals[0])
        found = self._differences()
        elements, unsettled = len(found.settled), int(np.sum(~found.settled))
        if forward:
            self._forward(forward[1], found)
        if reverse:
            self._transposed(reverse[1], forward, found)
        if refusals:
            return Outcome("refused", refusals[0])
        if unsettled == elements:
            return Outcome("unsettled", elements=elements, unsettled=unsettled)
        second = self._asked(refusals, self.order, self._second)
        answer = refusals[0] if refusals else second
        return Outcome("agrees", elements=elements, unsettled=unsettled, second=answer)

    # --- asking ---

    def _asked(self, refusals: list[str], mode: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except RefgradError as error:
            refusals.append(reason(error))
        except Failure:
            raise
        except Exception as error:
            kind = f"{mode}: raw {type(error).__name__}: {general(str(error))}"
            raise Failure(kind, "".join(traceback.format_exception(error)[-6:])) from error
        return None

    def _reverse(self) -> tuple[Any, Any]:
        value, pullback = rg.vjp(self.f, *self.program.values())
        return value, pullback(self.cotangents)

    def _scalar(self, f: Callable[..., Any], xs: tuple[Any, ...]) -> Any:
        return sum((np.sum(c * y) for c, y in zip(self.cotangents, f(*xs), strict=True)), 0.0)

    # --- comparing ---

    def _same_value(self, value: Any, mode: str) -> None:
        for k, (got, expected) in enumerate(zip(value, self.plain, strict=True)):
            name = self.program.results[k]
            if not issubclass(type(got), (np.ndarray, np.generic)):  # isinstance holds for traced arrays, too
                raise Failure(f"{mode}: a result of type {type(got).__name__}", f"{name}: {got!r}")
            for what, a, b in (("dtype", got.dtype, expected.dtype), ("shape", got.shape, expected.shape),
                               ("type", type(got), type(expected))):  # fmt: skip
                if a != b:
                    raise Failure(f"{mode}: {what} of the value", f"{name}: got {got!r}, plain {expected!r}")
            if got.tobytes() != expected.tobytes():
                evidence = f"{name}: got {got!r}, plain {expected!r}"
                if not np.all(
                    np.abs(got - expected)
                    <= ROUNDINGS * np.finfo(self._precision()).eps * np.maximum(np.abs(expected), 1)
                ):
                    raise Failure(f"{mode}: value", evidence)
                self.rounded = evidence

    def _alike(self, what: str, names: Iterable[str], found: Any, like: Iterable[Any]) -> None:
        for name, got, x in zip(names, found, like, strict=True):
            if (type(got), got.dtype, got.shape) != (type(x), x.dtype, x.shape):
                raise Failure(what, f"{name}: {got!r} for {x!r}")

    def _allowed(self, scale: Any) -> Any:
        """What rounding may make of a derivative: each operation rounds what is as large as the largest value and slope."""
        return (
            ROUNDINGS * np.finfo(np.float32 if self.single else np.float64).eps * LIMIT * np.maximum(scale, 1)
        )

    def _forward(self, tangents: Any, found: Slopes) -> None:
        got = _joined(tangents)
        scale = np.max(np.abs(found.slope[found.settled]), initial=0)
        undefined = found.settled & np.isnan(got)
        self.undefined = int(np.sum(undefined))
        wrong = found.settled & ~(np.abs(got - found.slope) <= self._allowed(scale) + 4 * found.error)
        if np.any(wrong & ~undefined):
            raise Failure("forward: slope", self._shown(got, found, wrong & ~undefined))

    def _transposed(self, gradients: Any, forward: Any, found: Slopes) -> None:
        cotangent = _joined(self.cotangents)
        slope = found.slope if forward is None else _joined(forward[1])
        if forward is None and not np.all(found.settled):
            return
        error = 0.0 if forward else 4 * np.sum(np.abs(cotangent) * found.error)
        sent, got = _joined(self.tangents), _joined(gradients)
        left, right = np.sum(cotangent * slope), np.sum(sent * got)
        scale = np.sum(np.abs(cotangent * slope)) + np.sum(np.abs(sent * got))
        if not abs(left - right) <= self._allowed(scale) + error and np.isfinite(scale):
            text = f"sum of y_bar * y_dot {left:.10g}, sum of x_bar * x_dot {right:.10g}; gradients {gradients!r}"
            raise Failure("reverse: not the transpose of forward", text)

    def _shown(self, got: Array, found: Slopes, wrong: Array) -> str:
        owners = [
            name for name, y in zip(self.program.results, self.plain, strict=True) for _ in range(np.size(y))
        ]
        return "\n".join(
            f"{owners[k]}: got {got[k]:.10g}, differences {found.slope[k]:.10g} +- {found.error[k]:.1g}"
            for k in np.flatnonzero(wrong)[:4]
        )

    # --- differences ---

    def _differences(self) -> Slopes:
        """Of the program in long double where that is the same program, else of the program itself."""
        expected = _joined(self.plain)
        for wide in (True, False):
            found = self._differences_in(wide, expected)
            if found is not None:
                return found
        none = np.zeros(expected.shape)
        return Slopes(none, none, np.zeros(expected.shape, bool))

    def _differences_in(self, wide: bool, expected: Array) -> Slopes | None:
        moved = self._moved(wide)
        try:
            f = self._replayed(wide)
            here = _joined(f(*moved(0.0)))
            if self._same_program(here, expected):
                return slopes(lambda t: _joined(f(*moved(t))), np.longdouble if wide else self._precision())
        except Exception:  # noqa: BLE001 - long double is not everywhere in NumPy, and a step may end where the program raises
            return None
        return None

    def _same_program(self, here: Array, expected: Array) -> bool:
        """Whether the program takes the same way in long double."""
        rounding = ROUNDINGS * np.finfo(self._precision()).eps * np.max(np.abs(expected), initial=0)
        return here.shape == expected.shape and bool(np.all(np.abs(here - expected) <= rounding))

    def _precision(self) -> Any:
        return np.float32 if self.single else np.float64

    def _replayed(self, wide: bool) -> Callable[..., Any]:
        stops = Stops()
        f = function(self.program, wide, stops)
        f(*self._moved(wide)(0.0))

        def call(*xs: Any) -> Any:
            with stops.replayed():
                return f(*xs)

        return call

    def _moved(self, wide: bool) -> Callable[[Any], list[Any]]:
        def at(t: Any) -> list[Any]:
            moved = []
            for x, v in zip(self._arguments(), self.tangents, strict=True):
                y = np.asarray(x, np.longdouble) + np.longdouble(t) * np.asarray(v, np.longdouble)
                y = y if wide else y.astype(x.dtype)
                moved.append(np.array(y) if isinstance(x, np.ndarray) else y[()])
            return moved

        return at

    # --- second order ---

    def _second(self) -> str:
        """The second derivative in one of four orders of the modes, against differences of the gradient. Says 'agrees' or 'unsettled'."""
        places = tuple(range(len(self.tangents)))
        gradient = rg.grad(lambda *xs: self._scalar(self.f, xs), places)
        xs, v = tuple(self.program.values()), self.tangents

        def slope(*xs: Any) -> Any:
            return rg.jvp(lambda *xs: self._scalar(self.f, xs), xs, v)[1]

        if self.order == "forward over reverse":
            got = _joined(rg.jvp(gradient, xs, v)[1])
        elif self.order == "reverse over forward":
            got = _joined(rg.grad(slope, places)(*xs))
        elif self.order == "reverse over reverse":
            got = _joined(rg.vjp(gradient, *xs)[1](v))
        else:
            got = _joined((rg.jvp(slope, xs, v)[1],))
        if "stop_gradient" in self.program.source():
            return "unsettled"  # the plain gradient would be differentiated through what is stopped
        found = self._differences_of_gradient(places)
        if found is None or not np.any(found.settled):
            return "unsettled"
        slopes_, error, settled = found
        if self.order == "forward over forward":
            if not np.all(settled):
                return "unsettled"
            sent = _joined(v)
            slopes_, error, settled = (
                np.sum(sent * slopes_)[None],
                np.sum(np.abs(sent) * error)[None],
                np.array([True]),
            )
        scale = np.max(np.abs(slopes_[settled]), initial=0)
        wrong = (
            settled & ~np.isnan(got) & ~(np.abs(got - slopes_) <= self._allowed(scale) * LIMIT + 4 * error)
        )
        if np.any(wrong):
            text = f"{self.order}: got {got[wrong][:3]}, differences of the gradient {slopes_[wrong][:3]} +- {error[wrong][:3]}"
            raise Failure("second order", text)
        return "agrees"

    def _differences_of_gradient(self, places: tuple[int, ...]) -> Slopes | None:
        f, moved = function(self.program, wide=True), self._moved(True)
        gradient = rg.grad(lambda *xs: self._scalar(f, xs), places)
        try:
            here = _joined(f(*moved(0.0)))
            expected = _joined(self.plain)
            if self._same_program(here, expected):
                return slopes(lambda t: _joined(gradient(*moved(t))), np.longdouble)
        except Exception:  # noqa: BLE001 - long double is not everywhere in NumPy
            return None
        return None


def _weights(source: random.Random, like: Any) -> Any:
    """Numbers without a pattern in the shape, dtype and kind of ``like``."""
    numbers = np.array([source.uniform(0.4, 1.6) * source.choice((1, -1)) for _ in range(np.size(like))])
    array = numbers.reshape(np.shape(like)).astype(like.dtype)
    return array if isinstance(like, np.ndarray) else array[()]


def _joined(ys: Any) -> Array:
    return np.concatenate([np.ravel(np.asarray(y)).astype(np.longdouble) for y in ys])


def reason(error: BaseException) -> str:
    """The kind of a refusal: its type and its first sentence without numbers and names of variables."""
    return f"{type(error).__name__}: {general(str(error))}"


def general(text: str) -> str:
    """The first words of a message, numbers and shapes left out."""
    text = re.sub(r"\((\d+,? ?)*\)", "(..)", text)
    text = re.sub(r"(?<![\w.])-?\d+(\.\d+)?(e-?\d+)?", "N", text)
    return text[:110]
