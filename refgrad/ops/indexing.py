"""Indexing: getitem with any NumPy index, its transpose put_add, setitem, which replaces some elements of an array, and add_at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.op import Op, register
from refgrad.op.traits import HOLOMORPHIC, PARAMETRISED, InGraphs, Notation
from refgrad.ops import by_parts, params_in_graphs, samplers


def clean(key: Any) -> Any:
    """An index with lists as integer or boolean arrays, the form in which it is kept as a parameter."""
    if type(key) is tuple:
        return tuple([np.asarray(k, None if k else int) if type(k) is list else k for k in key])
    return np.asarray(key, None if key else int) if type(key) is list else key


def basic(key: Any) -> bool:
    """Whether an index selects a view: integers, slices, Ellipsis and None do, arrays and masks a copy."""
    return all(
        k is None or k is Ellipsis or (isinstance(k, (slice, int, np.integer)) and not isinstance(k, bool))
        for k in (key if type(key) is tuple else (key,))
    )


def repeats(key: Any) -> bool:
    """Whether an index may select an element twice: integer arrays do, slices, integers and masks do not."""
    parts = key if type(key) is tuple else (key,)
    return any(
        isinstance(k, (np.ndarray, list)) and np.asarray(k).dtype.kind != "b" and np.ndim(k) for k in parts
    )


def _getitem(x: Array, key: Any = ()) -> Array:
    return x[key]


def _put_add(x: Array, shape: tuple[int, ...] = (), key: Any = ()) -> Array:
    y = np.zeros(shape, x.dtype if hasattr(x, "dtype") else float)
    if repeats(key):
        np.add.at(y, key, x)
    else:
        y[key] = x
    return y


def _put_add_rounding(run: Evaluation) -> Any:
    return bounds.scattered(run) if repeats(run.params["key"]) else bounds.moved(run)


def _torch_getitem(torch: Any, x: Any, key: Any) -> Any:
    """x[key] as NumPy reads it.

    Torch has no negative steps: the axis is turned round first. Beside arrays NumPy takes integers for arrays, torch does not.
    """
    parts, axis = list(key) if type(key) is tuple else [key], 0
    beside = any(isinstance(k, np.ndarray) and k.ndim for k in parts)
    taken = sum(
        k.ndim if isinstance(k, np.ndarray) and k.dtype.kind == "b" else k is not None and k is not Ellipsis
        for k in parts
    )
    for place, k in enumerate(parts):
        if isinstance(k, (np.ndarray, np.generic)) or (isinstance(k, int) and beside):
            index = torch.as_tensor(np.asarray(k), device=x.device)
            parts[place] = index if index.ndim or not beside else index.reshape(1)
        elif isinstance(k, slice) and (k.step or 1) < 0:
            chosen = range(*k.indices(x.shape[axis]))
            start = x.shape[axis] - 1 - chosen.start
            parts[place] = (
                slice(start, start + (len(chosen) - 1) * -chosen.step + 1, -chosen.step)
                if chosen
                else slice(0, 0)
            )
            x = torch.flip(x, (axis,))
        if k is Ellipsis:
            axis += x.ndim - taken
        elif k is not None:
            axis += k.ndim if isinstance(k, np.ndarray) and k.dtype.kind == "b" else 1
    return x[tuple(parts)]


def _in_brackets(params: Mapping[str, Any]) -> str | None:
    """An integer index as Python writes it."""
    key = params["key"]
    return f"[{key}]" if isinstance(key, int) else None


getitem = register(
    "getitem", _getitem,
    jvp=lambda x_dot, key: x_dot[key],
    vjp=lambda y_bar, x_shape, key: put_add(y_bar, shape=x_shape, key=key),
    rounding=bounds.moved,
    torch=lambda torch, x, key=(): _torch_getitem(torch, x, key),
    domain=sampled(samplers.getitem),
    view=True, branch_free=True,
    notation=Notation(of_params=_in_brackets),
    in_graphs=InGraphs(PARAMETRISED, 15, params=params_in_graphs.key),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip

put_add: Op = register(
    "put_add", _put_add,
    jvp=lambda x_dot, shape, key: put_add(x_dot, shape=shape, key=key),
    vjp=lambda y_bar, key: y_bar[key],
    rounding=_put_add_rounding,
    domain=sampled(samplers.put_add),
    branch_free=True, helper=True,
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _setitem(x: Array, value: Array, key: Any = ()) -> Array:
    y = np.array(x)
    y[key] = value
    return y


def _received(y_bar: Array, key: Any) -> Array:
    """The cotangent of what was written: of several numbers for one element the last one counts."""
    value_bar = y_bar[key]
    if not repeats(key):
        return value_bar
    numbers = np.arange(math.prod(value_bar.shape)).reshape(value_bar.shape)
    last = np.zeros(y_bar.shape, int)
    last[key] = numbers
    return np.where(last[key] == numbers, value_bar, 0)


# ``x[key] = value`` as a function: x with other elements at ``key``. The value has the shape of x[key].
setitem: Op = register(
    "setitem", _setitem,
    jvp={
        "x": lambda x_dot, key: setitem(x_dot, np.zeros(x_dot[key].shape, x_dot.dtype), key=key),
        "value": lambda value_dot, x_shape, key: setitem(np.zeros(x_shape, value_dot.dtype), value_dot, key=key),
    },
    vjp={
        "x": lambda y_bar, key: setitem(y_bar, np.zeros(y_bar[key].shape, y_bar.dtype), key=key),
        "value": lambda y_bar, key: _received(y_bar, key),
    },
    rounding=bounds.moved,
    domain=sampled(samplers.setitem),
    branch_free=True, helper=True,
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _add_at(x: Array, value: Array, key: Any = ()) -> Array:
    y = np.array(x)
    np.add.at(y, key, value)
    return y


def _add_at_rounding(run: Evaluation) -> Any:
    """An element and the numbers added to it form a sum, in any order and in storage precision."""
    forward, key = run.forward, run.params["key"]
    sizes = [np.abs(x) + bounds.zero(e) for x, e in zip(run.xs, run.es, strict=True)]
    terms = forward(*[(size != 0).astype(run.fmt.wide) for size in sizes], key=key)
    size = forward(*sizes, key=key)
    rounding = np.where(terms > 1, (terms - 1) * run.fmt.u * np.where(terms > 1, size, 0.0), 0.0)
    radius = bounds.zero(bounds.moved(run)) + rounding
    return radius if radius.any() else None


# ``np.add.at(x, key, value)`` as a function: x with numbers added at ``key``, each as often as its index occurs.
add_at: Op = register(
    "add_at", _add_at,
    jvp={
        "x": lambda x_dot: x_dot,
        "value": lambda value_dot, x_shape, key: put_add(value_dot, shape=x_shape, key=key),
    },
    vjp={
        "x": lambda y_bar: y_bar,
        "value": lambda y_bar, key: y_bar[key],
    },
    rounding=_add_at_rounding,
    domain=sampled(samplers.setitem),
    branch_free=True, helper=True,
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip
