"""Functions of neural networks for which NumPy has no name.

All take NumPy arrays (or traced ones) of float16, float32, float64 or long double and keep the dtype. They are ordinary
functions: apply them to plain arrays, or differentiate code that calls them with grad, jvp, vjp and the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, DtypeError, refuse_tensor
from refgrad.op import Traced
from refgrad.ops import (
    activation,
    casting,
    entropy,
    gated_activations,
    gelu,
    normalization,
    piecewise_activations,
    smooth_activations,
)

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


# --- activations -------------------------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    """The logistic function 1/(1 + exp(-x)), elementwise. Shape and dtype of x; no overflow for any x."""
    return activation.sigmoid(_array(x))


def log_sigmoid(x: Array) -> Array:
    """log(sigmoid(x)) = -log(1 + exp(-x)), elementwise, accurate where sigmoid(x) underflows. Shape and dtype of x."""
    return activation.log_sigmoid(_array(x))


def softplus(x: Array, threshold: float | None = None) -> Array:
    """log(1 + exp(x)), elementwise; x itself beyond ``threshold``. Shape and dtype of x.

    The default is the mathematical function. Frameworks that return x beyond 20 define another one: pass threshold=20.0
    for it (the difference, 2e-9, is visible in float64).
    """
    return activation.softplus(_array(x), threshold=threshold)


def relu(x: Array) -> Array:
    """max(x, 0), elementwise. Shape and dtype of x. Its derivative at 0 is 0 by convention; any of [0, 1] would be valid."""
    return activation.relu(_array(x))


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """x for x > 0, slope x elsewhere. Shape and dtype of x. Its derivative at 0 is ``slope`` by convention."""
    return activation.leaky_relu(_array(x), slope=slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x for x > 0, alpha (exp(x) - 1) elsewhere. Shape and dtype of x. Its derivative at 0 is ``alpha`` by convention.

    Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear units" (2016).
    """
    return activation.elu(_array(x), alpha=alpha)


def selu(x: Array) -> Array:
    """scale * elu(x, alpha) with the constants that keep mean 0 and variance 1. Shape and dtype of x.

    Klambauer et al., "Self-normalizing neural networks" (2017).
    """
    return SELU_SCALE * activation.elu(_array(x), alpha=SELU_ALPHA)


def silu(x: Array) -> Array:
    """x sigmoid(x), elementwise (swish). Shape and dtype of x.

    Hendrycks, Gimpel, "Gaussian error linear units" (2016); Ramachandran, Zoph, Le, "Searching for activation functions" (2017).
    """
    return gated_activations.silu(_array(x))


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6), elementwise. Shape and dtype of x. Its derivative at 0 and 6 is a half by convention."""
    return piecewise_activations.relu6(_array(x))


def hardtanh(x: Array) -> Array:
    """min(max(x, -1), 1), elementwise. Shape and dtype of x. Its derivative at -1 and 1 is a half by convention."""
    return piecewise_activations.hardtanh(_array(x))


def hardsigmoid(x: Array) -> Array:
    """min(max(x + 3, 0), 6)/6, elementwise. Shape and dtype of x. At -3 and 3 its derivative is the mean of both sides' by convention."""
    return piecewise_activations.hardsigmoid(_array(x))


def hardswish(x: Array) -> Array:
    """0 up to -3, x from 3 on, x (x + 3)/6 between. Shape and dtype of x. At -3 and 3 its derivative is the mean of both sides'.

    Howard et al., "Searching for MobileNetV3" (2019).
    """
    return piecewise_activations.hardswish(_array(x))


def hardshrink(x: Array, threshold: float = 0.5) -> Array:
    """0 where |x| <= threshold, x elsewhere. Shape and dtype of x. Its derivative at the two jumps is a half by convention."""
    return piecewise_activations.hardshrink(_array(x), threshold=threshold)


def softshrink(x: Array, threshold: float = 0.5) -> Array:
    """x moved towards 0 by ``threshold``, and 0 within it. Shape and dtype of x. At the two kinks its slope is a half by convention."""
    return piecewise_activations.softshrink(_array(x), threshold=threshold)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2, the usual approximation of x times the normal distribution function.

    Shape and dtype of x. Hendrycks, Gimpel, "Gaussian error linear units" (2016).
    """
    return gelu.gelu_tanh(_array(x))


def mish(x: Array) -> Array:
    """x tanh(log(1 + exp(x))), elementwise. Shape and dtype of x. Misra, "Mish: a self regularized non-monotonic activation" (2019)."""
    return gated_activations.mish(_array(x))


def softsign(x: Array) -> Array:
    """x/(1 + |x|), elementwise, -1 and 1 at the infinities. Shape and dtype of x."""
    return smooth_activations.softsign(_array(x))


def tanhshrink(x: Array) -> Array:
    """x - tanh(x), elementwise, accurate near 0 where it is x^3/3. Shape and dtype of x."""
    return smooth_activations.tanhshrink(_array(x))


def maxout(x: Array, pieces: int, axis: int = -1) -> Array:
    """The maximum over groups of ``pieces`` neighbours along ``axis``, whose size shrinks from n to n/pieces.

    Dtype of x. Tied elements of a group share the derivative equally. Goodfellow et al., "Maxout networks" (2013).

    Raises ArgumentError unless ``pieces`` is a positive divisor of the size of the axis.
    """
    x = _array(x)
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


# --- normalised exponentials ---------------------------------------------------------------------------------------------


def softmax(x: Array, axis: Any = -1) -> Array:
    """exp(x)/sum(exp(x)) along ``axis`` (an int, a tuple, or None for all). Shape and dtype of x; no overflow for finite x."""
    return normalization.softmax(_array(x), axis=axis)


def log_softmax(x: Array, axis: Any = -1) -> Array:
    """log(softmax(x, axis)), accurate where a probability underflows. Shape and dtype of x."""
    return normalization.log_softmax(_array(x), axis=axis)


def logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over ``axis`` (an int, a tuple, or None for all), without overflow for finite x.

    Dtype of x; the reduced axes are dropped, or kept with size 1 where ``keepdims`` says so. -inf over an empty axis.
    """
    return normalization.logsumexp(_array(x), axis=axis, keepdims=keepdims)


# --- logarithms ----------------------------------------------------------------------------------------------------------


def logit(x: Array) -> Array:
    """log(x/(1 - x)), elementwise, for x between 0 and 1: the inverse of sigmoid. Shape and dtype of x."""
    return entropy.logit(_array(x))


def entr(x: Array) -> Array:
    """-x log(x), elementwise: 0 at 0, -inf below. Shape and dtype of x."""
    return entropy.entr(_array(x))


def xlogy(x: Array, y: Array) -> Array:
    """x log(y), and 0 where x is 0. The broadcast shape of x and y, and their common dtype."""
    return entropy.xlogy(_array(x), _array(y))


def xlog1py(x: Array, y: Array) -> Array:
    """x log(1 + y), accurate for small y, and 0 where x is 0. The broadcast shape of x and y, and their common dtype."""
    return entropy.xlog1py(_array(x), _array(y))


# --- layers and losses ---------------------------------------------------------------------------------------------------


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x weight^T + bias: shapes (..., n), (m, n), (m,) to (..., m).

    Raises ArgumentError where the shapes do not fit.
    """
    x, weight = _array(x), _array(weight)
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ArgumentError(
            f"linear: x of shape (..., n) and weight of shape (m, n) are expected, got {x.shape} and {weight.shape}"
        )
    y = x @ np.transpose(weight)
    if bias is None:
        return y
    bias = _array(bias)
    if bias.shape != weight.shape[:1]:
        raise ArgumentError(
            f"linear: bias must have shape {weight.shape[:1]} for a weight of shape {weight.shape}, got {bias.shape}"
        )
    return y + bias


def mean_squared_error(prediction: Array, target: Array, reduction: str = "mean") -> Array:
    """(prediction - target)^2: the mean over all elements, their "sum", or "none" for the elements. Equal shapes.

    Raises ArgumentError for unequal shapes (nothing is broadcast) or an unknown reduction.
    """
    prediction, target = _array(prediction), _array(target)
    if prediction.shape != target.shape:
        raise ArgumentError(
            f"mean_squared_error: prediction has shape {prediction.shape}, target has {target.shape}; they must be equal"
        )
    return _reduced(np.square(prediction - target), reduction, "mean_squared_error")


def cross_entropy(logits: Array, labels: Array, reduction: str = "mean") -> Array:
    """-log softmax(logits)[label]: shapes (..., k) and (...) of integers 0 ... k - 1.

    The mean over all samples, their "sum", or "none" for an array of the shape of labels. Dtype of logits.
    Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.2.2.3.

    Raises ArgumentError for shapes that do not fit, labels out of range or an unknown reduction, DtypeError for labels
    that are not integers.
    """
    logits, labels = _array(logits), _labels(logits, labels, "cross_entropy")
    return _reduced(-_chosen(log_softmax(logits, axis=-1), labels), reduction, "cross_entropy")


def kl_divergence(log_probability: Array, target: Array, reduction: str = "sum") -> Array:
    """target (log(target) - log_probability), 0 where the target is 0. Equal shapes.

    The sum over all elements, their "mean", or "none" for the elements. Kullback, Leibler, "On information and sufficiency" (1951).

    Raises ArgumentError for unequal shapes or an unknown reduction.
    """
    log_probability, target = _array(log_probability), _array(target)
    if log_probability.shape != target.shape:
        raise ArgumentError(
            f"kl_divergence: log_probability has shape {log_probability.shape}, target has {target.shape}; they must be equal"
        )
    return _reduced(entropy.kl_div(log_probability, target), reduction, "kl_divergence")


def hinge(scores: Array, signs: Array, margin: float = 1.0, reduction: str = "mean") -> Array:
    """max(0, margin - sign score) for labels -1 and 1: equal shapes; the mean, their "sum", or "none" for the elements.

    The derivative at the kink is 0 by convention. Cortes, Vapnik, "Support-vector networks" (1995).

    Raises ArgumentError for unequal shapes, signs other than -1 and 1, or an unknown reduction.
    """
    scores, signs = _array(scores), np.asarray(signs)
    if scores.shape != signs.shape:
        raise ArgumentError(
            f"hinge: scores have shape {scores.shape}, signs have {signs.shape}; they must be equal"
        )
    if not np.all((signs == 1) | (signs == -1)):
        raise ArgumentError("hinge: signs must be -1 or 1; for classes 0 ... k - 1 use multiclass_hinge")
    return _reduced(activation.relu(margin - signs.astype(scores.dtype) * scores), reduction, "hinge")


def multiclass_hinge(scores: Array, labels: Array, margin: float = 1.0, reduction: str = "mean") -> Array:
    """sum over j != label of max(0, score_j - score_label + margin): shapes (..., k) and (...) of integers 0 ... k - 1.

    The mean over all samples, their "sum", or "none" for an array of the shape of labels. Dtype of scores. The derivative
    at a kink is 0 by convention. Weston, Watkins, "Support vector machines for multi-class pattern recognition" (1999).

    Raises as cross_entropy.
    """
    scores, labels = _array(scores), _labels(scores, labels, "multiclass_hinge")
    own = labels[..., np.newaxis] == np.arange(scores.shape[-1])
    gaps = activation.relu(scores - _chosen(scores, labels)[..., np.newaxis] + margin)
    return _reduced(np.sum(np.where(own, 0.0, gaps), axis=-1), reduction, "multiclass_hinge")


# --- formats ---------------------------------------------------------------------------------------------------------


def cast_through(x: Array, through: str) -> Array:
    """The numbers of a format nearest to x, ties to even, as a cast to the format and back gives them. Shape and dtype of x.

    ``through`` names a format of ``refgrad.bounds.FORMATS``, such as "bfloat16" or "float8_e4m3". A number beyond its range becomes
    infinite, or the largest number where the format has no infinities. By convention the derivative is 1; tangents and cotangents are
    cast through the format as well. Raises DtypeError for a format that is not known.
    """
    if through not in FORMATS:
        raise DtypeError(f"cast_through: no format named {through!r}; one of {list(FORMATS)} is expected")
    return casting.cast_through(_array(x), through=through)


# --- arguments -------------------------------------------------------------------------------------------------------


def _array(x: Any) -> Any:
    if isinstance(x, Traced):
        return x
    refuse_tensor(x, "an argument of a function of refgrad.nn")
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64) if x.dtype.kind in "iub" else _refuse(x)


def _refuse(x: Array) -> Array:
    raise DtypeError(f"an array of real numbers is expected, got dtype {x.dtype}")


def _labels(scores: Array, labels: Any, who: str) -> Array:
    if isinstance(labels, Traced) or (labels := np.asarray(labels)).dtype.kind not in "iu":
        raise DtypeError(f"{who}: labels must be a plain array of integers, got dtype {labels.dtype}")
    if scores.ndim < 1 or scores.shape[:-1] != labels.shape:
        raise ArgumentError(
            f"{who}: shapes (..., k) and (...) are expected for scores and labels, got {scores.shape} and {labels.shape}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < scores.shape[-1]):
        raise ArgumentError(
            f"{who}: labels must lie in 0 ... {scores.shape[-1] - 1}, got {labels.min()} ... {labels.max()}"
        )
    return labels


def _chosen(x: Array, labels: Array) -> Array:
    """x[..., label] for each sample."""
    flat = np.reshape(x, (labels.size, x.shape[-1]))
    return np.reshape(flat[np.arange(labels.size), labels.ravel()], labels.shape)


def _reduced(x: Array, reduction: str, who: str) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f'{who}: reduction must be "mean", "sum" or "none", got {reduction!r}')
    return x if reduction == "none" else np.mean(x) if reduction == "mean" else np.sum(x)
