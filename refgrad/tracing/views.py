"""Views of traced arrays: which of them share memory, as NumPy's do, and what each becomes when one of them is written to.

Traced arrays are values: an op makes new ones. Writing to an array gives it a new value, and every other array that shares its memory is
computed anew from that. So a program that writes in place is differentiated as if it had built new arrays, and its names refer to the same
numbers as in NumPy.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.errors import ArgumentError, NoRuleError, TracingError
from refgrad.ops import indexing, shape

Member = Any  # an array that shares memory: a TracedArray, whose module imports this one
# From the array that owns the memory, or from a view of it, to a view of that.
Read = Callable[[Member], Member]


class Memory:
    """The memory of one array: its content, and weak references to the arrays that share it, the owner among them."""

    __slots__ = ("_room", "content", "members")

    def __init__(self, owner: Member) -> None:
        self.content = owner._snapshot()
        self.members = [weakref.ref(owner)]
        self._room = 8

    def add(self, view: Member) -> None:
        """Add an array that shares it."""
        if len(self.members) >= self._room:
            self.members = [m for m in self.members if m() is not None]
            self._room = max(8, 2 * len(self.members))
        self.members.append(weakref.ref(view))

    def others(self, x: Member) -> list[Member]:
        """The arrays other than x that share it and are still in use."""
        return [y for m in self.members if (y := m()) is not None and y is not x]

    def places(self, path: tuple[Read | None, ...]) -> tuple[Member, ...]:
        """Where the elements of a view lie in the owner: an index array for each axis."""
        dims = self.content.shape
        numbers = np.arange(self.content.size).reshape(dims)
        return tuple(np.unravel_index(_followed(numbers, path), dims)) if dims else ()


class Shared:
    """The part of a memory that one array shows: how it is read from the owner, and whether it can be written to."""

    __slots__ = ("memory", "path", "writeable")

    def __init__(self, memory: Memory, path: tuple[Read | None, ...], writeable: bool) -> None:
        self.memory = memory
        self.path = path
        self.writeable = writeable


def share(x: Member, view: Member, read: Read | None, *, writeable: bool = True) -> Member:
    """``view``, which ``read`` made of x, as an array that shares the memory of x. Where no op read it, neither can be written to."""
    if view is x:
        return view
    own = _shared(x)
    if own is None:
        own = x._shared = Shared(Memory(x), (), True)
    view._shared = Shared(own.memory, (*own.path, read), own.writeable and writeable)
    own.memory.add(view)
    return view


def freeze(x: Member) -> Member:
    """x, which nobody can write to from now on."""
    x._shared = Shared(Memory(x), (), False)
    return x


def same(x: Member, y: Member) -> bool:
    """Whether two arrays are known to share memory."""
    a, b = _shared(x), _shared(y)
    return a is not None and b is not None and a.memory is b.memory


def spread(y: Any, dims: tuple[int, ...]) -> Any:
    """y over an array of shape ``dims``, which it may fit into more than once; y itself where it does not fit."""
    try:
        return y if np.shape(y) == dims else shape.broadcast_to(y, shape=dims)
    except ValueError:
        return y


def store(x: Member, result: Member, what: str) -> None:
    """Give x the value ``result``, for each array that shares its memory. ``what`` names the statement in messages.

    Raises ArgumentError where x cannot be written to or the shapes differ, TracingError where the result belongs to an inner
    transformation.
    """
    if np.shape(result) != x.shape:
        raise ArgumentError(
            f"{what}: a result of shape {np.shape(result)} does not fit into an array of shape {x.shape}; NumPy asks for equal shapes"
        )
    fits = type(result) is type(x) and result._level == x._level and x.shape and result.dtype == x.dtype
    if fits and _layout(result) == _layout(x):
        _write(x, result, what)
    else:  # into a copy of x: an array keeps its layout, by which NumPy decides what is a view of it
        assign(x, (), result, what)


def assign(x: Member, key: Any, value: Member, what: str) -> None:
    """``x[key] = value``, in the dtype of x, with NumPy's rules of broadcasting. Raises as ``store`` does."""
    if getattr(value, "_level", -1) > x._level:
        raise TracingError(
            f"{what} would write a result of an inner transformation into an array that belongs to an outer one, where its derivative "
            "would be lost. Return it from the inner function instead."
        )
    chosen = np.broadcast_to(False, x.shape)[key].shape
    if not hasattr(value, "astype"):
        value = np.asarray(value, x.dtype)
    elif value.dtype != x.dtype:
        value = shape.cast(value, x.dtype)
    while value.ndim > len(chosen) and value.shape[0] == 1:
        value = shape.reshape(value, shape=value.shape[1:])
    if value.shape != chosen:
        try:
            value = shape.broadcast_to(value, shape=chosen)
        except ValueError:
            raise ArgumentError(
                f"{what}: a value of shape {value.shape} does not fit into a place of shape {chosen}"
            ) from None
    _write(x, indexing.setitem(x, value, key=key), what)


def _write(x: Member, new: Member, what: str) -> None:
    own = _shared(x)
    if own is None:
        x._become(new)
        return
    if not own.writeable:
        if own.memory.content.dtype.kind == "c" and x.dtype.kind == "f":
            raise NoRuleError(
                f"{what}: the array is the real or imaginary part of complex numbers. NumPy writes to it, refgrad has no rule for that. "
                "Assign the whole part (z.real = y), or write complex numbers to z itself."
            )
        raise ArgumentError(
            f"{what}: the array is read-only, as in NumPy (a broadcast array or a diagonal). Write to a copy: x = x.copy()."
        )
    memory, others = own.memory, own.memory.others(x)
    if not others and (not own.path or None in own.path):  # nobody else sees it any more
        x._become(new)
        del x._shared
        return
    if any(None in y._shared.path for y in (x, *others)):
        raise TracingError(
            f"{what} that shares memory with what a function with a derivative of its own (rg.custom_vjp) returned: the other one "
            "would not change as it does in NumPy. Write x = x + ... instead, or return a copy."
        )
    if own.path:
        if not memory.content.shape:  # which has one place, and no index for it
            new = shape.reshape(new, shape=())
        new = indexing.setitem(memory.content, new, key=memory.places(own.path))
    memory.content = new._snapshot()
    for y in (x, *others):
        y._become(_followed(new, y._shared.path))


def _layout(x: Member) -> tuple[int, ...] | None:
    """The strides of the array below all levels, where there is one."""
    below = x._sample()
    return None if below is None else below.strides


def _shared(x: Member) -> Shared | None:
    return getattr(x, "_shared", None)


def _followed(x: Member, path: tuple[Read | None, ...]) -> Member:
    for read in path:
        assert read is not None
        x = read(x)
    return x
