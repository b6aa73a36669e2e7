"""What a check found of one array: the value of an output, the gradient of an input, the tangent of an output.

A check asks for the same array several times: with other cotangents, in another memory layout, with other inputs that require a gradient.
A part is the sum of the answers, and its evidence is the first answer that was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.quiet import quiet
from refgrad.testing.judging.verdict import AGREE, Element

Array = Any


@dataclass(frozen=True, slots=True)
class Question:
    """How a derivative was asked for. An empty name says that the check has no choice there."""

    mode: str  # value, reverse, forward, or an order of nesting ("forward over reverse")
    draw: str = ""  # the kind of cotangents or tangents, see draws.py
    active: tuple[int, ...] = ()  # the inputs that require a gradient
    used: tuple[int, ...] = ()  # the outputs that carry a cotangent
    layout: str = ""  # how the inputs lie in memory
    seed_layout: str = ""  # how the cotangents or tangents lie in memory

    def told(self) -> str:
        """The question in words, as a message names it."""
        seeds = "tangents" if self.mode.startswith("forward") else "cotangents"
        said = [f"{seeds} {self.draw}"] if self.draw else []
        if self.layout:
            said.append(f"inputs {self.layout}")
        if self.seed_layout:
            said.append(f"{seeds} {self.seed_layout} in memory")
        return ", ".join(said)


@dataclass(slots=True)
class Evidence:
    """One wrong answer with all that is needed to ask again.

    Strides and offsets are counted in elements, as torch does. Without them every array of numbers is a contiguous tensor.
    """

    question: Question
    inputs: tuple[
        Any, ...
    ]  # as judged: float64 arrays that hold numbers of the dtype, anything else as it was given
    seeds: tuple[
        Array | None, ...
    ]  # cotangents, one for each output, or tangents, one for each input; None for one that was not given
    index: int  # of the input (reverse mode) or output (value, forward mode) whose array this is
    got: Array  # float64; None where no array came
    expected: Array  # in the wide format of the reference
    bound: Array  # how far got may lie from expected
    strides: tuple[tuple[int, ...] | None, ...] = ()  # of each input; None for one that is no tensor
    offsets: tuple[int, ...] = ()  # of each input, in its memory
    seed_strides: tuple[tuple[int, ...] | None, ...] = ()  # of each seed; None for one that was not given
    seed_offsets: tuple[int, ...] = ()
    others: tuple[tuple[str, Array], ...] = ()  # name and expected array of the other parts of this question
    ask: Callable[[tuple[Array | None, ...]], tuple[Array, Array]] | None = field(
        default=None, repr=False, compare=False
    )  # expected and bound of this part for other seeds; looked at once, to explain, and not kept


BEGINNING = 1 << 18  # elements of a large array that an explanation looks at


def beginning(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The first part of an array, of at most BEGINNING elements; the last axes are whole as far as possible."""
    room, found = BEGINNING, []
    for n in reversed(shape):
        found.append(slice(max(1, min(n, room))))
        room //= max(1, n)
    return tuple(reversed(found))


class LargeEvidence(Evidence):
    """Evidence of an imprecise answer of a large array, which takes a fraction of the memory.

    What came and the seeds are kept in float32 where that holds them. What was expected, and its bound, is computed again whenever it is
    looked at: ``due`` gives both for seeds. An explanation looks at a ``part`` of what came, was expected, and its bound: their beginning.
    """

    def __init__(
        self,
        question: Question,
        inputs: tuple[Any, ...],
        seeds: tuple[Array | None, ...],
        index: int,
        got: Array,
        part: tuple[Array, Array, Array],
        due: Callable[[tuple[Array | None, ...]], tuple[Array, Array]],
        **more: Any,
    ) -> None:
        self.due = due
        self.shape: tuple[int, ...] = got.shape
        self.beginning = tuple(x.copy() for x in part)
        super().__init__(question, inputs, seeds, index, got, None, None, **more)

    @property
    def got(self) -> Array:
        return widened(self._got)

    @got.setter
    def got(self, x: Array) -> None:
        self._got = _narrowed(x)

    @property
    def seeds(self) -> tuple[Array | None, ...]:
        return tuple(map(widened, self._seeds))

    @seeds.setter
    def seeds(self, xs: tuple[Array | None, ...]) -> None:
        self._seeds = tuple(map(_narrowed, xs))

    @property
    def expected(self) -> Array:
        return self.due(self.seeds)[0]

    @expected.setter
    def expected(self, x: Array) -> None:
        assert x is None

    @property
    def bound(self) -> Array:
        return self.due(self.seeds)[1]

    @bound.setter
    def bound(self, x: Array) -> None:
        assert x is None


def _narrowed(x: Array) -> Array:
    """In float32, where that holds every element; None as it is."""
    if x is None or x.dtype != np.float64:
        return x
    with quiet():
        short = x.astype(np.float32)
    return short if np.array_equal(short, x, equal_nan=True) else x


def widened(x: Array) -> Array:
    """In float64, where it is of a shorter format; None as it is."""
    return x.astype(np.float64) if x is not None and x.dtype.kind == "f" and x.dtype.itemsize < 8 else x


@dataclass(slots=True)
class Part:
    """The verdict on one array. ``elements`` counts the comparisons of all questions together."""

    what: str  # "gradient of input 0"
    status: str = AGREE
    reason: str = ""
    elements: int = 0
    loose: int = 0
    blind: int = 0
    skipped: int = 0
    imprecise: int = 0
    smallest: float | None = (
        None  # the smallest relative error of the whole array that would have been caught
    )
    worst: Element | None = None
    wrong: list[Element] = field(default_factory=list)  # of the first wrong answer, worst first
    count: int = 0  # of the elements out of bounds
    notes: list[str] = field(
        default_factory=list
    )  # disagreements that are not about numbers: dtype, shape, no gradient
    asked: int = 0  # questions
    wrong_in: list[Question] = field(default_factory=list)  # the questions whose answer was wrong
    evidence: Evidence | None = None
    explanation: str = ""  # the one number that explains the whole difference, where there is one
