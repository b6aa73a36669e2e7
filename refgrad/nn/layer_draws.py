"""Draws of the arguments of layers, for their declarations: small arrays, and every kind of parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from refgrad.op import Draws, Params

Drawer = Callable[[Draws], Params]


def each(draws: Draws, axes: int, options: Sequence[int]) -> int | tuple[int, ...]:
    """One of the options for all axes, or one for each axis: a backward may mix up the axes."""
    if axes > 1 and draws.choice((False, True)):
        return tuple([draws.choice(options) for _ in range(axes)])
    return draws.choice(options)


def on_axes(given: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """A number for each axis."""
    return given if isinstance(given, tuple) else (given,) * axes


def batch(draws: Draws) -> tuple[int, ...]:
    """The axis of samples, which a single one may lack."""
    samples = (draws.size(),)
    return draws.choice((samples, samples, ()))


def read(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """The least number of places, ``size`` or more, of which an output of a convolution reads one and not padding alone.

    torch may end the process for outputs of padding alone (docs/findings/convolution-of-padding-alone.md).
    """
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    places = [k * stride - padding + m * dilation for k in range(outputs) for m in range(kernel)]
    return size if any(0 <= k < size for k in places) else read(size + 1, kernel, stride, padding, dilation)


def convolution(axes: int) -> Drawer:
    """Arguments of a convolution over so many axes."""

    def draw(draws: Draws) -> Params:
        lead, groups, kind = batch(draws), draws.choice((1, 2)), draws.choice(("widths", "same", "valid"))
        inner, outer = draws.integer(1, 2), draws.integer(1, 2) * groups
        kernel = tuple([draws.integer(1, 3) for _ in range(axes)])
        stride = 1 if kind == "same" else each(draws, axes, (1, 2, 3))
        padding = each(draws, axes, (0, 1, 2)) if kind == "widths" else kind
        dilation = each(draws, axes, (1, 2))
        widths = 0 if isinstance(padding, str) else padding
        windows = list(zip(kernel, *[on_axes(x, axes) for x in (stride, widths, dilation)], strict=True))
        shape = [read(d * (k - 1) + draws.integer(1, 3), k, s, p, d) for k, s, p, d in windows]
        return {
            "input": draws.numbers((*lead, groups * inner, *shape)),
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
        lead, groups = batch(draws), draws.choice((1, 2))
        stride, dilation = each(draws, axes, (1, 2)), each(draws, axes, (1, 2))
        inner, outer = draws.integer(1, 2) * groups, draws.integer(1, 2)
        kernel = tuple([draws.integer(1, 3) for _ in range(axes)])
        padding = each(draws, axes, (0, 1)) if min(kernel) > 1 else 0
        # What is padded is no shorter than the kernel: see docs/findings/convolution-weights-in-bfloat16.md.
        places = [
            max(draws.integer(2, 3), 1 + -(-2 * p // s))
            for s, p in zip(on_axes(stride, axes), on_axes(padding, axes), strict=True)
        ]
        rooms = [max(s, d) - 1 for s, d in zip(on_axes(stride, axes), on_axes(dilation, axes), strict=True)]
        return {
            "input": draws.numbers((*lead, inner, *places)),
            "weight": draws.numbers((inner, outer, *kernel)),
            "bias": draws.numbers((outer * groups,)) if draws.choice((True, False)) else None,
            "stride": stride,
            "padding": padding,
            "output_padding": draws.choice((0, tuple(rooms))),
            "groups": groups,
            "dilation": dilation,
        }

    return draw


def _windows(draws: Draws, axes: int) -> Params:
    size = each(draws, axes, (1, 2, 3))
    sizes = on_axes(size, axes)
    shape = [k + draws.integer(0, 3) for k in sizes]
    halves = tuple([k // 2 for k in sizes])
    return {
        "input": draws.numbers((*batch(draws), draws.integer(1, 2), *shape)),
        "kernel_size": size,
        "stride": None if draws.choice((True, False)) else each(draws, axes, (1, 2)),
        "padding": draws.choice((0, halves if isinstance(size, tuple) else halves[0])),
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
        sizes = on_axes(arguments["kernel_size"], axes)
        shape = arguments["input"].shape[-axes:]
        fits = all(2 * (k - 1) < n for k, n in zip(sizes, shape, strict=True))
        return {
            **arguments,
            "dilation": each(draws, axes, (1, 2)) if fits else 1,
            "return_indices": draws.choice((False, True)),
        }

    return draw


def adaptive_pooling(axes: int, indices: bool = False) -> Drawer:
    """Arguments of a mean over windows that cover so many axes, or of a maximum, with ``indices``."""

    def draw(draws: Draws) -> Params:
        shape = (*batch(draws), draws.integer(1, 2), *[draws.integer(1, 6) for _ in range(axes)])
        several = tuple([draws.integer(1, 4) for _ in range(axes)])
        whole = (*several[1:], None) if axes > 1 else several
        return {
            "input": draws.numbers(shape),
            "output_size": draws.choice((several, several[0], whole)),
            **({"return_indices": draws.choice((False, True))} if indices else {}),
        }

    return draw


def batch_normalization(draws: Draws) -> Params:
    """Arguments of batch_norm: in training, with and without statistics that are carried on, and with running statistics."""
    channels, rest, training = draws.integer(1, 3), draws.shape(0, 2), draws.choice((True, False))
    shape = (draws.size() + 1, channels, *rest)
    affine, kept = draws.choice((True, False)), draws.choice((False, True))
    return {
        "input": draws.numbers(shape),
        "running_mean": draws.numbers((channels,)) if kept or not training else None,
        "running_var": draws.numbers((channels,), 0.25, 4.0) if kept or not training else None,
        "weight": draws.numbers((channels,)) if affine else None,
        "bias": draws.numbers((channels,)) if affine else None,
        "training": training,
        "momentum": draws.choice((0.1, 0.5)),
        "eps": draws.choice((1e-5, 1e-3, 1.0)),
    }


def attention(draws: Draws) -> Params:
    """Arguments of scaled_dot_product_attention: no mask, a causal one, or one of booleans or numbers for some axes; shared heads."""
    samples, heads, queries, keys = (
        draws.integer(1, 2),
        draws.integer(1, 2),
        draws.size(),
        draws.integer(1, 4),
    )
    inner, outer = draws.choice((4, 1, 3)), draws.integer(1, 3)
    kind = draws.choice(("none", "causal", "booleans", "numbers"))
    masks = {"booleans": draws.mask, "numbers": draws.numbers}
    grouped = draws.choice((False, True))
    lead = draws.choice(((samples, heads), (samples, heads), (samples,), (), (2, samples, heads)))
    lead = (samples, heads) if grouped else lead
    whole = (*lead[:-1], lead[-1] * draws.integer(1, 3)) if grouped else lead
    shape = draws.choice(
        ((queries, keys), (*whole, queries, keys), (*whole, 1, keys), (*[1] * len(whole), queries, keys))
    )
    return {
        "query": draws.numbers((*whole, queries, inner)),
        "key": draws.numbers((*lead, keys, inner)),
        "value": draws.numbers((*lead, keys, outer)),
        "attn_mask": masks[kind](shape) if kind in masks else None,
        "is_causal": kind == "causal",
        "scale": draws.choice((None, 0.25)),
        "enable_gqa": grouped,
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
