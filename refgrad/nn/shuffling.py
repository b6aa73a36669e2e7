"""Elements moved between channels and places, with torch's parameters."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import image_draws
from refgrad.nn.arguments import array_of
from refgrad.op import twin


@twin(
    torch=lambda torch, x, upscale_factor: torch.nn.functional.pixel_shuffle(x, upscale_factor),
    draw=image_draws.fine_pixels,
    sums=False,
)
def pixel_shuffle(input: Array, upscale_factor: int) -> Array:
    """Channels become places: (..., c r^2, d1, d2) to (..., c, d1 r, d2 r) with r = ``upscale_factor``; dtype of ``input``.

    Channel (c', i, j) of the input is the channel c' of the result at the places (i, j) modulo r.
    Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network" (2016).

    Raises ArgumentError for fewer than three axes, or where r^2 does not divide the number of channels.
    """
    x, r = _image(input, upscale_factor, "pixel_shuffle", "upscale_factor")
    lead, (channels, height, width) = x.shape[:-3], x.shape[-3:]
    if channels % (r * r):
        raise ArgumentError(
            f"pixel_shuffle: upscale_factor^2 = {r * r} must divide the number of channels, got an input of shape {x.shape}"
        )
    parts = np.reshape(x, (*lead, channels // (r * r), r, r, height, width))
    order = (*range(len(lead) + 1), *[len(lead) + k for k in (3, 1, 4, 2)])
    return np.reshape(np.transpose(parts, order), (*lead, channels // (r * r), height * r, width * r))


@twin(
    torch=lambda torch, x, downscale_factor: torch.nn.functional.pixel_unshuffle(x, downscale_factor),
    draw=image_draws.coarse_pixels,
    sums=False,
)
def pixel_unshuffle(input: Array, downscale_factor: int) -> Array:
    """The inverse of pixel_shuffle: (..., c, d1 r, d2 r) to (..., c r^2, d1, d2) with r = ``downscale_factor``; dtype of ``input``.

    Raises ArgumentError for fewer than three axes, or where r does not divide the last two sizes.
    """
    x, r = _image(input, downscale_factor, "pixel_unshuffle", "downscale_factor")
    lead, (channels, height, width) = x.shape[:-3], x.shape[-3:]
    if height % r or width % r:
        raise ArgumentError(
            f"pixel_unshuffle: downscale_factor={r} must divide the last two sizes, got an input of shape {x.shape}"
        )
    parts = np.reshape(x, (*lead, channels, height // r, r, width // r, r))
    order = (*range(len(lead) + 1), *[len(lead) + k for k in (2, 4, 1, 3)])
    return np.reshape(np.transpose(parts, order), (*lead, channels * r * r, height // r, width // r))


@twin(
    torch=lambda torch, x, groups: torch.nn.functional.channel_shuffle(x, groups),
    draw=image_draws.grouped_channels,
    sums=False,
)
def channel_shuffle(input: Array, groups: int) -> Array:
    """The channels of ``groups`` groups in turn: channel j of group i goes to place (j, i). Shape and dtype of ``input``, (n, c, d1, ...).

    Zhang et al., "ShuffleNet: an extremely efficient convolutional neural network for mobile devices" (2018).

    Raises ArgumentError for fewer than three axes, or where the groups do not divide the channels.
    """
    x = array_of(input)
    count = _count(groups, "channel_shuffle", "groups")
    if x.ndim < 3:
        raise ArgumentError(
            f"channel_shuffle: an input of shape (n, c, d1, ...) is expected, got shape {x.shape}"
        )
    if x.shape[1] % count:
        raise ArgumentError(
            f"channel_shuffle: groups={count} must divide the number of channels, got an input of shape {x.shape}"
        )
    parts = np.reshape(x, (x.shape[0], count, x.shape[1] // count, *x.shape[2:]))
    return np.reshape(np.swapaxes(parts, 1, 2), x.shape)


def _count(given: Any, who: str, name: str) -> int:
    try:
        count = operator.index(given)
    except TypeError:
        count = 0
    if count < 1:
        raise ArgumentError(f"{who}: {name} must be an integer of at least 1, got {given!r}")
    return count


def _image(input: Any, factor: Any, who: str, name: str) -> tuple[Array, int]:
    x = array_of(input)
    if x.ndim < 3:
        raise ArgumentError(f"{who}: an input of shape (..., c, d1, d2) is expected, got shape {x.shape}")
    return x, _count(factor, who, name)
