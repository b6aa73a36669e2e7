"""Draws of the arguments of layers, for their declarations: small arrays, and every kind of parameter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad.op import Draws, Params

Drawer = Callable[[Draws], Params]


def convolution(axes: int) -> Drawer:
    """Arguments of a convolution over so many axes."""

    def draw(draws: Draws) -> Params:
        samples, groups, padding = draws.size(), draws.choice((1, 2)), draws.choice((0, 1, "same", 2))
        inner, outer = draws.integer(1, 2), draws.integer(1, 2) * groups
        kernel = tuple([draws.integer(1, 3) for _ in range(axes)])
        stride = 1 if padding == "same" else draws.choice((1, 2))
        dilation = draws.choice((1, 2))
        shape = [dilation * (k - 1) + draws.integer(1, 3) for k in kernel]
        if stride == 2 and padding == 1:
            # Two outputs on either side of a single place read padding alone, and torch may end the process
            # (docs/findings/convolution-of-padding-alone.md).
            shape = [max(size, 2) for size in shape]
        return {
            "input": draws.numbers((samples, groups * inner, *shape)),
            "weight": draws.numbers((outer, inner, *kernel)),
            "bias": draws.numbers((outer,)) if draws.choice((True, False)) else None,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        }

    return draw


def convolution_of_sequences(draws: Draws) -> Params:
    """Arguments of conv_tbc."""
    kernel, inner, outer = draws.integer(1, 3), draws.integer(1, 2), draws.integer(1, 2)
    return {
        "input": draws.numbers((kernel - 1 + draws.integer(1, 3), draws.size(), inner)),
        "weight": draws.numbers((kernel, inner, outer)),
        "bias": draws.numbers((outer,)),
        "pad": draws.choice((0, 1)),
    }


def transposed_convolution(axes: int) -> Drawer:
    """Arguments of a transposed convolution over so many axes."""

    def draw(draws: Draws) -> Params:
        samples, groups, stride, dilation = draws.size(), *[draws.choice((1, 2)) for _ in range(3)]
        inner, outer = draws.integer(1, 2) * groups, draws.integer(1, 2)
        kernel = tuple([draws.integer(1, 3) for _ in range(axes)])
        places = [draws.integer(2, 3) for _ in range(axes)]
        return {
            "input": draws.numbers((samples, inner, *places)),
            "weight": draws.numbers((inner, outer, *kernel)),
            "bias": draws.numbers((outer * groups,)) if draws.choice((True, False)) else None,
            "stride": stride,
            "padding": draws.choice((0, 1)) if min(kernel) > 1 else 0,
            "output_padding": draws.choice((0, max(stride, dilation) - 1)),
            "groups": groups,
            "dilation": dilation,
        }

    return draw


def _windows(draws: Draws, axes: int) -> Params:
    size = draws.integer(1, 3)
    shape = [size + draws.integer(0, 3) for _ in range(axes)]
    return {
        "input": draws.numbers((draws.size(), draws.integer(1, 2), *shape)),
        "kernel_size": size,
        "stride": draws.choice((None, 1, 2)),
        "padding": draws.choice((0, size // 2)),
        "ceil_mode": draws.choice((False, True)),
    }


def average_pooling(axes: int) -> Drawer:
    """Arguments of a mean over windows along so many axes."""

    def draw(draws: Draws) -> Params:
        arguments = {**_windows(draws, axes), "count_include_pad": draws.choice((True, False))}
        return arguments if axes == 1 else {**arguments, "divisor_override": draws.choice((None, 3))}

    return draw


def max_pooling(axes: int) -> Drawer:
    """Arguments of a maximum over windows along so many axes."""

    def draw(draws: Draws) -> Params:
        arguments = _windows(draws, axes)
        longest = (min(arguments["input"].shape[2:]) - 1) // max(arguments["kernel_size"] - 1, 1)
        return {**arguments, "dilation": draws.choice((1, 2)) if longest > 1 else 1, "return_indices": False}

    return draw


def adaptive_pooling(axes: int) -> Drawer:
    """Arguments of a mean or maximum over windows that cover so many axes."""

    def draw(draws: Draws) -> Params:
        shape = (draws.size(), draws.integer(1, 2), *[draws.integer(1, 6) for _ in range(axes)])
        return {
            "input": draws.numbers(shape),
            "output_size": tuple([draws.integer(1, 4) for _ in range(axes)]),
        }

    return draw


def batch_normalization(draws: Draws) -> Params:
    """Arguments of batch_norm, in training and with running statistics."""
    channels, rest, training = draws.integer(1, 3), draws.shape(0, 2), draws.choice((True, False))
    shape = (draws.size() + 1, channels, *rest)
    affine = draws.choice((True, False))
    return {
        "input": draws.numbers(shape),
        "running_mean": None if training else draws.numbers((channels,)),
        "running_var": None if training else draws.numbers((channels,), 0.25, 4.0),
        "weight": draws.numbers((channels,)) if affine else None,
        "bias": draws.numbers((channels,)) if affine else None,
        "training": training,
        "eps": draws.choice((1e-5, 1e-3, 1.0)),
    }


def attention(draws: Draws) -> Params:
    """Arguments of scaled_dot_product_attention: no mask, a mask of booleans or numbers, or causal."""
    lead, queries, keys = (draws.integer(1, 2), draws.integer(1, 2)), draws.size(), draws.integer(1, 4)
    inner, outer = draws.choice((4, 1, 3)), draws.integer(1, 3)
    kind = draws.choice(("none", "causal", "booleans", "numbers"))
    masks = {"booleans": draws.mask, "numbers": draws.numbers}
    return {
        "query": draws.numbers((*lead, queries, inner)),
        "key": draws.numbers((*lead, keys, inner)),
        "value": draws.numbers((*lead, keys, outer)),
        "attn_mask": masks[kind]((queries, keys)) if kind in masks else None,
        "is_causal": kind == "causal",
        "scale": draws.choice((None, 0.25)),
    }


def embedding(draws: Draws) -> Params:
    """Arguments of embedding, with and without a row that is a constant."""
    rows = draws.integer(1, 4)
    return {
        "input": draws.labels(draws.shape(1, 2), rows),
        "weight": draws.numbers((rows, draws.size())),
        "padding_idx": draws.choice((None, None, 0, -1)),
    }


def bags(draws: Draws) -> Params:
    """Arguments of embedding_bag with bags of one length, or of several lengths, some of them empty."""
    rows, mode = draws.integer(1, 4), draws.choice(("sum", "mean", "max"))
    weighted = mode == "sum" and draws.choice((True, False))
    bags, most, flat = draws.size(), draws.integer(1, 4), draws.choice((False, True))
    lengths = draws.rng.integers(0, most + 1, bags)
    ends = np.cumsum(lengths)
    flat = flat and ends[-1] > 0
    last = flat and draws.choice((False, True))
    shape = (int(ends[-1]),) if flat else (bags, most)
    offsets = np.concatenate([[0], ends]) if last else np.concatenate([[0], ends[:-1]])
    return {
        "input": draws.labels(shape, rows),
        "weight": draws.numbers((rows, draws.integer(1, 3))),
        "offsets": offsets.astype(np.int64) if flat else None,
        "mode": mode,
        "per_sample_weights": draws.numbers(shape) if weighted else None,
        "include_last_offset": last,
        "padding_idx": draws.choice((None, None, 0)),
    }


def places(draws: Draws) -> Params:
    """An input, an axis, and an index along it."""
    shape = draws.shape(1, 2)
    dim = draws.integer(0, len(shape) - 1)
    index = tuple([draws.size() if k == dim else n for k, n in enumerate(shape)])
    return {"input": draws.numbers(shape), "dim": dim, "index": draws.labels(index, shape[dim])}


def additions(draws: Draws) -> Params:
    """The same with what is added at the index."""
    arguments = places(draws)
    return {**arguments, "src": draws.numbers(arguments["index"].shape)}


def selection(draws: Draws) -> Params:
    """An input, an axis, and an index of one dimension."""
    arguments = places(draws)
    index = draws.labels((draws.size(),), arguments["input"].shape[arguments["dim"]])
    return {**arguments, "index": index}
