"""What stands in for NumPy's functions in differentiated code, where NumPy asks no argument for its protocols.

NumPy asks the arguments of a call for their protocols, but not the entries of a list, not all keywords, and in np.array and np.arange not
even the first argument. A stand-in does what the function does, for traced arrays in these places too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.op import BY_FUNCTION, Traced
from refgrad.tracing.assembling import CONVERSIONS, assembled, converted, scalar_or_array
from refgrad.tracing.creation import full
from refgrad.tracing.differentiable_arguments import SEQUENCES, holds_traced
from refgrad.tracing.dispatch import FUNCTIONS, GUARDS, call_function, plain
from refgrad.tracing.levels import innermost
from refgrad.tracing.shown_numbers import refuse_read_back
from refgrad.tracing.texts import Formatted

Function = Callable[..., Any]

KINDS = (np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128, np.clongdouble)
# Functions of a sequence of arrays, which may have different shapes, or that return it or a part. All others take one array in its place.
OF_SEQUENCES = frozenset({
    np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.select, np.choose, np.piecewise,
    np.linalg.multi_dot, np.histogramdd, np.histogram2d, np.diff, np.trim_zeros,
})  # fmt: skip
METHODS_OF_UFUNCS = ("reduce", "accumulate", "reduceat", "outer")
# By a function of NumPy that asks none of its arguments for a protocol: what it means. refgrad/functions/undispatched.py fills the table.
UNDISPATCHED: dict[Function, Function] = {np.full: full}


@functools.cache
def functions() -> dict[int, tuple[Any, Any]]:
    """By the id of a function of NumPy: itself and its stand-in."""
    known: dict[int, tuple[Any, Any]] = {}
    for function in {*FUNCTIONS, *BY_FUNCTION}:
        known[id(function)] = (
            function,
            _of_ufunc(function) if isinstance(function, np.ufunc) else _of_lists(function),
        )
    for function in CONVERSIONS:
        known[id(function)] = function, _conversion(function, functools.partial(converted, function))
    for kind in KINDS:
        known[id(kind)] = kind, _conversion(kind, functools.partial(scalar_or_array, kind))
    for function, meaning in UNDISPATCHED.items():
        known[id(function)] = function, meaning
    return known


def is_always_led(function: Function) -> bool:
    """Whether each call of ``function`` leads to its stand-in: NumPy asks for no protocol of what is usually computed in the call."""
    return (
        function in CONVERSIONS
        or function in OF_SEQUENCES
        or function in UNDISPATCHED
        or function is np.full_like
    )


def stands_for(*functions: Function) -> Callable[[Function], Function]:
    """Register the meaning of functions of NumPy that ask none of their arguments for a protocol."""

    def register(meaning: Function) -> Function:
        UNDISPATCHED.update(dict.fromkeys(functions, meaning))
        return meaning

    return register


def _of_ufunc(ufunc: np.ufunc) -> Function:
    """A ufunc and its methods."""
    call = _of_lists(ufunc, protocol=True)
    for name in METHODS_OF_UFUNCS:
        setattr(call, name, _of_lists(getattr(ufunc, name), protocol=True))
    return call


def _of_lists(function: Function, *, protocol: bool = False) -> Function:
    """``function``, which may have traced arrays in lists and in arguments of which NumPy does not ask for protocols.

    ``protocol`` says whether NumPy asks all of its arguments.
    """
    sequences = function in OF_SEQUENCES
    guard = GUARDS.get(function)
    known = None if guard is None else guard.rules | guard.values

    def call(*args: Any, **kwargs: Any) -> Any:
        listed = False
        for x in (*args, *[x for name, x in kwargs.items() if name != "out"]) if kwargs else args:
            if issubclass(type(x), SEQUENCES) and holds_traced(x):
                listed = True
                break
        if not listed and (
            protocol or (args and isinstance(args[0], Traced)) or not _are_traced(args, kwargs)
        ):
            return function(*args, **kwargs)  # NumPy asks the first argument
        if listed and not sequences:
            args = tuple(map(_one_array, args))
            kwargs = {
                name: _one_array(x) if name != "out" and (known is None or name in known) else x
                for name, x in kwargs.items()
            }
        return function(*args, **kwargs) if protocol else call_function(function, args, kwargs)

    return call


def _are_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(x, Traced) for x in (*args, *kwargs.values()))


def _one_array(x: Any) -> Any:
    return assembled(x) if issubclass(type(x), SEQUENCES) and holds_traced(x) else x


def _conversion(function: Function, meaning: Function) -> Function:
    """``function``, which converts its first argument; of traced arrays and lists of them, what ``meaning`` makes."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if args and (
            isinstance(args[0], Traced) or (issubclass(type(args[0]), SEQUENCES) and holds_traced(args[0]))
        ):
            return meaning(*args, **{name: x for name, x in kwargs.items() if name != "like"})
        try:
            y = function(*args, **kwargs)
        except ValueError:  # an object of a class with __array__ may hold a traced array
            made = args[0].__array__() if args and hasattr(type(args[0]), "__array__") else None
            if not isinstance(made, Traced):
                raise
        else:
            if args and (
                isinstance(args[0], (str, bytes)) or (type(y) is np.ndarray and y.dtype.kind in "US")
            ):
                _refuse_texts(function, args[0])
            return y
        return meaning(made, *args[1:], **{name: x for name, x in kwargs.items() if name != "like"})

    call.__name__ = function.__name__  # as messages name it
    return call


def _refuse_texts(function: Function, x: Any) -> None:
    """Raise TracingError where x is, or holds, a text that shows a traced number: as an array it may become a number again."""
    if isinstance(x, (list, tuple)):
        for e in x:
            _refuse_texts(function, e)
    else:
        refuse_read_back(x, f"np.{function.__name__}(text)")


def text_of(function: Function) -> Function:
    """``function`` of the plain numbers: a text, which no number is to be read out of."""

    def call(*args: Any, **kwargs: Any) -> Any:
        x = innermost([*args, *kwargs.values()])
        y = function(*map(plain, args), **{name: plain(e) for name, e in kwargs.items()})
        return y if x is None else Formatted(y, x._levels())

    return call
