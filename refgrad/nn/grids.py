"""Images read at places of a grid, and the grid of an affine map, with torch's parameters."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.errors import ArgumentError
from refgrad.nn import image_draws
from refgrad.nn.arguments import array_of, fixed
from refgrad.nn.interpolation import cubic_weights, linear_weights
from refgrad.nn.spatial import numbers
from refgrad.op import twin
from refgrad.tracing.differentiable_arguments import plain

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


def _torch_affine_grid(torch: Any, theta: Any, size: Any, align_corners: Any) -> Any:
    """torch's function, without the warning that it gives for axes of one element: there they were other places before torch 1.3."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Since version 1.3.0, affine_grid", category=UserWarning)
        return torch.nn.functional.affine_grid(theta, size, bool(align_corners))


@twin(
    torch=_torch_affine_grid,
    draw=image_draws.affine_maps,
)
def affine_grid(theta: Array, size: Sequence[int], align_corners: bool | None = None) -> Array:
    """The grid for grid_sample that an affine map makes: (n, 2, 3) to (n, d1, d2, 2), or (n, 3, 4) to (n, d1, d2, d3, 3).

    ``size`` is the shape (n, c, d1, ...) of the images that are to be made. The last axis of the grid holds theta (x, y, 1) or
    theta (x, y, z, 1), where x runs along the last spatial axis from -1 to 1. These are the centres of the outermost elements with
    ``align_corners``, the outer edges of them otherwise. Jaderberg et al., "Spatial transformer networks" (2015).

    Raises ArgumentError where theta and size do not fit.
    """
    maps = array_of(theta)
    axes = len(size) - 2 if isinstance(size, (tuple, list)) else 0
    if axes not in (2, 3):
        raise ArgumentError(f"affine_grid: size must be (n, c, d1, d2) or (n, c, d1, d2, d3), got {size!r}")
    samples, _, *places = numbers(size, axes + 2, 1, "affine_grid", "size")
    if maps.shape != (samples, axes, axes + 1):
        raise ArgumentError(
            f"affine_grid: theta of shape {(samples, axes, axes + 1)} is expected for size={tuple(size)}, got {maps.shape}"
        )
    points = [np.broadcast_to(fixed(maps, 1.0), places)]
    for k, n in enumerate(places):
        shape = (-1,) + (1,) * (axes - 1 - k)
        points.append(np.broadcast_to(np.reshape(_line(maps, n, bool(align_corners)), shape), places))
    base = np.reshape(np.stack([*points[:0:-1], points[0]], axis=-1), (1, -1, axes + 1))
    return np.reshape(np.matmul(base, np.swapaxes(maps, 1, 2)), (samples, *places, axes))


@twin(
    torch=lambda torch, x, grid, mode, padding_mode, align_corners: torch.nn.functional.grid_sample(
        x, grid, mode, padding_mode, align_corners
    ),
    draw=image_draws.sampled_grid,
)
def grid_sample(
    input: Array,
    grid: Array,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Array:
    """``input`` at places of a grid: (n, c, d1, d2) and (n, e1, e2, 2) to (n, c, e1, e2), and likewise along three axes.

    The last axis of the grid holds (x, y) or (x, y, z), where x runs along the last spatial axis from -1 to 1. These are the centres of
    the outermost elements with ``align_corners``, the outer edges of them otherwise. "bilinear" is piecewise linear along each axis,
    "nearest" reads the nearest element (the even one of two), and "bicubic", for two axes, has the kernel of Keys with the parameter
    -3/4. Elements beyond the ends are 0 with "zeros". With "border" the last ones continue, with "reflection" the image is mirrored.

    Derivatives at the kinks of a piecewise linear function are those from the right. A place that "border" or "reflection" puts on an
    end has the derivative 0. Jaderberg et al., "Spatial transformer networks" (2015).

    Raises ArgumentError where shapes or parameters do not fit, or a place is not finite.
    """
    x, places = array_of(input), array_of(grid)
    axes = x.ndim - 2
    if (
        axes not in (2, 3)
        or places.ndim != x.ndim
        or places.shape[0] != x.shape[0]
        or places.shape[-1] != axes
    ):
        raise ArgumentError(
            "grid_sample: shapes (n, c, d1, d2) and (n, e1, e2, 2), or (n, c, d1, d2, d3) and (n, e1, e2, e3, 3) are expected for input "
            f"and grid, got {x.shape} and {places.shape}"
        )
    if mode not in MODES or (mode == "bicubic" and axes == 3):
        allowed = MODES[: 5 - axes]
        raise ArgumentError(
            f"grid_sample: mode must be one of {allowed} for an input of shape {x.shape}, got {mode!r}"
        )
    if padding_mode not in PADDINGS:
        raise ArgumentError(f"grid_sample: padding_mode must be one of {PADDINGS}, got {padding_mode!r}")
    if not all(x.shape[1:]):
        raise ArgumentError(f"grid_sample: only the batch may be empty, got an input of shape {x.shape}")
    if not np.all(np.isfinite(plain(places))):
        raise ArgumentError("grid_sample: the places of the grid must be finite")
    align = bool(align_corners)
    # For each spatial axis the elements that are read, whether they lie within the image, and their weights.
    read = [
        _neighbours(places[..., axes - 1 - k], n, mode, padding_mode, align)
        for k, n in enumerate(x.shape[2:])
    ]
    sample = np.reshape(np.arange(x.shape[0]), (-1,) + (1,) * axes)
    planes = np.moveaxis(x, 1, -1)
    total: Any = None
    zero = np.zeros((), x.dtype)
    for taps in itertools.product(*read):
        term = planes[(sample, *[index for index, _, _ in taps])]
        for _, inside, weight in reversed(taps):
            weight = weight[..., np.newaxis]
            # Of the nearest elements one is read, and nothing is multiplied.
            term = np.where(weight, term, zero) if mode == "nearest" else term * weight
            if not np.all(inside):
                term = np.where(inside[..., np.newaxis], term, zero)
        total = term if total is None else total + term
    return np.moveaxis(total, -1, 1)


def _line(x: Array, n: int, align: bool) -> Array:
    """n equidistant places from -1 to 1, or the centres of n intervals from -1 to 1."""
    if n == 1:
        return fixed(x, np.zeros(1))
    line = fixed(x, 2.0 * np.arange(n)) / (n - 1) - 1
    return line if align else line * (n - 1) / n


def _neighbours(
    place: Array, n: int, mode: str, padding: str, align: bool
) -> list[tuple[PlainArray, PlainArray, Array]]:
    """Elements around places of one axis: their numbers, whether they lie within the image, and their weights, or which is nearest."""
    position = (place + 1) / 2 * (n - 1) if align else ((place + 1) * n - 1) / 2
    if mode != "bicubic":
        position = _placed(position, n, padding, align)
    middle = np.rint(plain(position))
    t = position - middle
    if mode == "nearest":
        side = np.where(plain(t) < 0, -1, 1)
        beyond = t * side > 0.5
        read = [(middle, ~beyond), (middle + side, beyond)]
    else:
        weights = cubic_weights(t) if mode == "bicubic" else linear_weights(t)
        read = [(middle + k - len(weights) // 2, weight) for k, weight in enumerate(weights)]
    found = []
    for element, weight in read:
        if mode == "bicubic":
            element = np.rint(_placed(element, n, padding, align))
        inside = (element >= 0) & (element <= n - 1)
        found.append((np.clip(element, 0, n - 1).astype(np.intp), inside, weight))
    return found


def _placed(position: Array, n: int, padding: str, align: bool) -> Array:
    """Positions within the image, as the padding says."""
    if padding == "zeros":
        return position
    if padding == "reflection":
        position = _reflected(position, 0.0, n - 1.0) if align else _reflected(position, -0.5, n - 0.5)
    zero = np.zeros((), position.dtype)
    return np.where(position <= 0, zero, np.where(position >= n - 1, zero + (n - 1), position))


def _reflected(position: Array, low: float, high: float) -> Array:
    """Positions mirrored at both ends, as often as it takes. At an end that they meet, the derivative is that from the right."""
    span = high - low
    if span == 0:
        return position * 0
    distance = position - low
    distance = np.where(distance < 0, -distance, distance)
    turn = distance - np.ceil(plain(distance) / (2 * span) - 0.5) * (2 * span)
    turn = np.where(turn < 0, -turn, turn)
    return np.where(turn >= span, 2 * span - turn, turn) + low
