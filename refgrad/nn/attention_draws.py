"""Draws of the arguments of attention with projections, for its declaration."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.op import Draws, Params


def several_heads(draws: Draws) -> Params:
    """Arguments of multi_head_attention_forward: masks, biases and more keys in every combination."""
    heads, samples = draws.integer(1, 2), draws.integer(1, 2)
    width = heads * draws.integer(1, 2)
    length, count = draws.integer(1, 3), draws.integer(1, 3)
    single = draws.choice((False, True))
    samples = 1 if single else samples
    separate = draws.choice((False, True))
    widths = [width, draws.integer(1, 2), draws.integer(1, 2)] if separate else [width] * 3
    lead = () if single else (samples,)
    operands = [draws.numbers((n, *lead, w)) for n, w in zip((length, count, count), widths, strict=True)]
    weights: list[Any] = [None] * 4
    if separate:
        weights[1:] = [draws.numbers((width, w)) for w in widths]
    else:
        weights[0] = draws.numbers((3 * width, width))
    outer, training = draws.integer(1, 2), draws.choice((True, False))
    more, biased = draws.choice((False, True)), draws.choice((True, False))
    # The first key always takes part. torch warns of masks of two kinds.
    causal, padding = np.triu(np.ones((length, count), bool), 1), np.zeros((*lead, count), bool)
    padding[..., 1:] = True
    masks = draws.choice(("none", "numbers", "booleans", "padding", "both"))
    blocked: Any = {"booleans": causal, "both": causal}.get(masks)
    if masks == "numbers":
        blocked = draws.numbers((length, count))
    if blocked is not None and draws.choice((False, True)):  # a mask for each head of each sample
        blocked = np.repeat(blocked[np.newaxis], samples * heads, axis=0)
    # torch takes the mask as a hint that attention is causal, and does not look at it: the keys must be those that it masks.
    hinted = masks == "booleans" and not more and draws.choice((False, True))
    return {
        **dict(zip(("query", "key", "value"), operands, strict=True)),
        "embed_dim_to_check": width,
        "num_heads": heads,
        "in_proj_weight": weights[0],
        "in_proj_bias": draws.numbers((3 * width,)) if biased else None,
        "bias_k": draws.numbers((1, 1, width)) if more else None,
        "bias_v": draws.numbers((1, 1, width)) if more else None,
        "add_zero_attn": draws.choice((False, True)) and not hinted,
        "dropout_p": 0.0 if training else draws.choice((0.0, 0.5)),
        "out_proj_weight": draws.numbers((outer, width)),
        "out_proj_bias": draws.numbers((outer,)) if biased else None,
        "training": training,
        "key_padding_mask": padding if masks in ("padding", "both") else None,
        "need_weights": draws.choice((False, True)),
        "attn_mask": blocked,
        "use_separate_proj_weight": separate,
        **dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), weights[1:], strict=True)),
        "average_attn_weights": draws.choice((True, False)),
        "is_causal": hinted,
    }
