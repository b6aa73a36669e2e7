"""Losses of regression, with torch's names, parameters and reductions: distances of numbers, and likelihoods of distributions."""

from __future__ import annotations

import math

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.nn import loss_draws
from refgrad.nn.arguments import alike, array_of, reduced, weighted
from refgrad.op import twin


@twin(
    torch=lambda torch, x, target, reduction, weight: torch.nn.functional.l1_loss(
        x, target, reduction=reduction, weight=weight
    ),
    draw=loss_draws.weighted,
    plain=("weight",),
)
def l1_loss(input: Array, target: Array, reduction: str = "mean", weight: Array | None = None) -> Array:
    """|input - target|, reduced; with a ``weight`` of the same shape the mean is that of the weighted terms over the sum of weights.

    Raises ArgumentError for unequal shapes (nothing is broadcast) or an unknown reduction.
    """
    input, target = alike(input, target, "l1_loss")
    return weighted(np.abs(input - target), weight, reduction, "l1_loss")


@twin(
    torch=lambda torch, x, target, reduction, weight: torch.nn.functional.mse_loss(
        x, target, reduction=reduction, weight=weight
    ),
    draw=loss_draws.weighted,
    plain=("weight",),
)
def mse_loss(input: Array, target: Array, reduction: str = "mean", weight: Array | None = None) -> Array:
    """(input - target)^2, reduced. ``weight`` and errors as in ``l1_loss``."""
    input, target = alike(input, target, "mse_loss")
    return weighted(np.square(input - target), weight, reduction, "mse_loss")


@twin(
    torch=lambda torch, x, target, reduction, beta: torch.nn.functional.smooth_l1_loss(
        x, target, reduction=reduction, beta=beta
    ),
    draw=loss_draws.smooth,
)
def smooth_l1_loss(input: Array, target: Array, reduction: str = "mean", beta: float = 1.0) -> Array:
    """d^2/(2 beta) for a distance d = |input - target| up to ``beta``, d - beta/2 beyond; d itself where beta is 0.

    Raises as ``l1_loss``, and ArgumentError for a negative beta. Girshick, "Fast R-CNN" (2015).
    """
    input, target = alike(input, target, "smooth_l1_loss")
    if not beta >= 0:
        raise ArgumentError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    distance = np.abs(input - target)
    if beta == 0:
        return reduced(distance, reduction, "smooth_l1_loss")
    near = np.minimum(distance, beta)
    return reduced(near * near / (2 * beta) + (distance - near), reduction, "smooth_l1_loss")


@twin(
    torch=lambda torch, x, target, reduction, delta, weight: torch.nn.functional.huber_loss(
        x, target, reduction=reduction, delta=delta, weight=weight
    ),
    draw=loss_draws.huber,
    plain=("weight",),
)
def huber_loss(
    input: Array, target: Array, reduction: str = "mean", delta: float = 1.0, weight: Array | None = None
) -> Array:
    """d^2/2 for a distance d = |input - target| up to ``delta``, delta (d - delta/2) beyond; times ``weight``, reduced.

    As in torch the mean is over the elements, with a weight as well. Raises as ``l1_loss``, and ArgumentError unless delta is positive.
    Huber, "Robust estimation of a location parameter" (1964).
    """
    input, target = alike(input, target, "huber_loss")
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta must be positive, got {delta}")
    distance = np.abs(input - target)
    near = np.minimum(distance, delta)
    return reduced(_times(near * near / 2 + delta * (distance - near), weight), reduction, "huber_loss")


def _times(terms: Array, weight: Array | None) -> Array:
    """The terms times a weight of their shape, whose mean is over the elements. Raises ArgumentError for another shape."""
    return terms if weight is None else weighted(terms, weight, "none", "huber_loss")


@twin(
    torch=lambda torch, x, target, var, full, eps, reduction: torch.nn.functional.gaussian_nll_loss(
        x, target, var, full, eps, reduction
    ),
    draw=loss_draws.gaussian,
)
def gaussian_nll_loss(
    input: Array,
    target: Array,
    var: Array | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Array:
    """(log(v) + (input - target)^2/v)/2 with v = max(var, eps), and log(2 pi)/2 more if ``full``; reduced.

    ``var`` has the shape of input, or broadcasts to it. Where ``var`` is below ``eps`` the loss does not depend on it.
    Raises ArgumentError for shapes that do not fit, negative variances, or an eps that is not positive.
    """
    input, target = alike(input, target, "gaussian_nll_loss")
    variance: Array = array_of(var)
    if not eps > 0:
        raise ArgumentError(f"gaussian_nll_loss: eps must be positive, got {eps}")
    if np.any(variance < 0):
        raise ArgumentError("gaussian_nll_loss: var has negative elements; variances are expected")
    if variance.shape == input.shape[:-1] and variance.shape != input.shape and input.ndim:
        variance = variance[..., np.newaxis]
    if np.broadcast_shapes(variance.shape, input.shape) != input.shape:
        raise ArgumentError(
            f"gaussian_nll_loss: var of shape {variance.shape} does not broadcast to the input's shape {input.shape}"
        )
    v = np.maximum(variance, eps)
    loss = 0.5 * (np.log(v) + np.square(input - target) / v)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction, "gaussian_nll_loss")


@twin(
    torch=lambda torch, x, target, log_input, full, eps, reduction: torch.nn.functional.poisson_nll_loss(
        x, target, log_input, full, eps=eps, reduction=reduction
    ),
    draw=loss_draws.poisson,
)
def poisson_nll_loss(
    input: Array,
    target: Array,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Array:
    """exp(input) - target input, or input - target log(input + eps) unless ``log_input``; reduced.

    With ``full`` Stirling's approximation of log(target!) is added where the target is above 1. Raises as ``l1_loss``.
    """
    input, target = alike(input, target, "poisson_nll_loss")
    loss = np.exp(input) - target * input if log_input else input - target * np.log(input + eps)
    if full:
        many = np.where(target > 1, target, 1.0)
        stirling = many * np.log(many) - many + 0.5 * np.log(2 * math.pi * many)
        loss = loss + np.where(target > 1, stirling, 0.0)
    return reduced(loss, reduction, "poisson_nll_loss")
