"""Attention with several heads and projections before and after it, with torch's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.formula import Formula
from refgrad.nn import attention_draws
from refgrad.nn.arguments import array_of, fixed
from refgrad.nn.attention import BY_LOGARITHM, by_logarithm
from refgrad.nn.layers import linear
from refgrad.nn.normalized_exponentials import softmax
from refgrad.op import Traced, twin

WHO = "multi_head_attention_forward"


def _torch_forward(
    torch: Any, query: Any, key: Any, value: Any, embed_dim_to_check: Any, num_heads: Any, in_proj_weight: Any, in_proj_bias: Any,
    bias_k: Any, bias_v: Any, add_zero_attn: Any, dropout_p: Any, out_proj_weight: Any, out_proj_bias: Any, training: Any,
    key_padding_mask: Any, need_weights: Any, attn_mask: Any, use_separate_proj_weight: Any, q_proj_weight: Any, k_proj_weight: Any,
    v_proj_weight: Any, static_k: Any, static_v: Any, average_attn_weights: Any, is_causal: Any,
) -> Any:  # fmt: skip  # a call with 25 arguments reads by lines
    return torch.nn.functional.multi_head_attention_forward(
        query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p,
        out_proj_weight, out_proj_bias, training, key_padding_mask, need_weights, attn_mask, use_separate_proj_weight, q_proj_weight,
        k_proj_weight, v_proj_weight, static_k, static_v, average_attn_weights, is_causal,
    )[0]  # fmt: skip


def _attended(
    normalized: Callable[..., Array], query: Array, key: Array, value: Array, embed_dim_to_check: int, num_heads: int, in_proj_weight: Any,
    in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool, dropout_p: float, out_proj_weight: Any, out_proj_bias: Any,
    training: bool = True, key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Any = None, k_proj_weight: Any = None, v_proj_weight: Any = None,
    static_k: Any = None, static_v: Any = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Array, Array | None]:  # fmt: skip  # as above
    """multi_head_attention_forward with this function from scores to probabilities."""
    if dropout_p and training:
        raise NoRuleError(
            f"{WHO}: dropout_p={dropout_p} would be random and has no rule; give 0, or training=False"
        )
    if is_causal and attn_mask is None:
        raise ArgumentError(f"{WHO}: is_causal=True says what attn_mask is; give the mask as well")
    static = static_k is not None or static_v is not None
    if (bias_k is None) != (bias_v is None) or (bias_k is not None and static):
        raise ArgumentError(f"{WHO}: bias_k goes with bias_v, and without static_k and static_v")
    q, k, v, single = _with_samples(array_of(query), array_of(key), array_of(value))
    padding = key_padding_mask[np.newaxis] if single and key_padding_mask is not None else key_padding_mask
    length, samples, width = q.shape
    if width != embed_dim_to_check or num_heads < 1 or width % num_heads or not width:
        raise ArgumentError(
            f"{WHO}: e must be embed_dim_to_check={embed_dim_to_check}, and num_heads={num_heads} divide it, got query of shape {q.shape}"
        )
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected((q, k, v), in_proj_weight, separate, in_proj_bias)
    added = 0
    if bias_k is not None:
        k, v = [_with_row(z, b, name) for z, b, name in ((k, bias_k, "bias_k"), (v, bias_v, "bias_v"))]
        added += 1
    size = (samples * num_heads, width // num_heads)
    q, k, v = [np.swapaxes(np.reshape(z, (z.shape[0], *size)), 0, 1) for z in (q, k, v)]
    k, v = [
        _static(z, given, name) for z, given, name in ((k, static_k, "static_k"), (v, static_v, "static_v"))
    ]
    if add_zero_attn:
        k, v = [np.concatenate([z, fixed(z, np.zeros((size[0], 1, size[1])))], axis=1) for z in (k, v)]
        added += 1
    scores = np.matmul(q * math.sqrt(1 / size[1]), np.swapaxes(k, 1, 2))
    count = k.shape[1]
    mask_shapes = ((length, count - added), (size[0], length, count - added))
    if attn_mask is not None:
        scores = scores + _mask(attn_mask, mask_shapes, added, scores, "attn_mask")
    if padding is not None:
        mask = _mask(padding, ((samples, count - added),), added, scores, "key_padding_mask")
        scores = scores + np.repeat(mask[:, np.newaxis], num_heads, axis=0)
    probabilities = normalized(scores, axis=-1)
    heads = np.reshape(np.swapaxes(np.matmul(probabilities, v), 0, 1), (length, samples, width))
    y = linear(heads, out_proj_weight, out_proj_bias)
    if not need_weights:
        return (y[:, 0] if single else y), None
    weights = np.reshape(probabilities, (samples, num_heads, length, count))
    weights = np.mean(weights, axis=1) if average_attn_weights else weights
    return (y[:, 0], weights[0]) if single else (y, weights)


@twin(
    torch=_torch_forward,
    draw=attention_draws.several_heads,
    output=0,
    grid=False,
    usual=(Formula(BY_LOGARITHM, lambda *xs, **params: _attended(by_logarithm, *xs, **params)[0]),),
)
def multi_head_attention_forward(
    query: Array,
    key: Array,
    value: Array,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Array | None,
    in_proj_bias: Array | None,
    bias_k: Array | None,
    bias_v: Array | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Array,
    out_proj_bias: Array | None,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Array | None = None,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    static_k: Array | None = None,
    static_v: Array | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Array, Array | None]:
    """Attention of ``num_heads`` heads: queries (l, n, e), keys and values (s, n, e) to (l, n, o), and the probabilities (n, l, s) or None.

    Without the axis n where there is one sample. ``in_proj_weight`` (3e, e) and ``in_proj_bias`` (3e,) project queries, keys and values,
    or the three weights (e, e), (e, ek) and (e, ev) do, with ``use_separate_proj_weight``. ``bias_k`` and ``bias_v``, (1, 1, e), are one
    more key and value after projection, ``add_zero_attn`` one more of zeros, ``static_k`` and ``static_v``, (n num_heads, s, e/num_heads),
    take the place of the projected ones. ``out_proj_weight`` (o, e) and ``out_proj_bias`` (o,) project what the heads return.
    ``attn_mask``, (l, s) or (n num_heads, l, s), and ``key_padding_mask``, (n, s), are plain booleans, True where a key takes no part, or
    numbers that are added. Where no key takes part, the result is NaN. With ``need_weights`` the probabilities are returned, as means over
    the heads unless ``average_attn_weights`` is False, which gives (n, num_heads, l, s). ``is_causal`` says that ``attn_mask``, which is
    needed, is causal; the mask counts. Vaswani et al., "Attention is all you need" (2017).

    Raises ArgumentError where shapes or parameters do not fit, NoRuleError for a dropout in training.
    """
    return _attended(
        softmax, query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p,
        out_proj_weight, out_proj_bias, training, key_padding_mask, need_weights, attn_mask, use_separate_proj_weight, q_proj_weight,
        k_proj_weight, v_proj_weight, static_k, static_v, average_attn_weights, is_causal,
    )  # fmt: skip


def _with_samples(q: Array, k: Array, v: Array) -> tuple[Array, Array, Array, bool]:
    """Queries (l, n, e), keys and values (s, n, e), and whether they came without the axis n."""
    if q.ndim not in (2, 3) or k.ndim != q.ndim or v.ndim != q.ndim:
        raise ArgumentError(
            f"{WHO}: query (l, n, e), key and value (s, n, e) are expected, or all without n, got {q.shape}, {k.shape} and {v.shape}"
        )
    single = q.ndim == 2
    if single:
        q, k, v = q[:, np.newaxis], k[:, np.newaxis], v[:, np.newaxis]
    if k.shape[:2] != v.shape[:2] or k.shape[1] != q.shape[1]:
        raise ArgumentError(
            f"{WHO}: key and value have to agree in s and n, got {k.shape} and {v.shape} for {q.shape}"
        )
    return q, k, v, single


def _projected(
    operands: tuple[Array, ...], packed: Any, separate: tuple[Any, ...] | None, bias: Any
) -> list[Array]:
    """Queries, keys and values times their weights, plus their parts of the bias."""
    width = operands[0].shape[-1]
    if separate is None:
        weight = None if packed is None else array_of(packed)
        if (
            weight is None
            or weight.shape != (3 * width, width)
            or any(z.shape[-1] != width for z in operands)
        ):
            shape = None if weight is None else weight.shape
            raise ArgumentError(
                f"{WHO}: in_proj_weight of shape {(3 * width, width)} and keys and values of {width} numbers are expected, got {shape} "
                f"and {[z.shape for z in operands]}; with use_separate_proj_weight=True there is a weight for each"
            )
        separate = tuple([weight[k * width : (k + 1) * width] for k in range(3)])
    weights: list[Array] = []
    for name, given, z in zip("qkv", separate, operands, strict=True):
        w = None if given is None else array_of(given)
        if w is None or w.shape != (width, z.shape[-1]):
            shape = None if w is None else w.shape
            raise ArgumentError(
                f"{WHO}: {name}_proj_weight of shape {(width, z.shape[-1])} is expected, got {shape}"
            )
        weights.append(w)
    biases: list[Any] = [None] * 3
    if bias is not None:
        whole = array_of(bias)
        if whole.shape != (3 * width,):
            raise ArgumentError(f"{WHO}: in_proj_bias of shape {(3 * width,)} is expected, got {whole.shape}")
        biases = [whole[k * width : (k + 1) * width] for k in range(3)]
    return [linear(z, w, b) for z, w, b in zip(operands, weights, biases, strict=True)]


def _with_row(z: Array, row: Any, name: str) -> Array:
    given = array_of(row)
    if given.shape != (1, 1, z.shape[-1]):
        raise ArgumentError(f"{WHO}: {name} of shape {(1, 1, z.shape[-1])} is expected, got {given.shape}")
    return np.concatenate([z, np.broadcast_to(given, (1, *z.shape[1:]))])


def _static(z: Array, given: Any, name: str) -> Array:
    if given is None:
        return z
    found = array_of(given)
    if found.ndim != 3 or found.shape[0] != z.shape[0] or found.shape[2] != z.shape[2]:
        raise ArgumentError(
            f"{WHO}: {name} of shape ({z.shape[0]}, s, {z.shape[2]}) is expected, got {found.shape}"
        )
    return found


def _mask(given: Any, shapes: tuple[tuple[int, ...], ...], added: int, scores: Array, name: str) -> Array:
    """What is added to the scores: -inf where a key takes no part, 0 for the keys that were added."""
    kind = given.dtype.kind if isinstance(given, Traced) else np.asarray(given).dtype.kind
    mask: Any = np.where(given, -np.inf, 0.0).astype(scores.dtype) if kind == "b" else array_of(given)
    if mask.shape not in shapes:
        raise ArgumentError(
            f"{WHO}: {name} of shape {' or '.join(map(str, shapes))} is expected, got {mask.shape}"
        )
    return np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, added)]) if added else mask
