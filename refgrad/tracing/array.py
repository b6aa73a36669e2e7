"""Traced arrays: NumPy's own protocols lead from ordinary NumPy code to ops.

NumPy calls ``__array_ufunc__`` for ``np.sin(x)`` and ``__array_function__`` for ``np.sum(x)`` (see dispatch.py); Python calls the methods
for ``x * 2`` and ``x.sum()``. An operation that would lose a derivative (float(x), np.asarray(x)) raises an error that says what to write
instead.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.errors import NoRuleError
from refgrad.op import Op, Traced, apply
from refgrad.operands import NUMBERS, USUAL
from refgrad.ops import arithmetic, indexing, linalg, selection
from refgrad.tracing import caller_instruction, views
from refgrad.tracing.attributes import Attributes
from refgrad.tracing.creation import LIKE, like
from refgrad.tracing.dispatch import call_function, call_ufunc, operand, plain
from refgrad.tracing.foreign_operands import met
from refgrad.tracing.texts import Formatted, Shown

Function = Callable[..., Any]


def _binary(op: Op, python: Function, swapped: bool = False) -> Function:
    """The operator ``python`` on a traced array; if swapped, the reflected one."""
    defaults = op.signature.defaults
    usual = frozenset({np.ndarray}) if op.core else USUAL  # no number has a matrix product

    def call(self: TracedArray, other: Any) -> Any:
        if isinstance(other, Traced) or type(other) in usual:
            return apply(op, (self, other), defaults)
        return met(op, python, self, other, swapped)

    def reflected(self: TracedArray, other: Any) -> Any:
        if type(other) in usual:
            return apply(op, (other, self), defaults)
        return met(op, python, self, other, swapped)

    return reflected if swapped else call


def _both(op: Op, python: Function) -> tuple[Function, Function]:
    """An operator and the reflected one."""
    return _binary(op, python), _binary(op, python, swapped=True)


def _unary(op: Op) -> Function:
    return lambda self: apply(op, (self,), op.signature.defaults)


def _in_place(symbol: str, op: Op) -> Function:
    """``x += a``: an array gets a new value, which all of its names and views see; of a NumPy scalar, the name is bound anew."""

    def call(self: TracedArray, other: Any) -> Any:
        if self._scalar:
            return NotImplemented  # Python then evaluates x + a
        if op.core and type(other) in NUMBERS:
            self._sample() @ plain(other)  # NumPy's error: a product takes arrays
        result = apply(op, (self, operand(other, op.name)), op.signature.defaults)
        self._receive(result, f"in-place {symbol} on a traced array")
        return self

    return call


def _index(key: Any) -> Any:
    """An index without traced arrays and lists."""
    if any(isinstance(k, (Traced, list)) for k in (key if isinstance(key, tuple) else (key,))):
        return indexing.clean(plain(key))
    return key


_POWER = _binary(arithmetic.power, operator.pow)


class StandIn(type):
    """The class of the classes of traced arrays, which stand in for NumPy's.

    An abstract base class (collections.abc.Iterable) asks ``x.__class__`` first, and then the bases of ``type(x)`` for methods. A traced
    array has those of arrays and of scalars alike, so it names none.
    """

    @property
    def __mro__(cls) -> Any:
        return ()


class TracedArray(Attributes, metaclass=StandIn):
    """What every traced array shares: its class as NumPy sees it, operators, indexing and NumPy's protocols."""

    __slots__ = ("__weakref__", "_shared")
    _shared: views.Shared
    __array_priority__ = 1000.0

    def _become(self, other: Any) -> None:
        """Take over the content of another array of the same transformation (see views.py)."""
        raise NotImplementedError

    def _constant(self, y: Any) -> Any:
        """A plain array as one of the transformation that this array belongs to, with a derivative of zero."""
        raise NotImplementedError

    # --- its class, as NumPy code sees it ---
    @property
    def _scalar_type(self) -> type:
        """The class of a scalar."""
        value = self._value
        return value._scalar_type if isinstance(value, TracedArray) else self.dtype.type

    @property
    def __class__(self) -> Any:
        """What ``isinstance`` is told: the class that NumPy has here. ``type(x)`` is the class of the traced array."""
        return self._scalar_type if self._scalar else np.ndarray

    @__class__.setter
    def __class__(self, other: Any) -> None:
        raise TypeError("the class of a traced array cannot change")

    def __hash__(self) -> int:
        if not self._scalar:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        if not caller_instruction.looks_for_member():
            raise self._lost(
                "use as a key of a dict, a cache or a set",
                "What is found there belongs to another number of the same value. Use plain keys; `x in {1.0, 2.0}` is a comparison.",
            )
        return self._key()

    def _key(self) -> int:
        """The hash of the number, for a look into a set."""
        return self._value._key() if isinstance(self._value, TracedArray) else hash(self._value)

    def __repr__(self) -> str:
        return Shown(f"{type(self).__name__}({self._value!r})", self._levels())

    def __format__(self, spec: str) -> str:
        return Formatted(format(self._value, spec), self._levels()) if spec else str(self)

    def __bool__(self) -> bool:
        return bool(self._value)

    # --- operators ---
    __add__, __radd__ = _both(arithmetic.add, operator.add)
    __sub__, __rsub__ = _both(arithmetic.subtract, operator.sub)
    __mul__, __rmul__ = _both(arithmetic.multiply, operator.mul)
    __truediv__, __rtruediv__ = _both(arithmetic.divide, operator.truediv)
    __rpow__ = _binary(arithmetic.power, operator.pow, swapped=True)
    __mod__, __rmod__ = _both(arithmetic.remainder, operator.mod)
    __floordiv__, __rfloordiv__ = _both(arithmetic.floor_divide, operator.floordiv)
    __matmul__, __rmatmul__ = _both(linalg.matmul, operator.matmul)
    __iadd__, __isub__ = _in_place("+=", arithmetic.add), _in_place("-=", arithmetic.subtract)
    __imul__, __itruediv__ = _in_place("*=", arithmetic.multiply), _in_place("/=", arithmetic.divide)
    __ipow__, __imatmul__ = _in_place("**=", arithmetic.power), _in_place("@=", linalg.matmul)
    __imod__, __ifloordiv__ = _in_place("%=", arithmetic.remainder), _in_place("//=", arithmetic.floor_divide)
    __neg__, __pos__, __abs__ = (
        _unary(arithmetic.negative),
        _unary(arithmetic.positive),
        _unary(selection.abs),
    )
    __lt__, __le__ = _binary(selection.less, operator.lt), _binary(selection.less_equal, operator.le)
    __gt__, __ge__ = _binary(selection.greater, operator.gt), _binary(selection.greater_equal, operator.ge)
    __eq__, __ne__ = _binary(selection.equal, operator.eq), _binary(selection.not_equal, operator.ne)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            raise NoRuleError("pow(x, y, modulus) has no rule in refgrad: write x**y % modulus.")
        return _POWER(self, other)

    # Of conditions: a comparison of balls may be uncertain, and then stays traced.
    def __and__(self, other: Any) -> Any:
        return np.bitwise_and(self, other)

    def __or__(self, other: Any) -> Any:
        return np.bitwise_or(self, other)

    def __xor__(self, other: Any) -> Any:
        return np.bitwise_xor(self, other)

    def __invert__(self) -> Any:
        return np.invert(self)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __getitem__(self, key: Any) -> Any:
        key = _index(key)
        y = indexing.getitem(self, key=key)
        if not indexing.basic(key):
            return y
        return self._view(y, lambda x: indexing.getitem(x, key=key))

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._scalar:
            raise TypeError(f"{self.dtype.name!r} object does not support item assignment")
        row = type(key) is int and isinstance(value, TracedArray) and views.same(self, value)
        if row and caller_instruction.within_a_call():
            raise self._repeats_rows()
        views.assign(self, _index(key), operand(value), "x[...] = value on a traced array")

    def _receive(self, result: Any, what: str) -> None:
        """Take over the result of an op, in all names and views of this array. ``what`` names the statement in messages."""
        views.store(self, result, what)

    def _view(self, y: Any, read: views.Read, *, writeable: bool = True) -> Any:
        """y, which ``read`` makes of this array; where NumPy has made a view, the two share memory from now on."""
        if not isinstance(y, Traced) or y._scalar:  # type: ignore[attr-defined]
            return y
        if self._scalar:  # which has no memory to share
            return y if writeable else views.freeze(y)
        return views.share(self, y, read, writeable=writeable)

    # --- NumPy's protocols ---
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Function, types: Any, args: Any, kwargs: Any) -> Any:
        if function in LIKE:
            return like(self, function, args, kwargs)
        return call_function(function, args, kwargs)
