"""NumPy's functions that ask none of their arguments for a protocol: np.arange, np.kaiser, np.poly1d of a list, texts of numbers and more.

Three questions of the module math are beside them. A differentiated function calls them by their names; see tracing/numpy_calls.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.functions.registry import operand
from refgrad.op import Traced
from refgrad.ops.shape import cast
from refgrad.tracing.assembling import converted
from refgrad.tracing.differentiable_arguments import holds_traced, plain
from refgrad.tracing.levels import innermost
from refgrad.tracing.numpy_copies import copied
from refgrad.tracing.stand_ins import stands_for, text_of


@stands_for(np.arange)
def arange(*args: Any, **kwargs: Any) -> Any:
    """np.arange, whose numbers may be traced: start + k * step. How many there are is a constant, and so is the end."""
    like = kwargs.pop("like", None)
    if not holds_traced((args, kwargs)):
        return np.arange(*args, **kwargs, like=like)
    due = np.arange(*map(plain, args), **{name: plain(x) for name, x in kwargs.items()})
    if due.dtype.kind != "f":
        return due
    names = ("stop",) if len(args) == 1 and "stop" not in kwargs else ("start", "stop", "step")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    zero = innermost((args, kwargs))._constant(np.zeros(()))
    # As NumPy rounds: the first two numbers to the dtype, and the others are computed from them, half ones in float32.
    start, second = [
        cast(x, due.dtype)
        for x in (zero + given.get("start", 0), zero + given.get("start", 0) + given.get("step", 1))
    ]
    work = np.promote_types(due.dtype, np.int16)
    first, following = cast(start, work), cast(second, work) - cast(start, work)
    later = first + np.arange(2, len(due)).astype(work) * following
    return np.concatenate([np.stack([start, second])[: len(due)], cast(later, due.dtype)])


@stands_for(np.lib.stride_tricks.as_strided)
def as_strided(x: Any, *args: Any, **kwargs: Any) -> Array:
    """np.lib.stride_tricks.as_strided of plain arrays. Raises NoRuleError for a traced one."""
    if isinstance(x, Traced):
        raise NoRuleError(
            f"np.lib.stride_tricks.as_strided of a traced array of shape {x.shape} has no rule: it reads memory by strides. Write "
            "np.lib.stride_tricks.sliding_window_view(x, n), or an index: x[np.arange(m)[:, None] + np.arange(n)]."
        )
    return np.lib.stride_tricks.as_strided(x, *args, **kwargs)


@stands_for(np.fromiter)
def from_iterator(iter: Iterable[Any], dtype: Any, count: int = -1, **kwargs: Any) -> Any:  # noqa: A002 - NumPy's name
    """np.fromiter, whose numbers may be traced."""
    entries = list(iter if count < 0 else itertools.islice(iter, count))
    due = np.fromiter([plain(x) for x in entries], dtype, count, **kwargs)
    return converted(np.array, entries, due.dtype) if holds_traced(entries) else due


@stands_for(np.kaiser)
def kaiser(M: float, beta: Any) -> Array:
    """np.kaiser, whose shape beta may be traced. Raises NoRuleError for a traced number of points."""
    if holds_traced(M):
        raise NoRuleError(
            f"np.kaiser: argument M is a traced number, and the number of points has no derivative. {_PLAIN}"
        )
    if not holds_traced(beta) or M == 1:
        return np.kaiser(M, plain(beta))
    middle = (float(M) - 1) / 2.0
    heights = np.sqrt(1 - ((np.arange(0.0, float(M)) - middle) / middle) ** 2.0)
    return np.i0(operand(beta) * heights) / np.i0(beta)


_PLAIN = "Pass plain numbers there, computed outside the differentiated function."


@stands_for(np.poly1d)
def poly1d(c_or_r: Any, *args: Any, **kwargs: Any) -> Any:
    """np.poly1d, whose coefficients may be traced numbers in a list."""
    return np.poly1d(operand(c_or_r) if type(c_or_r) in (list, tuple) else c_or_r, *args, **kwargs)


@stands_for(np.require)
def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """np.require, whose array may be traced; it then belongs to its own transformation, whatever ``like`` is."""
    if not holds_traced(a):
        return np.require(a, dtype, requirements, like=like)
    return copied(np.require)(a, dtype, requirements)


def _truth(function: Callable[[Any], bool], numpys: np.ufunc) -> Callable[[Any], bool]:
    """A question of the module math, which would ask a traced number for a plain one. The answer has no derivative."""

    def call(x: Any, /) -> bool:
        return bool(numpys(x)) if isinstance(x, Traced) and x.shape == () else function(x)

    return call


for _question, _numpys in ((math.isfinite, np.isfinite), (math.isinf, np.isinf), (math.isnan, np.isnan)):
    stands_for(_question)(_truth(_question, _numpys))
for _function in (
    np.format_float_positional, np.format_float_scientific, np.base_repr, np.array2string, np.array_repr, np.array_str,
):  # fmt: skip
    stands_for(_function)(text_of(_function))
