"""Elements of an array read and combined by plain indices along one axis: gather, scatter and index, with torch's parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.errors import ArgumentError, DtypeError
from refgrad.nn import layer_draws, place_draws
from refgrad.nn.arguments import array_of
from refgrad.op import Traced, twin
from refgrad.ops import indexing

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


@twin(torch=lambda torch, x, dim, index: torch.gather(x, dim, index), draw=layer_draws.places)
def gather(input: Array, dim: int, index: Any) -> Array:
    """y[i][j][k] = input[index[i][j][k]][j][k] for dim = 0, and likewise for others: shape of ``index``, dtype of ``input``.

    An element that is read several times gets the sum of the cotangents.

    Raises DtypeError for an index that is not of plain integers, ArgumentError for an index out of range, of another number of
    dimensions, or longer than the input along another axis.
    """
    x = array_of(input)
    return x[_grid(x, dim, index, None, "gather")] if x.ndim else x + 0


@twin(
    torch=lambda torch, x, dim, index, src: torch.scatter(x, dim, index, src),
    draw=place_draws.writing,
    sums=False,
)
def scatter(input: Array, dim: int, index: Any, src: Any) -> Array:
    """``input`` with src[i][j][k] in the place of element [index[i][j][k]][j][k] for dim = 0, and likewise for others.

    ``src`` is a number or an array that is at least as long as ``index`` along each axis.

    Raises as gather does, and ArgumentError for a place that comes twice: which element stands there would depend on an order.
    """
    x = array_of(input)
    key, source = _aimed(x, dim, index, src, "scatter")
    if not math.prod(source.shape):
        return x + 0
    flat = np.ravel_multi_index(np.broadcast_arrays(*key), x.shape).ravel()
    if np.unique(flat).size < flat.size:
        raise ArgumentError(
            "scatter: a place comes twice, so the result would depend on an order; scatter_reduce combines several elements"
        )
    there = np.zeros(x.shape, bool)
    there[key] = True
    return np.where(there, indexing.put_add(source, shape=x.shape, key=key), x)


@twin(
    torch=lambda torch, x, dim, index, src: torch.scatter_add(x, dim, index, src),
    draw=layer_draws.additions,
)
def scatter_add(input: Array, dim: int, index: Any, src: Any) -> Array:
    """``input`` plus src[i][j][k] at element [index[i][j][k]][j][k] for dim = 0, and likewise for others. Raises as gather does."""
    x = array_of(input)
    key, source = _aimed(x, dim, index, src, "scatter_add")
    return _added(x, source, key)


@twin(
    torch=lambda torch, x, dim, index, src, reduce, include_self: torch.scatter_reduce(
        x, dim, index, src, reduce, include_self=include_self
    ),
    draw=place_draws.combining,
)
def scatter_reduce(
    input: Array, dim: int, index: Any, src: Any, reduce: str, include_self: bool = True
) -> Array:
    """The "sum", "prod", "mean", "amax" or "amin" of all src[i][j][k] that scatter would put at a place.

    With ``include_self`` the element of ``input`` counts as one of them. Where there is none, it stays. Tied elements of a maximum or
    minimum share the derivative equally. Raises as gather does, and ArgumentError for another reduction.
    """
    if reduce not in REDUCTIONS:
        raise ArgumentError(f"scatter_reduce: reduce must be one of {REDUCTIONS}, got {reduce!r}")
    x = array_of(input)
    key, source = _aimed(x, dim, index, src, "scatter_reduce")
    if not math.prod(source.shape):
        return x + 0
    places = np.ravel_multi_index(np.broadcast_arrays(*key), x.shape).ravel()
    count = np.bincount(places, minlength=math.prod(x.shape)).reshape(x.shape)
    own = np.ones(x.shape, bool) if include_self else count == 0
    if reduce in ("sum", "mean"):
        total = _added(np.where(own, x, np.zeros((), x.dtype)), source, key)
        return total if reduce == "sum" else total / (count + own).astype(x.dtype)
    neutral = {"prod": 1.0, "amax": -np.inf, "amin": np.inf}[reduce]
    groups = _groups(np.reshape(source, (-1,)), places, count, neutral)
    groups = np.concatenate(
        [np.where(own, x, np.asarray(neutral, x.dtype))[..., np.newaxis], groups], axis=-1
    )
    if reduce == "prod":
        return np.prod(groups, axis=-1)
    return np.max(groups, axis=-1) if reduce == "amax" else np.min(groups, axis=-1)


@twin(
    torch=lambda torch, x, dim, index, source, alpha: torch.index_add(x, dim, index, source, alpha=alpha),
    draw=place_draws.adding,
)
def index_add(input: Array, dim: int, index: Any, source: Array, alpha: float = 1.0) -> Array:
    """``input`` plus alpha source[i] at each element index[i] of axis ``dim``. ``source`` has the input's other axes.

    Raises as index_select does, and ArgumentError for a source of another shape.
    """
    x, source = array_of(input), array_of(source)
    axis = _axis(x, dim, "index_add")
    chosen = _vector(index, x.shape[axis], "index_add")
    expected = (*x.shape[:axis], chosen.size, *x.shape[axis + 1 :])
    if source.shape != expected:
        raise ArgumentError(f"index_add: a source of shape {expected} is expected, got {source.shape}")
    source = source if alpha == 1 else alpha * source
    grid = [np.arange(n).reshape((-1,) + (1,) * (x.ndim - 1 - k)) for k, n in enumerate(expected)]
    grid[axis] = chosen.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    return _added(x, source, tuple(grid))


@twin(torch=lambda torch, x, dim, index: torch.index_select(x, dim, index), draw=layer_draws.selection)
def index_select(input: Array, dim: int, index: Any) -> Array:
    """The elements ``index``, of one dimension, along axis ``dim``: dtype of ``input``.

    An element that is read several times gets the sum of the cotangents.

    Raises DtypeError for an index that is not of plain integers, ArgumentError for one out of range or of more dimensions.
    """
    x = array_of(input)
    axis = _axis(x, dim, "index_select")
    return x[(*(slice(None),) * axis, _vector(index, x.shape[axis], "index_select"))]


def _added(x: Array, source: Array, key: tuple[PlainArray, ...]) -> Array:
    """x plus the elements of the source at their places: one sum for each place, whose order is a kernel's choice."""
    if not math.prod(source.shape):
        return x + 0
    places = np.ravel_multi_index(np.broadcast_arrays(*key), x.shape).ravel()
    count = math.prod(x.shape)
    terms = np.concatenate([np.reshape(x, (-1,)), np.reshape(source, (-1,))])
    total = indexing.put_add(terms, shape=(count,), key=np.concatenate([np.arange(count), places]))
    return np.reshape(total, x.shape)


def _axis(x: Array, dim: int, who: str) -> int:
    if not -x.ndim <= dim < x.ndim:
        raise ArgumentError(f"{who}: dim={dim} is out of range for an input of shape {x.shape}")
    return dim % x.ndim


def _integers(index: Any, who: str) -> PlainArray:
    if isinstance(index, Traced) or (index := np.asarray(index)).dtype.kind not in "iu":
        raise DtypeError(f"{who}: index must be a plain array of integers, got dtype {index.dtype}")
    return index


def _within(index: PlainArray, count: int, who: str) -> PlainArray:
    if index.size and not (index.min() >= 0 and index.max() < count):
        raise ArgumentError(
            f"{who}: index must lie in 0 ... {count - 1}, got {index.min()} ... {index.max()}"
        )
    return index


def _vector(index: Any, count: int, who: str) -> PlainArray:
    found = _integers(index, who)
    if found.ndim > 1:
        raise ArgumentError(f"{who}: an index of one dimension is expected, got shape {found.shape}")
    return _within(found.reshape(-1), count, who)


def _grid(x: Array, dim: int, index: Any, src: tuple[int, ...] | None, who: str) -> tuple[PlainArray, ...]:
    """The index arrays of NumPy for an index of torch."""
    axis = _axis(x, dim, who)
    found = _integers(index, who)
    if found.ndim != x.ndim:
        raise ArgumentError(f"{who}: an index of {x.ndim} dimensions is expected, got shape {found.shape}")
    others = [k for k in range(x.ndim) if k != axis]
    if any(found.shape[k] > x.shape[k] for k in others):
        raise ArgumentError(
            f"{who}: index may be longer than the input along axis {axis} alone, got shapes {found.shape} and {x.shape}"
        )
    if src is not None and (len(src) != x.ndim or any(n > m for n, m in zip(found.shape, src, strict=True))):
        raise ArgumentError(
            f"{who}: index must not be longer than src along any axis, got {found.shape} and {src}"
        )
    _within(found, x.shape[axis], who)
    grid = [np.arange(n).reshape((-1,) + (1,) * (x.ndim - 1 - k)) for k, n in enumerate(found.shape)]
    grid[axis] = found
    return tuple(grid)


def _aimed(x: Array, dim: int, index: Any, src: Any, who: str) -> tuple[tuple[PlainArray, ...], Array]:
    """The places as index arrays of NumPy, and what goes there."""
    if not isinstance(src, Traced) and np.ndim(src) == 0:
        src = np.broadcast_to(np.asarray(src, x.dtype), np.shape(index))
    source = array_of(src)
    if not x.ndim:
        raise ArgumentError(f"{who}: an input of at least one dimension is expected, got a number")
    key = _grid(x, dim, index, source.shape, who)
    return key, source[tuple([slice(0, n) for n in np.shape(index)])]


def _groups(source: Array, places: PlainArray, count: PlainArray, neutral: float) -> Array:
    """For each place a row of the elements that go there, with ``neutral`` to the length of the longest."""
    order = np.argsort(places, kind="stable")
    starts = np.cumsum(count.ravel()) - count.ravel()
    steps = np.arange(int(count.max()))
    inside = steps < count.ravel()[:, np.newaxis]
    key = order[np.where(inside, starts[:, np.newaxis] + steps, 0)]
    rows = np.where(inside, source[key], np.asarray(neutral, source.dtype))
    return np.reshape(rows, (*count.shape, steps.size))
