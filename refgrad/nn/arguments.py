"""Arguments of the functions of refgrad.nn: arrays of real numbers, labels of classes, reductions of losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, DtypeError
from refgrad.op import Traced
from refgrad.op.real_arrays import real_array

REDUCTIONS = ("mean", "sum", "none")  # of the losses


def array_of(x: Any) -> Any:
    """x as an array of real numbers: traced ones as they are, integers as float64. Raises DtypeError for others, TypeError for a tensor."""
    return real_array(x, "a function of refgrad.nn")


def beside(x: Any, constant: Any) -> Any:
    """A plain array with the dtype of x, at work where x is: what is computed from it rounds as it does in the format of x.

    A traced one stays as it is.
    """
    constant = array_of(constant)
    return constant if isinstance(constant, Traced) else np.zeros_like(x, shape=constant.shape) + constant


def fixed(x: Any, numbers: Any) -> Any:
    """Plain numbers in the dtype of x, at work where x is: what is computed from them rounds as it does in the format of x."""
    while isinstance(x, Traced) and isinstance(x._value, Traced):
        x = x._value  # a constant has no derivative, but it rounds like the value that is differentiated
    return beside(x, np.asarray(numbers, x.dtype))


def labels_of(scores: Array, labels: Any, who: str) -> Array:
    """Labels 0 ... k - 1 for scores of shape (..., k), as plain integers. Raises DtypeError or ArgumentError in the name ``who``."""
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


def chosen(x: Array, labels: Array) -> Array:
    """x[..., label] for each sample."""
    flat = np.reshape(x, (labels.size, x.shape[-1]))
    return np.reshape(flat[np.arange(labels.size), labels.ravel()], labels.shape)


def check_reduction(reduction: Any, who: str) -> None:
    """Raises ArgumentError for anything but the name of a reduction, such as weights in its place."""
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise ArgumentError(f'{who}: reduction must be "mean", "sum" or "none", got {reduction!r}')


def reduced(x: Array, reduction: str, who: str) -> Any:
    """The mean or the sum of all elements, or x itself. Raises ArgumentError for another reduction."""
    check_reduction(reduction, who)
    return x if reduction == "none" else np.mean(x) if reduction == "mean" else np.sum(x)


def alike(input: Any, target: Any, who: str) -> tuple[Any, Any]:
    """Both as arrays of real numbers. Raises ArgumentError for unequal shapes."""
    input, target = array_of(input), array_of(target)
    if input.shape != target.shape:
        raise ArgumentError(
            f"{who}: input has shape {input.shape}, target has {target.shape}; they must be equal"
        )
    return input, target


def weighted(terms: Array, weight: Any, reduction: str, who: str) -> Any:
    """The terms times their weights, reduced; the mean divides by the sum of weights. Raises ArgumentError for another shape."""
    if weight is None:
        return reduced(terms, reduction, who)
    weight = array_of(weight)
    if weight.shape != terms.shape:
        raise ArgumentError(
            f"{who}: weight has shape {weight.shape}, the terms have {terms.shape}; they must be equal"
        )
    if reduction == "mean":
        return np.sum(terms * weight) / np.sum(weight)
    return reduced(terms * weight, reduction, who)


def signs_of(target: Any, who: str) -> Array:
    """A target of -1 and 1 as a plain array. Raises ArgumentError for other numbers, and for a target that is differentiated."""
    if isinstance(target, Traced):
        raise ArgumentError(f"{who}: the target is -1 or 1 and has no derivative; pass it as a plain array")
    target = np.asarray(target)
    if not np.all((target == 1) | (target == -1)):
        raise ArgumentError(f"{who}: the target must be -1 or 1 everywhere")
    return target
