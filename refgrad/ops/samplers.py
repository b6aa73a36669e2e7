"""Draws of operands and parameters for ops on whole arrays: every rank, axis form and size over many draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.bounds.profiles import DOUBLE

Rng = np.random.Generator
Sample = tuple[tuple[Any, ...], dict[str, Any]]
SIZES = (0, 1, 2, 3, 4)
# Shapes: square, tall, wide, and one without elements.
MATRICES = ((1, 1), (2, 2), (3, 3), (4, 3), (3, 4), (4, 2), (1, 3), (3, 1), (2, 0))


def shape(rng: Rng, low: int = 0, high: int = 3, sizes: tuple[int, ...] = SIZES) -> tuple[int, ...]:
    """A random shape; empty arrays come up now and then only."""
    drawn = [int(rng.choice(sizes)) for _ in range(int(rng.integers(low, high + 1)))]
    return tuple(drawn) if rng.random() < 0.15 else tuple([max(n, 1) if 0 in sizes else n for n in drawn])


def stack(rng: Rng) -> tuple[int, ...]:
    """The leading dimensions of a stack of matrices: a single matrix, some, or none at all."""
    return [(), (), (2,), (2, 1), (0,)][int(rng.integers(5))]


def array(rng: Rng, dims: tuple[int, ...]) -> Any:
    """Moderate values."""
    return rng.uniform(-2.5, 2.5, dims)


def distinct(rng: Rng, dims: tuple[int, ...]) -> Any:
    """Values with gaps between any two: no ties, and none within reach of a small step."""
    n = int(np.prod(dims))
    return (rng.permutation(n) * 0.4 + rng.uniform(-0.1, 0.1, n) - 0.2 * n + 0.13).reshape(dims)


def axis(rng: Rng, ndim: int, several: bool = True) -> Any:
    """None, a number of either sign, or a tuple."""
    kind = int(rng.integers(4 if several else 3))
    if kind == 0 or ndim == 0:
        return None
    if kind < 3:
        return int(rng.integers(-ndim, ndim))
    chosen = rng.permutation(ndim)[: int(rng.integers(1, ndim + 1))]
    return tuple([int(a) - (ndim if rng.random() < 0.5 else 0) for a in chosen])


def one_axis(rng: Rng, ndim: int) -> int:
    """A number of either sign."""
    return int(rng.integers(-ndim, ndim))


def reduction(rng: Rng, draw: Any = array, sizes: tuple[int, ...] = SIZES, several: bool = True) -> Sample:
    """An array with axis and keepdims."""
    x = draw(rng, shape(rng, sizes=sizes))
    return (x,), {"axis": axis(rng, x.ndim, several), "keepdims": bool(rng.random() < 0.4)}


def masked_reduction(rng: Rng, identity: float, draw: Any = array) -> Sample:
    """A reduction, at times with where= and initial=."""
    (x,), params = reduction(rng, draw)
    if rng.random() < 0.3:
        params["where"] = rng.random(x.shape[max(x.ndim - 1, 0) :] if rng.random() < 0.3 else x.shape) < 0.7
    if rng.random() < 0.3 or "where" in params:
        params["initial"] = identity if rng.random() < 0.5 else 1.5
    return (x,), params


def mean(rng: Rng) -> Sample:
    """A reduction that always has something to take the mean of, at times with where=."""
    (x,), params = reduction(rng, sizes=(1, 2, 3, 4))
    if rng.random() < 0.3:
        mask = rng.random(x.shape) < 0.6
        params["where"] = mask | ~np.any(mask, axis=params["axis"], keepdims=True)
    return (x,), params


def extreme(rng: Rng, identity: float) -> Sample:
    """A reduction of distinct values."""
    (x,), params = reduction(rng, distinct, sizes=(1, 2, 3, 4))
    if rng.random() < 0.3:
        params["initial"] = identity if rng.random() < 0.6 else 0.03
        if rng.random() < 0.6:
            params["where"] = rng.random(x.shape) < 0.7
    return (x,), params


def variance(rng: Rng) -> Sample:
    """A reduction over at least three distinct values, with ddof."""
    dims = shape(rng, low=1, sizes=(3, 4))
    x = distinct(rng, dims)
    params: dict[str, Any] = {
        "axis": axis(rng, x.ndim),
        "keepdims": bool(rng.random() < 0.4),
        "ddof": int(rng.integers(2)),
    }
    if rng.random() < 0.25:
        mask = rng.random(dims) < 0.8
        enough = np.add.reduce(mask, axis=params["axis"], keepdims=True, dtype=int) >= 2
        params["where"] = mask | ~enough
    return (x,), params


def scan(rng: Rng) -> Sample:
    """An array with the axis of a scan."""
    x = array(rng, shape(rng, low=1))
    return (x,), {"axis": axis(rng, x.ndim, several=False)}


def scan_along(rng: Rng) -> Sample:
    """An array with one axis of a scan, along which there are elements."""
    x = array(rng, shape(rng, low=1, sizes=SIZES[1:]))
    return (x,), {"axis": one_axis(rng, x.ndim)}


def reshape(rng: Rng) -> Sample:
    """An array and another shape of its size."""
    dims = shape(rng)
    x = array(rng, dims)
    choices: list[Any] = [(x.size,), (1, *dims), dims[::-1], (*dims, 1)]
    if x.size:
        choices += [(-1,), (1, -1), -1]
    return (x,), {"shape": choices[int(rng.integers(len(choices)))]}


def transpose(rng: Rng) -> Sample:
    """An array and a permutation, or None."""
    x = array(rng, shape(rng))
    axes = tuple([int(a) - (x.ndim if rng.random() < 0.3 else 0) for a in rng.permutation(x.ndim)])
    return (x,), {"axes": None if rng.random() < 0.3 else axes}


def broadcast_to(rng: Rng) -> Sample:
    """An array and a shape that it broadcasts to."""
    dims = shape(rng)
    x = array(rng, tuple([1 if rng.random() < 0.4 else n for n in dims][int(rng.integers(len(dims) + 1)) :]))
    return (x,), {"shape": dims}


def astype(rng: Rng) -> Sample:
    """A cast that does not lose digits."""
    return (array(rng, shape(rng)),), {"dtype": np.dtype(float)}


def cast_through(rng: Rng) -> Sample:
    """A cast through a format that holds every number of the operand."""
    return (array(rng, shape(rng)),), {"through": DOUBLE}


def flip(rng: Rng) -> Sample:
    """An array and axes to turn round."""
    x = array(rng, shape(rng))
    return (x,), {"axis": axis(rng, x.ndim)}


def roll(rng: Rng) -> Sample:
    """An array, shifts and axes."""
    x = array(rng, shape(rng))
    where = axis(rng, x.ndim)
    shift: Any = int(rng.integers(-5, 6))
    if isinstance(where, tuple) and rng.random() < 0.6:
        shift = tuple([int(rng.integers(-5, 6)) for _ in where])
    return (x,), {"shift": shift, "axis": where}


def pad(rng: Rng) -> Sample:
    """An array and widths in one of NumPy's forms."""
    x = array(rng, shape(rng, low=1))
    pairs = tuple([(int(a), int(b)) for a, b in rng.integers(0, 3, (x.ndim, 2))])
    return (x,), {
        "pad_width": [int(pairs[0][0]), pairs[0], pairs][int(rng.integers(3))],
        "constant_values": float(rng.choice([0.0, 1.5])),
    }


def concatenate(rng: Rng) -> Sample:
    """One to four arrays that differ along one axis."""
    dims = shape(rng, low=1)
    where = one_axis(rng, len(dims))
    parts = []
    for _ in range(int(rng.integers(1, 5))):
        part = list(dims)
        part[where] = int(rng.choice(SIZES))
        parts.append(array(rng, tuple(part)))
    return tuple(parts), {"axis": where}


def key(rng: Rng, dims: tuple[int, ...]) -> Any:
    """A NumPy index of any kind: integers, slices, ellipsis, newaxis, masks, integer arrays with duplicates."""
    if rng.random() < 0.15:
        return rng.random(dims) < 0.5
    parts: list[Any] = []
    several = tuple([int(n) for n in rng.integers(1, 4, int(rng.integers(1, 3)))])
    for n in dims:
        kind = int(rng.integers(7 if n else 3))
        if kind <= 1:
            start, stop = [(None, 0, 1, -1)[int(rng.integers(4))] for _ in range(2)]
            parts.append(slice(start, stop, (None, 1, 2, -1, -2)[int(rng.integers(5))]))
        elif kind == 2:
            parts.append(slice(None))
        elif kind == 3:
            parts.append(int(rng.integers(-n, n)))
        elif kind <= 5:
            parts.append(rng.integers(-n, n, several[int(rng.integers(len(several))) :]))
        else:
            parts.append(np.asarray(int(rng.integers(n))))
    if rng.random() < 0.3:
        parts.insert(int(rng.integers(len(parts) + 1)), None)
    if rng.random() < 0.3:
        start = int(rng.integers(len(parts) + 1))
        parts[start:] = [Ellipsis]
    return tuple(parts) if len(parts) != 1 or rng.random() < 0.5 else parts[0]


def getitem(rng: Rng) -> Sample:
    """An array and an index."""
    x = array(rng, shape(rng))
    return (x,), {"key": key(rng, x.shape)}


def put_add(rng: Rng) -> Sample:
    """An array that an index of ``shape`` would have selected."""
    dims = shape(rng)
    k = key(rng, dims)
    return (array(rng, np.empty(dims)[k].shape),), {"shape": dims, "key": k}


def setitem(rng: Rng) -> Sample:
    """An array, what an index selects of it, and the index."""
    x = array(rng, shape(rng))
    k = key(rng, x.shape)
    return (x, array(rng, x[k].shape)), {"key": k}


def recurrence(rng: Rng) -> Sample:
    """Factors and terms of one shape."""
    dims = shape(rng, low=1)
    return (array(rng, dims), array(rng, dims)), {
        "axis": one_axis(rng, len(dims)),
        "reverse": bool(rng.random() < 0.5),
    }


def factored(rng: Rng) -> Sample:
    """Products, and the factors that they are divided by."""
    dims = shape(rng, low=1)
    return (array(rng, dims), array(rng, dims)), {"axis": one_axis(rng, len(dims))}


def quotients(rng: Rng) -> Sample:
    """Derivatives of products, factors, and what the derivatives are along or against."""
    operands, params = recurrence(rng)
    return (*operands, array(rng, operands[0].shape)), params


def sort(rng: Rng) -> Sample:
    """Distinct values and an axis."""
    x = distinct(rng, shape(rng, low=1))
    return (x,), {"axis": one_axis(rng, x.ndim)}


def ordered(rng: Rng) -> Sample:
    """Values, and distinct ones that order them."""
    (x,), params = sort(rng)
    return (array(rng, x.shape), x), params
