"""Methods of ufuncs without an op of their own: reduce, accumulate, reduceat and outer, of every ufunc that has a rule.

NumPy applies a ufunc of two operands along an axis from the first element to the last. The same steps, taken one after the other on traced
arrays, have NumPy's value, and every derivative and bound of the ufunc itself. np.add, np.multiply, np.maximum, np.minimum and
np.logaddexp reduce by an op instead. The running extremes take steps of doubling length, which are exact in any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.functions.registry import axis_within, moved, operand, reduced
from refgrad.op import BY_METHOD
from refgrad.ops.shape import cast, kept
from refgrad.tracing.differentiable_arguments import plain
from refgrad.tracing.dispatch import implements_method

_NONE: Any = np._NoValue
# Of these f(f(a, b), b) is f(a, b), without rounding.
IDEMPOTENT = frozenset({np.maximum, np.minimum, np.fmax, np.fmin})
FIRST = frozenset({np.logaddexp, np.logaddexp2})  # whose identity, -inf, changes no value


@implements_method("reduce")
def reduce(
    ufunc: np.ufunc, x: Array, axis: Any = 0, dtype: Any = None, keepdims: bool = False, initial: Any = _NONE, where: Any = True
) -> Array:  # fmt: skip
    """``ufunc.reduce``: the elements along the axes, one after the other, from the initial value or the first element."""
    _in_steps(ufunc, "reduce")
    x, where = operand(x), plain(where)
    options: dict[str, Any] = {} if initial is _NONE else {"initial": plain(initial)}
    call: Any = ufunc.reduce
    due = np.asarray(call(plain(x), axis, dtype, None, keepdims, where=where, **options))  # raises
    if due.dtype.kind not in "fc":
        return due[()]
    if (ufunc, "reduce") in BY_METHOD and ufunc not in FIRST and initial is not None and initial is not _NONE:
        start = {} if where is True and x.size else {"where": where, "initial": _neutral(ufunc)}
        rest: Array = call(x, axis=axis, dtype=due.dtype, keepdims=keepdims, **start)
        return ufunc(cast(operand(initial), due.dtype), rest)
    rows = _rows(cast(x, _at_work(ufunc, due.dtype)), axis)
    mask = None if where is True else _rows(np.broadcast_to(where, x.shape), axis)
    if (
        initial is _NONE
        and ufunc.identity is not None
        and not (ufunc in FIRST and mask is None and len(rows))
    ):
        initial = ufunc.identity
    steps: list[Array] = list(rows)
    y: Array
    if initial is not _NONE and initial is not None:
        y = np.broadcast_to(cast(operand(initial), rows.dtype), rows.shape[1:])
    else:
        y, *steps = steps
    for k, row in enumerate(steps):
        y = ufunc(y, row) if mask is None else _where(mask[k], ufunc, y, row)
    y = cast(y, due.dtype)
    if keepdims:
        y = y.reshape(kept(x.shape, reduced(axis, x.ndim)))
    return y if y.ndim else y[()]


def _in_steps(ufunc: np.ufunc, method: str) -> None:
    """Raises NoRuleError for the two ufuncs of which NumPy does not take the steps."""
    if ufunc in {np.power, np.arctan2}:
        raise NoRuleError(
            f"np.{ufunc.__name__}.{method} has no rule: with AVX-512, NumPy gives the function of the first and the last element. "
            f"Write a loop of np.{ufunc.__name__}."
        )


def _at_work(ufunc: np.ufunc, dtype: Any) -> Any:
    """The dtype in which NumPy keeps what it has reduced so far."""
    return np.dtype(np.float32) if ufunc in {np.subtract, np.divide} and dtype == np.float16 else dtype


def _neutral(ufunc: Any) -> float:
    """What changes nothing where it is combined with anything."""
    extremes = {np.maximum: -np.inf, np.minimum: np.inf}
    return extremes[ufunc] if ufunc in extremes else float(ufunc.identity)


def _where(mask: Array, ufunc: np.ufunc, y: Array, row: Array) -> Array:
    """``ufunc(y, row)`` where the mask holds, y elsewhere, without a step from what is masked out."""
    safe = np.where(mask, row, 1.0).astype(row.dtype)
    return np.where(mask, ufunc(y, safe), y)


def _rows(x: Array, axis: Any) -> Array:
    """The elements along the axes as a first axis."""
    if x.ndim == 0:
        return x.reshape((1,))
    axes = reduced(axis, x.ndim)
    axes = tuple(range(x.ndim)) if axes is None else axes
    axes = tuple(sorted(axes))
    rest = tuple([k for k in range(x.ndim) if k not in axes])
    return x.transpose(axes + rest).reshape((-1, *[x.shape[k] for k in rest])) if axes else x[None]


@implements_method("accumulate")
def accumulate(ufunc: np.ufunc, x: Array, axis: Any = 0, dtype: Any = None) -> Array:
    """``ufunc.accumulate``: all partial results along an axis."""
    x = operand(x)
    due = ufunc.accumulate(plain(x), axis, dtype)  # raises where NumPy does
    if due.dtype.kind not in "fc":
        return due
    place = _one_axis(axis, x.ndim)
    rows = moved(cast(x, due.dtype), place, 0)
    if not rows.shape[0]:
        return moved(rows, 0, place).copy()
    return moved(_running(ufunc, rows), 0, place)


def _running(ufunc: np.ufunc, rows: Array) -> Array:
    n = rows.shape[0]
    if ufunc in IDEMPOTENT:
        step = 1
        while step < n:  # after each round every element covers twice as many before it
            rows = np.concatenate([rows[:step], ufunc(rows[:-step], rows[step:])])
            step *= 2
        return rows.copy()
    found = [rows[0]]
    for k in range(1, n):
        found.append(ufunc(found[-1], rows[k]))
    return np.stack(found)


@implements_method("reduceat")
def reduceat(ufunc: np.ufunc, x: Array, indices: Any, axis: Any = 0, dtype: Any = None) -> Array:
    """``ufunc.reduceat``: the elements from each index to the next, or the one at the index where the next is not larger."""
    _in_steps(ufunc, "reduceat")
    x, starts = operand(x), np.asarray(plain(indices))
    due = ufunc.reduceat(plain(x), starts, axis, dtype)  # raises where NumPy does
    if due.dtype.kind not in "fc":
        return due
    place = _one_axis(axis, x.ndim)
    rows = moved(cast(x, _at_work(ufunc, due.dtype)), place, 0)
    ends = np.append(starts[1:], len(rows))
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        part = rows[start : max(end, start + 1)]
        if part.shape[0] == 1:
            found.append(part[0])
        else:
            by_op = (ufunc, "reduce") in BY_METHOD and ufunc not in FIRST
            found.append(ufunc.reduce(part, axis=0) if by_op else _running(ufunc, part)[-1])
    return moved(cast(np.stack(found) if found else rows[:0], due.dtype), 0, place)


def _one_axis(axis: Any, ndim: int) -> int:
    first = axis[0] if isinstance(axis, (tuple, list)) else axis
    return 0 if first is None else axis_within(first, ndim)


@implements_method("outer")
def outer(ufunc: np.ufunc, a: Any, b: Any, **kwargs: Any) -> Array:
    """``ufunc.outer``: every element of a with every one of b."""
    if np.ndim(b):
        a = operand(a)
        a = a.reshape(a.shape + (1,) * np.ndim(b))
    return ufunc(a, b, **kwargs)
