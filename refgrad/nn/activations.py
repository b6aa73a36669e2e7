"""Activation functions, elementwise, and maxout."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import activation_draws
from refgrad.nn.arguments import array_of
from refgrad.op import Draws, Params, twin
from refgrad.ops import activation, gated_activations, gelu_erf, piecewise_activations, smooth_activations
from refgrad.ops import gelu as gelu_by_tanh

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def sigmoid(x: Array) -> Array:
    """The logistic function 1/(1 + exp(-x)), elementwise. Shape and dtype of x; no overflow for any x."""
    return activation.sigmoid(array_of(x))


def log_sigmoid(x: Array) -> Array:
    """log(sigmoid(x)) = -log(1 + exp(-x)), elementwise, accurate where sigmoid(x) underflows. Shape and dtype of x."""
    return activation.log_sigmoid(array_of(x))


@twin(
    torch=lambda torch, x, threshold, beta: torch.nn.functional.softplus(x, beta, threshold),
    draw=activation_draws.sharpness,
    sums=False,
)
def softplus(x: Array, threshold: float | None = None, *, beta: float = 1.0) -> Array:
    """log(1 + exp(beta x))/beta, elementwise; x itself where beta x is beyond ``threshold``. Shape and dtype of x.

    The default is the mathematical function. Frameworks that return x beyond 20 define another one: pass threshold=20.0
    for it (the difference, 2e-9, is visible in float64). Raises ArgumentError where beta is 0.
    """
    x = array_of(x)
    if beta == 1:
        return activation.softplus(x, threshold=threshold)
    if beta == 0:
        raise ArgumentError("softplus: beta must not be 0")
    scaled = beta * x
    y = activation.softplus(scaled) / beta
    return y if threshold is None else np.where(scaled > threshold, x, y)


def relu(x: Array) -> Array:
    """max(x, 0), elementwise. Shape and dtype of x. Its derivative at 0 is 0 by convention; any of [0, 1] would be valid."""
    return activation.relu(array_of(x))


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """x for x > 0, slope x elsewhere. Shape and dtype of x. Its derivative at 0 is ``slope`` by convention."""
    return activation.leaky_relu(array_of(x), slope=slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x for x > 0, alpha (exp(x) - 1) elsewhere. Shape and dtype of x. Its derivative at 0 is ``alpha`` by convention.

    Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear units" (2016).
    """
    return activation.elu(array_of(x), alpha=alpha)


def _one(draw: Draws) -> Params:
    return {"x": draw.numbers(draw.shape(0, 3))}


@twin(torch=lambda torch, x: torch.nn.functional.selu(x), draw=_one, sums=False)
def selu(x: Array) -> Array:
    """scale * elu(x, alpha) with the constants that keep mean 0 and variance 1. Shape and dtype of x.

    Klambauer et al., "Self-normalizing neural networks" (2017).
    """
    return SELU_SCALE * activation.elu(array_of(x), alpha=SELU_ALPHA)


def silu(x: Array) -> Array:
    """x sigmoid(x), elementwise (swish). Shape and dtype of x.

    Hendrycks, Gimpel, "Gaussian error linear units" (2016); Ramachandran, Zoph, Le, "Searching for activation functions" (2017).
    """
    return gated_activations.silu(array_of(x))


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6), elementwise. Shape and dtype of x. Its derivative at 0 and 6 is a half by convention."""
    return piecewise_activations.relu6(array_of(x))


def hardtanh(x: Array) -> Array:
    """min(max(x, -1), 1), elementwise. Shape and dtype of x. Its derivative at -1 and 1 is a half by convention."""
    return piecewise_activations.hardtanh(array_of(x))


def hardsigmoid(x: Array) -> Array:
    """min(max(x + 3, 0), 6)/6, elementwise. Shape and dtype of x. At -3 and 3 its derivative is the mean of both sides' by convention."""
    return piecewise_activations.hardsigmoid(array_of(x))


def hardswish(x: Array) -> Array:
    """0 up to -3, x from 3 on, x (x + 3)/6 between. Shape and dtype of x. At -3 and 3 its derivative is the mean of both sides'.

    Howard et al., "Searching for MobileNetV3" (2019).
    """
    return piecewise_activations.hardswish(array_of(x))


def hardshrink(x: Array, threshold: float = 0.5) -> Array:
    """0 where |x| <= threshold, x elsewhere. Shape and dtype of x. Its derivative at the two jumps is a half by convention."""
    return piecewise_activations.hardshrink(array_of(x), threshold=threshold)


def softshrink(x: Array, threshold: float = 0.5) -> Array:
    """x moved towards 0 by ``threshold``, and 0 within it. Shape and dtype of x. At the two kinks its slope is a half by convention."""
    return piecewise_activations.softshrink(array_of(x), threshold=threshold)


def gelu(x: Array, approximate: str = "none") -> Array:
    """x times the normal distribution function at x, elementwise; with ``approximate="tanh"`` the usual approximation, ``gelu_tanh``.

    Shape and dtype of x. Hendrycks, Gimpel, "Gaussian error linear units" (2016). Raises ArgumentError for another approximation.
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f'gelu: approximate must be "none" or "tanh", got {approximate!r}')
    return gelu_erf.gelu(array_of(x)) if approximate == "none" else gelu_tanh(x)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2, the usual approximation of x times the normal distribution function.

    Shape and dtype of x. Hendrycks, Gimpel, "Gaussian error linear units" (2016).
    """
    return gelu_by_tanh.gelu_tanh(array_of(x))


def mish(x: Array) -> Array:
    """x tanh(log(1 + exp(x))), elementwise. Shape and dtype of x. Misra, "Mish: a self regularized non-monotonic activation" (2019)."""
    return gated_activations.mish(array_of(x))


def softsign(x: Array) -> Array:
    """x/(1 + |x|), elementwise, -1 and 1 at the infinities. Shape and dtype of x."""
    return smooth_activations.softsign(array_of(x))


def tanhshrink(x: Array) -> Array:
    """x - tanh(x), elementwise, accurate near 0 where it is x^3/3. Shape and dtype of x."""
    return smooth_activations.tanhshrink(array_of(x))


def maxout(x: Array, pieces: int, axis: int = -1) -> Array:
    """The maximum over groups of ``pieces`` neighbours along ``axis``, whose size shrinks from n to n/pieces.

    Dtype of x. Tied elements of a group share the derivative equally. Goodfellow et al., "Maxout networks" (2013).

    Raises ArgumentError unless ``pieces`` is a positive divisor of the size of the axis.
    """
    x = array_of(x)
    if not -x.ndim <= axis < x.ndim:
        raise ArgumentError(f"maxout: axis {axis} is out of range for an array of shape {x.shape}")
    axis %= x.ndim
    size = x.shape[axis]
    if pieces < 1 or size % pieces:
        raise ArgumentError(
            f"maxout: pieces={pieces} must be positive and divide the size of axis {axis} of shape {x.shape}"
        )
    return np.max(
        np.reshape(x, (*x.shape[:axis], size // pieces, pieces, *x.shape[axis + 1 :])), axis=axis + 1
    )
