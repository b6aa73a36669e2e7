"""More activations with torch's names and parameters: compositions of others."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import activation_draws
from refgrad.nn.arguments import array_of
from refgrad.nn.normalized_exponentials import softmax
from refgrad.op import twin
from refgrad.ops import activation
from refgrad.ops.stop_gradient import stop_gradient


@twin(
    torch=lambda torch, x, alpha: torch.nn.functional.celu(x, alpha),
    draw=activation_draws.scaled_exponential,
    sums=False,
)
def celu(input: Array, alpha: float = 1.0) -> Array:
    """The input where it is positive, alpha (exp(input/alpha) - 1) elsewhere. Shape and dtype of the input. Its derivative at 0 is 1.

    Raises ArgumentError where alpha is 0. Barron, "Continuously differentiable exponential linear units" (2017).
    """
    if alpha == 0:
        raise ArgumentError("celu: alpha must not be 0")
    input = array_of(input)
    scaled = np.where(input > 0, 0.0, input) / alpha
    # elu says that the second derivative at 0 is 0 or 1. So does this for a negative alpha: exp(u) - 1 = exp(-u) - 1 + 2 sinh(u).
    below = activation.elu(scaled) if alpha > 0 else activation.elu(-scaled) + 2 * np.sinh(scaled)
    return np.where(input > 0, input, alpha * below)


@twin(
    torch=lambda torch, x, dim: torch.nn.functional.glu(x, dim),
    draw=activation_draws.halves,
    sums=False,
)
def glu(input: Array, dim: int = -1) -> Array:
    """a sigmoid(b) for the halves a and b of the input along ``dim``, which shrinks by half.

    Raises ArgumentError for an odd size. Dauphin et al., "Language modeling with gated convolutional networks" (2017).
    """
    input = array_of(input)
    if not -input.ndim <= dim < input.ndim or input.shape[dim] % 2:
        raise ArgumentError(
            f"glu: axis {dim} of an even size is expected, got an input of shape {input.shape}"
        )
    a, b = np.split(input, 2, axis=dim)
    return a * activation.sigmoid(b)


@twin(
    torch=lambda torch, x, weight: torch.nn.functional.prelu(x, weight),
    draw=activation_draws.slopes,
)
def prelu(input: Array, weight: Array) -> Array:
    """The input where it is positive, weight times it elsewhere. Its derivative at 0 is the weight by convention.

    ``weight`` is one number, or has one for each channel, axis 1 of the input. Raises ArgumentError for another shape.
    He et al., "Delving deep into rectifiers" (2015).
    """
    input, weight = array_of(input), array_of(weight)
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.size == 1:
        weight = np.reshape(weight, ())
    elif weight.shape == (channels,):
        weight = np.reshape(weight, (channels, *(1,) * (input.ndim - 2)))
    else:
        raise ArgumentError(
            f"prelu: one weight or {channels} (the channels, axis 1) are expected, got shape {weight.shape}"
        )
    # relu says that the slope at 0 is anything between the weight and 1. Below 0 the second term is 0.
    return np.where(input > 0, input, weight * input + (1 - weight) * activation.relu(input))


@twin(
    torch=lambda torch, x, lower, upper, training: torch.nn.functional.rrelu(x, lower, upper, training),
    draw=activation_draws.mean_slope,
    sums=False,
)
def rrelu(input: Array, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Array:
    """leaky_relu with the slope (lower + upper)/2, as in evaluation. Shape and dtype of the input.

    Raises ArgumentError in training, which draws slopes at random. Xu et al., "Empirical evaluation of rectified activations" (2015).
    """
    if training:
        raise ArgumentError(
            "rrelu: training draws random slopes; draw them yourself and write np.where(x > 0, x, slopes * x)"
        )
    return activation.leaky_relu(array_of(input), slope=(lower + upper) / 2)


@twin(
    torch=lambda torch, x, threshold, value: torch.nn.functional.threshold(x, threshold, value),
    draw=activation_draws.threshold,
    sums=False,
)
def threshold(input: Array, threshold: float, value: float) -> Array:
    """The input where it is above ``threshold``, ``value`` elsewhere, where the derivative is 0. Shape and dtype of the input."""
    input = array_of(input)
    return np.where(input > threshold, input, value)


def logsigmoid(input: Array) -> Array:
    """log(sigmoid(input)), elementwise, accurate where the sigmoid underflows. Shape and dtype of the input."""
    return activation.log_sigmoid(array_of(input))


@twin(
    torch=lambda torch, x, dim: torch.nn.functional.softmin(x, dim),
    draw=activation_draws.along,
)
def softmin(input: Array, dim: int = -1) -> Array:
    """softmax(-input) along ``dim``. Shape and dtype of the input."""
    return softmax(-array_of(input), axis=dim)


def gumbel_softmax(
    logits: Array, tau: float = 1.0, hard: bool = False, dim: int = -1, *, noise: Array
) -> Array:
    """softmax((logits + noise)/tau) along ``dim``; with ``hard`` the indicator of its largest element, with the softmax's derivative.

    ``noise`` are numbers of Gumbel's distribution, -log(-log(u)) of uniform u, of the shape of logits. Draw them outside, for no derivative
    of a function that draws at random can be compared. Raises ArgumentError for another shape.
    Jang, Gu, Poole, "Categorical reparameterization" (2017).
    """
    logits, noise = array_of(logits), array_of(noise)
    if logits.shape != noise.shape:
        raise ArgumentError(
            f"gumbel_softmax: logits have shape {logits.shape}, noise has {noise.shape}; they must be equal"
        )
    y = softmax((logits + noise) / tau, axis=dim)
    if not hard:
        return y
    largest = np.expand_dims(np.argmax(y, axis=dim), dim)
    places = np.reshape(np.arange(y.shape[dim]), [-1 if k == dim % y.ndim else 1 for k in range(y.ndim)])
    return (largest == places).astype(y.dtype) - stop_gradient(y) + y
