"""The fast path of reverse mode: ops on plain arrays of one dtype, as most programs apply them.

These are elementwise ops, also of operands that broadcast, powers with a number, products of two matrices, and sums and means of all
elements. Such an op writes a compact entry to the tape (see reverse.py), without the checks that mixed dtypes, parameters and special
points need. A compact entry holds numbers, arrays and the number of a rule, but no function: the garbage collector then leaves tuples
alone, and a long tape costs it nothing. Whatever is not of the common kind takes the general way, ``record`` or the general operator.

The module has no names to import for use: it fills RULES and FAST, and gives Var its arithmetic operators.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import Any, NamedTuple

import numpy as np

from refgrad.op import BY_FUNCTION, REGISTRY, Op, RuleInputs, apply
from refgrad.tracing.array import TracedArray
from refgrad.tracing.cotangents import unbroadcast
from refgrad.tracing.dispatch import call_ufunc
from refgrad.tracing.reverse import FAST, RULES, Var, record
from refgrad.tracing.special_points import ordinary
from refgrad.tracing.tape_rows import CHOOSING, RESHAPING, SUMMED

# --- elementwise ops ---------------------------------------------------------------------------------------------------

Function = Callable[..., Any]
# What an entry keeps of operands and result, by what its rule asks for: 0 and 1 are operands, 2 is the result.
_SELECTIONS: dict[tuple[int, ...], Callable[[Any, Any, Any], tuple[Any, ...]]] = {
    (): lambda x1, x2, y: (),
    (0,): lambda x1, x2, y: (x1,),
    (1,): lambda x1, x2, y: (x2,),
    (2,): lambda x1, x2, y: (y,),
    (0, 1): lambda x1, x2, y: (x1, x2),
    (0, 2): lambda x1, x2, y: (x1, y),
    (1, 2): lambda x1, x2, y: (x2, y),
    (0, 1, 2): lambda x1, x2, y: (x1, x2, y),
}
_UNTRACED = frozenset({np.ndarray, float, int, np.float64})  # constants and results of the common kinds
_ARRAY = np.ndarray


class _Rule(NamedTuple):
    """A VJP rule that asks for operands and result alone."""

    number: int  # in RULES
    select: Callable[[Any, Any, Any], tuple[Any, ...]]
    asks_other: bool  # whether it asks for the other operand of two


def _rule(needs: RuleInputs | None, other: int = -1) -> _Rule | None:
    """The rule with a number of its own, where it asks for operands and result, in that order; ``other`` is the other operand."""
    if needs is None:
        return None
    asked = tuple([2 if kind == "y" else key for kind, key in needs.inputs if kind in ("operand", "y")])
    if len(asked) != len(needs.inputs) or asked not in _SELECTIONS:
        return None
    RULES.append(needs.rule)
    return _Rule(len(RULES) - 1, _SELECTIONS[asked], other in asked)


def _unary(op: Op, otherwise: Function) -> Function | None:
    """The op on one operand; ``otherwise`` computes what is not of the common kinds. None where its rule asks for something else."""
    found = _rule(op.signature.vjp[0])
    if found is None:
        return None
    rule, select, _ = found
    if op.selects:
        CHOOSING.add(rule)
    forward: Function = op.forward

    def call(x: Any) -> Any:
        if type(x) is not Var:
            return otherwise(x)
        value, tape = x._value, x._tape
        y = forward(value)
        if (
            y.dtype is value.dtype
            and (type(y) in _UNTRACED or ordinary(op, (value,), y))
            and tape.thread == get_ident()
        ):
            tape.append((x._index, rule, select(value, None, y)))
            return Var(y, tape, len(tape) - 1)
        return record(tape, op, (x,), (value,), {}, (True,), y)

    return call


def _binary(op: Op, otherwise: Function) -> Function | None:
    """The op on two operands, as _unary: two variables of one tape, or a variable and a constant."""
    first, second = _rule(op.signature.vjp[0], 1), _rule(op.signature.vjp[1], 0)
    if first is None or second is None:
        return None
    rule1, select1, first_asks_x2 = first
    rule2, select2, second_asks_x1 = second
    summed1, summed2 = _summed(rule1), _summed(rule2)
    if op.selects:
        CHOOSING.update((rule1, rule2, summed1, summed2))
    forward: Function = op.forward

    def call(x1: Any, x2: Any) -> Any:
        if type(x1) is Var:
            tape, value1 = x1._tape, x1._value
            if type(x2) is Var and x2._tape is tape:
                value2 = x2._value
                y = forward(value1, value2)
                if (
                    value1.shape == y.shape == value2.shape
                    and value1.dtype is y.dtype is value2.dtype
                    and (type(y) in _UNTRACED or ordinary(op, (value1, value2), y))
                    and tape.thread == get_ident()
                ):
                    saved1, saved2 = select1(value1, value2, y), select2(value1, value2, y)
                    tape.append((x1._index, rule1, saved1, x2._index, rule2, saved2))
                    return Var(y, tape, len(tape) - 1)
                if _plain(value1, value2, y) and tape.thread == get_ident():
                    saved1, saved2 = select1(value1, value2, y), select2(value1, value2, y)
                    shape1, shape2 = value1.shape, value2.shape
                    tape.append((
                        x1._index, *((rule1, saved1) if shape1 == y.shape else (summed1, (shape1, *saved1))),
                        x2._index, *((rule2, saved2) if shape2 == y.shape else (summed2, (shape2, *saved2))),
                    ))  # fmt: skip
                    return Var(y, tape, len(tape) - 1)
                return record(tape, op, (x1, x2), (value1, value2), {}, (True, True), y)
            if type(x2) in _UNTRACED:
                y = forward(value1, x2)
                if (
                    value1.shape == y.shape
                    and value1.dtype is y.dtype
                    and (type(y) in _UNTRACED or ordinary(op, (value1, x2), y))
                    and tape.thread == get_ident()
                ):
                    if first_asks_x2 and type(x2) is _ARRAY:
                        x2 = tape.copies.of(x2)
                    tape.append((x1._index, rule1, select1(value1, x2, y)))
                    return Var(y, tape, len(tape) - 1)
                return record(tape, op, (x1, x2), (value1, x2), {}, (True, False), y)
        elif type(x2) is Var and type(x1) in _UNTRACED:
            tape, value2 = x2._tape, x2._value
            y = forward(x1, value2)
            if (
                value2.shape == y.shape
                and value2.dtype is y.dtype
                and (type(y) in _UNTRACED or ordinary(op, (x1, value2), y))
                and tape.thread == get_ident()
            ):
                if second_asks_x1 and type(x1) is _ARRAY:
                    x1 = tape.copies.of(x1)
                tape.append((x2._index, rule2, select2(x1, value2, y)))
                return Var(y, tape, len(tape) - 1)
            return record(tape, op, (x1, x2), (x1, value2), {}, (False, True), y)
        return otherwise(x1, x2)

    return call


def _plain(x1: Any, x2: Any, y: Any) -> bool:
    """Whether all three are arrays of NumPy of one dtype."""
    return type(x1) is type(x2) is type(y) is _ARRAY and x1.dtype is x2.dtype is y.dtype


def _summed(rule: int) -> int:
    """The number of a rule whose cotangent is summed over what the operand was repeated along; it asks for the operand's shape first."""
    given = RULES[rule]
    RULES.append(lambda y_bar, shape, *saved: unbroadcast(given(y_bar, *saved), shape))
    RESHAPING.add(len(RULES) - 1)
    SUMMED[len(RULES) - 1] = rule
    return len(RULES) - 1


# --- products of matrices, reductions, powers -----------------------------------------------------------------------------


def _matrix_product(op: Op, otherwise: Function) -> Function:
    """The product of two matrices of one dtype."""
    first, second = op.signature.vjp
    assert first is not None
    assert second is not None
    assert first.inputs == (("shape", 0), ("operand", 1))
    assert second.inputs == (("operand", 0), ("shape", 1))
    RULES.extend((first.rule, second.rule))
    rule1, rule2 = len(RULES) - 2, len(RULES) - 1
    RESHAPING.update((rule1, rule2))

    def call(x1: Any, x2: Any) -> Any:
        traced1, traced2 = type(x1) is Var, type(x2) is Var
        value1, value2 = x1._value if traced1 else x1, x2._value if traced2 else x2
        if not (type(value1) is type(value2) is _ARRAY and value1.ndim == value2.ndim == 2):
            return otherwise(x1, x2)
        tape = x1._tape if traced1 else x2._tape
        if (
            value1.dtype is not value2.dtype
            or (traced1 and traced2 and x2._tape is not tape)
            or tape.thread != get_ident()
        ):
            return otherwise(x1, x2)
        y = op.forward(value1, value2)
        if traced1 and traced2:
            tape.append((
                x1._index, rule1, (value1.shape, value2), x2._index, rule2, (value1, value2.shape)
            ))  # fmt: skip
        elif traced1:
            tape.append((x1._index, rule1, (value1.shape, tape.copies.of(value2))))
        else:
            tape.append((x2._index, rule2, (tape.copies.of(value1), value2.shape)))
        return Var(y, tape, len(tape) - 1)

    return call


def _reduction(op: Op) -> Function:
    """A reduction over all elements, whose rule asks for the shape of the operand and for parameters."""
    needs, defaults = op.signature.vjp[0], op.signature.defaults
    assert needs is not None
    assert needs.inputs[0] == ("shape", 0)
    assert all(kind == "param" for kind, _ in needs.inputs[1:])
    rule, params = needs.rule, tuple([defaults[name] for _, name in needs.inputs[1:]])
    RULES.append(lambda y_bar, shape: rule(y_bar, shape, *params))
    number = len(RULES) - 1
    RESHAPING.add(number)
    if op.selects:
        CHOOSING.add(number)

    def call(x: Var) -> Any:
        value, tape = x._value, x._tape
        if type(value) is not _ARRAY or tape.thread != get_ident():
            return apply(op, (x,), defaults)
        y = op.forward(value)
        if y.dtype is not value.dtype:
            return apply(op, (x,), defaults)
        tape.append((x._index, number, (value.shape,)))
        return Var(y, tape, len(tape) - 1)

    return call


def _array_function(self: Var, function: Function, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's protocol: a reduction of one array without further arguments, or the general way."""
    if function in REDUCTIONS and not kwargs and len(args) == 1 and type(args[0]) is Var:
        return REDUCTIONS[function](args[0])
    return TracedArray.__array_function__(self, function, types, args, kwargs)


def _power(self: Var, other: Any, modulus: Any = None) -> Any:
    """x**n for a number n."""
    if type(self) is Var and type(other) in (int, float) and modulus is None and type(self._value) is _ARRAY:
        return _BY_NUMBER(self, other)
    return TracedArray.__pow__(self, other, modulus)


def _on_common_operands(op: Op, otherwise: Function) -> Function | None:
    return _unary(op, otherwise) if len(op.signature.operands) == 1 else _binary(op, otherwise)


def _ufunc(function: np.ufunc, *operands: Any) -> Any:
    return call_ufunc(function, "__call__", operands, {})


def _functions() -> dict[Function, Function]:
    """For each ufunc that is the forward of an op without parameters: the op on common operands."""
    found: dict[Function, Function] = {}
    for function, op in BY_FUNCTION.items():
        if (
            isinstance(function, np.ufunc)
            and op.forward is function
            and op.signature.differentiable
            and not op.signature.defaults
        ):
            call = _on_common_operands(op, partial(_ufunc, function))
            if call is not None:
                found[function] = call
    return found


def _operator(name: str, op: Op, swapped: bool = False) -> None:
    """Give Var the operator ``name``, which applies ``op``; swapped for a reflected one."""
    general = getattr(TracedArray, name)
    call = _on_common_operands(op, (lambda x1, x2: general(x2, x1)) if swapped else general)
    if call is not None:
        setattr(Var, name, (lambda self, other: call(other, self)) if swapped else call)


FAST.update(_functions())
for _symbol, _name in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide"}.items():
    _operator(f"__{_symbol}__", REGISTRY[_name])
    _operator(f"__r{_symbol}__", REGISTRY[_name], swapped=True)
_operator("__neg__", REGISTRY["negative"])
_MATMUL = REGISTRY["matmul"]
FAST[np.matmul] = _matrix_product(_MATMUL, partial(_ufunc, np.matmul))
REDUCTIONS: dict[Function, Function] = {
    np.sum: _reduction(REGISTRY["sum"]),
    np.mean: _reduction(REGISTRY["mean"]),
}
_BY_NUMBER = _binary(REGISTRY["power"], TracedArray.__pow__) or TracedArray.__pow__
for _name, _call in {
    "__matmul__": _matrix_product(_MATMUL, TracedArray.__matmul__),
    "__pow__": _power,
    "__array_function__": _array_function,
}.items():
    setattr(Var, _name, _call)
