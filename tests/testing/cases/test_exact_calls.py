"""Calls of functions that round nothing: which functions have them, and that rounding, ties and other formulas are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad.node  # noqa: F401  declares every function
from refgrad.op import FUNCTIONS
from refgrad.testing.cases.exact_calls import exact_call, rounds_nothing, small_integers


def exact(name: str, *operands: Any, dtype: str = "bfloat16", cotangent: Any = None, **given: Any) -> bool:
    function = FUNCTIONS[name]
    arrays = [np.asarray(x) for x in operands]
    params = function.completed(given, len(arrays))
    moving = [np.ones(x.shape) if x.dtype.kind == "f" else None for x in arrays]
    return exact_call(function, arrays, params, moving, cotangent, dtype)


@pytest.mark.parametrize(
    "name",
    ["nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.conv_transpose2d", "nn.max_pool2d", "nn.avg_pool2d", "nn.unfold", "nn.fold", "nn.linear",
     "nn.gather", "nn.scatter_add", "nn.embedding", "nn.pad", "nn.interpolate", "nn.l1_loss", "nn.mse_loss", "nn.prelu", "complex.matmul"],
)  # fmt: skip
def test_convolutions_pooling_and_moves_round_nothing(name: str) -> None:
    assert rounds_nothing(name)


@pytest.mark.parametrize(
    "name",
    ["nn.layer_norm", "nn.batch_norm", "nn.group_norm", "nn.softplus", "nn.gru_cell", "nn.glu", "nn.multi_head_attention_forward",
     "complex.exp", "complex.divide",
     "complex.sqrt", "special.zeta"],
)  # fmt: skip
def test_quotients_roots_and_exponentials_do(name: str) -> None:
    assert not rounds_nothing(name)


def test_rounding_is_told_at_the_operands() -> None:
    x, w = np.array([[[1.0, -2.0, 3.0]]]), np.array([[[2.0, 5.0]]])
    assert exact("nn.conv1d", x, w)
    assert not exact("nn.conv1d", x + 2.0**-6, w * 31)  # more digits than bfloat16 has
    assert exact("nn.conv1d", x + 2.0**-6, w * 31, dtype="float32")
    assert not exact("nn.conv1d", x, w, cotangent=np.full((1, 1, 2), 255.0))  # as have those of the gradients


def test_ties_are_told() -> None:
    assert exact("nn.max_pool1d", np.array([[[1.0, 3.0, 2.0, -1.0]]]), kernel_size=2)
    assert not exact("nn.max_pool1d", np.array([[[1.0, 1.0, 2.0, -1.0]]]), kernel_size=2)


def test_a_mean_is_exact_over_a_power_of_two() -> None:
    assert exact("nn.avg_pool1d", np.array([[[1.0, 3.0, 2.0, -1.0]]]), kernel_size=2)
    assert not exact("nn.avg_pool1d", np.array([[[1.0, 3.0, 2.0, -1.0]]]), kernel_size=3)


def test_equal_scores_are_not_exact_where_kernels_take_logarithms() -> None:
    """exp(s - logsumexp(s)) rounds for two keys, whose quotient is 1/2, and not for one."""
    q, k = np.array([[2.0, 3.0]]), np.array([[1.0, -1.0], [1.0, -1.0]])
    assert not exact("nn.scaled_dot_product_attention", q, k, np.array([[2.0], [4.0]]), scale=1.0)
    assert exact("nn.scaled_dot_product_attention", q, k[:1], np.array([[2.0]]), scale=1.0)


def test_operands_that_a_function_refuses_are_not_exact() -> None:
    assert not exact("nn.conv1d", np.ones((1, 2, 3)), np.ones((1, 1, 2)))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (5, 6), (7, 9), (0, 2)])
def test_few_integers_are_distinct_and_many_are_small(shape: tuple[int, ...]) -> None:
    for seed in range(20):
        x = small_integers(np.random.default_rng(seed), shape)
        assert x.shape == shape
        assert np.all(x == np.rint(x))
        assert np.all(x != 0)
        if x.size <= 30:
            assert np.unique(x).size == x.size
            assert np.max(np.abs(x), initial=0) <= 15
        else:
            assert np.max(np.abs(x)) <= 3
