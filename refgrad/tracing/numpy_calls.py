"""Stand-ins of NumPy's functions in differentiated code, for calls that NumPy does not dispatch: traced arrays in a list, np.array(x).

NumPy asks the arguments of a call for their protocols, but not the entries of a list, and np.array not even its argument. In the code of a
differentiated function (see reached_functions.py) ``np.sum(...)`` therefore loads ``__refgrad_module_np__.sum``, and ``sum(...)`` after
``from numpy import sum`` loads ``__refgrad_function_sum__``. Both look up the name that the program gave, when it is used, so a program may
bind it anew. While no transformation runs, the result is what the program named itself.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Sequence
from dis import Instruction
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from refgrad.errors import RUNS
from refgrad.op import BY_FUNCTION, Traced
from refgrad.tracing.assembling import CONVERSIONS, assembled, converted, scalar_or_array
from refgrad.tracing.creation import full
from refgrad.tracing.differentiable_arguments import holds_traced
from refgrad.tracing.dispatch import FUNCTIONS, GUARDS, call_function
from refgrad.tracing.redirected_names import arguments, calls, computes_one_value, displays_list

Function = Callable[..., Any]

KINDS = (np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128, np.clongdouble)
# Functions of a sequence of arrays, which may have different shapes, or that return it or a part. All others take one array in its place.
OF_SEQUENCES = frozenset({
    np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.select, np.choose, np.piecewise,
    np.linalg.multi_dot, np.histogramdd, np.histogram2d, np.diff, np.trim_zeros,
})  # fmt: skip
_SEQUENCES = frozenset({list, tuple})


class _Module:
    """A module of NumPy under its name in a program."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(_bound(sys._getframe(1), self._name), attribute)
        return _standing_for(found) if RUNS else found


class _Inner:
    """A module inside NumPy, such as np.linalg."""

    __slots__ = ("_module",)

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, attribute: str) -> Any:
        return _standing_for(getattr(self._module, attribute))


class _Function:
    """A function of NumPy under its name in a program."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = _bound(sys._getframe(1), self._name)
        return (_standing_for(found) if RUNS else found)(*args, **kwargs)


def _bound(frame: FrameType, name: str) -> Any:
    """What a program's code finds under a global name."""
    try:
        return frame.f_globals[name]
    except KeyError:
        if name in frame.f_builtins:
            return frame.f_builtins[name]
        raise NameError(f"name {name!r} is not defined", name=name) from None


def _standing_for(found: Any) -> Any:
    known = _stand_ins().get(id(found))
    return found if known is None else known[1]


@functools.cache
def _stand_ins() -> dict[int, tuple[Any, Any]]:
    """By the id of a function or module of NumPy: itself and its stand-in."""
    known: dict[int, tuple[Any, Any]] = {}
    for function in {*FUNCTIONS, *BY_FUNCTION}:
        known[id(function)] = function, _of_lists(function)
    for function in CONVERSIONS:
        known[id(function)] = function, _conversion(function, functools.partial(converted, function))
    for kind in KINDS:
        known[id(kind)] = kind, _conversion(kind, functools.partial(scalar_or_array, kind))
    known[id(np.full)] = np.full, full
    for module in (np.linalg, np.fft, np.emath):
        known[id(module)] = module, _Inner(module)
    return known


def _of_lists(function: Function) -> Function:
    """``function``, which may have traced arrays in lists."""
    sequences = function in OF_SEQUENCES
    guard = GUARDS.get(function)
    known = None if guard is None else guard.rules | guard.values

    def call(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if type(x) in _SEQUENCES and holds_traced(x):
                break
        else:
            if not kwargs or not any(type(x) in _SEQUENCES and holds_traced(x) for x in kwargs.values()):
                return function(*args, **kwargs)
        if sequences:
            return call_function(function, args, kwargs)
        named = {name: _one_array(x) if known is None or name in known else x for name, x in kwargs.items()}
        return function(*map(_one_array, args), **named)

    return call


def _one_array(x: Any) -> Any:
    return assembled(x) if type(x) in _SEQUENCES and holds_traced(x) else x


def _conversion(function: Function, meaning: Function) -> Function:
    """``function``, which converts its first argument; of traced arrays and lists of them, what ``meaning`` makes."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if args and (isinstance(args[0], Traced) or (type(args[0]) in _SEQUENCES and holds_traced(args[0]))):
            return meaning(*args, **{name: x for name, x in kwargs.items() if name != "like"})
        return function(*args, **kwargs)

    return call


def stand_in(found: Any, steps: Sequence[Instruction], k: int) -> str | None:
    """The name of a stand-in of ``found``, what the LOAD_GLOBAL at place k loads; None where no function of NumPy's is called there."""
    name, last = steps[k].argval, k
    if isinstance(found, ModuleType):
        while isinstance(found, ModuleType) and steps[last + 1].opname in {"LOAD_ATTR", "LOAD_METHOD"}:
            last += 1
            found = vars(found).get(steps[last].argval)
    if id(found) not in _stand_ins() or isinstance(found, ModuleType) or not calls(steps, k, last):
        return None
    if not _may_have_lists(found, arguments(steps, k, last)):
        return None
    kind = _Function if last == k else _Module
    place = f"__refgrad{kind.__name__.lower()}_{name}__"
    if not hasattr(builtins, place):
        setattr(builtins, place, kind(name))
    return place


def _may_have_lists(function: Function, given: Sequence[Instruction] | None) -> bool:
    """Whether a call of ``function`` may need its stand-in, which costs as much as a ufunc of a number. ``given`` compute its arguments.

    An elementwise function does where a list stands in the call itself; any other one unless its argument is a result of an operator.
    """
    if isinstance(function, np.ufunc):
        return given is not None and displays_list(given)
    return (
        function in CONVERSIONS or function in OF_SEQUENCES or given is None or not computes_one_value(given)
    )
