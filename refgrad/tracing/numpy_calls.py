"""Names of NumPy in differentiated code: where they lead, for calls that NumPy does not dispatch.

In the code of a differentiated function (see reached_functions.py) ``np.sum(...)`` loads ``__refgrad_name_np__.sum``, and ``sum(...)``
after ``from numpy import sum`` loads ``__refgrad_name_sum__``. Both look up the name that the program gave, when it is used, so a program
may bind it anew. They lead to a stand-in of the function (stand_ins.py) or to a copy of what NumPy wrote in Python (numpy_copies.py). While
no transformation runs, the result is what the program named itself.
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
from refgrad.tracing import numpy_copies, stand_ins
from refgrad.tracing.redirected_names import arguments, calls, computes_one_value, displays_list, unpacks
from refgrad.tracing.shown_numbers import READERS

Function = Callable[..., Any]

# Python functions and classes of NumPy that ask for no protocol.
_COPIED = (np.asarray_chkfinite, np.ndenumerate, np.vectorize)
# Their instances, such as np.r_, np.mgrid and what np.vectorize decorates, are copied when they are used.
_INSTANCES = (np.vectorize, *type(np.r_).__mro__[-2:-1], *type(np.mgrid).__mro__[-2:-1])


class _Name:
    """What a program finds under a global name: a module of NumPy, a function or an object."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = _bound(sys._getframe(1), self._name)
        if not RUNS:
            return getattr(found, attribute)
        return _standing_for(getattr(found if type(found) is ModuleType else _standing_for(found), attribute))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = _bound(sys._getframe(1), self._name)
        if RUNS or found is eval:  # eval looks at the code that calls it, which its stand-in finds
            found = _standing_for(found)
        return found(*args, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        found = _bound(sys._getframe(1), self._name)
        return (_standing_for(found) if RUNS else found)[key]


class _Inner:
    """A module inside NumPy, such as np.linalg."""

    __slots__ = ("_module",)

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, attribute: str) -> Any:
        return _standing_for(getattr(self._module, attribute))


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
    if known is not None:
        return known[1]
    if isinstance(found, ModuleType):
        return _Inner(found) if found.__name__.partition(".")[0] == "numpy" else found
    if issubclass(type(found), _INSTANCES):  # without a question to the object
        return numpy_copies.copied(found)
    if not _of_polynomials(found):
        return found
    known = _copies().get(id(found))
    if known is not None:
        return known[1]
    return numpy_copies.copied(found) if id(type(found)) in _copies() else found


@functools.cache
def _stand_ins() -> dict[int, tuple[Any, Any]]:
    """By the id of a function or class of NumPy: itself and its stand-in."""
    known = {**stand_ins.functions(), **READERS}
    for function in _COPIED:
        known[id(function)] = function, numpy_copies.copied(function)
    return known


def _of_polynomials(found: Any) -> bool:
    """Whether ``found`` is a function, class or object of np.polynomial."""
    return str(getattr(found, "__module__", "")).startswith("numpy.polynomial")


@functools.cache
def _copies() -> dict[int, tuple[Any, Any]]:
    """By the id of a public function or class of np.polynomial: itself and its copy."""
    names = ("chebyshev", "hermite", "hermite_e", "laguerre", "legendre", "polynomial", "polyutils")
    public = [(module, name) for module in names for name in getattr(np.polynomial, module).__all__]
    found = [getattr(getattr(np.polynomial, module), name) for module, name in public]
    return {id(x): (x, numpy_copies.copied(x)) for x in found if callable(x)}


def _is_operand(found: Any, steps: Sequence[Instruction], k: int) -> bool:
    """Whether the polynomial or vectorized function that the instruction at place k loads is neither called nor asked for an attribute."""
    if not issubclass(type(found), (np.vectorize, *_polynomials())):
        return False
    return not calls(steps, k, k) and steps[k + 1].opname not in _ATTRIBUTES


def _polynomials() -> tuple[type, ...]:
    return tuple([found for found, _ in _copies().values() if isinstance(found, type)])


def stand_in(found: Any, steps: Sequence[Instruction], k: int) -> str | None:
    """The name of a stand-in of ``found``, what the LOAD_GLOBAL at place k loads; None where no function of NumPy's is called there."""
    name, last = steps[k].argval, k
    if isinstance(found, ModuleType):
        while isinstance(found, ModuleType) and steps[last + 1].opname in _ATTRIBUTES:
            last += 1
            found = _member(found, steps[last].argval)
    if isinstance(found, ModuleType) or (id(found) in READERS and not calls(steps, k, last)):
        return None
    if id(found) in stand_ins.functions():
        method = isinstance(found, np.ufunc) and steps[last + 1].argval in stand_ins.METHODS_OF_UFUNCS
        if not calls(steps, k, last + method):
            return None
        if not (method or unpacks(steps, k, last) or _may_have_lists(found, arguments(steps, k, last))):
            return None
    elif _standing_for(found) is found or (last == k and _is_operand(found, steps, k)):
        return None
    place = f"__refgrad_name_{name}__"
    if not hasattr(builtins, place):
        setattr(builtins, place, _Name(name))
    return place


_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


def _member(module: ModuleType, name: str) -> Any:
    """What code finds under a name of a module. NumPy imports some of its modules when they are named."""
    return getattr(module, name, None) if module is np else vars(module).get(name)


def _may_have_lists(function: Function, given: Sequence[Instruction] | None) -> bool:
    """Whether a call of ``function`` may need its stand-in, which costs as much as a ufunc of a number. ``given`` compute its arguments.

    An elementwise function does where a list stands in the call itself; any other one unless its last argument is a result of an operator.
    """
    if isinstance(function, np.ufunc):
        return given is not None and displays_list(given)
    return stand_ins.is_always_led(function) or given is None or not computes_one_value(given)
