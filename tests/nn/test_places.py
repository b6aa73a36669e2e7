"""Gather, scatter and index: values by their definition in loops, repeated places, derivatives by the third judge, errors by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.errors import ArgumentError, DtypeError
from tests.nn.derivative_checks import check_derivatives

X = np.random.default_rng(0).permutation(12).reshape(3, 4) / 4.0 - 1.125
SRC = np.random.default_rng(1).permutation(10).reshape(2, 5) / 4.0 - 1.0
INDEX = np.array([[2, 0, 1, 1], [0, 0, 2, 1]])
SEPARATE = np.array([[2, 0, 1, 1], [0, 1, 2, 0]])
SEVERAL = np.array([3, 0, 3])
REDUCE = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}


def targets(index):
    """Pairs of a place in the source and the place in the input along axis 0."""
    return [((i, j), (index[i, j], j)) for i, j in itertools.product(*map(range, index.shape))]


def test_gather_reads_at_the_index():
    expected = np.empty(INDEX.shape)
    for at, place in targets(INDEX):
        expected[at] = X[place]
    assert np.array_equal(nn.gather(X, 0, INDEX), expected)
    assert np.array_equal(nn.gather(X.T, 1, INDEX.T), expected.T)
    assert np.array_equal(nn.gather(X.T, -1, INDEX.T), expected.T)
    assert nn.gather(X, 0, INDEX[:0]).shape == (0, 4)
    assert check_derivatives(lambda x: nn.gather(x, 0, INDEX), X)


def test_scatter_replaces_at_the_index():
    expected = X.copy()
    for at, place in targets(SEPARATE):
        expected[place] = SRC[at]
    assert np.array_equal(nn.scatter(X, 0, SEPARATE, SRC), expected)
    assert np.array_equal(nn.scatter(X, 0, SEPARATE[:1], 0.5)[2, 0], 0.5)
    assert np.array_equal(nn.scatter(X, 0, SEPARATE[:0], SRC), X)
    assert check_derivatives(lambda x, s: nn.scatter(x, 0, SEPARATE, s), X, SRC)


def test_scatter_add_adds_at_the_index():
    expected = X.copy()
    for at, place in targets(INDEX):
        expected[place] += SRC[at]
    assert np.array_equal(nn.scatter_add(X, 0, INDEX, SRC), expected)  # multiples of 1/8: exact
    assert np.array_equal(nn.scatter_add(X, 0, INDEX[:0], SRC), X)
    assert check_derivatives(lambda x, s: nn.scatter_add(x, 0, INDEX, s), X, SRC)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", REDUCE)
def test_scatter_reduce_reduces_what_meets_at_a_place(reduce, include_self):
    given = {place: [] for place in np.ndindex(*X.shape)}
    for at, place in targets(INDEX):
        given[place].append(SRC[at])
    expected = X.copy()
    for place, found in given.items():
        terms = found + [X[place]] * (include_self or not found)
        expected[place] = REDUCE[reduce](terms)
    found = nn.scatter_reduce(X, 0, INDEX, SRC, reduce, include_self)
    assert np.allclose(found, expected, rtol=4e-16, atol=0)
    assert np.array_equal(nn.scatter_reduce(X, 0, INDEX[:0], SRC, reduce, include_self), X)
    assert check_derivatives(lambda x, s: nn.scatter_reduce(x, 0, INDEX, s, reduce, include_self), X, SRC)


def test_tied_extremes_share_the_derivative():
    x, s, index = np.array([1.0, 0.0]), np.array([1.0, 1.0]), np.array([0, 0])
    slopes = rg.grad(lambda x, s: np.sum(nn.scatter_reduce(x, 0, index, s, "amax")), (0, 1))(x, s)
    assert np.array_equal(slopes[0], [1 / 3, 1.0])
    assert np.array_equal(slopes[1], [1 / 3, 1 / 3])


def test_products_with_zeros():
    x, s, index = np.array([2.0, 5.0]), np.array([0.0, 3.0]), np.array([0, 0])
    slopes = rg.grad(lambda x, s: np.sum(nn.scatter_reduce(x, 0, index, s, "prod")), (0, 1))(x, s)
    assert np.array_equal(slopes[0], [0.0, 1.0])
    assert np.array_equal(slopes[1], [6.0, 0.0])


def test_index_add_and_index_select():
    source = SRC[:, :3]
    x = X[:2]
    expected = x.copy()
    for k, place in enumerate(SEVERAL):
        expected[:, place] += 0.5 * source[:, k]
    assert np.array_equal(nn.index_add(x, 1, SEVERAL, source, alpha=0.5), expected)
    assert np.array_equal(nn.index_add(x, 1, SEVERAL[:0], source[:, :0]), x)
    assert np.array_equal(nn.index_select(x, -1, SEVERAL), x[:, SEVERAL])
    assert nn.index_select(x, 0, 1).shape == (1, 4)
    assert check_derivatives(lambda x, s: nn.index_add(x, 1, SEVERAL, s, alpha=0.5), x, source)
    assert check_derivatives(lambda x: nn.index_select(x, 1, SEVERAL), x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype):
    x, s = X.astype(dtype), SRC.astype(dtype)
    assert nn.gather(x, 0, INDEX).dtype == dtype
    assert nn.scatter(x, 0, SEPARATE, s).dtype == nn.scatter_add(x, 0, INDEX, s).dtype == dtype
    assert all(nn.scatter_reduce(x, 0, INDEX, s, reduce).dtype == dtype for reduce in REDUCE)
    assert nn.index_add(x, 1, SEVERAL, np.ones((3, 3), dtype), alpha=0.3).dtype == dtype


REFUSED = {
    "an axis": (lambda: nn.gather(X, 2, INDEX), r"dim=2 is out of range for an input of shape \(3, 4\)"),
    "dimensions": (
        lambda: nn.gather(X, 0, INDEX[0]),
        r"an index of 2 dimensions is expected, got shape \(4,\)",
    ),
    "a longer index": (
        lambda: nn.gather(X, 1, np.zeros((4, 1), int)),
        "longer than the input along axis 1 alone",
    ),
    "out of range": (lambda: nn.gather(X, 0, INDEX + 1), "index must lie in 0 ... 2, got 1 ... 3"),
    "a negative index": (lambda: nn.index_select(X, 0, [-1]), "must lie in 0 ... 2, got -1 ... -1"),
    "a short source": (
        lambda: nn.scatter_add(X, 0, INDEX, SRC[:1]),
        "must not be longer than src along any axis",
    ),
    "a place twice": (lambda: nn.scatter(X, 0, INDEX, SRC), "a place comes twice.*scatter_reduce combines"),
    "another reduction": (lambda: nn.scatter_reduce(X, 0, INDEX, SRC, "max"), "got 'max'"),
    "a source": (
        lambda: nn.index_add(X, 1, SEVERAL, SRC),
        r"a source of shape \(3, 3\) is expected, got \(2, 5\)",
    ),
    "an index of two dimensions": (
        lambda: nn.index_select(X, 0, INDEX),
        r"one dimension is expected, got shape \(2, 4\)",
    ),
    "a number": (lambda: nn.scatter_add(np.float64(1.0), 0, 0, 1.0), "at least one dimension"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_an_index_is_of_plain_integers():
    with pytest.raises(DtypeError, match="plain array of integers, got dtype float64"):
        nn.gather(X, 0, INDEX / 1.0)
    with pytest.raises(DtypeError, match="plain array of integers"):
        rg.grad(lambda x: np.sum(nn.index_select(X, 0, x)))(np.ones(2))
