"""Losses of classification, with torch's names, parameters, layout and reductions.

Where torch has classes on axis 1 of the input, so have these: (C), (N, C) or (N, C, d1, ...) with targets of the other axes.
``losses.cross_entropy`` takes any axis.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, DtypeError
from refgrad.formula import Formula
from refgrad.nn import loss_draws
from refgrad.nn.arguments import alike, array_of, check_reduction, reduced, signs_of
from refgrad.op import Traced, twin
from refgrad.ops import activation, entropy


def indices_of(
    target: Any, shape: tuple[int, ...], classes: int, who: str, ignored: int | None = None
) -> Array:
    """Class indices of a shape. Raises DtypeError unless they are plain integers, ArgumentError for another shape or range."""
    if isinstance(target, Traced) or (target := np.asarray(target)).dtype.kind not in "iu":
        raise DtypeError(f"{who}: class indices must be a plain array of integers, got dtype {target.dtype}")
    if target.shape != shape:
        raise ArgumentError(
            f"{who}: class indices have the shape of the input without the classes: for {(*shape, classes)}, classes last, {shape} is "
            f"expected, got {(*shape, classes)} and {target.shape}"
        )
    kept = target if ignored is None else target[target != ignored]
    if kept.size and not (kept.min() >= 0 and kept.max() < classes):
        raise ArgumentError(
            f"{who}: class indices must lie in 0 ... {classes - 1}, got {kept.min()} ... {kept.max()}"
        )
    return target


def class_weights(weight: Any, classes: int, who: str) -> Any:
    """The weights of the classes. Raises ArgumentError for another shape."""
    weight = array_of(weight)
    if weight.shape != (classes,):
        raise ArgumentError(
            f"{who}: weight must have shape {(classes,)}, one for each class, got {weight.shape}"
        )
    return weight


def mean_by_weight(total: Array, weights: Array) -> Array:
    """total over the sum of weights; NaN without a warning where that is 0, and so are the derivatives."""
    below = np.sum(weights)
    return total / np.where(below == 0, np.nan, below)


def negative_log_likelihood(
    log_probability: Any, target: Any, axis: int, weight: Any, ignored: int, reduction: str, who: str
) -> Array:
    """-w[target] log_probability[target] along an axis, reduced over the targets that are not ignored."""
    moved = np.moveaxis(log_probability, axis, -1)
    classes, shape = moved.shape[-1], moved.shape[:-1]
    target = indices_of(target, shape, classes, who, ignored)
    check_reduction(reduction, who)
    kept = (target != ignored).ravel()
    chosen = np.where(kept, target.ravel(), 0)
    flat = np.reshape(moved, (chosen.size, classes))
    each = -flat[np.arange(chosen.size), chosen]
    weights = kept.astype(log_probability.dtype)
    if weight is not None:
        weights = np.where(kept, class_weights(weight, classes, who)[chosen], 0.0)
    each = np.where(kept, each, 0.0) * weights
    if reduction == "none":
        return np.reshape(each, shape)
    total = np.sum(each)
    return total if reduction == "sum" else mean_by_weight(total, weights)


@twin(
    torch=lambda torch, x, target, weight, ignored, reduction: torch.nn.functional.nll_loss(
        x, target, weight, ignore_index=ignored, reduction=reduction
    ),
    draw=loss_draws.log_likelihood,
    plain=("weight",),
)
def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """-weight[target] input[target] of log-probabilities, classes on axis 1 (axis 0 of one sample); reduced.

    Targets equal to ``ignore_index`` do not count. The mean is over the weights of those that do, and NaN where there is none.
    Raises DtypeError for targets that are no integers, ArgumentError for shapes, ranges or reductions that do not fit.
    """
    input = array_of(input)
    if input.ndim < 1:
        raise ArgumentError(
            "nll_loss: an input of shape (C), (N, C) or (N, C, d1, ...) is expected, got a number"
        )
    axis = min(1, input.ndim - 1)
    return negative_log_likelihood(input, target, axis, weight, ignore_index, reduction, "nll_loss")


def _torch_kl_div(torch: Any, x: Any, target: Any, reduction: str, log_target: bool) -> Any:
    """torch's function, without the warning that it gives for each mean: there a mean over samples is meant more often."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction: 'mean' divides", category=UserWarning)
        return torch.nn.functional.kl_div(x, target, reduction=reduction, log_target=log_target)


@twin(torch=_torch_kl_div, draw=loss_draws.divergence)
def kl_div(input: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Array:
    """target (log(target) - input), 0 where the target is 0; exp(target) (target - input) if ``log_target``.

    Reduced as elsewhere, or by "batchmean": the sum over the size of the first axis. Raises ArgumentError for unequal shapes.
    """
    input, target = alike(input, target, "kl_div")
    each = np.exp(target) * (target - input) if log_target else entropy.kl_div(input, target)
    if reduction == "batchmean":
        return np.sum(each) / (input.shape[0] if input.ndim else 1)
    return reduced(each, reduction, "kl_div")


def _times(each: Array, weight: Any, who: str) -> Array:
    if weight is None:
        return each
    weight = array_of(weight)
    if np.broadcast_shapes(weight.shape, each.shape) != each.shape:
        raise ArgumentError(
            f"{who}: weight of shape {weight.shape} does not broadcast to the input's shape {each.shape}"
        )
    return each * weight


@twin(
    torch=lambda torch, x, target, weight, reduction: torch.nn.functional.binary_cross_entropy(
        x, target, weight, reduction=reduction
    ),
    draw=loss_draws.probabilities,
    plain=("weight",),
)
def binary_cross_entropy(
    input: Array, target: Array, weight: Array | None = None, reduction: str = "mean"
) -> Array:
    """-(target log(input) + (1 - target) log(1 - input)), times ``weight``, reduced. A factor 0 wins over an infinite logarithm.

    torch takes no logarithm below -100: there its value is 100 times the target, where this one grows to infinity.
    Raises ArgumentError for shapes that do not fit or an unknown reduction.
    """
    input, target = alike(input, target, "binary_cross_entropy")
    each = -(entropy.xlogy(target, input) + entropy.xlog1py(1 - target, -input))
    return reduced(_times(each, weight, "binary_cross_entropy"), reduction, "binary_cross_entropy")


WITH_LOGITS = "binary_cross_entropy_with_logits"


def _of_logits(
    each: Callable[[Array, Array, Any], Array],
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Array:
    """The reduced loss of logits; ``each`` gives its terms from input, target and pos_weight."""
    input, target = alike(input, target, WITH_LOGITS)
    return reduced(_times(each(input, target, pos_weight), weight, WITH_LOGITS), reduction, WITH_LOGITS)


def _by_both_softplus(input: Array, target: Array, positive: Any) -> Array:
    """positive t log(1 + exp(-x)) + (1 - t) log(1 + exp(x))."""
    return _times(target * activation.softplus(-input), positive, WITH_LOGITS) + (
        1 - target
    ) * activation.softplus(input)


def _by_one_softplus(input: Array, target: Array, positive: Any) -> Array:
    """The same by log(1 + exp(-x)) = log(1 + exp(x)) - x."""
    return (
        _weight_of_both(target, positive) * activation.softplus(input)
        - _times(target, positive, WITH_LOGITS) * input
    )


def _by_the_other_softplus(input: Array, target: Array, positive: Any) -> Array:
    """The same by log(1 + exp(x)) = x + log(1 + exp(-x))."""
    return (1 - target) * input + _weight_of_both(target, positive) * activation.softplus(-input)


def _weight_of_both(target: Array, positive: Any) -> Any:
    return 1 if positive is None else 1 + _times(target, positive - 1, WITH_LOGITS)


@twin(
    torch=lambda torch, x, target, weight, reduction, positive: (
        torch.nn.functional.binary_cross_entropy_with_logits(
            x, target, weight, reduction=reduction, pos_weight=positive
        )
    ),
    draw=loss_draws.logits,
    plain=("weight", "pos_weight"),
    usual=(
        Formula(
            "(1 - t) x + log(1 + exp(-x)), which cancels for a target of 0 below 0",
            function=functools.partial(_of_logits, _by_the_other_softplus),
        ),
        Formula(
            "log(1 + exp(x)) - t x, which cancels for a target of 1 above 0, and by the size of pos_weight",
            function=functools.partial(_of_logits, _by_one_softplus),
        ),
    ),
)
def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """pos_weight target log(1 + exp(-input)) + (1 - target) log(1 + exp(input)), times ``weight``, reduced.

    ``weight`` and ``pos_weight`` broadcast to the input. Raises ArgumentError for shapes that do not fit or an unknown reduction.
    """
    return _of_logits(_by_both_softplus, input, target, weight, reduction, pos_weight)


@twin(
    torch=lambda torch, x, target, reduction: torch.nn.functional.soft_margin_loss(
        x, target.to(x.dtype), reduction=reduction
    ),
    draw=loss_draws.soft_margin,
)
def soft_margin_loss(input: Array, target: Array, reduction: str = "mean") -> Array:
    """log(1 + exp(-target input)) with a target of -1 and 1, reduced. Raises ArgumentError for other targets or unequal shapes."""
    signs = signs_of(target, "soft_margin_loss")
    input, signs = alike(input, signs, "soft_margin_loss")
    return reduced(activation.softplus(-signs.astype(input.dtype) * input), reduction, "soft_margin_loss")


@twin(
    torch=lambda torch, x, target, weight, reduction: torch.nn.functional.multilabel_soft_margin_loss(
        x, target.to(x.dtype), weight, reduction=reduction
    ),
    draw=loss_draws.several_labels,
    plain=("weight",),
)
def multilabel_soft_margin_loss(
    input: Array, target: Array, weight: Array | None = None, reduction: str = "mean"
) -> Array:
    """The mean over the classes, the last axis, of binary_cross_entropy_with_logits; ``weight`` has one number for each class."""
    who = "multilabel_soft_margin_loss"
    input, target = alike(input, target, who)
    each = target * activation.softplus(-input) + (1 - target) * activation.softplus(input)
    if weight is not None:
        each = each * class_weights(weight, input.shape[-1], who)
    return reduced(np.mean(each, axis=-1), reduction, who)


@twin(
    torch=lambda torch, x, target, p, margin, weight, reduction: torch.nn.functional.multi_margin_loss(
        x, target, p, margin, weight, reduction=reduction
    ),
    draw=loss_draws.margins,
    plain=("weight",),
)
def multi_margin_loss(
    input: Array,
    target: Array,
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """The sum over classes j other than the target y of max(0, margin - input_y + input_j)^p, times weight_y, over the number of classes.

    Shapes (N, C) and (N), or (C) and (). Raises ArgumentError for a p other than 1 and 2, or shapes and ranges that do not fit.
    """
    input = array_of(input)
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p must be 1 or 2, got {p}")
    if input.ndim not in (1, 2):
        raise ArgumentError(
            f"multi_margin_loss: an input of shape (N, C) or (C) is expected, got {input.shape}"
        )
    classes = input.shape[-1]
    target = indices_of(target, input.shape[:-1], classes, "multi_margin_loss")
    own = target[..., np.newaxis] == np.arange(classes)
    mine = np.sum(np.where(own, input, 0.0), axis=-1, keepdims=True)
    gaps = activation.relu(margin - mine + input)
    each = np.where(own, 0.0, gaps if p == 1 else gaps * gaps)
    if weight is not None:
        each = each * class_weights(weight, classes, "multi_margin_loss")[target][..., np.newaxis]
    return reduced(np.sum(each, axis=-1) / classes, reduction, "multi_margin_loss")


@twin(
    torch=lambda torch, x, target, reduction: torch.nn.functional.multilabel_margin_loss(
        x, target, reduction=reduction
    ),
    draw=loss_draws.listed_labels,
)
def multilabel_margin_loss(input: Array, target: Array, reduction: str = "mean") -> Array:
    """The sum over target classes y and other classes j of max(0, 1 - input_y + input_j), over the number of classes.

    ``target`` has the shape of input: class indices, ended by -1 in each row. Raises ArgumentError for shapes and ranges that do not fit.
    """
    input = array_of(input)
    if input.ndim not in (1, 2):
        raise ArgumentError(
            f"multilabel_margin_loss: an input of shape (N, C) or (C) is expected, got {input.shape}"
        )
    classes = input.shape[-1]
    target = indices_of(target, input.shape, classes, "multilabel_margin_loss", -1)
    listed = np.logical_and.accumulate(target >= 0, axis=-1)
    hits = (target[..., np.newaxis] == np.arange(classes)) & listed[..., np.newaxis]  # (..., places, classes)
    others = ~np.any(hits, axis=-2)
    mine = np.sum(np.where(hits, input[..., np.newaxis, :], 0.0), axis=-1)
    gaps = activation.relu(1 - mine[..., np.newaxis] + input[..., np.newaxis, :])
    kept = listed[..., np.newaxis] & others[..., np.newaxis, :]
    total = np.sum(np.where(kept, gaps, 0.0), axis=(-2, -1))
    return reduced(total / classes, reduction, "multilabel_margin_loss")
