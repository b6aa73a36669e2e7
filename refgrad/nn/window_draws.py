"""Draws of the arguments of unpooling, norms over windows, patches and padding, for their declarations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.nn.layer_draws import batch, each, on_axes
from refgrad.nn.spatial import places
from refgrad.op import Draws, Params

Drawer = Callable[[Draws], Params]
MODES = ("constant", "reflect", "replicate", "circular")


def powers(axes: int) -> Drawer:
    """Arguments of a norm over windows along so many axes. Sums of odd powers may be negative, so these inputs are positive."""

    def draw(draws: Draws) -> Params:
        size, power = each(draws, axes, (1, 2, 3)), draws.choice((2.0, 1.0, 3.0, 4.0, 1.5))
        sizes = [k + draws.integer(0, 3) for k in on_axes(size, axes)]
        shape = (*batch(draws), draws.integer(1, 2), *sizes)
        return {
            "input": draws.numbers(shape) if power in (1.0, 2.0, 4.0) else draws.numbers(shape, low=0.125),
            "norm_type": power,
            "kernel_size": size,
            "stride": None if draws.choice((True, False)) else each(draws, axes, (1, 2)),
            "ceil_mode": draws.choice((False, True)),
        }

    return draw


def unpooling(axes: int) -> Drawer:
    """Arguments of max_unpool along so many axes; each element of a channel has a place of its own."""

    def draw(draws: Draws) -> Params:
        lead = (draws.size(), draws.integer(1, 2)) if draws.choice((True, False)) else (draws.size(),)
        size = each(draws, axes, (1, 2, 3))
        sizes = on_axes(size, axes)
        gap, padded = draws.choice((0, 1)), draws.choice((False, True))
        steps = tuple([k + gap for k in sizes])
        widths = tuple([k // 2 if padded else 0 for k in sizes])
        stride, around = (steps, widths) if isinstance(size, tuple) else (steps[0], widths[0])
        counts = tuple([draws.integer(1 if a < k / 2 else 2, 3) for a, k in zip(widths, sizes, strict=True)])
        rows = zip(counts, steps, widths, sizes, strict=True)
        shape = [(n - 1) * s - 2 * a + k for n, s, a, k in rows]
        flat = [
            draws.rng.permutation(int(np.prod(shape)))[: int(np.prod(counts))]
            for _ in range(int(np.prod(lead)))
        ]
        return {
            "input": draws.numbers((*lead, *counts)),
            "indices": np.reshape(flat, (*lead, *counts)).astype(np.int64),
            "kernel_size": size,
            "stride": draws.choice((stride, None)) if stride == size else stride,
            "padding": around,
            "output_size": draws.choice((None, tuple(shape))),
        }

    return draw


def patches(draws: Draws) -> Params:
    """Arguments of unfold."""
    drawn = _sliding(draws)
    lead = (draws.size(), draws.integer(1, 2)) if draws.choice((True, False)) else (draws.size(),)
    shape = drawn.pop("shape")
    return {"input": draws.numbers((*lead, *shape)), **drawn}


def columns(draws: Draws) -> Params:
    """Arguments of fold."""
    drawn = _sliding(draws)
    lead, channels = (draws.size(),) if draws.choice((True, False)) else (), draws.integer(1, 2)
    shape, size = drawn.pop("shape"), drawn["kernel_size"]
    stride, around, dilation = [
        v if isinstance(v, tuple) else (v, v) for v in (drawn["stride"], drawn["padding"], drawn["dilation"])
    ]
    count = math.prod(places(shape, size, stride, around, dilation))
    rows = channels * math.prod(size)
    return {"input": draws.numbers((*lead, rows, count)), "output_size": shape, **drawn}


def _sliding(draws: Draws) -> dict[str, Any]:
    size = draws.integer(1, 3), draws.integer(1, 3)
    dilation = draws.choice(((1, 1), (2, 1), (2, 2)))
    around = draws.choice(((0, 0), (1, 1), (0, 1)))
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    return {
        "shape": tuple([max(1, n - 2 * a) + draws.integer(0, 3) for n, a in zip(reach, around, strict=True)]),
        "kernel_size": size,
        "dilation": dilation,
        "padding": draws.choice((around, around[0])) if around[0] == around[1] else around,
        "stride": draws.choice((1, 2, (1, 2))),
    }


def padding(draws: Draws) -> Params:
    """Arguments of pad: constants with widths of both signs for any number of axes, and the modes of images."""
    mode = draws.choice(MODES)
    if mode == "constant":
        shape = draws.shape(1, 4)
        axes = draws.integer(0, len(shape))
        widths = [_widths(draws, n) for n in shape[::-1][:axes]]
        value = draws.choice((None, 1.0, -0.5))
        return {"input": draws.numbers(shape), "pad": _flat(widths), "mode": mode, "value": value}
    axes = draws.choice((1, 2, 3))
    lead = (draws.size(), draws.integer(1, 2)) if draws.choice((True, False)) else (draws.size(),)
    shape = (*lead, *[draws.integer(1, 4) for _ in range(axes)])
    reach = {"reflect": -1, "circular": 0, "replicate": 2}[mode]
    widths = [(draws.integer(0, n + reach), draws.integer(0, n + reach)) for n in shape[::-1][:axes]]
    return {"input": draws.numbers(shape), "pad": _flat(widths), "mode": mode, "value": None}


def _widths(draws: Draws, size: int) -> tuple[int, int]:
    a, b = draws.integer(-1, 2), draws.integer(-2, 2)
    return (a, b) if size + min(a, 0) + min(b, 0) > 0 else (abs(a), abs(b))


def _flat(widths: list[tuple[int, int]]) -> tuple[int, ...]:
    return tuple([n for pair in widths for n in pair])


def neighbours(draws: Draws) -> Params:
    """Arguments of local_response_norm."""
    return {
        "input": draws.numbers((draws.integer(1, 2), draws.size(), *draws.shape(1, 2))),
        "size": draws.integer(1, 4),
        "alpha": draws.choice((1e-4, 1.0, 0.5)),
        "beta": draws.choice((0.75, 1.0, 0.5)),
        "k": draws.choice((1.0, 2.0)),
    }


def instance_normalization(draws: Draws) -> Params:
    """Arguments of instance_norm: with statistics of the input, which may be carried on, and with running ones."""
    channels, own = draws.integer(1, 3), draws.choice((True, False))
    rest = (draws.size() + 1, *draws.shape(0, 1))
    affine, kept = draws.choice((True, False)), draws.choice((False, True))
    return {
        "input": draws.numbers((draws.integer(1, 3), channels, *rest)),
        "running_mean": draws.numbers((channels,)) if kept or not own else None,
        "running_var": draws.numbers((channels,), 0.25, 4.0) if kept or not own else None,
        "weight": draws.numbers((channels,)) if affine else None,
        "bias": draws.numbers((channels,)) if affine else None,
        "use_input_stats": own,
        "momentum": draws.choice((0.1, 0.5)),
        "eps": draws.choice((1e-5, 1e-3, 1.0)),
    }
