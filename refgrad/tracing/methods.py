"""Methods of NumPy's arrays and scalars on traced arrays. Those that would lose a derivative: unavailable.py; operators: array.py.

A method that NumPy also has as a function calls that function. This file writes the rest: layouts, writing in place, Python's protocols.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad.errors import NoRuleError, TracingError
from refgrad.op import Traced, apply
from refgrad.operands import overrides
from refgrad.ops import arithmetic, shape
from refgrad.tracing import caller_instruction, views
from refgrad.tracing.dispatch import call_function, plain
from refgrad.tracing.unavailable import MissingError, Only, Unavailable

Function = Callable[..., Any]


class Methods(Unavailable):
    """Methods as on np.ndarray and np.float64. A method that only one of them has is missing from the other; ``hasattr`` says so."""

    __slots__ = ()

    T: Any
    if TYPE_CHECKING:  # set at the end of this file, by name or as descriptors
        all: Function
        any: Function
        max: Function
        min: Function
        sum: Function

        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, key: Any) -> Any:
        raise NotImplementedError

    def __setitem__(self, key: Any, value: Any) -> None:
        raise NotImplementedError

    def _view(self, y: Any, read: views.Read, *, writeable: bool = True) -> Any:
        raise NotImplementedError

    # --- layout ---
    def reshape(self, *dims: Any, order: str = "C", copy: bool | None = None, **named: Any) -> Any:
        if "shape" in named:
            dims = (named.pop("shape"),)
        if named:
            raise TypeError(f"reshape() got an unexpected keyword argument {next(iter(named))!r}")
        wanted = (
            dims[0]
            if len(dims) == 1 and (isinstance(dims[0], (tuple, list, np.ndarray)) or dims[0] is None)
            else dims
        )
        if isinstance(wanted, np.ndarray) and len(dims) == 1:
            wanted = wanted.tolist()  # NumPy takes an array of lengths, too
        wanted = tuple(wanted) if isinstance(wanted, list) else wanted  # which the program may change later
        turned = self._order(order, "reshape") == "F"

        def read(x: Any) -> Any:
            if not turned:
                return shape.reshape(x, shape=wanted)
            backwards = wanted[::-1] if isinstance(wanted, (tuple, list)) else (wanted,)
            return shape.transpose(shape.reshape(shape.transpose(x), shape=backwards))

        y = read(self)
        shared = np.may_share_memory(self._sample(), y._sample() if isinstance(y, Traced) else y)
        if copy is False and not shared and not self._scalar and 0 not in self.shape:
            raise ValueError("Unable to avoid creating a copy while reshaping.")
        if not shared:
            return y
        if copy:  # which has no gaps, by which NumPy decides what is a view of it
            return y if y._sample().flags.forc else y.copy("K")
        return self._view(y, read)

    def _order(self, order: str, name: str) -> str:
        """'C' or 'F', as a letter of NumPy's means it for this array."""
        if order in {"C", "F"}:
            return order
        value = self._sample()
        if value is None:
            return "C"
        if order == "A" or (order == "K" and (value.flags.c_contiguous or value.flags.f_contiguous)):
            return "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        if order == "K":
            raise NoRuleError(
                f"{name}(order='K') of an array that is contiguous in neither order has no rule in refgrad: write order='C' or order='F'."
            )
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")

    def ravel(self, order: str = "C") -> Any:
        order = self._order(order, "ravel")
        value = self._sample()
        in_order = value is None or (value.flags.c_contiguous if order == "C" else value.flags.f_contiguous)
        # NumPy copies everything else, reversed arrays too.
        return self.reshape(-1, order=order, copy=not in_order)

    def flatten(self, order: str = "C") -> Any:
        return self.reshape(-1, order=self._order(order, "flatten"), copy=True)

    def transpose(self, *axes: Any) -> Any:
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            axes = tuple(axes[0] or ())
        order = axes or None
        return self._view(shape.transpose(self, axes=order), lambda x: shape.transpose(x, axes=order))

    def view(self, dtype: Any = None, type: Any = None) -> Any:  # noqa: A002 - NumPy's name
        if dtype is np.ndarray:
            dtype = None
        subclass = type or (
            dtype if isinstance(dtype, builtins.type) and issubclass(dtype, np.ndarray) else None
        )
        if subclass not in {None, np.ndarray}:
            raise TracingError(
                f"x.view({subclass!r}) would make a subclass of np.ndarray, which cannot hold a derivative. Leave it out.",
                self._levels(),
            )
        if dtype is not None and np.dtype(dtype) != self.dtype:
            raise self._lost(
                f"x.view({np.dtype(dtype)})", "It reads the bytes of x as other numbers. Use x.astype(dtype)."
            )
        return self if self._scalar else self[...]

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        if not np.can_cast(self.dtype, dtype, casting):
            self._sample().astype(dtype, casting=casting)  # NumPy's error
        return self if not copy and np.dtype(dtype) == self.dtype else shape.cast(self, dtype)

    def copy(self, order: str = "C") -> Any:
        order = order if order == "K" else self._order(order, "copy")
        if order == "F":
            return shape.transpose(self.T.copy())
        value = self._sample()
        if value is None:
            return apply(arithmetic.positive, (self,), {})
        found: Any = self
        if order == "C" and not value.flags.c_contiguous:
            found = shape.reshape(shape.reshape(found, shape=(-1,)), shape=self.shape)  # may have gaps still
        return shape.cast(found, self.dtype)  # a 0-d array stays one

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def conj(self, out: Any = None, /) -> Any:
        return self if out is None and self.dtype.kind != "c" else np.conjugate(self, out=out)

    conjugate = conj

    # --- in place ---
    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        if order is not None or axis is None:
            self._sample().copy().sort(axis, order=order)  # NumPy's error: there are no fields
        self[...] = np.sort(self, axis=axis)

    def partition(self, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None) -> None:
        self._sample().copy().partition(plain(kth), axis, kind, order)  # NumPy's errors
        self[...] = np.partition(self, kth, axis, kind, order)

    def fill(self, value: Any) -> None:
        if np.ndim(value):
            self._sample().copy().fill(plain(value))  # NumPy's error
        if not self._scalar:
            self[...] = value

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        places = np.asarray(plain(indices)).ravel()
        places = places if places.size else places.astype(int)
        self._sample().copy().put(places, 0, mode)  # NumPy's errors
        if self._scalar or not places.size or not np.size(values):
            return
        n = math.prod(self.shape)
        places = places % n if mode == "wrap" else np.clip(places, 0, n - 1) if mode == "clip" else places % n
        values = np.ravel(values)[np.arange(places.size) % np.size(values)]
        self[np.unravel_index(places, self.shape) if self.shape else ()] = (
            values if self.shape else values[-1]
        )

    # --- functions of NumPy under a method's name or order of arguments ---
    def argpartition(self, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> Any:
        return plain(self).argpartition(plain(kth), axis, kind, order)

    def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        return np.searchsorted(self, v, side, sorter)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)

    def choose(self, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
        return np.choose(self, choices, out, mode)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return np.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        return np.squeeze(self, axis)

    def dot(self, b: Any, out: Any = None) -> Any:
        return np.dot(self, b, out) if out is not None else np.dot(self, b)

    def is_integer(self) -> bool:
        return bool(np.isfinite(self) & (np.floor(self) == self))

    # --- what says nothing of the values ---
    def __array_namespace__(self, *, api_version: Any = None) -> Any:
        return self._sample().__array_namespace__(api_version=api_version)

    def __dlpack_device__(self) -> Any:
        return self._sample().__dlpack_device__()

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        self._sample().to_device(device, stream=stream)  # NumPy's error, where it is another one
        return self

    # --- Python's protocols ---
    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __delitem__(self, key: Any) -> None:
        raise ValueError("cannot delete array elements")

    def __divmod__(self: Any, other: Any) -> Any:
        return np.divmod(self, other) if overrides(other) else (self // other, self % other)

    def __rdivmod__(self: Any, other: Any) -> Any:
        return np.divmod(other, self) if overrides(other) else (other // self, other % self)

    def __round__(self, ndigits: Any = None) -> Any:
        if not self._scalar:
            raise TypeError("type numpy.ndarray doesn't define __round__ method")
        if ndigits is None:
            raise self._lost("round(x), an int,", "np.round(x) keeps a float.")
        return np.round(self, ndigits)

    def __lshift__(self, other: Any) -> Any:
        return np.left_shift(self, other)

    def __rlshift__(self, other: Any) -> Any:
        return np.left_shift(other, self)

    def __rshift__(self, other: Any) -> Any:
        return np.right_shift(self, other)

    def __rrshift__(self, other: Any) -> Any:
        return np.right_shift(other, self)


class _Length:
    """``__len__``, which arrays have. Code in C that asks a scalar for it, unlike ``len``, takes it for a sequence of numbers."""

    def __get__(self, x: Any, owner: type) -> Any:
        if x is None:
            return _counted
        if x._scalar:
            if caller_instruction.mentions("len", "__len__", "hasattr"):
                raise MissingError(x, "__len__")
            raise x._lost(
                "conversion to numbers",
                "Code in C cannot compute with a traced number: write it with NumPy functions.",
            )
        return lambda: _counted(x)


def _counted(x: Any) -> int:
    if not x.shape:
        raise TypeError("len() of unsized object")
    return int(x.shape[0])


class _Iteration:
    """``__iter__``, which arrays have. ``iter`` of a scalar is an error, and ``hasattr`` sees none."""

    def __get__(self, x: Any, owner: type) -> Any:
        if x is None:
            return _iterated
        if x._scalar and caller_instruction.asks_for_attribute("__iter__"):
            raise MissingError(x, "__iter__")
        return lambda: _iterated(x)


def _iterated(x: Any) -> Iterator[Any]:
    if x._scalar:
        raise TypeError(f"'numpy.{x.__class__.__name__}' object is not iterable")
    if not x.shape:
        raise TypeError("iteration over a 0-d array")
    return (x[i] for i in range(x.shape[0]))


def _method(name: str) -> Function:
    function = getattr(np, name)

    def call(self: Methods, *args: Any, **kwargs: Any) -> Any:
        return call_function(function, (self, *args), kwargs)

    call.__name__ = name
    return call


for _name in ("sum", "mean", "prod", "max", "min", "var", "std", "cumsum", "cumprod", "clip", "take", "repeat", "diagonal", "trace",
              "argmax", "argmin", "argsort", "all", "any", "round", "nonzero"):  # fmt: skip
    setattr(Methods, _name, _method(_name))
Methods.__iter__ = _Iteration()  # type: ignore[method-assign, assignment]
Methods.__len__ = _Length()  # type: ignore[method-assign, assignment]
for _name in ("__contains__", "argpartition", "partition", "dot", "__dlpack_device__"):
    setattr(Methods, _name, Only(vars(Methods)[_name], _name, of_scalars=False))
Methods.is_integer = Only(Methods.is_integer, "is_integer", of_scalars=True)  # type: ignore[assignment]
