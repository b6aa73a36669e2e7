"""What the front ends share: registration that refuses out=, operands, axes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad import dispatch
from refgrad.errors import TracingError
from refgrad.op import Traced

Array = Any
Function = Callable[..., Any]


def implements(*functions: Function) -> Callable[[Function], Function]:
    """Register a composition as the meaning of NumPy functions on traced arrays; its parameter ``out`` must stay None."""

    def register(composition: Function) -> Function:
        names = list(inspect.signature(composition).parameters)
        front = _without_out(composition, names.index("out")) if "out" in names else composition
        dispatch.implements(*functions)(front)
        return composition

    return register


def _without_out(composition: Function, place: int) -> Function:
    @functools.wraps(composition)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None or (len(args) > place and args[place] is not None):
            raise TracingError(
                f"np.{composition.__name__}(out=...) would write a traced result in place: leave out= away and use the returned array."
            )
        return composition(*args, **kwargs)

    return call


def operand(x: Any) -> Array:
    """An array, traced or not; a sequence that holds traced numbers is stacked."""
    if isinstance(x, (list, tuple)):
        return np.stack([operand(e) for e in x]) if _holds_traced(x) else np.asarray(x)
    return x if isinstance(x, (Traced, np.ndarray)) else np.asarray(x)


def _holds_traced(x: Any) -> bool:
    return isinstance(x, Traced) or (isinstance(x, (list, tuple)) and any(_holds_traced(e) for e in x))


def axes_within(axis: Any, ndim: int, what: str = "axis") -> tuple[int, ...]:
    """The axes as non-negative numbers. Raises NumPy's AxisError for one that is not there."""
    axes = tuple([int(a) for a in axis]) if isinstance(axis, (tuple, list)) else (int(axis),)
    for a in axes:
        if not -ndim <= a < ndim:
            raise np.exceptions.AxisError(a, ndim, what)
    return tuple([a % ndim for a in axes])


def given(keepdims: Any) -> bool:
    """keepdims as a boolean; NumPy's marker of an argument left away means False."""
    return keepdims is not np._NoValue and bool(keepdims)
