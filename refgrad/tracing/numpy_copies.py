"""Copies of NumPy's own Python functions and classes, in which NumPy's names mean what they mean in differentiated code.

np.polynomial, np.vectorize, np.r_ and a few more are plain Python code: NumPy asks none of their arguments for a protocol, converts them to
plain arrays, and writes into arrays that it has made. A copy has the same instructions and other globals. There NumPy's functions are
their stand-ins, and an array that is made while a traced argument is known belongs to the transformation of that argument. NumPy's own
functions stay as they are.
"""

from __future__ import annotations

import builtins
import contextvars
import functools
import inspect
import itertools
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from refgrad.op import Traced
from refgrad.tracing import stand_ins
from refgrad.tracing.assembling import CONVERSIONS
from refgrad.tracing.differentiable_arguments import holds_traced
from refgrad.tracing.levels import innermost

Function = Callable[..., Any]

_MAKERS = (np.empty, np.zeros, np.ones, np.eye, np.identity, np.indices)
# Parameters of np.polynomial that hold coefficients or points: NumPy converts integers there to floats.
_SERIES = frozenset({"c", "c1", "c2", "pol", "r", "x", "y", "w"})
# The innermost traced argument of the copy that runs.
_LIKE: contextvars.ContextVar[Any] = contextvars.ContextVar("like", default=None)
_SPACES: dict[str, dict[str, Any]] = {}  # the globals of copies, by module
_CLASSES: dict[type, type] = {}  # NumPy's classes and their copies


class Names:
    """A module of NumPy, as the code of copies sees it."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        original = getattr(self._module, name)
        package = self._module.__name__.startswith("numpy.polynomial")
        found = _space(self._module)[name] if package else _meaning(original)
        setattr(self, name, found)
        return found


@functools.cache
def names(module: ModuleType) -> Names:
    """The names of a module of NumPy, for copies."""
    return Names(module)


def copied(original: Any) -> Any:
    """The copy of a Python function, class, or instance of a class, of NumPy's."""
    if isinstance(original, type):
        return _class(original)
    function = inspect.unwrap(original)
    if type(function) is FunctionType:
        return _function(function)
    y: Any = object.__new__(_class(type(original)))
    for kind in type(original).__mro__:
        for name in vars(kind).get("__slots__", ()):
            setattr(y, name, getattr(original, name))
    for name, value in getattr(original, "__dict__", {}).items():
        setattr(y, name, {} if type(value) is dict else value)  # np.vectorize keeps a cache
    return y


def _space(module: ModuleType) -> dict[str, Any]:
    """The globals of the copies of a module's functions, which the copies are among."""
    space = _SPACES.get(module.__name__)
    if space is None:
        space = _SPACES[module.__name__] = {}
        space["__builtins__"] = {**vars(builtins), "__import__": _import}
        for name, found in list(vars(module).items()):
            meaning = _meaning(found)
            function = inspect.unwrap(found) if callable(found) else None
            own = (
                isinstance(function, FunctionType)
                and function.__name__ == name
                and function.__globals__ is vars(module)
            )
            if meaning is found and (own or (isinstance(found, type) and _of_polynomials(found))):
                meaning = copied(found)
            space.setdefault(name, meaning)
    return space


def _of_polynomials(kind: type) -> bool:
    return (
        kind.__module__.startswith("numpy.polynomial") and kind not in _KINDS and not inspect.isabstract(kind)
    )


def _import(name: str, given: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """``import`` in a copy: of a module of np.polynomial, its names for copies."""
    found = __import__(name, given, local, fromlist, level)
    return names(found) if found.__name__.startswith("numpy.polynomial") and fromlist else found


def _meaning(found: Any) -> Any:
    """What stands for a global of NumPy's code in copies."""
    if isinstance(found, ModuleType):
        return names(found) if found.__name__.partition(".")[0] == "numpy" else found
    if isinstance(found, (type, np.ufunc)):
        return found
    known = stand_ins.functions().get(id(found))
    meaning = found if known is None else known[1]
    if any(found is function for function in (*_MAKERS, *CONVERSIONS)):
        return _in_transformation(meaning)
    return Loop if found is np.frompyfunc else meaning


def _in_transformation(function: Function) -> Function:
    """``function``, whose arrays of numbers belong to the transformation of the traced argument that is known, if any."""

    def call(*args: Any, **kwargs: Any) -> Any:
        like, x = _LIKE.get(), args[0] if args else None
        if like is not None and (
            type(x) in _KINDS or (isinstance(x, Traced) and kwargs.get("dtype") is object)
        ):
            return x
        y = function(*args, **kwargs)
        return like._constant(y) if like is not None and type(y) is np.ndarray and y.dtype.kind in "fc" else y

    return call


@functools.cache
def _function(original: FunctionType) -> Function:
    """A copy of a function. It tells the arrays that it makes which transformation they belong to."""
    code = original.__code__
    space = _space(sys.modules[original.__globals__["__name__"]])
    copy = FunctionType(code, space, original.__name__, original.__defaults__, original.__closure__)
    copy.__kwdefaults__ = original.__kwdefaults__
    parameters = code.co_varnames[: code.co_argcount]

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        like = innermost([_content(x) for x in (*args, *kwargs.values())])
        if like is not None:
            args = tuple([_admitted(x, p) for p, x in itertools.zip_longest(parameters[: len(args)], args)])
            kwargs = {name: _admitted(x, name) for name, x in kwargs.items()}
        token = _LIKE.set(like)
        try:
            return copy(*args, **kwargs)
        finally:
            _LIKE.reset(token)

    return call


def _content(x: Any) -> Any:
    """The attributes of an instance of a copied class; anything else as it is."""
    return vars(x) if type(x) in _KINDS else x


def _admitted(x: Any, parameter: str | None) -> Any:
    """An argument beside a traced one: a plain polynomial as a copy, and coefficients and points that are integers as floats."""
    if _of_polynomials(type(x)):
        return copied(x)
    if parameter not in _SERIES or (
        type(x) is not np.ndarray and (type(x) not in (list, tuple) or holds_traced(x))
    ):
        return x
    y = np.asarray(x)
    return y.astype(np.double) if y.dtype.kind in "biu" else x


# --- classes ------------------------------------------------------------------------------------------------------------


class Loop:
    """np.frompyfunc inside np.vectorize: a function of numbers, called with each element of arrays."""

    def __init__(self, function: Function, nin: int, nout: int) -> None:
        self.function, self.nin, self.nout = function, nin, nout

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Traced) for x in args):
            dims = np.shape(
                np.frompyfunc(_nothing, self.nin, 1)(*[np.zeros(np.shape(x), bool) for x in args])
            )
            arrays = [np.broadcast_to(_widened(x), dims) for x in args]
            results = [self.function(*[x[k] for x in arrays]) for k in np.ndindex(*dims)]
            parts = list(zip(*results, strict=True)) if self.nout > 1 else [results]
            found = [np.reshape(_array(list(part)), dims) for part in parts]
        else:
            y = np.frompyfunc(self.function, self.nin, self.nout)(*args, **kwargs)
            found = [_joined(part) for part in (y if self.nout > 1 else (y,))]
        return found[0] if self.nout == 1 else tuple(found)


def _nothing(*_: Any) -> None:
    """What is called for the shape of the result, and for NumPy's error where shapes do not fit."""


def _joined(y: Any) -> Any:
    """One traced array of an array of objects, where some are traced numbers."""
    entries = np.ravel(y).tolist()
    return np.reshape(_array(entries), np.shape(y)) if holds_traced(entries) else y


def _widened(x: Any) -> Any:
    """Traced numbers as Python's float has them, which NumPy gives to the function."""
    narrow = isinstance(x, Traced) and x.dtype.itemsize < (16 if x.dtype.kind == "c" else 8)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) if narrow else x


def _array(entries: list[Any]) -> Any:
    return stand_ins.functions()[id(np.array)][1](entries)


def _class(kind: type) -> type:
    """The copy of a class: a subclass with copies of all methods. It counts NumPy's own instances among its own."""
    if kind not in _CLASSES:
        members: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        for base in reversed(kind.__mro__):
            if base.__module__.partition(".")[0] == "numpy":
                members |= {name: _member(m) for name, m in vars(base).items() if isinstance(m, _METHODS)}
        if _of_polynomials(kind):
            members = {**members, **_mixed(members)}
        _CLASSES[kind] = _counting(kind)(kind.__name__, (kind,), members)
        _KINDS.add(_CLASSES[kind])
    return _CLASSES[kind]


_METHODS = (FunctionType, staticmethod, classmethod)
_KINDS: set[type] = set()


def _member(m: Any) -> Any:
    if isinstance(m, (staticmethod, classmethod)):
        return type(m)(_member(m.__func__))
    return _function(m) if type(m) is FunctionType else _meaning(m)


def _counting(kind: type) -> Any:
    """The metaclass of a copy of ``kind``."""

    class Counting(type(kind)):  # type: ignore[misc]  # a metaclass that is known when the program runs
        def __instancecheck__(cls, x: Any) -> bool:
            return isinstance(x, kind)

    return Counting


def _mixed(members: dict[str, Any]) -> dict[str, Any]:
    """Methods of a copy of a polynomial class that also meet NumPy's own polynomials and classes."""

    def reflected(name: str) -> Function:
        def call(self: Any, other: Any) -> Any:
            if type(other) in _CLASSES:
                return getattr(copied(other), name.replace("__r", "__", 1))(self)
            return members[name](self, other)

        return call

    def convert(self: Any, domain: Any = None, kind: Any = None, window: Any = None) -> Any:
        own = isinstance(kind, type) and _of_polynomials(kind)
        return members["convert"](self, domain, copied(kind) if own else kind, window)

    operators = ("__radd__", "__rsub__", "__rmul__", "__rdivmod__", "__rfloordiv__", "__rmod__")
    return {"convert": convert, **{name: reflected(name) for name in operators}}
