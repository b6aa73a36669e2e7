"""Supplementary inputs, which a check constructs from the given ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from refgrad.bounds.formats import FORMATS, Format

_FACTOR = 1 - 2**-8 / math.pi  # close to 1, with a full significand


def expanded(arguments: Sequence[Any], active: Sequence[int]) -> tuple[Any, ...]:
    """The inputs with all rows equal, as an expanded tensor."""
    return tuple(
        x[:1].expand(x.shape) if k in active and x.ndim and x.shape[0] > 1 else x
        for k, x in enumerate(arguments)
    )


def with_whole_significand(arguments: Sequence[Any], active: Sequence[int], fmt: Format) -> tuple[Any, ...]:
    """The inputs, where a shorter format holds them exactly, times a factor close to 1, so that they use the whole significand.

    Otherwise a backward that stores them in the shorter format would not lose digits. All inputs have the same factor: equal numbers
    stay equal, and a symmetric matrix stays symmetric.
    """
    narrower = FORMATS.get(fmt.narrower)
    if narrower is None or not narrower.computed:
        return tuple(arguments)
    shorter: torch.dtype = getattr(torch, narrower.storage)
    return tuple(
        x * _FACTOR if k in active and bool((x.to(shorter).to(x.dtype) == x).all()) else x
        for k, x in enumerate(arguments)
    )
