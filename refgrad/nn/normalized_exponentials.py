"""Normalised exponentials: softmax, its logarithm, and the logarithm of a sum of exponentials."""

from __future__ import annotations

from typing import Any

from refgrad.arrays import Array
from refgrad.nn.arguments import array_of
from refgrad.ops import normalization


def softmax(x: Array, axis: Any = -1) -> Array:
    """exp(x)/sum(exp(x)) along ``axis`` (an int, a tuple, or None for all). Shape and dtype of x; no overflow for finite x."""
    return normalization.softmax(array_of(x), axis=axis)


def log_softmax(x: Array, axis: Any = -1) -> Array:
    """log(softmax(x, axis)), accurate where a probability underflows. Shape and dtype of x."""
    return normalization.log_softmax(array_of(x), axis=axis)


def logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over ``axis`` (an int, a tuple, or None for all), without overflow for finite x.

    Dtype of x; the reduced axes are dropped, or kept with size 1 where ``keepdims`` says so. -inf over an empty axis.
    """
    return normalization.logsumexp(array_of(x), axis=axis, keepdims=keepdims)
