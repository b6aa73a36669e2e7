"""Losses, with torch's three reductions: the mean over all elements or samples, their sum, or none."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn.arguments import array_of, chosen, labels_of, reduced
from refgrad.nn.normalized_exponentials import log_softmax
from refgrad.op import Draws, Params, twin
from refgrad.ops import activation, entropy

REDUCTIONS = ("mean", "sum", "none")


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
    """(prediction - target)^2: the mean over all elements, their "sum", or "none" for the elements. Equal shapes.

    Raises ArgumentError for unequal shapes (nothing is broadcast) or an unknown reduction.
    """
    prediction, target = array_of(prediction), array_of(target)
    if prediction.shape != target.shape:
        raise ArgumentError(
            f"mean_squared_error: prediction has shape {prediction.shape}, target has {target.shape}; they must be equal"
        )
    return reduced(np.square(prediction - target), reduction, "mean_squared_error")


def _logits_and_labels(draw: Draws) -> Params:
    samples, classes = draw.shape(0, 2), draw.size()
    return {
        "logits": draw.numbers((*samples, classes)),
        "labels": draw.labels(samples, classes),
        "reduction": draw.choice(REDUCTIONS),
    }


@twin(
    # torch's classes are along axis 1 where there are samples
    torch=lambda torch, logits, labels, reduction: torch.nn.functional.cross_entropy(
        torch.movedim(logits, -1, min(1, logits.ndim - 1)), labels, reduction=reduction
    ),
    draw=_logits_and_labels,
)
def cross_entropy(logits: Array, labels: Array, reduction: str = "mean") -> Array:
    """-log softmax(logits)[label]: shapes (..., k) and (...) of integers 0 ... k - 1.

    The mean over all samples, their "sum", or "none" for an array of the shape of labels. Dtype of logits.
    Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.2.2.3.

    Raises ArgumentError for shapes that do not fit, labels out of range or an unknown reduction, DtypeError for labels
    that are not integers.
    """
    logits, labels = array_of(logits), labels_of(logits, labels, "cross_entropy")
    return reduced(-chosen(log_softmax(logits, axis=-1), labels), reduction, "cross_entropy")


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
