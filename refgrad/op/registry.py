"""Ops as they are applied: calls, the registry of all ops, and traced arrays.

The fields of an op are in record.py, what registration derives from them in signature.py, its checks in checks.py.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.arrays import Params
from refgrad.errors import DtypeError, RegistrationError, TracingError
from refgrad.formula import taken
from refgrad.op import checks
from refgrad.op.record import OpRecord
from refgrad.operands import admitted, usual

new_level = itertools.count(1).__next__  # levels of nested transformations; Ball, the innermost, is level 0

REGISTRY: dict[str, Op] = {}
BY_FUNCTION: dict[Callable[..., Any], Op] = {}
BY_METHOD: dict[tuple[np.ufunc, str], Op] = {}  # (np.add, "reduce"): the op of np.add.reduce


class Traced:
    """An array with something attached: a tangent, a place on a tape, an error radius, a node of a graph.

    ``value`` is what is below (a NumPy array or another traced array) and ``level`` says which of two traced arrays is
    the inner one: each transformation takes a higher level than those it runs in. tracing/array.py and tracing/dispatch.py hold
    NumPy's protocols.
    """

    __slots__: tuple[str, ...] = ()
    _value: Any
    _level: int
    shape: tuple[int, ...]
    dtype: Any

    def astype(self, dtype: Any) -> Any:
        """The same numbers in another dtype."""
        raise NotImplementedError

    def _snapshot(self) -> Any:
        """An array of the same content, which stays as it is when this one is written to."""
        raise NotImplementedError

    @property
    def _ended(self) -> str:
        """The transformation that traced it, by name, where that one has ended; empty while it runs."""
        return ""

    @classmethod
    def _interpret(cls, op: Op, operands: tuple[Any, ...], params: Params, top: Any) -> Any:
        """Apply ``op``; ``top`` is the operand of the highest level, which decides the interpreter."""
        raise NotImplementedError

    def _levels(self) -> tuple[int, ...]:
        """The level of this array and of those below it."""
        return (self._level, *(self._value._levels() if isinstance(self._value, Traced) else ()))

    def _sample(self) -> Any:
        """A plain array of this shape, dtype and layout: the values, where they may be looked at. None before data is bound to a graph."""
        return self._value._sample() if isinstance(self._value, Traced) else self._value

    def __format__(self, spec: str) -> str:
        return format(self._value, spec) if spec else str(self)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls where one of its functions meets a traced array."""
        raise TracingError(
            f"torch's {getattr(function, '__name__', function)} was called with an array that refgrad traces. Write the function in "
            "NumPy (np.sin, not torch.sin; rg.nn.softmax and others for what NumPy lacks)."
        )


def in_dtype(x: Any, dtype: Any, op: Op) -> Any:
    """x, what a rule of op gave, in the dtype of the array that it belongs to.

    Raises DtypeError where x is complex and the array is real: a cast would lose its half.
    """
    if x.dtype.kind == "c" and dtype.kind != "c":
        raise DtypeError(
            f"op {op.name!r}: a rule gave a tangent or cotangent of dtype {x.dtype} for a real array. Its record says what the rules are "
            "for complex operands (complex_rules); the rules of an op from complex to real numbers take the real part themselves."
        )
    return x.astype(dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Op(OpRecord):
    """One op. ``op(*operands, **params)`` applies it to arrays, traced or not. Its fields are those of OpRecord."""

    def __post_init__(self) -> None:
        OpRecord.__post_init__(self)
        checks.check(self)

    def __call__(self, *operands: Any, **params: Any) -> Any:
        sig = self.signature
        if (
            not params
            and len(operands) == len(sig.operands)
            and type(operands[0]) is type(operands[-1]) is np.ndarray
            and len(operands) < 3
        ):
            return self.forward(*operands)  # as rules call the ops that they are made of
        if not sig.variadic and (
            len(operands) != len(sig.operands) or not params.keys() <= sig.defaults.keys()
        ):
            operands, params = sig.bind(operands, params)
        refuse_traced(self, params)
        return apply(self, operands, {**sig.defaults, **params} if sig.defaults else params)


_PLAIN = frozenset({int, bool, float, str, slice, type(None), np.ndarray})


def refuse_traced(op: Op, params: Params) -> None:
    """Raises TracingError for a parameter that is being differentiated: rules exist for operands alone."""
    for name, value in params.items():
        if type(value) not in _PLAIN and _holds_traced(value):
            raise TracingError(
                f"{op.name}: argument {name} is a traced array and has no rule, so its derivative would be lost. Pass plain numbers; "
                "for a mask write np.where(mask, x, 0.0), for an initial value a sum or a product with it."
            )


def _holds_traced(x: Any) -> bool:
    if isinstance(x, (tuple, list)):
        return any(type(element) not in _PLAIN and _holds_traced(element) for element in x)
    return isinstance(x, Traced)


def apply(op: Op, operands: tuple[Any, ...], params: Params) -> Any:
    """Apply ``op`` to operands of any levels: the highest level interprets, raw arrays just compute."""
    top, level, others = None, -1, False
    for x in operands:
        if not isinstance(x, Traced):
            others = True
        elif x._level > level:
            top, level = x, x._level
    if top is None:
        return op.forward(*operands, **params)
    if others:
        for x in operands:
            if not isinstance(x, Traced) and not usual(x):
                operands = tuple([_admitted(op, x) for x in operands])
                break
    formula = taken(op)
    return (
        type(top)._interpret(op, operands, params, top) if formula is None else formula(*operands, **params)
    )


def _admitted(op: Op, x: Any) -> Any:
    return x if isinstance(x, Traced) else admitted(x, f"{op.name}: an operand")


def register(name: str, forward: Callable[..., Any], **fields: Any) -> Op:
    """Make an op, check its record and enter it in the registry. ``fields`` are those of OpRecord.

    Raises RegistrationError where the record contradicts itself, or a name or NumPy function is taken.
    """
    home = fields.pop("home", None) or sys._getframe(1).f_globals.get("__name__", "")
    op = Op(name=name, forward=forward, home=home, **fields)
    if name in REGISTRY:
        raise RegistrationError(f"op {name!r} is registered twice")
    for function in op.numpy:
        if function in BY_FUNCTION:
            raise RegistrationError(
                f"op {name!r}: {function!r} already leads to op {BY_FUNCTION[function].name!r}"
            )
    methods = [
        (ufunc, method)
        for ufunc, method in ((op.reduces, "reduce"), (op.accumulates, "accumulate"))
        if ufunc is not None
    ]
    for ufunc, method in methods:
        if (ufunc, method) in BY_METHOD:
            raise RegistrationError(
                f"op {name!r}: np.{ufunc.__name__}.{method} already leads to op {BY_METHOD[ufunc, method].name!r}"
            )
    BY_FUNCTION.update(dict.fromkeys(op.numpy, op))
    BY_METHOD.update(dict.fromkeys(methods, op))
    REGISTRY[name] = op
    return op
