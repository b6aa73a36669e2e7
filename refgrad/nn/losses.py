"""Losses, with torch's three reductions: the mean over all elements or samples, their sum, or none."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import loss_draws
from refgrad.nn.arguments import REDUCTIONS, array_of, chosen, labels_of, reduced
from refgrad.nn.classification_losses import class_weights, mean_by_weight, negative_log_likelihood
from refgrad.nn.layers import linear
from refgrad.nn.normalized_exponentials import log_softmax
from refgrad.nn.regression_losses import mse_loss
from refgrad.op import Draws, Params, Traced, twin
from refgrad.ops import activation, entropy


def _prediction_and_target(draw: Draws) -> Params:
    shape = draw.shape(0, 3)
    return {
        "prediction": draw.numbers(shape),
        "target": draw.numbers(shape),
        "reduction": draw.choice(REDUCTIONS),
    }


@twin(
    torch=lambda torch, prediction, target, reduction: torch.nn.functional.mse_loss(
        prediction, target, reduction=reduction
    ),
    draw=_prediction_and_target,
)
def mean_squared_error(prediction: Array, target: Array, reduction: str = "mean") -> Array:
    """``mse_loss`` without weights, by its full name: (prediction - target)^2, reduced. Errors as there."""
    return mse_loss(prediction, target, reduction)


def _torch_cross_entropy(
    torch: Any,
    scores: Any,
    target: Any,
    reduction: str,
    weight: Any,
    ignore_index: int,
    label_smoothing: float,
    axis: int,
) -> Any:
    """torch's function, whose classes are along axis 1 where there are samples."""
    place = min(1, scores.ndim - 1)
    return torch.nn.functional.cross_entropy(
        torch.movedim(scores, axis, place),
        torch.movedim(target, axis, place) if target.ndim == scores.ndim else target,
        weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


@twin(
    torch=_torch_cross_entropy,
    draw=loss_draws.scores,
    plain=("weight",),
)
def cross_entropy(
    input: Array,
    target: Array,
    reduction: str = "mean",
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """-weight[target] log softmax(input)[target], with the classes along ``axis``: by default the last one, for torch's layout axis 1.

    ``target`` are class indices of the shape of input without the axis, or class probabilities of the shape of input. Indices equal to
    ``ignore_index`` do not count. With ``label_smoothing`` e the target is 1 - e of itself and e of the uniform distribution. Reduced: the
    mean is over the weights of the targets that count (over the samples for probabilities), and NaN where there is none.
    Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.2.2.3; Szegedy et al., "Rethinking the Inception architecture" (2016).

    Raises ArgumentError for shapes that do not fit, indices out of range, a smoothing outside 0 ... 1 or an unknown reduction, DtypeError
    for targets that are neither.
    """
    input, who = array_of(input), "cross_entropy"
    if not -input.ndim <= axis < input.ndim:
        raise ArgumentError(f"{who}: axis {axis} is out of range for an input of shape {input.shape}")
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{who}: label_smoothing must lie in 0 ... 1, got {label_smoothing}")
    scores: Any = log_softmax(input, axis=axis)
    logs = np.moveaxis(scores, axis, -1)
    kind = target.dtype.kind if isinstance(target, Traced) else np.asarray(target).dtype.kind
    if kind == "f" and np.shape(target) == input.shape:
        return _by_probabilities(logs, array_of(target), axis, weight, label_smoothing, reduction)
    found = negative_log_likelihood(logs, target, -1, weight, ignore_index, reduction, who)
    return (
        found
        if label_smoothing == 0
        else (1 - label_smoothing) * found
        + label_smoothing * _by_uniform(logs, target, weight, ignore_index, reduction)
    )


def _linear_scores_and_classes(draw: Draws) -> Params:
    samples, classes, inner = draw.shape(0, 1), draw.integer(1, 4), draw.size()
    biased, weighted = draw.choice((True, False)), draw.choice((False, True))
    return {
        "input": draw.numbers((*samples, inner)),
        "linear_weight": draw.numbers((classes, inner)),
        "target": draw.labels(samples, classes),
        "linear_bias": draw.numbers((classes,)) if biased else None,
        "weight": draw.numbers((classes,), 0.25, 4.0) if weighted else None,
        "reduction": draw.choice(REDUCTIONS),
        "label_smoothing": draw.choice((0.0, 0.25)),
    }


def _torch_linear_cross_entropy(
    torch: Any,
    x: Any,
    matrix: Any,
    target: Any,
    bias: Any,
    weight: Any,
    reduction: Any,
    ignored: Any,
    smoothing: Any,
) -> Any:
    """torch's function; before it had one, what its documentation calls equivalent."""
    more = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    if hasattr(torch.nn.functional, "linear_cross_entropy"):
        return torch.nn.functional.linear_cross_entropy(
            x, matrix, target, linear_bias=bias, ignore_index=ignored, **more
        )
    return torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, matrix, bias), target, **more)


@twin(torch=_torch_linear_cross_entropy, draw=_linear_scores_and_classes, plain=("weight",))
def linear_cross_entropy(
    input: Array,
    linear_weight: Array,
    target: Array,
    *,
    linear_bias: Array | None = None,
    weight: Array | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Array:
    """cross_entropy of input linear_weight^T + linear_bias, with the classes along axis 1: inputs (n, m) or (m,), weights (c, d1, ..., m).

    The scores have shape (n, c, d1, ...), or (c,) for one sample. ``linear_bias`` has the shape (c, d1, ...). The
    ``options`` of torch say how a kernel divides the work, so there are none here. Raises as linear and cross_entropy do.
    """
    x, matrix = array_of(input), array_of(linear_weight)
    if x.ndim not in (1, 2) or matrix.ndim < 2 or (x.ndim == 1 and matrix.ndim > 2):
        raise ArgumentError(
            "linear_cross_entropy: shapes (n, m) and (c, d1, ..., m), or (m,) and (c, m) are expected for input and linear_weight, got "
            f"{x.shape} and {matrix.shape}"
        )
    shape = matrix.shape[:-1]
    if linear_bias is not None and np.shape(linear_bias) != shape:
        raise ArgumentError(
            f"linear_cross_entropy: linear_bias of shape {shape} is expected, got {np.shape(linear_bias)}"
        )
    count = math.prod(shape)  # -1 does not say how many rows without elements there are
    bias = None if linear_bias is None else np.reshape(array_of(linear_bias), (count,))
    rows = np.reshape(matrix, (count, matrix.shape[-1]))
    scores = np.reshape(linear(x, rows, bias), (*x.shape[:-1], *shape))
    return cross_entropy(
        scores,
        target,
        reduction,
        weight=weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
        axis=x.ndim - 1,
    )


def _by_probabilities(
    logs: Array, target: Any, axis: int, weight: Any, smoothing: float, reduction: str
) -> Array:
    classes = logs.shape[-1]
    target = np.moveaxis(target, axis, -1)
    if smoothing:
        target = (1 - smoothing) * target + smoothing / classes
    if weight is not None:
        target = target * class_weights(weight, classes, "cross_entropy")
    each = -np.sum(target * logs, axis=-1)
    if reduction == "mean":
        return np.sum(each) / max(each.size, 1) if each.size else mean_by_weight(np.sum(each), np.zeros(1))
    return reduced(each, reduction, "cross_entropy")


def _by_uniform(logs: Array, target: Any, weight: Any, ignored: int, reduction: str) -> Array:
    """The loss against the uniform distribution, each class with its weight, over the targets that are not ignored."""
    classes = logs.shape[-1]
    kept = np.asarray(target) != ignored
    weights = (
        np.ones(classes, logs.dtype) if weight is None else class_weights(weight, classes, "cross_entropy")
    )
    each = np.where(kept, -np.sum(logs * weights, axis=-1) / classes, 0.0)
    if reduction == "mean":
        counted = np.where(kept, weights[np.where(kept, target, 0)], 0.0)
        return mean_by_weight(np.sum(each), counted)
    return reduced(each, reduction, "cross_entropy")


def _log_probability_and_target(draw: Draws) -> Params:
    shape = draw.shape(0, 3)
    return {
        "log_probability": draw.numbers(shape, high=0.0),
        "target": draw.numbers(shape, low=0.05),  # targets of 0 are special points of the op kl_div
        "reduction": draw.choice(REDUCTIONS),
    }


def _torch_kl_div(torch: Any, log_probability: Any, target: Any, reduction: str) -> Any:
    """torch's function, without the warning that it gives for each mean: there a mean over samples is meant more often."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction: 'mean' divides", category=UserWarning)
        return torch.nn.functional.kl_div(log_probability, target, reduction=reduction)


@twin(torch=_torch_kl_div, draw=_log_probability_and_target)
def kl_divergence(log_probability: Array, target: Array, reduction: str = "sum") -> Array:
    """target (log(target) - log_probability), 0 where the target is 0. Equal shapes.

    The sum over all elements, their "mean", or "none" for the elements. Kullback, Leibler, "On information and sufficiency" (1951).

    Raises ArgumentError for unequal shapes or an unknown reduction.
    """
    log_probability, target = array_of(log_probability), array_of(target)
    if log_probability.shape != target.shape:
        raise ArgumentError(
            f"kl_divergence: log_probability has shape {log_probability.shape}, target has {target.shape}; they must be equal"
        )
    return reduced(entropy.kl_div(log_probability, target), reduction, "kl_divergence")


def hinge(scores: Array, signs: Array, margin: float = 1.0, reduction: str = "mean") -> Array:
    """max(0, margin - sign score) for labels -1 and 1: equal shapes; the mean, their "sum", or "none" for the elements.

    The derivative at the kink is 0 by convention. Cortes, Vapnik, "Support-vector networks" (1995).

    Raises ArgumentError for unequal shapes, signs other than -1 and 1, or an unknown reduction.
    """
    scores, signs = array_of(scores), np.asarray(signs)
    if scores.shape != signs.shape:
        raise ArgumentError(
            f"hinge: scores have shape {scores.shape}, signs have {signs.shape}; they must be equal"
        )
    if not np.all((signs == 1) | (signs == -1)):
        raise ArgumentError("hinge: signs must be -1 or 1; for classes 0 ... k - 1 use multiclass_hinge")
    return reduced(activation.relu(margin - signs.astype(scores.dtype) * scores), reduction, "hinge")


def multiclass_hinge(scores: Array, labels: Array, margin: float = 1.0, reduction: str = "mean") -> Array:
    """sum over j != label of max(0, score_j - score_label + margin): shapes (..., k) and (...) of integers 0 ... k - 1.

    The mean over all samples, their "sum", or "none" for an array of the shape of labels. Dtype of scores. The derivative
    at a kink is 0 by convention. Weston, Watkins, "Support vector machines for multi-class pattern recognition" (1999).

    Raises as cross_entropy.
    """
    scores, labels = array_of(scores), labels_of(scores, labels, "multiclass_hinge")
    own = labels[..., np.newaxis] == np.arange(scores.shape[-1])
    gaps = activation.relu(scores - chosen(scores, labels)[..., np.newaxis] + margin)
    return reduced(np.sum(np.where(own, 0.0, gaps), axis=-1), reduction, "multiclass_hinge")
