"""Embeddings: values by definition, repeated rows, bags, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.errors import ArgumentError, DtypeError, NoRuleError
from tests.nn.derivative_checks import check_derivatives

TABLE = np.random.default_rng(0).permutation(15).reshape(5, 3) / 4.0 - 2
ROWS = np.array([[2, 0, 2, 4], [1, 4, 4, 3]])
FLAT, STARTS = np.array([2, 0, 2, 4, 1, 1]), np.array([0, 2, 2, 5])
BAGS = ([2, 0], [], [2, 4, 1], [1])
REDUCE = {"sum": np.sum, "mean": np.mean, "max": np.max}


def test_rows_are_read():
    assert np.array_equal(nn.embedding(ROWS, TABLE), TABLE[ROWS])
    assert np.array_equal(nn.embedding(3, TABLE), TABLE[3])
    assert nn.embedding(np.zeros((2, 0), int), TABLE).shape == (2, 0, 3)


def test_repeated_rows_add_up_and_padding_is_a_constant():
    counts = np.bincount(ROWS.ravel(), minlength=5)[:, np.newaxis]
    slope = rg.grad(lambda w: np.sum(nn.embedding(ROWS, w)))(TABLE)
    assert np.array_equal(slope, np.broadcast_to(counts, (5, 3)))
    slope = rg.grad(lambda w: np.sum(nn.embedding(ROWS, w, padding_idx=-1)))(TABLE)
    assert np.array_equal(
        slope, np.broadcast_to(np.where(np.arange(5)[:, np.newaxis] == 4, 0, counts), (5, 3))
    )
    y, y_dot = rg.jvp(lambda w: nn.embedding(ROWS, w, padding_idx=4), (TABLE,), (np.ones((5, 3)),))
    assert np.array_equal(y, TABLE[ROWS])
    assert np.array_equal(y_dot, np.broadcast_to((ROWS != 4)[..., np.newaxis], y.shape))


@pytest.mark.parametrize("mode", REDUCE)
def test_a_bag_is_its_rows_reduced_without_the_padding(mode):
    expected = np.stack([REDUCE[mode](TABLE[rows], axis=0) if rows else np.zeros(3) for rows in BAGS])
    assert np.allclose(nn.embedding_bag(FLAT, TABLE, STARTS, mode=mode), expected, rtol=4e-16, atol=0)
    assert np.allclose(
        nn.embedding_bag(FLAT, TABLE, np.append(STARTS, 6), mode=mode, include_last_offset=True),
        expected,
        rtol=4e-16,
        atol=0,
    )
    without = [[r for r in rows if r != 2] for rows in BAGS]
    expected = np.stack([REDUCE[mode](TABLE[rows], axis=0) if rows else np.zeros(3) for rows in without])
    assert np.allclose(
        nn.embedding_bag(FLAT, TABLE, STARTS, mode=mode, padding_idx=2), expected, rtol=4e-16, atol=0
    )
    assert np.allclose(
        nn.embedding_bag(ROWS, TABLE, mode=mode), REDUCE[mode](TABLE[ROWS], axis=1), rtol=4e-16, atol=0
    )
    unequal = np.array([[2, 0, 1], [1, 4, 3]])  # a row that is met twice in a bag ties with itself
    assert check_derivatives(lambda w: nn.embedding_bag(unequal, w, mode=mode), TABLE)
    assert check_derivatives(lambda w: nn.embedding_bag(FLAT, w, STARTS, mode=mode, padding_idx=4), TABLE)


def test_weights_multiply_the_rows_of_a_bag():
    weights = np.arange(8).reshape(2, 4) / 4 - 1
    found = nn.embedding_bag(ROWS, TABLE, mode="sum", per_sample_weights=weights)
    assert np.array_equal(found, np.sum(TABLE[ROWS] * weights[..., np.newaxis], axis=1))
    flat = nn.embedding_bag(
        ROWS.ravel(), TABLE, np.array([0, 4]), mode="sum", per_sample_weights=weights.ravel()
    )
    assert np.array_equal(flat, found)
    assert check_derivatives(
        lambda w, a: nn.embedding_bag(ROWS, w, mode="sum", per_sample_weights=a), TABLE, weights
    )


def test_a_row_that_a_bag_holds_twice_shares_with_itself():
    slope = rg.grad(lambda w: np.sum(nn.embedding_bag(np.array([[1, 1]]), w, mode="max")))(TABLE)
    assert np.array_equal(slope, np.broadcast_to((np.arange(5) == 1)[:, np.newaxis], (5, 3)))


def test_bags_without_rows_are_zero():
    none = np.zeros((2, 0), int)
    for mode in REDUCE:
        assert np.array_equal(nn.embedding_bag(none, TABLE, mode=mode), np.zeros((2, 3)))
        assert np.array_equal(nn.embedding_bag(none[0], TABLE, np.array([0, 0]), mode=mode), np.zeros((2, 3)))
        assert np.array_equal(
            rg.grad(lambda w, mode=mode: np.sum(nn.embedding_bag(none, w, mode=mode)))(TABLE),
            np.zeros((5, 3)),
        )
    assert nn.embedding_bag(none[0], TABLE, none[0]).shape == (0, 3)


def test_one_hot_rows_are_those_of_the_identity():
    found = nn.one_hot(np.array([[0, 2], [1, 0]]))
    assert found.dtype == np.int64
    assert np.array_equal(found, np.eye(3, dtype=int)[[[0, 2], [1, 0]]])
    assert nn.one_hot(np.array([0]), 4).shape == (1, 4)
    assert nn.one_hot(np.zeros((0, 2), int), 3).shape == (0, 2, 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype):
    assert nn.embedding(ROWS, TABLE.astype(dtype), padding_idx=0).dtype == dtype
    for mode in REDUCE:
        assert nn.embedding_bag(FLAT, TABLE.astype(dtype), STARTS, mode=mode).dtype == dtype


REFUSED = {
    "a table": (
        lambda: nn.embedding(ROWS, TABLE[0]),
        r"weight of shape \(rows, d\) is expected, got shape \(3,\)",
    ),
    "an index out of range": (
        lambda: nn.embedding(ROWS + 1, TABLE),
        "input must lie in 0 ... 4, got 1 ... 5",
    ),
    "a negative index": (lambda: nn.embedding(ROWS - 1, TABLE), "got -1 ... 3"),
    "padding out of range": (
        lambda: nn.embedding(ROWS, TABLE, padding_idx=5),
        "padding_idx must lie in -5 ... 4, got 5",
    ),
    "another mode": (lambda: nn.embedding_bag(ROWS, TABLE, mode="min"), "got 'min'"),
    "offsets beside bags": (
        lambda: nn.embedding_bag(ROWS, TABLE, STARTS),
        "offsets go with an input of one dimension",
    ),
    "no offsets": (lambda: nn.embedding_bag(FLAT, TABLE), "with offsets is expected"),
    "offsets that start late": (
        lambda: nn.embedding_bag(FLAT, TABLE, STARTS + 1),
        r"start at 0 are expected, got \[1, 3, 3, 6\]",
    ),
    "offsets that decrease": (
        lambda: nn.embedding_bag(FLAT, TABLE, np.array([0, 3, 2])),
        "must not decrease",
    ),
    "offsets beyond the end": (
        lambda: nn.embedding_bag(FLAT, TABLE, np.array([0, 7]), include_last_offset=True),
        "nor pass the input's 6",
    ),
    "weights of a mean": (
        lambda: nn.embedding_bag(ROWS, TABLE, per_sample_weights=np.ones((2, 4))),
        'go with mode "sum"',
    ),
    "weights of another shape": (
        lambda: nn.embedding_bag(ROWS, TABLE, mode="sum", per_sample_weights=np.ones(8)),
        r"the shape of input, \(2, 4\), got \(8,\)",
    ),
    "a class out of range": (lambda: nn.one_hot(np.array([3]), 3), "labels must lie in 0 ... 2, got 3 ... 3"),
    "no labels": (lambda: nn.one_hot(np.zeros(0, int)), "give num_classes="),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_what_is_no_derivative_is_refused():
    for f, indices in ((nn.embedding, ROWS), (nn.embedding_bag, ROWS)):
        for more in ({"max_norm": 1.0}, {"scale_grad_by_freq": True}, {"sparse": True}):
            with pytest.raises(NoRuleError, match=next(iter(more))):
                f(indices, TABLE, **more)
        with pytest.raises(DtypeError, match="plain array of integers, got dtype float64"):
            f(ROWS / 1.0, TABLE)
