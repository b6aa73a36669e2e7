"""Maxima over windows: values and places by definition, ties by convention, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.errors import ArgumentError, DtypeError
from tests.nn.derivative_checks import check_derivatives

POOL = {1: nn.max_pool1d, 2: nn.max_pool2d, 3: nn.max_pool3d}
ADAPTIVE = {1: nn.adaptive_max_pool1d, 2: nn.adaptive_max_pool2d, 3: nn.adaptive_max_pool3d}
UNPOOL = {1: nn.max_unpool1d, 2: nn.max_unpool2d, 3: nn.max_unpool3d}
GEOMETRIES = {
    "plain": ((2, 3, 7), {"kernel_size": 3}),
    "a kernel of 1": ((2, 3, 5), {"kernel_size": 1, "stride": 2}),
    "a stride above the kernel": ((2, 3, 9), {"kernel_size": 2, "stride": 4}),
    "padded and dilated": ((2, 3, 9), {"kernel_size": 3, "stride": 1, "padding": 2, "dilation": 2}),
    "over the end": ((2, 3, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "two axes": ((2, 2, 5, 6), {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    "three axes": ((1, 2, 4, 3, 4), {"kernel_size": 2, "padding": 1, "ceil_mode": True}),
    "no batch axis": ((3, 8), {"kernel_size": 2}),
}


def distinct(shape):
    n = int(np.prod(shape))
    return (np.random.default_rng(n).permutation(n) / 4.0 - n / 8).reshape(shape)


def axes_of(shape):
    return max(len(shape) - 2, 1)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_maxima_and_their_places(name):
    shape, params = GEOMETRIES[name]
    axes, x = axes_of(shape), distinct(shape)
    y, places = POOL[axes](x, **params, return_indices=True)
    assert places.dtype == np.int64
    planes = x.reshape(*shape[:-axes], -1)
    assert np.array_equal(
        y, np.take_along_axis(planes, places.reshape(*y.shape[:-axes], -1), -1).reshape(y.shape)
    )
    # A mean over the same windows counts them; no element of a window is above the maximum.
    assert np.array_equal(POOL[axes](x, **params), y)
    assert check_derivatives(lambda x: POOL[axes](x, **params), x)
    step = params.get("stride") or params["kernel_size"]
    steps = (step,) * axes if isinstance(step, int) else step
    whole = [range(0, e * s, s) for e, s in zip(y.shape[-axes:], steps, strict=True)]
    padding = params.get("padding", 0)
    around = (padding,) * axes if isinstance(padding, int) else padding
    size = params["kernel_size"]
    size = (size,) * axes if isinstance(size, int) else size
    for at in np.ndindex(*y.shape[-axes:]):
        cut = [
            np.arange(
                start[i] - a,
                start[i] - a + params.get("dilation", 1) * (k - 1) + 1,
                params.get("dilation", 1),
            )
            for i, start, a, k in zip(at, whole, around, size, strict=True)
        ]
        kept = [c[(c >= 0) & (c < n)] for c, n in zip(cut, shape[-axes:], strict=True)]
        inside = x[(..., *np.ix_(*kept))]
        assert np.array_equal(y[(..., *at)], inside.max(axis=tuple(range(-axes, 0))))


@pytest.mark.parametrize(
    ("shape", "output"),
    [((2, 3, 8), 3), ((3, 4), 6), ((2, 2, 5, 6), (3, 4)), ((1, 2, 4, 5, 3), (2, None, 2))],
)
def test_adaptive_maxima(shape, output):
    axes, x = axes_of(shape), distinct(shape)
    y, places = ADAPTIVE[axes](x, output, return_indices=True)
    sizes = y.shape[-axes:]
    for at in np.ndindex(*sizes):
        cut = [
            slice(i * n // e, -(-(i + 1) * n // e)) for i, n, e in zip(at, shape[-axes:], sizes, strict=True)
        ]
        assert np.array_equal(y[(..., *at)], x[(..., *cut)].max(axis=tuple(range(-axes, 0))))
    planes = x.reshape(*shape[:-axes], -1)
    assert np.array_equal(
        y, np.take_along_axis(planes, places.reshape(*y.shape[:-axes], -1), -1).reshape(y.shape)
    )
    assert check_derivatives(lambda x: ADAPTIVE[axes](x, output), x)


def test_ties_share_the_derivative():
    x = np.array([[1.0, 1.0, 0.0, 2.0, 2.0, 2.0]])
    y, places = nn.max_pool1d(x, 3, return_indices=True)
    assert np.array_equal(places, [[0, 3]])
    assert np.array_equal(
        rg.grad(lambda x: np.sum(nn.max_pool1d(x, 3)))(x), [[0.5, 0.5, 0, 1 / 3, 1 / 3, 1 / 3]]
    )
    assert np.array_equal(y, [[1.0, 2.0]])


def test_windows_of_infinities_and_nan():
    x = np.array([[-np.inf, -np.inf, 1.0, np.nan]])
    y, places = nn.max_pool1d(x, 2, padding=1, stride=1, return_indices=True)
    assert np.array_equal(y, [[-np.inf, -np.inf, 1.0, np.nan, np.nan]], equal_nan=True)
    assert np.array_equal(places, [[0, 0, 2, 3, 3]])


def test_indices_of_traced_arrays_are_plain():
    def f(x):
        y, places = nn.max_pool1d(x, 2, return_indices=True)
        assert type(places) is np.ndarray
        return np.sum(nn.max_unpool1d(y, places, 2) ** 2)

    x = np.array([[1.0, 3.0, 5.0, 2.0]])
    assert np.array_equal(rg.grad(f)(x), [[0.0, 6.0, 10.0, 0.0]])


@pytest.mark.parametrize("shape", [(2, 3, 6), (3, 6), (2, 2, 4, 6), (1, 2, 4, 2, 4)])
def test_unpooling(shape):
    axes, x = axes_of(shape), distinct(shape)
    y, places = POOL[axes](x, 2, return_indices=True)
    found = UNPOOL[axes](y, places, 2)
    assert np.array_equal(found, np.where(np.isin(x, y), x, 0.0))
    assert check_derivatives(lambda y: UNPOOL[axes](y, places, 2), y)


def test_the_size_of_an_unpooled_array_may_be_given():
    x = distinct((2, 3, 7))
    y, places = nn.max_pool1d(x, 2, return_indices=True)
    assert nn.max_unpool1d(y, places, 2).shape == (2, 3, 6)
    assert nn.max_unpool1d(y, places, 2, output_size=x.shape).shape == (2, 3, 7)


X = np.ones((2, 3, 6))
PLACES = np.tile([0, 2, 4], (2, 3, 1))
REFUSED = {
    "too much padding": (lambda: nn.max_pool1d(X, 3, padding=2), "at most half"),
    "too long a window": (lambda: nn.max_pool1d(X, 4, dilation=2), "shorter than a window"),
    "another shape": (lambda: nn.max_unpool1d(X, PLACES, 2), r"one shape, got \(2, 3, 6\) and \(2, 3, 3\)"),
    "an index out of range": (
        lambda: nn.max_unpool1d(X[..., :3], PLACES + 2, 2),
        r"must lie in 0 ... 5, got 2 ... 6",
    ),
    "an index twice": (
        lambda: nn.max_unpool1d(X[..., :3], PLACES // 4, 2),
        "an index comes twice in one channel",
    ),
    "another size": (
        lambda: nn.max_unpool1d(X[..., :3], PLACES, 2, output_size=(9,)),
        r"differ from \(6,\) by less than the stride \(2,\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_indices_are_plain_integers():
    with pytest.raises(DtypeError, match="plain array of integers, got dtype float64"):
        nn.max_unpool1d(X[..., :3], PLACES / 1.0, 2)
