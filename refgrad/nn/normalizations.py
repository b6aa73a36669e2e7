"""Normalization layers: the mean or the mean square over some axes of one sample, with torch's parameters."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.formula import Formula
from refgrad.nn.arguments import array_of
from refgrad.op import Draws, Params, twin
from refgrad.tracing.array import TracedArray

EPS = (1e-5, 1e-3, 1.0)
Vectors = tuple[Array | None, Array | None]
Variance = Callable[[Array, Array, tuple[int, ...]], Array]  # of an array and its mean over these axes


def _normalized(draw: Draws) -> Params:
    shape = draw.shape(1, 3)
    inner = shape[-draw.integer(1, len(shape)) :]
    return {"input": draw.numbers(shape), "normalized_shape": inner, "eps": draw.choice(EPS)}


def _affine(draw: Draws, arguments: Params, shape: tuple[int, ...]) -> Params:
    """The arguments with a weight and a bias, with a weight, with none, or with a bias."""
    weight, bias = draw.choice(((True, True), (True, False), (False, False), (False, True)))
    return {
        **arguments,
        "weight": draw.numbers(shape) if weight else None,
        "bias": draw.numbers(shape) if bias else None,
    }


def _layer_norm(draw: Draws) -> Params:
    arguments = _normalized(draw)
    return _affine(draw, arguments, arguments["normalized_shape"])


def _rms_norm(draw: Draws) -> Params:
    arguments = _normalized(draw)
    weight = draw.numbers(arguments["normalized_shape"]) if draw.choice((True, False)) else None
    return {**arguments, "weight": weight, "eps": draw.choice((*EPS, None))}


def _group_norm(draw: Draws) -> Params:
    samples, groups, each, rest = draw.size(), draw.size(), draw.size(), draw.shape(0, 2)
    channels = groups * each
    samples += samples * each * math.prod(rest) == 1  # torch refuses one number for each group
    arguments = {
        "input": draw.numbers((samples, channels, *rest)),
        "num_groups": groups,
        "eps": draw.choice(EPS),
    }
    return _affine(draw, arguments, (channels,))


def _last_axes(
    x: Array, normalized_shape: int | Sequence[int], who: str
) -> tuple[Array, tuple[int, ...], tuple[int, ...]]:
    """The input, the sizes of the axes to normalize, and these axes. Raises ArgumentError where they are not the last ones."""
    x = array_of(x)
    shape = tuple(map(int, np.atleast_1d(np.asarray(normalized_shape))))
    if not shape or x.shape[-len(shape) :] != shape:
        raise ArgumentError(
            f"{who}: normalized_shape {normalized_shape} must be the sizes of the last axes of input, which has shape {x.shape}"
        )
    return x, shape, tuple(range(-len(shape), 0))


def _groups(
    x: Array, num_groups: int, weight: Array | None, bias: Array | None
) -> tuple[Array, Array, tuple[int, ...], Vectors]:
    """The input, the input with an axis for the channels of a group, the axes of a group, and weight and bias by channel."""
    x = array_of(x)
    if x.ndim < 2:
        raise ArgumentError(f"group_norm: input of shape (samples, channels, ...) is expected, got {x.shape}")
    samples, channels = x.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise ArgumentError(
            f"group_norm: num_groups={num_groups} must be positive and divide the {channels} channels of an input of shape {x.shape}"
        )
    grouped = np.reshape(x, (samples, num_groups, channels // num_groups, *x.shape[2:]))
    by_channel = (channels, *[1] * (x.ndim - 2))
    vectors = _vectors(weight, bias, (channels,), by_channel, "group_norm")
    return x, grouped, tuple(range(2, grouped.ndim)), vectors


def _vectors(
    weight: Array | None, bias: Array | None, shape: tuple[int, ...], broadcast: tuple[int, ...], who: str
) -> Vectors:
    """Weight and bias, which have ``shape``, as ``broadcast``. Raises ArgumentError where they have another shape."""
    found: list[Array | None] = []
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and np.shape(given) != shape:
            raise ArgumentError(f"{who}: {name} of shape {shape} is expected, got {np.shape(given)}")
        found.append(None if given is None else np.reshape(array_of(given), broadcast))
    return found[0], found[1]


def _layer_norm_by_shift(
    input: Array,
    normalized_shape: tuple[int, ...],
    weight: Array | None,
    bias: Array | None,
    eps: float,
) -> Array:
    x, shape, axes = _last_axes(input, normalized_shape, "layer_norm")
    scale, shift = _scale_and_shift(x, axes, eps)
    return _scaled(x * scale + shift, *_vectors(weight, bias, shape, shape, "layer_norm"))


def group_norm_by_shift(
    variance: Variance,
    input: Array,
    num_groups: int,
    weight: Array | None,
    bias: Array | None,
    eps: float,
) -> Array:
    """group_norm with this formula for the variance."""
    x, grouped, axes, (weight, bias) = _groups(input, num_groups, weight, bias)
    scale, shift = [
        np.reshape(
            np.broadcast_to(a, (*grouped.shape[:3], *[1] * (grouped.ndim - 3))),
            (*x.shape[:2], *[1] * (x.ndim - 2)),
        )
        for a in _scale_and_shift(grouped, axes, eps, variance)
    ]
    if weight is not None:
        scale, shift = scale * weight, shift * weight
    return x * scale + (shift if bias is None else shift + bias)


def _centred(x: Array, mean: Array, axes: tuple[int, ...]) -> Array:
    return np.mean(np.square(x - mean), axis=axes, keepdims=True)


def _scale_and_shift(
    x: Array, axes: tuple[int, ...], eps: float, variance: Variance = _centred
) -> tuple[Array, Array]:
    """1/s and -mean/s, where s is the standard deviation."""
    mean = np.mean(x, axis=axes, keepdims=True)
    scale = 1 / np.sqrt(variance(x, mean, axes) + eps)
    return scale, -mean * scale


@twin(
    torch=lambda torch, x, normalized_shape, weight, bias, eps: torch.nn.functional.layer_norm(
        x, normalized_shape, weight, bias, eps
    ),
    draw=_layer_norm,
    usual=(Formula("x scale + shift (torch on the CPU)", _layer_norm_by_shift),),
)
def layer_norm(
    input: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """(x - mean)/sqrt(variance + eps) weight + bias, over the last axes, those of ``normalized_shape``: shape and dtype of ``input``.

    The variance divides by the number of elements. ``weight`` and ``bias`` have the shape ``normalized_shape``.
    Ba, Kiros, Hinton, "Layer normalization" (2016).

    Raises ArgumentError where the shapes do not fit.
    """
    x, shape, axes = _last_axes(input, normalized_shape, "layer_norm")
    return _scaled(standardized(x, axes, eps), *_vectors(weight, bias, shape, shape, "layer_norm"))


@twin(
    torch=lambda torch, x, normalized_shape, weight, eps: torch.nn.functional.rms_norm(
        x, normalized_shape, weight, eps
    ),
    draw=_rms_norm,
)
def rms_norm(
    input: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
) -> Array:
    """x/sqrt(mean(x^2) + eps) weight, over the last axes, those of ``normalized_shape``: shape and dtype of ``input``.

    ``weight`` has the shape ``normalized_shape``. ``eps`` is by default the distance of 1 from the next number of the dtype of
    ``input``, of float32 where that is narrower. Zhang, Sennrich, "Root mean square layer normalization" (2019).

    Raises ArgumentError where the shapes do not fit.
    """
    x, shape, axes = _last_axes(input, normalized_shape, "rms_norm")
    least = _epsilon(x) if eps is None else eps
    y = x / np.sqrt(np.mean(np.square(x), axis=axes, keepdims=True) + least)
    return _scaled(y, *_vectors(weight, None, shape, shape, "rms_norm"))


@twin(
    torch=lambda torch, x, num_groups, weight, bias, eps: torch.nn.functional.group_norm(
        x, num_groups, weight, bias, eps
    ),
    draw=_group_norm,
    usual=(Formula("x scale + shift (torch on the CPU)", functools.partial(group_norm_by_shift, _centred)),),
)
def group_norm(
    input: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """(x - mean)/sqrt(variance + eps) weight + bias over each of ``num_groups`` groups of channels: shape and dtype of ``input``.

    ``input`` has shape (samples, channels, ...), and a group all elements of its channels in one sample. The variance divides by the number
    of elements. ``weight`` and ``bias`` have the shape (channels,). Wu, He, "Group normalization" (2018).

    Raises ArgumentError where the shapes do not fit, or the groups do not divide the channels.
    """
    x, grouped, axes, vectors = _groups(input, num_groups, weight, bias)
    return _scaled(np.reshape(standardized(grouped, axes, eps), x.shape), *vectors)


def standardized(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """x without its mean over some axes, divided by its standard deviation there."""
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(np.square(centred), axis=axes, keepdims=True) + eps)


def _scaled(y: Array, weight: Array | None, bias: Array | None) -> Array:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _epsilon(x: Array) -> float:
    """The distance of 1 from the next number of the dtype of x, of float32 at least: torch computes narrower formats in it."""
    kind = x._scalar_type if isinstance(x, TracedArray) else x.dtype
    return float(np.finfo(np.promote_types(kind, np.float32)).eps)
