"""Reverse mode: the tape. Running the function writes one entry an op; walking back sends cotangents through VJP rules.

The tape is a flat list without links between entries, so neither walking nor freeing it recurses. An entry keeps the places
of its operands, their rules, and exactly the arrays those rules ask for by name:

    (i, rule, saved)                    one active operand of a common elementwise op
    (i, rule, saved, j, rule, saved)    two; a rule is its number in RULES: a tuple of numbers and arrays costs the
                                        garbage collector nothing, one that holds a function is visited at every round
    Entry                               everything else: broadcasting, mixed dtypes, parameters, variadic ops

What is kept is as it was when the op ran. Values on the tape are never written to; constants and parameters are copied (keeping.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from threading import get_ident
from typing import Any, NoReturn

import numpy as np

from refgrad.blocks import COUNT, slices
from refgrad.formula import taken
from refgrad.op import (
    BY_FUNCTION,
    REGISTRY,
    Op,
    Params,
    Rule,
    RuleInputs,
    Traced,
    apply,
    reject_complex,
    shape_of,
)
from refgrad.operands import REAL, admitted
from refgrad.ops import arithmetic
from refgrad.tracing.array import TracedArray
from refgrad.tracing.copies import Copies, as_they_are, foreign_thread, outlived
from refgrad.tracing.cotangents import accumulate, fit
from refgrad.tracing.dispatch import call_ufunc
from refgrad.tracing.extended_range import Wide, walked
from refgrad.tracing.special_points import met, ordinary
from refgrad.tracing.tape_rows import ball_rows, elementwise_part, entry_rows, joined

Array = Any
# Operand's place on the tape, its rule, what the rule needs, the operand's shape and dtype, its position among the operands.
Edge = tuple[int, Rule, tuple[Any, ...], tuple[int, ...], Any, int]


Seeds = list[tuple[int, Any]]  # places of outputs, each with its cotangent


class Tape(list[Any]):
    """Entries in the order of execution; an entry's place is the place of its result. Inputs have None.

    who      the transformation, as messages name it
    thread   in which its function runs
    copies   of the constants that its entries keep
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
        return Var(value, self, len(self) - 1)

    def check_thread(self) -> None:
        """Raises TracingError in another thread than its own: entries of two threads would take each other's places."""
        if self.thread != get_ident():
            raise foreign_thread(self.who, self.level)

    def end(self) -> None:
        """The function has returned: nothing is recorded from now on. To swap the class costs the ops nothing."""
        self.copies.known.clear()
        self.__class__ = EndedTape

    def free(self) -> None:
        """Nobody will walk back any more: entries go, and so does the memory of copies."""
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

    __slots__ = ("index", "tape", "value")

    def __init__(self, value: Array, tape: Tape, index: int) -> None:
        self.value = value
        self.tape = tape
        self.index = index

    @property
    def level(self) -> int:  # type: ignore[override]
        return self.tape.level

    @property
    def ended(self) -> str:
        return self.tape.who if type(self.tape) is EndedTape else ""

    def become(self, other: Any) -> None:
        self.value, self.index = other.value, other.index

    def twin(self) -> Var:
        return Var(self.value, self.tape, self.index)

    def constant(self, y: Array) -> Var:
        self.tape.append(Entry(arithmetic.positive, []))
        return Var(y, self.tape, len(self.tape) - 1)

    @classmethod
    def interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        tape = top.tape
        active = tuple([type(x) is Var and x.tape is tape for x in operands])
        values = tuple([x.value if a else x for x, a in zip(operands, active, strict=True)])
        y = apply(op, values, params)
        return record(tape, op, operands, values, params, active, y)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and ufunc in FAST:
            return FAST[ufunc](*inputs)
        return TracedArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)


class Entry:
    """A general entry: one edge an active operand; the edges of a variadic op share a rule that answers for all of them."""

    __slots__ = ("edges", "op", "ordinary")

    def __init__(self, op: Op, edges: list[Edge], ordinary: bool = True) -> None:
        self.op = op
        self.edges = edges
        self.ordinary = ordinary  # whether the rules are those of the op as they stand

    def pull(self, y_bar: Array, bars: list[Any]) -> None:
        """Send the cotangent of the result to the operands."""
        if self.op.signature.variadic:
            _, rule, saved, _, _, _ = self.edges[0]
            answers = rule(y_bar, *saved)
            x_bars = [answers[position] for *_, position in self.edges]
        else:
            x_bars = [rule(y_bar, *saved) for _, rule, saved, *_ in self.edges]
        for (i, _, _, shape, dtype, _), x_bar in zip(self.edges, x_bars, strict=True):
            accumulate(bars, i, fit(x_bar, shape, x_bar.dtype if type(bars) is Wide else dtype, self.op))


def record(
    tape: Tape,
    op: Op,
    operands: tuple[Any, ...],
    values: tuple[Any, ...],
    params: Params,
    active: tuple[bool, ...],
    y: Array,
) -> Any:
    """Write an op that was computed to the tape; a result without a derivative stays a plain value."""
    sig = op.signature
    if not sig.differentiable:
        return y
    if y.dtype.kind not in REAL:  # a constant of another kind went the short way
        for value in values:
            reject_complex(
                value if isinstance(value, TracedArray) else admitted(value, f"{op.name}: an operand"), op
            )
    if taken(op) is not None:  # met on the short way
        return apply(op, operands, params)
    edges: list[Edge] = []
    rules = sig.vjp * len(values) if sig.variadic else sig.vjp
    shared: tuple[Any, ...] | None = None
    for position, (x, value, a, needs) in enumerate(zip(operands, values, active, rules, strict=True)):
        if a and needs is not None:
            if shared is None or not sig.variadic:
                shared = as_they_are(needs, needs.collect(values, y, params, active), active, tape.copies)
            edges.append((x.index, needs.rule, shared, shape_of(value), value.dtype, position))
    if not edges:
        return y
    tape.check_thread()
    exceptional = met(op, values, params, y)
    if exceptional is not None:
        edges = [
            (i, exceptional.pulled(rule, position), saved, shape, dtype, position)
            for i, rule, saved, shape, dtype, position in edges
        ]
    tape.append(Entry(op, edges, exceptional is None))
    return Var(y, tape, len(tape) - 1)


def pull_back(tape: Tape, output: int, y_bar: Array, inputs: list[int]) -> list[Any]:
    """Cotangents of the inputs (None where the output does not depend on one) for cotangent ``y_bar`` of the output's place."""
    return pull_back_from(tape, [(output, y_bar)], inputs)


def pull_back_from(tape: Tape, seeds: Seeds, inputs: list[int]) -> list[Any]:
    """As pull_back, for cotangents of several outputs at once: pairs of an output's place and its cotangent."""
    if seeds and all(isinstance(y_bar, Traced) and y_bar.level == 0 for _, y_bar in seeds):
        shapes = {y_bar.shape for _, y_bar in seeds}
        blocks = slices(seeds[0][1].shape) if len(shapes) == 1 else None
        if blocks is not None:
            part = elementwise_part(tape, {place for place, _ in seeds}, seeds[0][1].shape)
            if part is not None:
                return _pull_back_in_blocks(part, seeds, inputs, blocks)
    return walked(_pull_back_from, tape, seeds, inputs)


def _pull_back_in_blocks(
    part: list[Any], seeds: Seeds, inputs: list[int], blocks: Iterator[slice]
) -> list[Any]:
    """As pull_back_from, some rows at a time: what lies between the output and the inputs takes no memory then."""
    shape, before, once = seeds[0][1].shape, COUNT.rounded, 0
    whole: list[Any] = [None] * len(inputs)
    for here in blocks:
        own = [(place, ball_rows(y_bar, here, shape)) for place, y_bar in seeds]
        entries = [entry_rows(e, here, shape, own[0][1].shape) for e in part]
        start = COUNT.rounded
        found = _pull_back_from(entries, own, inputs)
        once = once or COUNT.rounded - start
        whole = [joined(x, bar, here, shape) for x, bar in zip(whole, found, strict=True)]
    COUNT.rounded = before + once  # cutting is no operation of the program
    return [None if x is None else x.ball() for x in whole]


def _pull_back_from(
    tape: list[Any], seeds: Seeds, inputs: list[int], kind: type[list[Any]] = list
) -> list[Any]:
    last = max([place for place, _ in seeds], default=-1)
    bars = kind([None] * (last + 1))
    for place, y_bar in seeds:
        accumulate(bars, place, y_bar)
    for k in range(last, -1, -1):
        y_bar = bars[k]
        if y_bar is None:
            continue
        if type(y_bar) is list:
            y_bar = bars[k] = arithmetic.fan_in(*y_bar)
        entry = tape[k]
        if entry is None:
            continue
        bars[k] = None
        if type(entry) is not tuple:
            entry.pull(y_bar, bars)
            continue
        i, rule, saved = entry[:3]
        x_bar = RULES[rule](y_bar, *saved)
        if bars[i] is None:
            bars[i] = x_bar
        else:
            accumulate(bars, i, x_bar)
        if len(entry) == 6:
            i, rule, saved = entry[3:]
            x_bar = RULES[rule](y_bar, *saved)
            if bars[i] is None:
                bars[i] = x_bar
            else:
                accumulate(bars, i, x_bar)
    return [bars[i] if i <= last else None for i in inputs]


# --- the short way for elementwise ops on arrays of one shape and dtype ------------------------------------------------

_KEEP: dict[tuple[int, ...], Callable[..., tuple[Any, ...]]] = {
    (): lambda x1, x2, y: (), (0,): lambda x1, x2, y: (x1,), (1,): lambda x1, x2, y: (x2,), (2,): lambda x1, x2, y: (y,),
    (0, 1): lambda x1, x2, y: (x1, x2), (0, 2): lambda x1, x2, y: (x1, y), (1, 2): lambda x1, x2, y: (x2, y),
    (0, 1, 2): lambda x1, x2, y: (x1, x2, y),
}  # fmt: skip
RULES: list[Rule] = []
_PLAIN = frozenset({np.ndarray, float, int, np.float64})
_ARRAY = np.ndarray


def _short(
    needs: RuleInputs | None, constant_at: int = -1
) -> tuple[int, Callable[..., tuple[Any, ...]], bool] | None:
    """The number of the rule and what to keep for it, where it asks only for operands and y, in that order.

    And whether it asks for the operand at ``constant_at``, the other one.
    """
    if needs is None:
        return None
    places = tuple([2 if kind == "y" else key for kind, key in needs.inputs if kind in ("operand", "y")])
    if len(places) != len(needs.inputs) or places not in _KEEP:
        return None
    RULES.append(needs.rule)
    return len(RULES) - 1, _KEEP[places], constant_at in places


def _fast_unary(op: Op) -> Callable[..., Any] | None:
    short = _short(op.signature.vjp[0])
    if short is None:
        return None
    rule, keep, _ = short
    forward: Callable[..., Any] = op.forward

    def call(x: Any) -> Any:
        value, tape = x.value, x.tape
        y = forward(value)
        if (
            y.dtype is value.dtype
            and (type(y) in _PLAIN or ordinary(op, (value,), y))
            and tape.thread == get_ident()
        ):
            tape.append((x.index, rule, keep(value, None, y)))
            return Var(y, tape, len(tape) - 1)
        return record(tape, op, (x,), (value,), {}, (True,), y)

    return call


def _fast_binary(op: Op, otherwise: Callable[..., Any]) -> Callable[..., Any] | None:
    """The op on two operands; ``otherwise`` computes what is not of the common kinds."""
    first, second = _short(op.signature.vjp[0], 1), _short(op.signature.vjp[1], 0)
    if first is None or second is None:
        return None
    rule1, keep1, asks2 = first
    rule2, keep2, asks1 = second
    forward: Callable[..., Any] = op.forward

    def call(x1: Any, x2: Any) -> Any:
        if type(x1) is Var:
            tape, value1 = x1.tape, x1.value
            if type(x2) is Var and x2.tape is tape:
                value2 = x2.value
                y = forward(value1, value2)
                if (
                    value1.shape == y.shape == value2.shape
                    and value1.dtype is y.dtype is value2.dtype
                    and (type(y) in _PLAIN or ordinary(op, (value1, value2), y))
                    and tape.thread == get_ident()
                ):
                    tape.append(
                        (x1.index, rule1, keep1(value1, value2, y), x2.index, rule2, keep2(value1, value2, y))
                    )
                    return Var(y, tape, len(tape) - 1)
                return record(tape, op, (x1, x2), (value1, value2), {}, (True, True), y)
            if type(x2) in _PLAIN:
                y = forward(value1, x2)
                if (
                    value1.shape == y.shape
                    and value1.dtype is y.dtype
                    and (type(y) in _PLAIN or ordinary(op, (value1, x2), y))
                    and tape.thread == get_ident()
                ):
                    if asks2 and type(x2) is _ARRAY:
                        x2 = tape.copies.of(x2)
                    tape.append((x1.index, rule1, keep1(value1, x2, y)))
                    return Var(y, tape, len(tape) - 1)
                return record(tape, op, (x1, x2), (value1, x2), {}, (True, False), y)
        elif type(x2) is Var and type(x1) in _PLAIN:
            tape, value2 = x2.tape, x2.value
            y = forward(x1, value2)
            if (
                value2.shape == y.shape
                and value2.dtype is y.dtype
                and (type(y) in _PLAIN or ordinary(op, (x1, value2), y))
                and tape.thread == get_ident()
            ):
                if asks1 and type(x1) is _ARRAY:
                    x1 = tape.copies.of(x1)
                tape.append((x2.index, rule2, keep2(x1, value2, y)))
                return Var(y, tape, len(tape) - 1)
            return record(tape, op, (x1, x2), (x1, value2), {}, (False, True), y)
        return otherwise(x1, x2)

    return call


def _fast_ops() -> dict[Any, Callable[..., Any]]:
    fast: dict[Any, Callable[..., Any]] = {}
    for function, op in BY_FUNCTION.items():
        if (
            isinstance(function, np.ufunc)
            and op.forward is function
            and op.signature.differentiable
            and not op.signature.defaults
        ):
            call = _fast_unary(op) if function.nin == 1 else _fast_binary(op, partial(_ufunc, function))
            if call is not None:
                fast[function] = call
    return fast


def _ufunc(function: np.ufunc, x1: Any, x2: Any) -> Any:
    return call_ufunc(function, "__call__", (x1, x2), {})


FAST = _fast_ops()


def _operator(name: str, op: Op, swapped: bool = False) -> None:
    general = getattr(TracedArray, name)
    call = _fast_binary(op, (lambda x1, x2: general(x2, x1)) if swapped else general)
    if call is not None:
        setattr(Var, name, (lambda self, other: call(other, self)) if swapped else call)


for _name in ("add", "subtract", "multiply", "divide"):
    _symbol = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv"}[_name]
    _operator(f"__{_symbol}__", REGISTRY[_name])
    _operator(f"__r{_symbol}__", REGISTRY[_name], swapped=True)
Var.__neg__ = FAST[np.negative]
