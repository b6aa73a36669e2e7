"""Padding of the last axes, with torch's modes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import window_draws
from refgrad.nn.arguments import array_of
from refgrad.nn.window_draws import MODES
from refgrad.op import twin


@twin(
    torch=lambda torch, x, pad, mode, value: torch.nn.functional.pad(x, pad, mode, value),
    draw=window_draws.padding,
)
def pad(input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Array:
    """``input`` with more elements at both ends of its last axes; dtype of ``input``.

    ``pad`` holds the widths as torch orders them: before and after for the last axis, then for the one before it. Mode "constant" adds
    ``value`` (0 unless given), and a negative width takes elements away. "reflect" mirrors at the outermost element without repeating
    it, "replicate" repeats that element, and "circular" continues with the other end.

    Raises ArgumentError for an odd number of widths, more widths than axes, another mode, a negative width in a mode other than
    "constant", a value in such a mode, or a width that the mode does not reach: "reflect" reaches n - 1 elements, "circular" n.
    """
    x = array_of(input)
    try:
        widths = [operator.index(n) for n in pad]
    except TypeError:
        raise ArgumentError(f"pad: the widths must be integers, got {pad!r}") from None
    if len(widths) % 2 or len(widths) > 2 * x.ndim:
        raise ArgumentError(
            f"pad: two widths for each padded axis are expected, for at most {x.ndim} axes, got {len(widths)} widths"
        )
    if mode not in MODES:
        raise ArgumentError(f"pad: mode must be one of {MODES}, got {mode!r}")
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2) + list(zip(widths[-2::-2], widths[::-2], strict=True))
    if mode == "constant":
        return _constant(x, pairs, 0.0 if value is None else value)
    if value is not None:
        raise ArgumentError(f'pad: value={value!r} is for mode "constant"; leave it away in mode {mode!r}')
    for axis, pair in enumerate(pairs):
        if pair != (0, 0):
            x = x[(slice(None),) * axis + (_sources(x.shape[axis], pair, mode, axis),)]
    return x


def _constant(x: Array, pairs: list[tuple[int, int]], value: float) -> Array:
    for n, (a, b) in zip(x.shape, pairs, strict=True):
        if n + min(a, 0) + min(b, 0) < 0:
            raise ArgumentError(f"pad: widths {(a, b)} take away more than the {n} elements of the axis")
    if any(min(pair) < 0 for pair in pairs):
        x = x[tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True)])]
    if not any(max(pair) > 0 for pair in pairs):
        return x
    return np.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], constant_values=value)


def _sources(n: int, pair: tuple[int, int], mode: str, axis: int) -> Any:
    """For each element of the padded axis the one that it repeats."""
    reach = {"reflect": n - 1, "circular": n, "replicate": max(pair) if n else 0}[mode]
    if min(pair) < 0 or max(pair) > reach:
        raise ArgumentError(
            f"pad: in mode {mode!r} widths from 0 to {max(reach, 0)} are expected for axis {axis} of {n} elements, got {pair}"
        )
    places = np.arange(-pair[0], n + pair[1])
    if mode == "circular":
        return places % n
    if mode == "replicate":
        return np.clip(places, 0, n - 1)
    return (n - 1) - np.abs((n - 1) - np.abs(places))
