"""The verdict of a check on one array: the value of an output, the gradient of an input, or the tangent of an output.

A check computes the same array several times: with different cotangents, memory layouts, and inputs that require a gradient. The verdict
covers all of these answers; its evidence is the first wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.quiet import quiet
from refgrad.testing.judging.verdict import AGREE, Element


@dataclass(frozen=True, slots=True)
class Question:
    """The conditions under which an array was computed. "" stands for a condition that the check does not vary.

    mode          value, reverse, forward, or an order of nesting ("forward over reverse")
    draw          the kind of cotangents or tangents, see seeds.py
    active        the inputs that require a gradient
    used          the outputs with a cotangent
    layout        memory layout of the inputs
    seed_layout   memory layout of the cotangents or tangents
    """

    mode: str
    draw: str = ""
    active: tuple[int, ...] = ()
    used: tuple[int, ...] = ()
    layout: str = ""
    seed_layout: str = ""

    def description(self) -> str:
        """The conditions in words, for messages."""
        seeds = "tangents" if self.mode.startswith("forward") else "cotangents"
        conditions = [f"{seeds} {self.draw}"] if self.draw else []
        if self.layout:
            conditions.append(f"inputs {self.layout}")
        if self.seed_layout:
            conditions.append(f"{seeds} {self.seed_layout} in memory")
        return ", ".join(conditions)


@dataclass(slots=True)
class Evidence:
    """One wrong answer with everything that is needed to reproduce it.

    question        the conditions
    inputs          floating-point inputs as float64 arrays of numbers of their dtype; other inputs as given
    seeds           cotangents, one for each output, or tangents, one for each input; None for one that was not given
    index           of the input (reverse mode) or output (value, forward mode) to which the array belongs
    got             the answer in float64; None where there was none
    expected        the reference value, in the wide format of the reference; None where there is none
    bound           the largest admissible error of each element; None without a reference value
    strides         of each input, in elements; None for an input that is no tensor. Empty: every array is a contiguous tensor
    offsets         of each input, in elements of its storage
    seed_strides    of each seed; None for one that was not given
    seed_offsets    of each seed
    dtypes          of each input that has another one than the judged; "" for any other input. Empty: there is none
    dtype           that the array has to have; "" for the judged one
    others          names and reference values of the other arrays under the same conditions
    recompute       gives expected and bound for other seeds; used once, for the explanation, and then dropped
    """

    question: Question
    inputs: tuple[Any, ...]
    seeds: tuple[PlainArray | None, ...]
    index: int
    got: PlainArray | None
    expected: PlainArray | None
    bound: PlainArray | None
    strides: tuple[tuple[int, ...] | None, ...] = ()
    offsets: tuple[int, ...] = ()
    seed_strides: tuple[tuple[int, ...] | None, ...] = ()
    seed_offsets: tuple[int, ...] = ()
    dtypes: tuple[str, ...] = ()
    dtype: str = ""
    others: tuple[tuple[str, PlainArray], ...] = ()
    recompute: Callable[[tuple[PlainArray | None, ...]], tuple[PlainArray, PlainArray]] | None = field(
        default=None, repr=False, compare=False
    )


BEGINNING = 1 << 18  # elements of a large array that an explanation examines


def beginning(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The index of an array's beginning, of at most BEGINNING elements, with complete last axes as far as possible."""
    room, found = BEGINNING, []
    for n in reversed(shape):
        found.append(slice(max(1, min(n, room))))
        room //= max(1, n)
    return tuple(reversed(found))


class LargeEvidence(Evidence):
    """Evidence of an imprecise answer for a large array, in a fraction of the memory.

    ``got`` and ``seeds`` are stored in float32 where that holds them exactly. ``expected`` and ``bound`` are computed at each access, by
    ``due`` from the seeds. Explanations use ``part``: the beginnings of got, expected and bound.
    """

    def __init__(
        self,
        question: Question,
        inputs: tuple[Any, ...],
        seeds: tuple[PlainArray | None, ...],
        index: int,
        got: PlainArray,
        part: tuple[PlainArray, PlainArray, PlainArray],
        due: Callable[[tuple[PlainArray | None, ...]], tuple[PlainArray, PlainArray]],
        **more: Any,
    ) -> None:
        self.due = due
        self.shape: tuple[int, ...] = got.shape
        self.beginning = tuple(x.copy() for x in part)
        super().__init__(question, inputs, seeds, index, got, None, None, **more)

    @property
    def got(self) -> PlainArray | None:
        return widened(self._got)

    @got.setter
    def got(self, x: PlainArray | None) -> None:
        self._got = _narrowed(x)

    @property
    def seeds(self) -> tuple[PlainArray | None, ...]:
        return tuple(map(widened, self._seeds))

    @seeds.setter
    def seeds(self, xs: tuple[PlainArray | None, ...]) -> None:
        self._seeds = tuple(map(_narrowed, xs))

    @property
    def expected(self) -> PlainArray | None:
        return self.due(self.seeds)[0]

    @expected.setter
    def expected(self, x: PlainArray | None) -> None:
        assert x is None

    @property
    def bound(self) -> PlainArray | None:
        return self.due(self.seeds)[1]

    @bound.setter
    def bound(self, x: PlainArray | None) -> None:
        assert x is None


def _narrowed(x: PlainArray | None) -> PlainArray | None:
    """The array in float32 where that holds every element exactly; None as it is."""
    if x is None or x.dtype != np.float64:
        return x
    with quiet():
        short = x.astype(np.float32)
    return short if np.array_equal(short, x, equal_nan=True) else x


@overload
def widened(x: PlainArray) -> PlainArray: ...
@overload
def widened(x: None) -> None: ...
def widened(x: PlainArray | None) -> PlainArray | None:
    """The array in float64 if it has a shorter floating-point format; None as it is."""
    return x.astype(np.float64) if x is not None and x.dtype.kind == "f" and x.dtype.itemsize < 8 else x


@dataclass(slots=True)
class ArrayVerdict:
    """The verdict on one array over all questions. Counts of elements are sums over the answers.

    what          the array, such as "gradient of input 0"
    loose         elements whose bound exceeds a tenth of their magnitude
    blind         elements whose bound reaches their magnitude
    skipped       elements that are not judged, because the reference defines no value
    imprecise     elements beyond their bound by an error that rounding explains
    smallest      the smallest relative error of the array that the check would have detected
    worst         the element with the largest ratio of error to bound
    wrong         elements of the first wrong answer, the worst first
    count         number of elements out of bounds
    notes         disagreements in dtype, shape or existence
    asked         number of questions
    wrong_in      the questions with a wrong answer
    evidence      the first wrong answer
    explanation   one number or operation that explains the whole error; "" where none is known
    """

    what: str
    status: str = AGREE
    reason: str = ""
    elements: int = 0
    loose: int = 0
    blind: int = 0
    skipped: int = 0
    imprecise: int = 0
    smallest: float | None = None
    worst: Element | None = None
    wrong: list[Element] = field(default_factory=list)
    count: int = 0
    notes: list[str] = field(default_factory=list)
    asked: int = 0
    wrong_in: list[Question] = field(default_factory=list)
    evidence: Evidence | None = None
    explanation: str = ""
