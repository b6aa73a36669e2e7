"""Reverse mode: the tape, and the walk back along it.

Running a function writes one entry for each op to a tape. The walk goes through the entries from the last to the first. At each it takes
the cotangent y_bar of the op's result and adds to the cotangent of each operand what the VJP rule of that operand makes of y_bar:

    x_bar += (dy/dx)^T y_bar        for each use of x

A tape is a flat list, and an entry names its operands by their places in it. So neither the walk nor the release of a tape recurses.

An entry keeps what the rules of its op name, and nothing else. Values on the tape are never written to. Constants and parameters are
copied, because the program may write to them later (copies.py).

The accumulation of cotangents along a computational record: Linnainmaa, BIT 16 (1976); Griewank and Walther, "Evaluating Derivatives",
2nd ed., ch. 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any, NoReturn

import numpy as np

from refgrad.arrays import Array, Params
from refgrad.formula import taken
from refgrad.op import Op, Rule, apply
from refgrad.operands import NUMERIC, REAL, admitted
from refgrad.ops import arithmetic
from refgrad.tracing import complex_operands
from refgrad.tracing.array import TracedArray
from refgrad.tracing.copies import Copies, foreign_thread, outlived
from refgrad.tracing.cotangents import accumulate, summed
from refgrad.tracing.entry import Entry

Seeds = list[tuple[int, Any]]  # places of outputs, each with its cotangent
# Rules of compact entries and functions for common operands; fast_path.py fills both.
RULES: list[Rule] = []
FAST: dict[Callable[..., Any], Callable[..., Any]] = {}


class Tape(list[Any]):
    """Entries in the order of execution. The place of an entry is that of its op's result; inputs have None.

    level    of the transformation (op/registry.py)
    who      the transformation, as messages name it
    thread   in which its function runs
    copies   of the constants that its entries keep

    An entry is an Entry, an object with a method ``pull`` like that of Entry, or a compact entry: a tuple of one or two triples
    (operand's place, number of the rule in RULES, what the rule needs), one after the other.
    """

    __slots__ = ("copies", "level", "thread", "who")

    def __init__(self, level: int, who: str = "a transformation") -> None:
        super().__init__()
        self.level = level
        self.who = who
        self.thread = get_ident()
        self.copies = Copies()

    def input(self, value: Array) -> Var:
        """A new differentiable input. Nobody else may write to the value."""
        self.append(None)
        return variable(value, self)

    def check_thread(self) -> None:
        """Raises TracingError in another thread than its own: entries of two threads would take each other's places."""
        if self.thread != get_ident():
            raise foreign_thread(self.who, self.level)

    def end(self) -> None:
        """Record nothing from now on: the function has returned. Ops need no test for that, because the class of the tape changes."""
        self.copies.known.clear()
        self.__class__ = EndedTape

    def free(self) -> None:
        """Drop the entries and the memory of copies: no further walk follows."""
        self.clear()
        self.copies.give_back()


class EndedTape(Tape):
    """A tape whose function has returned, or raised."""

    __slots__ = ()

    def append(self, _entry: Any) -> NoReturn:
        """Raises TracingError."""
        raise outlived(self.who)


class Var(TracedArray):
    """A value with its place on a tape."""

    __slots__ = ("_index", "_tape", "_value")

    def __init__(self, value: Array, tape: Tape, index: int) -> None:
        self._value = value
        self._tape = tape
        self._index = index

    @property
    def _level(self) -> int:  # type: ignore[override]
        return self._tape.level

    @property
    def _ended(self) -> str:
        return self._tape.who if type(self._tape) is EndedTape else ""

    def _become(self, other: Any) -> None:
        self._value, self._index = other._value, other._index

    def _snapshot(self) -> Var:
        return type(self)(self._value, self._tape, self._index)

    def _constant(self, y: Array) -> Var:
        self._tape.append(Entry(arithmetic.positive, []))
        return variable(y, self._tape)

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        tape = top._tape
        active = tuple([type(x) in VARIABLES and x._tape is tape for x in operands])
        values = tuple([x._value if a else x for x, a in zip(operands, active, strict=True)])
        y = apply(op, values, params)
        return record(tape, op, operands, values, params, active, y)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and ufunc in FAST:
            return FAST[ufunc](*inputs)
        return TracedArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)


class ComplexVar(Var):
    """A complex value with its place on a tape. The fast path, whose entries hold rules for real numbers, knows Var alone."""

    __slots__ = ()

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        instead = complex_operands.answers(op, real_valued=True)
        if instead is not None:
            return instead(*operands, **params)
        return super()._interpret(op, operands, params, top)


VARIABLES = frozenset({Var, ComplexVar})


def variable(value: Array, tape: Tape) -> Var:
    """A variable for the last entry of a tape."""
    return (Var if value.dtype.kind != "c" else ComplexVar)(value, tape, len(tape) - 1)


def record(
    tape: Tape,
    op: Op,
    operands: tuple[Any, ...],
    values: tuple[Any, ...],
    params: Params,
    active: tuple[bool, ...],
    y: Array,
) -> Any:
    """The result ``y`` of an op as a variable, with its entry on the tape; y itself where it has no derivative.

    operands    of the op; those that are variables of the tape are ``active``
    values      the operands, of variables their values
    """
    if y.dtype.kind not in REAL:  # of a constant that the fast path did not look at
        if y.dtype.kind not in NUMERIC:
            for value in values:
                admitted(value, f"{op.name}: an operand")
        instead = complex_operands.answers(op, real_valued=False)
        if instead is not None:
            return instead(*operands, **params)
    if not op.signature.differentiable:
        return y
    if taken(op) is not None:  # another formula of the op, which the fast path did not look for
        return apply(op, operands, params)
    places = [x._index if a else -1 for x, a in zip(operands, active, strict=True)]
    entry = Entry.of(op, places, values, params, active, y, tape.copies)
    if not entry.edges:
        return y
    tape.check_thread()
    tape.append(entry)
    return variable(y, tape)


def walk(tape: list[Any], seeds: Seeds, inputs: list[int]) -> list[Any]:
    """Cotangents of the inputs, by their places, for cotangents of outputs; None where no output depends on an input."""
    last = max([place for place, _ in seeds], default=-1)
    bars: list[Any] = [None] * (last + 1)
    for place, y_bar in seeds:
        accumulate(bars, place, y_bar)
    for k in range(last, -1, -1):
        y_bar = bars[k]
        if y_bar is None:
            continue
        if type(y_bar) is list:
            y_bar = summed(bars, k)
        entry = tape[k]
        if entry is None:
            continue
        bars[k] = None  # nothing asks for it again
        if type(entry) is not tuple:
            entry.pull(y_bar, bars)
            continue
        for i, rule, saved in (entry,) if len(entry) == 3 else (entry[:3], entry[3:]):
            x_bar = RULES[rule](y_bar, *saved)
            if bars[i] is None:
                bars[i] = x_bar
            else:
                accumulate(bars, i, x_bar)
    return [bars[i] if i <= last else None for i in inputs]
