"""``type(x)`` in a differentiated function: the class that NumPy has there, as ``x.__class__`` and ``isinstance`` say it.

``type(x)`` itself is the class of the traced array: ``type(x) is float`` and ``TABLE[type(x)]`` would take another branch than in the
plain program, without an error. So where the code of a function calls ``type``, the call is redirected to ``kind_of``, which differs from
``type`` for traced arrays alone. Line numbers and names do not change. This holds for the function itself and for what it reaches:
functions and classes by their global names, in its closure and in the modules that it names, unless they belong to the standard library,
to NumPy or to torch.
"""

from __future__ import annotations

import builtins
import dis
import functools
import sys
import weakref
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from refgrad.op import Traced

NAME = "__refgrad_kind_of__"  # among the builtins: code of any module finds it
_FOREIGN = {*sys.stdlib_module_names, "numpy", "torch", "scipy", "pytest", "_pytest", "hypothesis"} - {
    "__main__"
}
_KNOWN: dict[int, weakref.ref[CodeType]] = {}  # code that was looked at, with the functions that it names


def kind_of(*args: Any, **kwargs: Any) -> Any:
    """``type(*args)``; of a traced array, the class that NumPy has there."""
    if len(args) == 1 and not kwargs and issubclass(type(args[0]), Traced):
        return args[0].__class__
    return type(*args, **kwargs)


setattr(builtins, NAME, kind_of)


def follow(f: Any) -> None:
    """Lead ``type`` to ``kind_of`` in f and the functions that it reaches. Costs a look into a table where that is done."""
    if type(f) is FunctionType and f.__closure__ is None and id(f.__code__) in _KNOWN:
        return
    waiting: list[Any] = [f]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        function = _function(found)
        if function is None or id(function) in seen:
            continue
        seen.add(id(function))
        for cell in function.__closure__ or ():
            held = _held(cell)
            if type(held) not in _NO_FUNCTIONS:
                waiting += _inside(held)
        code = function.__code__
        if id(code) in _KNOWN or _package(function) in _FOREIGN:
            continue
        _remember(code)
        if _package(function) == "refgrad":
            continue
        if function.__globals__.get("type", builtins.type) is builtins.type:
            led = _led(code)
            if led is not code:
                function.__code__ = led
                _remember(led)
        waiting += _named(function)
        if found is not function:
            waiting += _members(type(getattr(found, "__self__", found)))


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
        elif isinstance(f, (Traced, type, ModuleType)):
            return None
        elif "__wrapped__" in getattr(f, "__dict__", {}):  # functools.lru_cache
            f = f.__wrapped__
        else:
            call = next((vars(c)["__call__"] for c in type(f).__mro__ if "__call__" in vars(c)), None)
            return call if type(call) is FunctionType else None
    return f


def _package(function: FunctionType) -> str:
    return str(function.__globals__.get("__name__", "")).partition(".")[0]


def _held(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _remember(code: CodeType) -> None:
    key = id(code)
    _KNOWN[key] = weakref.ref(code, lambda _: _KNOWN.pop(key, None))


def _named(function: FunctionType) -> Iterator[Any]:
    """What a function's code names: its globals, and the members of modules among them. The methods of a class one by one."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    for name in names:
        found = function.__globals__.get(name)
        members = (
            [vars(found)[n] for n in names & vars(found).keys()] if isinstance(found, ModuleType) else [found]
        )
        for member in members:
            yield from _members(member) if isinstance(member, type) else _inside(member)


def _members(kind: type) -> list[Any]:
    """The methods of a class of somebody's own."""
    own = str(kind.__module__).partition(".")[0] not in {*_FOREIGN, "refgrad"}
    return [getattr(m, "__func__", m) for m in vars(kind).values()] if own else []


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _led(code: CodeType) -> CodeType:
    """The same code with each call of the global ``type`` led to ``kind_of``; the code itself where there is none."""
    constants = tuple([_led(c) if isinstance(c, CodeType) else c for c in code.co_consts])
    if any(a is not b for a, b in zip(constants, code.co_consts, strict=True)):
        code = code.replace(co_consts=constants)
    uses = [
        step for step in dis.get_instructions(code) if step.argval == "type" and step.opcode in dis.hasname
    ]
    calls = [step.offset for step in uses if step.opname == "LOAD_GLOBAL" and "NULL" in step.argrepr]
    if not calls:
        return code
    if len(calls) == len(uses):  # the name has no other use
        return code.replace(co_names=tuple([NAME if name == "type" else name for name in code.co_names]))
    argument = len(code.co_names) << 1 | 1  # the lowest bit: it is called next
    text = bytearray(code.co_code)
    for place in calls:
        if argument > 0xFF or text[place - 2] == dis.opmap["EXTENDED_ARG"]:
            return code  # a function of more than a hundred names that has one called ``type`` besides
        text[place + 1] = argument
    return code.replace(co_code=bytes(text), co_names=(*code.co_names, NAME))
