"""New arrays like a traced one: np.zeros(n, like=x) and NumPy's other functions with the argument ``like``.

NumPy hands the call to the array of ``like``, without that argument. The new array belongs to the transformation of x, with a derivative of
zero, so that a program may write traced numbers into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.op import Traced
from refgrad.tracing.assembling import CONVERSIONS, assembled, converted
from refgrad.tracing.differentiable_arguments import holds_traced

Function = Callable[..., Any]
_MAKERS: tuple[Any, ...] = (
    *(np.zeros, np.ones, np.empty, np.full, np.eye, np.identity, np.arange, np.tri),
    *(np.fromfunction, np.fromiter, np.frombuffer, np.fromstring, np.require),
)
LIKE = frozenset((*_MAKERS, *CONVERSIONS))


def like(x: Any, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``function(*args, **kwargs, like=x)`` for a traced array x and a function of LIKE.

    Raises TypeError for a traced number, as NumPy does for a number.
    """
    if x._scalar:
        raise TypeError(
            "The `like` argument must be an array-like that implements the `__array_function__` protocol. A number does not: write "
            "np.zeros_like(x, shape=shape), np.full_like(x, value, shape=shape)."
        )
    if function in CONVERSIONS and args and holds_traced(args[0]):
        return converted(function, *args, **kwargs)
    y = full(*args, **kwargs) if function is np.full else function(*args, **kwargs)
    fits = not isinstance(y, Traced) and isinstance(y, np.ndarray) and y.dtype.kind == "f"
    return x._constant(y) if fits else y


def full(shape: Any, fill_value: Any, *args: Any, **kwargs: Any) -> Any:
    """np.full, whose number may be traced."""
    if not holds_traced(fill_value):
        return np.full(shape, fill_value, *args, **kwargs)
    kwargs.pop("like", None)  # the number belongs to a transformation already
    number: Any = fill_value if isinstance(fill_value, Traced) else assembled(fill_value)
    full_like: Function = np.full_like
    return full_like(number, number, *args, shape=shape, **kwargs)
