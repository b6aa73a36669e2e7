"""Scaled dot-product attention, with torch's parameters."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.formula import Formula
from refgrad.nn import layer_draws
from refgrad.nn.arguments import array_of
from refgrad.nn.normalized_exponentials import logsumexp, softmax
from refgrad.op import Traced, twin
from refgrad.tracing.differentiable_arguments import plain


def by_logarithm(scores: Array, axis: int) -> Array:
    """The probabilities as exp(s - logsumexp(s))."""
    return np.exp(scores - logsumexp(scores, axis, keepdims=True))


BY_LOGARITHM = "probabilities as exp(s - logsumexp(s)) (torch's fused backward)"


def _attended(
    normalized: Callable[..., Array],
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """scaled_dot_product_attention with this function from scores to probabilities."""
    who = "scaled_dot_product_attention"
    q, k, v = array_of(query), array_of(key), array_of(value)
    if dropout_p:
        raise NoRuleError(
            f"{who}: dropout_p={dropout_p} would be random and has no rule; give 0, or multiply the probabilities by a mask of your own"
        )
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ArgumentError(
            f"{who}: shapes (..., l, e), (..., s, e) and (..., s, v) are expected, got {q.shape}, {k.shape} and {v.shape}"
        )
    if enable_gqa:
        k, v = [_shared(z, q, name, who) for z, name in ((k, "key"), (v, "value"))]
    if scale is None and not q.shape[-1]:
        raise ArgumentError(f"{who}: no default scale for e = 0; give scale=")
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    # Kernels scale the product, or both operands by the square root; the latter rounds more often.
    root = math.sqrt(abs(factor))
    scores = np.matmul(q * math.copysign(root, factor), np.swapaxes(k, -1, -2) * root)
    taken: Any = None
    if is_causal:
        if attn_mask is not None:
            raise ArgumentError(f"{who}: is_causal=True goes without attn_mask, got both")
        taken = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    elif attn_mask is not None:
        scores, taken = _masked(scores, attn_mask, who)
    if taken is None:
        return np.matmul(normalized(scores, axis=-1), v)
    some = np.any(taken, axis=-1, keepdims=True)
    scores = np.where(taken | ~some, scores, np.asarray(-np.inf, scores.dtype))
    return np.where(some, np.matmul(normalized(scores, axis=-1), v), np.zeros((), v.dtype))


@twin(
    torch=lambda torch, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa: (
        torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    ),
    draw=layer_draws.attention,
    usual=(Formula(BY_LOGARITHM, functools.partial(_attended, by_logarithm)),),
)
def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """softmax(scale query key^T + mask) value: shapes (..., l, e), (..., s, e) and (..., s, v) to (..., l, v).

    ``scale`` is 1/sqrt(e) unless given. ``attn_mask`` broadcasts to (..., l, s): a plain array of booleans, True where a key takes part,
    or numbers that are added. ``is_causal`` lets key j take part for query i where j <= i, and goes without a mask. A query for which
    no key takes part gets 0, as in torch from 2.5 on. With ``enable_gqa`` query head h of H uses key and value head h // (H/heads).
    Vaswani et al., "Attention is all you need" (2017).

    Raises ArgumentError where shapes or parameters do not fit, NoRuleError for a dropout.
    """
    return _attended(softmax, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def _shared(z: Array, q: Array, name: str, who: str) -> Array:
    """Each head as often as there are query heads for it."""
    if q.ndim < 3 or z.ndim < 3 or not z.shape[-3] or q.shape[-3] % z.shape[-3]:
        raise ArgumentError(
            f"{who}: with enable_gqa the heads of {name} must divide those of query, got shapes {z.shape} and {q.shape}"
        )
    return np.repeat(z, q.shape[-3] // z.shape[-3], axis=-3)


def _masked(scores: Array, mask: Any, who: str) -> tuple[Array, Any]:
    """The scores with a mask of numbers added, and where keys take part."""
    kind = mask.dtype.kind if isinstance(mask, Traced) else np.asarray(mask).dtype.kind
    given = array_of(mask) if kind != "b" else np.asarray(mask)
    ends = zip(given.shape[::-1], scores.shape[::-1], strict=False)
    if given.ndim > scores.ndim or any(n not in (1, m) for n, m in ends):
        raise ArgumentError(
            f"{who}: attn_mask must broadcast to {scores.shape}, got a mask of shape {given.shape}"
        )
    if kind == "b":
        return scores, given
    taken = ~np.isneginf(plain(given))
    return scores + np.where(taken, given, np.zeros((), given.dtype)), taken
