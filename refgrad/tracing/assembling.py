"""Arrays made of traced values: what np.array, np.asarray and their kin make of a traced array, and of nested sequences that hold some.

NumPy itself is asked for shape, dtype, layout and errors: its function is applied to the same sequences with zeros in place of traced
values. So promotion, ragged sequences, ``ndmin``, ``order`` and ``copy`` are NumPy's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refgrad.errors import OperandError
from refgrad.op import Traced
from refgrad.ops import shape
from refgrad.tracing.differentiable_arguments import SEQUENCES, holds_traced

Function = Callable[..., Any]
CONVERSIONS = (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray)


def assembled(x: Any, dtype: Any = None) -> Any:
    """A sequence that holds traced arrays, as np.array(x, dtype) makes one array of it."""
    return _joined(x, np.array(_blank(x), dtype), np.array)


def converted(function: Function, x: Any, *args: Any, **kwargs: Any) -> Any:
    """``function(x, *args, **kwargs)`` for one of CONVERSIONS, and x traced or a sequence that holds traced arrays.

    A traced array comes back as itself or as a view where NumPy does not copy.

    Raises what NumPy raises, and OperandError for a dtype that holds no numbers, or real ones for complex ones.
    """
    if not isinstance(x, Traced):
        return _joined(x, function(_blank(x), *args, **kwargs), function)
    found: Any = x
    sample = _sample(found)
    due = function(sample, *args, **kwargs)
    if due is sample:
        return found
    if np.may_share_memory(due, sample) and not found._scalar:
        return found[...] if due.shape == sample.shape else found.reshape(due.shape)
    y: Any = shape.cast(_admitted(found, due, function), due.dtype)
    if not due.shape:
        return y[...]  # a 0-d array, also of a scalar
    return _laid_out(shape.reshape(y, shape=due.shape), due)


def scalar_or_array(kind: type, x: Any, *imaginary: Any) -> Any:
    """``np.float64(x)`` and its kin: a scalar of a single number, else an array. Raises OperandError for ``np.complex128(x, y)``."""
    if imaginary:
        raise OperandError(
            f"np.{kind.__name__} of two traced numbers has no rule in refgrad. Write x + 1j * y."
        )
    return converted(np.asarray, x, kind)[()]


def _joined(x: Any, due: Any, function: Function) -> Any:
    """The array whose shape, dtype and layout NumPy has found, of the numbers in x."""
    flat, parts, end = np.ravel(due), [], 0
    for start, leaf in _places(x, 0, due.size):
        if start > end:
            parts.append(flat[end:start])
        part = leaf if leaf.dtype == due.dtype else shape.cast(_admitted(leaf, due, function), due.dtype)
        size = int(np.prod(leaf.shape))
        parts.append(shape.reshape(part, shape=(size,)))
        end = start + size
    if end < due.size:
        parts.append(flat[end:])
    y = shape.concatenate(*parts, axis=0) if len(parts) > 1 else shape.cast(parts[0], due.dtype)
    return _laid_out(shape.reshape(y, shape=due.shape), due)


def _places(x: Any, start: int, size: int) -> Iterator[tuple[int, Any]]:
    """The traced arrays in x, which has ``size`` numbers, and the place of the first number of each."""
    if isinstance(x, Traced):
        yield start, x
    elif isinstance(x, SEQUENCES) and holds_traced(x):
        step = size // len(x)
        for k, entry in enumerate(x):
            yield from _places(entry, start + k * step, step)


def _blank(x: Any) -> Any:
    """x with zeros in place of traced arrays."""
    if isinstance(x, Traced):
        return _zero(x.dtype, x.shape, x._scalar)  # type: ignore[attr-defined]
    if isinstance(x, SEQUENCES) and holds_traced(x):
        return [_blank(entry) for entry in x]
    return x


@functools.lru_cache(maxsize=256)
def _zero(dtype: Any, dims: tuple[int, ...], scalar: bool) -> Any:
    return dtype.type(0) if scalar else np.broadcast_to(dtype.type(0), dims)


def _sample(x: Any) -> Any:
    """A plain array of the shape, dtype and layout of x."""
    sample = x._sample()
    return _blank(x) if sample is None else sample


def _admitted(x: Any, due: Any, function: Function) -> Any:
    """x. Raises OperandError where NumPy makes an array of objects or of text of it."""
    if due.dtype.kind not in "fciub":
        raise OperandError(
            f"np.{function.__name__} of a traced array of shape {x.shape} gives dtype {due.dtype}, in which its derivative would be lost; "
            "a dtype of numbers is expected. Keep objects and texts in lists, or in arrays of their own."
        )
    return x


def _laid_out(y: Any, due: Any) -> Any:
    """y in column-major order where NumPy's array is so."""
    turned = due.ndim > 1 and due.flags.f_contiguous and not due.flags.c_contiguous
    return y.copy(order="F") if turned and isinstance(y, Traced) else y  # type: ignore[attr-defined]
