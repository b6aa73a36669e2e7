"""Attention: values by definition, masks and shared heads, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError, NoRuleError
from tests.nn.derivative_checks import check_derivatives

attention = nn.scaled_dot_product_attention
CLOSE = {"rtol": 64 * np.finfo(float).eps, "atol": 64 * np.finfo(float).eps}
MASK = np.array([[True, False, True, True], [False, False, False, False], [True, True, False, False]])


def drawn(*shapes):
    rng = np.random.default_rng(sum(map(sum, shapes)))
    return [rng.standard_normal(shape) for shape in shapes]


def by_definition(q, k, v, scale, added=0.0):
    scores = np.exp(scale * q @ k.swapaxes(-1, -2) + added)
    return scores / scores.sum(axis=-1, keepdims=True) @ v


def test_values_are_those_of_the_definition():
    q, k, v = drawn((2, 3, 4), (2, 5, 4), (2, 5, 3))
    assert np.allclose(attention(q, k, v), by_definition(q, k, v, 0.5), **CLOSE)
    assert np.allclose(attention(q, k, v, scale=-0.3), by_definition(q, k, v, -0.3), **CLOSE)
    assert np.allclose(
        attention(q, k, v, scale=0.0), np.broadcast_to(v.mean(axis=1, keepdims=True), (2, 3, 3)), **CLOSE
    )
    added = drawn((3, 5))[0]
    assert np.allclose(attention(q, k, v, added), by_definition(q, k, v, 0.5, added), **CLOSE)


def test_a_key_that_takes_no_part():
    q, k, v = drawn((2, 3, 4), (2, 4, 4), (2, 4, 3))
    found = attention(q, k, v, MASK)
    for row, taken in enumerate(MASK):
        if taken.any():
            assert np.allclose(
                found[:, row : row + 1],
                by_definition(q[:, row : row + 1], k[:, taken], v[:, taken], 0.5),
                **CLOSE,
            )
        else:
            assert not found[:, row].any()
    assert np.array_equal(attention(q, k, v, np.where(MASK, 0.0, -np.inf)), found)
    v[:, 1] = np.nan  # key 1 takes no part in row 0, whose probability is 0: 0 * NaN is NaN, as in torch
    assert np.isnan(attention(q, k, v, MASK)[:, 0]).all()


def test_a_causal_mask_is_the_lower_triangle():
    q, k, v = drawn((2, 4, 4), (2, 4, 4), (2, 4, 3))
    assert np.array_equal(attention(q, k, v, is_causal=True), attention(q, k, v, np.tri(4, dtype=bool)))
    assert np.array_equal(
        attention(q[:, :2], k, v, is_causal=True), attention(q[:, :2], k, v, np.tri(2, 4, dtype=bool))
    )


def test_shared_heads_are_repeated_heads():
    q, k, v = drawn((2, 4, 3, 4), (2, 2, 5, 4), (2, 1, 5, 3))
    expected = attention(q, np.repeat(k, 2, axis=1), np.repeat(v, 4, axis=1))
    assert np.array_equal(attention(q, k, v, enable_gqa=True), expected)


FUNCTIONS = {
    "plain": attention,
    "causal": lambda q, k, v: attention(q, k, v, is_causal=True),
    "masked": lambda q, k, v: attention(q, k, v, MASK),
    "a mask of numbers": lambda q, k, v: attention(
        q,
        k,
        v,
        np.where(MASK, k[0, :, 0], -np.inf).astype(q.dtype)
        if isinstance(k, np.ndarray)
        else np.where(MASK, k[0, :, 0], -np.inf),
        scale=0.25,
    ),
    "shared heads": lambda q, k, v: attention(
        q[:, np.newaxis], k[:, np.newaxis], v[:, np.newaxis], enable_gqa=True
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_the_third_judge(name):
    assert check_derivatives(FUNCTIONS[name], *drawn((2, 3, 4), (2, 4, 4), (2, 4, 3)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype):
    q, k, v = [x.astype(dtype) for x in drawn((2, 3, 4), (2, 4, 4), (2, 4, 3))]
    assert attention(q, k, v, MASK).dtype == dtype
    assert attention(q, k, v, scale=0.3).dtype == dtype


def test_empty_arrays_have_the_shapes_due():
    assert attention(np.zeros((0, 3, 4)), np.zeros((0, 5, 4)), np.zeros((0, 5, 2))).shape == (0, 3, 2)
    assert attention(np.zeros((2, 0, 4)), np.zeros((2, 5, 4)), np.zeros((2, 5, 2))).shape == (2, 0, 2)
    assert np.array_equal(
        attention(np.ones((2, 3, 4)), np.ones((2, 0, 4)), np.ones((2, 0, 2))), np.zeros((2, 3, 2))
    )


Q, K, V = np.ones((2, 3, 4)), np.ones((2, 5, 4)), np.ones((2, 5, 3))
REFUSED = {
    "lengths of queries and keys": (
        lambda: attention(Q, K[..., :2], V),
        r"expected, got \(2, 3, 4\), \(2, 5, 2\)",
    ),
    "numbers of keys and values": (lambda: attention(Q, K, V[:, :2]), r"\(2, 2, 3\)"),
    "vectors": (lambda: attention(Q[0, 0], K, V), r"got \(4,\)"),
    "a mask": (
        lambda: attention(Q, K, V, np.ones((4, 5), bool)),
        r"attn_mask must broadcast to \(2, 3, 5\), got a mask of shape \(4, 5\)",
    ),
    "a mask of more axes": (
        lambda: attention(Q, K, V, np.ones((2, 2, 3, 5), bool)),
        "attn_mask must broadcast",
    ),
    "a mask beside is_causal": (
        lambda: attention(Q, K, V, np.ones((3, 5), bool), is_causal=True),
        "goes without attn_mask",
    ),
    "heads that do not divide": (
        lambda: attention(np.ones((3, 2, 4)), K, V, enable_gqa=True),
        "heads of key must divide",
    ),
    "no length": (lambda: attention(Q[..., :0], K[..., :0], V), "give scale="),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_dropout_is_refused():
    with pytest.raises(NoRuleError, match=r"dropout_p=0\.1 would be random"):
        attention(Q, K, V, dropout_p=0.1)
