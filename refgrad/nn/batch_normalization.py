"""Normalization with statistics of a batch, of an instance, or of neighbouring channels, with torch's parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.errors import ArgumentError
from refgrad.formula import Formula
from refgrad.nn import layer_draws, window_draws
from refgrad.nn.arguments import array_of, beside
from refgrad.nn.normalizations import standardized
from refgrad.nn.padding import pad
from refgrad.nn.spatial import numbers
from refgrad.op import twin
from refgrad.ops import windows
from refgrad.tracing.differentiable_arguments import plain


def _copied(statistics: Any) -> Any:
    """A copy of running statistics, into which torch writes in training."""
    return None if statistics is None else statistics.clone()


def _by_shift(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Array:
    """batch_norm as x times a scale, plus a shift."""
    x = _channelled(input, "batch_norm", 2)
    _momentum(momentum, "batch_norm")
    if training:
        axes = (0, *range(2, x.ndim))
        mean = np.mean(x, axis=axes, keepdims=True)
        var = np.mean(np.square(x - mean), axis=axes, keepdims=True)
    else:
        mean = _by_channel(beside(x, running_mean), x, "running_mean", "batch_norm")
        var = _by_channel(beside(x, running_var), x, "running_var", "batch_norm")
    scale = 1 / np.sqrt(var + eps)
    if weight is not None:
        scale = scale * _by_channel(weight, x, "weight", "batch_norm")
    shift = -mean * scale
    if bias is not None:
        shift = _by_channel(bias, x, "bias", "batch_norm") + shift
    return x * scale + shift


@twin(
    torch=lambda torch, x, running_mean, running_var, weight, bias, training, momentum, eps: (
        torch.nn.functional.batch_norm(
            x, _copied(running_mean), _copied(running_var), weight, bias, training, momentum, eps
        )
    ),
    draw=layer_draws.batch_normalization,
    plain=("running_mean", "running_var"),
    usual=(Formula("x scale + shift (torch on the CPU)", _by_shift),),
)
def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """(x - mean)/sqrt(variance + eps) weight + bias for each channel: shape and dtype of ``input``, which is (n, c, ...).

    With ``training`` mean and variance are those of the batch, over all axes but the channels; the variance divides by the number of
    elements. Else they are the running ones. All four vectors have shape (c,). Nothing is written into the running statistics:
    running_statistics returns what they become, by ``momentum``.
    Ioffe, Szegedy, "Batch normalization" (2015).

    Raises ArgumentError where shapes do not fit, without running statistics where they are needed, or with one element for a channel
    in training.
    """
    x = _channelled(input, "batch_norm", 2)
    _momentum(momentum, "batch_norm")
    axes = (0, *range(2, x.ndim))
    if training:
        if x.size and math.prod([x.shape[k] for k in axes]) == 1:
            raise ArgumentError(
                f"batch_norm: more than one element for each channel is expected in training, got an input of shape {x.shape}"
            )
        y = standardized(x, axes, eps)
    else:
        y = _by_running(x, running_mean, running_var, eps, "batch_norm")
    return scaled(y, weight, bias, "batch_norm")


def _each_by_shift(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
) -> Array:
    """instance_norm as batch_norm of one sample, whose channels are those of all samples."""
    x = array_of(input)

    def several(v: Array | None) -> Array | None:
        return None if v is None else np.concatenate([array_of(v)] * x.shape[0])

    channels = np.reshape(x, (1, x.shape[0] * x.shape[1], *x.shape[2:]))
    mean, var, scale, shift = [several(v) for v in (running_mean, running_var, weight, bias)]
    return np.reshape(_by_shift(channels, mean, var, scale, shift, use_input_stats, momentum, eps), x.shape)


@twin(
    torch=lambda torch, x, running_mean, running_var, weight, bias, own, momentum, eps: (
        torch.nn.functional.instance_norm(
            x, _copied(running_mean), _copied(running_var), weight, bias, own, momentum, eps
        )
    ),
    draw=window_draws.instance_normalization,
    plain=("running_mean", "running_var"),
    usual=(Formula("x scale + shift (torch on the CPU)", _each_by_shift),),
)
def instance_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """batch_norm with the mean and variance of each channel of each sample: shape and dtype of ``input``, which is (n, c, d1, ...).

    Without ``use_input_stats`` the running statistics take their place, as in batch_norm, and nothing is written into them.
    Ulyanov, Vedaldi, Lempitsky, "Instance normalization" (2016).

    Raises ArgumentError where shapes do not fit, or with one element for each channel of a sample.
    """
    x = _channelled(input, "instance_norm", 3)
    _momentum(momentum, "instance_norm")
    if use_input_stats:
        if x.size and math.prod(x.shape[2:]) == 1:
            raise ArgumentError(
                f"instance_norm: more than one spatial element is expected, got an input of shape {x.shape}"
            )
        y = standardized(x, tuple(range(2, x.ndim)), eps)
    else:
        y = _by_running(x, running_mean, running_var, eps, "instance_norm")
    return scaled(y, weight, bias, "instance_norm")


def running_statistics(
    input: Any, running_mean: Any, running_var: Any, momentum: float = 0.1
) -> tuple[PlainArray, PlainArray]:
    """What the running mean and variance become after a batch, as plain arrays: (1 - momentum) running + momentum of the batch.

    ``input`` has shape (n, c, ...), the statistics (c,). The variance of the batch divides by the number of elements less one.
    Raises ArgumentError where shapes do not fit, or with one element for a channel.
    """
    x: Any = _channelled(plain(input), "running_statistics", 2)
    _momentum(momentum, "running_statistics")
    axes = (0, *range(2, x.ndim))
    if math.prod([x.shape[k] for k in axes]) < 2:
        raise ArgumentError(
            f"running_statistics: more than one element for each channel is expected, got an input of shape {x.shape}"
        )
    old_mean, old_var = [
        _vector(array_of(plain(v)), x.shape[1], name, "running_statistics")
        for name, v in (("running_mean", running_mean), ("running_var", running_var))
    ]
    mean = (1 - momentum) * old_mean + momentum * np.mean(x, axis=axes)
    var = (1 - momentum) * old_var + momentum * np.var(x, axis=axes, ddof=1)
    return np.asarray(mean), np.asarray(var)


@twin(
    torch=lambda torch, x, size, alpha, beta, k: torch.nn.functional.local_response_norm(
        x, size, alpha, beta, k
    ),
    draw=window_draws.neighbours,
)
def local_response_norm(
    input: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """x/(k + alpha mean(x^2))^beta, with the mean over ``size`` neighbouring channels, zeros beyond the ends: shape (n, c, d1, ...).

    Channel i takes those from i - size // 2 to i + (size - 1) // 2. Dtype of ``input``.
    Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks" (2012), section 3.3.

    Raises ArgumentError for fewer than three dimensions or a size below 1.
    """
    x = _channelled(input, "local_response_norm", 3)
    (size,) = numbers(size, 1, 1, "local_response_norm", "size")
    if not x.shape[1]:  # no channel, and no window over channels
        return x + 0
    squares = pad(np.moveaxis(np.square(x), 1, -1), (size // 2, (size - 1) // 2))
    means = np.mean(windows.windows(squares, size=(size,), stride=(1,), dilation=(1,)), axis=-1)
    return x / np.moveaxis(k + alpha * means, -1, 1) ** beta


def scaled(y: Array, weight: Any, bias: Any, who: str) -> Array:
    """y weight + bias with vectors of one element for each channel."""
    if weight is not None:
        y = y * _by_channel(weight, y, "weight", who)
    return y if bias is None else y + _by_channel(bias, y, "bias", who)


def _by_running(x: Array, mean: Any, var: Any, eps: float, who: str) -> Array:
    if mean is None or var is None:
        raise ArgumentError(f"{who}: running_mean and running_var are needed where the batch is not used")
    mean = _by_channel(beside(x, mean), x, "running_mean", who)
    var = _by_channel(beside(x, var), x, "running_var", who)
    return (x - mean) / np.sqrt(var + eps)


def _channelled(x: Any, who: str, least: int) -> Array:
    x = array_of(x)
    if x.ndim < least:
        more = ", d1, ..." if least > 2 else ", ..."
        raise ArgumentError(f"{who}: an input of shape (n, c{more}) is expected, got shape {x.shape}")
    return x


def _vector(v: Array, channels: int, name: str, who: str) -> Array:
    if v.shape != (channels,):
        raise ArgumentError(f"{who}: {name} must have shape ({channels},), got {v.shape}")
    return v


def _by_channel(v: Any, x: Array, name: str, who: str) -> Array:
    return np.reshape(_vector(array_of(v), x.shape[1], name, who), (-1,) + (1,) * (x.ndim - 2))


def _momentum(momentum: float, who: str) -> None:
    if isinstance(momentum, bool) or not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
        raise ArgumentError(f"{who}: momentum must be a number from 0 to 1, got {momentum!r}")
