"""The Python functions that a differentiated function reaches, and what their code loads in place of ``type`` and NumPy's functions.

Python offers no protocol for ``type(x)``, and NumPy none for ``np.array([x, y])`` and ``np.sum([x, y])``, where x and y stand in a list. So
the code of a differentiated function loads other names there: ``kind_of`` (type_tests.py) and stand-ins of NumPy's functions
(numpy_calls.py), which differ for traced arrays alone. Line numbers do not change. This holds for the function itself and for what it
reaches: functions, classes and objects by their global names, in its closure, in its defaults and in the modules that it names, unless they
belong to the standard library, to NumPy or to torch.
"""

from __future__ import annotations

import builtins
import functools
import operator
import sys
import weakref
from collections.abc import Iterator, Sequence
from dis import Instruction
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from refgrad.op import Traced
from refgrad.tracing import numpy_calls
from refgrad.tracing.redirected_names import calls, redirected
from refgrad.tracing.shown_numbers import NUMBERS
from refgrad.tracing.type_tests import NAME

_FOREIGN = {*sys.stdlib_module_names, "numpy", "torch", "scipy", "pytest", "_pytest", "hypothesis"} - {
    "__main__"
}
# Code that was looked at, with the functions that it names, by its id: a reference to it, and the code with other names, where it has some.
_KNOWN: dict[int, tuple[weakref.ref[CodeType], CodeType | None]] = {}
# Classes whose methods were looked at, by their id.
_CLASSES: weakref.WeakValueDictionary[int, type] = weakref.WeakValueDictionary()
_ACCESSORS = ("fget", "fset", "func")  # of a property and of functools.cached_property


def follow(f: Any) -> None:
    """Redirect names in f and the functions that it reaches. Costs a look into a table where that is done."""
    if (
        type(f) is FunctionType
        and f.__closure__ is None
        and f.__defaults__ is None
        and _is_known(f)
        and not _helpers(f)
    ):
        return
    waiting: list[Any] = [f]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        function = _function(found)
        if function is None:
            waiting += _members(found)
            continue
        if id(function) in seen:
            continue
        seen.add(id(function))
        for held in (*map(_held, function.__closure__ or ()), *(function.__defaults__ or ())):
            if type(held) not in _NO_FUNCTIONS:
                waiting += _inside(held)
        if _package(function) in _FOREIGN:
            continue
        if _is_known(function):
            waiting += _helpers(function)
            continue
        code = function.__code__
        _remember(code, None)
        if _package(function) == "refgrad":
            continue
        if _builtins_of(function) is vars(builtins):  # where the new names are
            new = redirected(code, functools.partial(_choice, function.__globals__))
            if new is not code:
                function.__code__ = new
                _remember(new, None)
                _remember(code, new)
        waiting += _named(function)
        if found is not function:
            waiting += _members(getattr(found, "__self__", found))


_builtins_of = operator.attrgetter("__builtins__")  # some versions of the type stubs lack this attribute
_NO_FUNCTIONS = frozenset({int, float, bool, str, type(None), np.ndarray, np.float64})
_FEW = 64  # elements of a container in which functions are looked for


def _inside(x: Any) -> Any:
    """x; of a table or a list, the functions in it."""
    if type(x) not in {dict, list, tuple}:
        return (x,)
    if len(x) > _FEW:
        return ()
    return [e for e in (x.values() if type(x) is dict else x) if type(e) is FunctionType]


def _function(f: Any) -> FunctionType | None:
    """The Python function that runs when f is called; None where there is none."""
    while type(f) is not FunctionType:
        if isinstance(f, functools.partial):
            f = f.func
        elif isinstance(f, MethodType):
            f = f.__func__
        elif isinstance(f, np.vectorize):
            f = f.pyfunc
        elif isinstance(f, (Traced, type, ModuleType)):
            return None
        elif "__wrapped__" in getattr(f, "__dict__", {}):  # functools.lru_cache
            f = f.__wrapped__
        else:
            call = next((vars(c)["__call__"] for c in type(f).__mro__ if "__call__" in vars(c)), None)
            return call if type(call) is FunctionType else None
    return f


def _helpers(function: FunctionType) -> list[Any]:
    """The functions that known code finds under its global names now: the program may have bound them anew."""
    space = function.__globals__
    if str(space.get("__name__", "")).partition(".")[0] == "refgrad":
        return []
    return [g for name in function.__code__.co_names if type(g := space.get(name)) is FunctionType]


def _package(function: FunctionType) -> str:
    return str(function.__globals__.get("__name__", "")).partition(".")[0]


def _held(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _is_known(function: FunctionType) -> bool:
    """Whether a function's code was looked at. A function that Python has made once more of the same code gets the other names, too."""
    known = _KNOWN.get(id(function.__code__))
    if known is None:
        return False
    if known[1] is not None:
        function.__code__ = known[1]
    return True


def _remember(code: CodeType, new: CodeType | None) -> None:
    key, forget = id(code), _KNOWN.pop  # which is there when Python ends and takes the module apart
    _KNOWN[key] = weakref.ref(code, lambda _: forget(key, None)), new


def _named(function: FunctionType) -> Iterator[Any]:
    """What a function's code names: its globals, and the members of modules among them. The methods of a class one by one."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    for name in names:
        found = function.__globals__.get(name)
        members = (
            [vars(found)[n] for n in names & vars(found).keys()] if isinstance(found, ModuleType) else [found]
        )
        for member in members:
            yield from _inside(member)


def _members(x: Any) -> list[Any]:
    """What x has as a class of somebody's own, or as an object of one: methods and what computes its properties, inherited ones too."""
    found: list[Any] = []
    for kind in x.__mro__ if isinstance(x, type) else type(x).__mro__:
        own = str(kind.__module__).partition(".")[0] not in {*_FOREIGN, "refgrad"}
        if own and id(kind) not in _CLASSES:
            _CLASSES[id(kind)] = kind
            for member in vars(kind).values():
                found += _inside(getattr(member, "__func__", member))
                found += [f for name in _ACCESSORS if type(f := getattr(member, name, None)) is FunctionType]
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _choice(names: dict[str, Any], steps: Sequence[Instruction], k: int) -> str | None:
    """What the LOAD_GLOBAL at place k is to load in code of a module with these ``names``; None where it stays."""
    name = steps[k].argval
    if name == "type":
        return NAME if names.get(name, type) is type and calls(steps, k, k) else None
    if name in NUMBERS:
        kind, place = NUMBERS[name]
        mapped = k > 0 and steps[k - 1].argval == "map"
        return place if names.get(name, kind) is kind and (mapped or calls(steps, k, k)) else None
    return numpy_calls.stand_in(names.get(name, eval if name == "eval" else None), steps, k)
