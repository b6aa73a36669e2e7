"""Attention with several heads: values by its parts, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError, NoRuleError
from tests.nn.derivative_checks import check_derivatives

RNG = np.random.default_rng(4)
X, W, OUT = [RNG.standard_normal(shape) for shape in ((3, 2, 4), (12, 4), (4, 4))]
MASK = np.triu(np.ones((3, 3), bool), 1)


def attention(x, w, out, **more):
    arguments = {
        "in_proj_bias": None,
        "bias_k": None,
        "bias_v": None,
        "add_zero_attn": False,
        "dropout_p": 0.0,
    }
    return nn.multi_head_attention_forward(
        x, x, x, 4, 2, w, out_proj_weight=out, out_proj_bias=None, **{**arguments, **more}
    )


def test_it_is_attention_of_each_head_between_projections():
    y, weights = attention(X, W, OUT, attn_mask=MASK)
    q, k, v = [np.moveaxis((X @ w.T).reshape(3, 2, 2, 2), 0, 2) for w in np.split(W, 3)]
    heads = nn.scaled_dot_product_attention(q, k, v, ~MASK)
    assert np.allclose(y, np.moveaxis(heads, 2, 0).reshape(3, 2, 4) @ OUT.T, rtol=0, atol=2.0**-40)
    assert weights.shape == (2, 3, 3)
    assert not weights[:, MASK].any()


def test_derivatives_are_those_of_the_third_judge():
    assert check_derivatives(lambda x, w, out: attention(x, w, out, attn_mask=MASK)[0], X, W / 4, OUT)


def test_errors_name_what_was_given():
    with pytest.raises(ArgumentError, match=r"in_proj_weight of shape \(12, 4\).* got \(4, 4\)"):
        attention(X, OUT, OUT)
    with pytest.raises(ArgumentError, match=r"attn_mask of shape \(3, 3\) or \(4, 3, 3\) is expected"):
        attention(X, W, OUT, attn_mask=MASK[:2])
    with pytest.raises(NoRuleError, match=r"dropout_p=0\.1 would be random"):
        attention(X, W, OUT, dropout_p=0.1)
