"""Draws of operands for convolutions: every stride, dilation, padding and number of groups over many draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.ops.windows import reach


def _geometry(rng: np.random.Generator) -> dict[str, Any]:
    axes = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    kernel, places = [tuple([int(n) for n in rng.integers(1, 4, axes)]) for _ in range(2)]
    stride, dilation = [tuple([int(n) for n in rng.integers(1, 3, axes)]) for _ in range(2)]
    start = tuple([int(n) for n in rng.integers(0, 3, axes)])
    whole = reach(kernel, stride, dilation, places)
    ends = [int(rng.integers(0, 3)) for _ in range(axes)]
    # The padding is shorter than what it surrounds; up to a stride of x lies beyond the last window.
    size = [
        max(m - a - b, 1) + int(rng.integers(0, s))
        for m, a, b, s in zip(whole, start, ends, stride, strict=True)
    ]
    ends = [max(m - a - n, 0) for m, a, n in zip(whole, start, size, strict=True)]
    groups = int(rng.choice([1, 2, 3]))
    inner, outer = [int(n) for n in rng.integers(1, 3, 2)]
    return {
        "kernel": kernel,
        "places": places,
        "stride": stride,
        "dilation": dilation,
        "start": start,
        "size": tuple(size),
        "ends": tuple(ends),
        "groups": groups,
        "inner": inner,
        "outer": outer,
        "count": int(rng.choice([0, 1, 2, 3], p=[0.1, 0.3, 0.3, 0.3])),
    }


def _arrays(rng: np.random.Generator, at: dict[str, Any]) -> tuple[PlainArray, PlainArray, PlainArray]:
    x = rng.standard_normal((at["count"], at["groups"] * at["inner"], *at["size"]))
    w = rng.standard_normal((at["groups"] * at["outer"], at["inner"], *at["kernel"]))
    return x, w, rng.standard_normal((at["count"], at["groups"] * at["outer"], *at["places"]))


def conv(rng: np.random.Generator) -> Any:
    """An input and a weight."""
    at = _geometry(rng)
    x, w, _ = _arrays(rng, at)
    padding = tuple(zip(at["start"], at["ends"], strict=True))
    return (x, w), {
        "stride": at["stride"],
        "padding": padding,
        "dilation": at["dilation"],
        "groups": at["groups"],
    }


def conv_transposed(rng: np.random.Generator) -> Any:
    """A result of conv, and a weight."""
    at = _geometry(rng)
    _, w, z = _arrays(rng, at)
    return (z, w), {key: at[key] for key in ("size", "stride", "start", "dilation", "groups")}


def conv_weight(rng: np.random.Generator) -> Any:
    """An input and a result of conv."""
    at = _geometry(rng)
    x, _, z = _arrays(rng, at)
    return (x, z), {key: at[key] for key in ("kernel", "stride", "start", "dilation", "groups")}
