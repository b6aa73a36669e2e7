"""The bytecode instruction that calls a method of a traced array, as ``dis`` names it.

Python calls one method for several purposes, some of which lose no derivative: ``"%f" % x`` and ``math.sin(x)`` both call ``__float__``.
"""

from __future__ import annotations

import dis
import functools
import sys
from types import CodeType

_NO_STEPS = frozenset({"PRECALL", "CACHE", "EXTENDED_ARG", "PUSH_NULL", "RESUME"})
_ITEM_NAMES = frozenset({"__setitem__", "setitem"})  # of the method, and of its function in ``operator``
Step = tuple[str, object]  # the name of an instruction and its argument


@functools.lru_cache(maxsize=256)
def _steps(code: CodeType, offset: int) -> tuple[Step, ...]:
    """The instruction at ``offset`` and the four before it, the latest first."""
    found: list[Step] = []  # a function is loaded before its arguments
    for step in dis.get_instructions(code):
        if step.offset > offset:
            break
        if step.offset == offset or step.opname not in _NO_STEPS:
            found.append((step.opname, step.argrepr if step.opname == "BINARY_OP" else step.argval))
    return tuple(found[:-6:-1])


def formats() -> bool:
    """Whether the caller of the calling method evaluates ``text % x``."""
    name, argument = _now()[0]
    return name == "BINARY_OP" and argument in {"%", "%="}


def templates() -> tuple[str, ...]:
    """The literal texts with a percent sign in ``text % x``, which the caller of the calling method evaluates; () where it names none."""
    frame = sys._getframe(2)
    return _templates(frame.f_code, frame.f_lasti)


@functools.lru_cache(maxsize=256)
def _templates(code: CodeType, offset: int) -> tuple[str, ...]:
    steps = [step for step in dis.get_instructions(code) if step.offset <= offset]
    at = steps[-1].positions
    if at is None or at.lineno is None:
        return ()
    begin = (at.lineno, at.col_offset or 0)
    found = []
    for step in steps:
        where, text = step.positions, step.argval
        if where is None or where.lineno is None or (where.lineno, where.col_offset or 0) < begin:
            continue
        text = text.decode("latin-1") if isinstance(text, bytes) else text
        if "CONST" in step.opname and isinstance(text, str) and "%" in text:
            found.append(text)
    return tuple(found)


def looks_for_member() -> bool:
    """Whether the caller of the calling method evaluates ``x in container``."""
    return _now()[0][0] == "CONTAINS_OP"


def writes() -> bool:
    """Whether the caller of the calling method evaluates ``array[key] = x``, or ``array[key] += x``."""
    return _now()[0][0] in {"STORE_SUBSCR", "STORE_SLICE"}


def within_a_call() -> bool:
    """Whether code in C that its caller calls asks for this method, and not the caller itself by one of its names."""
    frame = sys._getframe(2)
    (name, _), *_ = _steps(frame.f_code, frame.f_lasti) or (("", None),)
    return "CALL" in name and not _ITEM_NAMES.intersection(frame.f_code.co_names)


def asks_for_attribute(name: str) -> bool:
    """Whether the method was called by ``hasattr(x, name)`` or ``getattr(x, name, default)``, the name being a literal."""
    now, *before = _now()
    return "CALL" in now[0] and ("LOAD_CONST", name) in before[:3]


def only_asks() -> bool:
    """Whether the caller of the calling method evaluates ``hasattr(x, name)``."""
    now, *before = _now()
    return "CALL" in now[0] and any(argument == "hasattr" for _, argument in before)


def mentions(*names: str) -> bool:
    """Whether one of the last instructions of the caller of the calling method loads one of these names."""
    return any(argument in names for _, argument in _now())


def caller() -> str:
    """The name of the module whose code called the calling method."""
    return str(sys._getframe(2).f_globals.get("__name__", ""))


def _now() -> tuple[Step, ...]:
    frame = sys._getframe(3)  # the function above, the method that asks, its caller
    return _steps(frame.f_code, frame.f_lasti) or (("", None),)
