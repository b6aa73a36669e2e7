"""Logarithms, exponentials and odds: functions of NumPy and of other ops by the names of torch.special."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.ops import activation, entropy, normalization
from refgrad.special.arguments import array_of


def expit(input: Array) -> Array:
    """The logistic function 1/(1 + exp(-input)). Shape and dtype of the input."""
    return activation.sigmoid(array_of(input))


def logit(input: Array, eps: float | None = None) -> Array:
    """log(input/(1 - input)); with ``eps`` of the input moved into eps ... 1 - eps. Shape and dtype of the input.

    Raises ArgumentError for an eps outside 0 ... 1/2.
    """
    input = array_of(input)
    if eps is None:
        return entropy.logit(input)
    if not 0 <= eps <= 0.5:
        raise ArgumentError(f"logit: eps must lie in 0 ... 0.5, got {eps}")
    return entropy.logit(np.clip(input, eps, 1 - eps))


def entr(input: Array) -> Array:
    """-input log(input): 0 at 0, -inf below. Shape and dtype of the input."""
    return entropy.entr(array_of(input))


def xlogy(input: Array, other: Array) -> Array:
    """input log(other), and 0 where the input is 0. The broadcast shape, and the common dtype."""
    return entropy.xlogy(array_of(input), array_of(other))


def xlog1py(input: Array, other: Array) -> Array:
    """input log(1 + other), and 0 where the input is 0. The broadcast shape, and the common dtype."""
    return entropy.xlog1py(array_of(input), array_of(other))


def log1p(input: Array) -> Array:
    """log(1 + input), as np.log1p."""
    return np.log1p(array_of(input))


def expm1(input: Array) -> Array:
    """exp(input) - 1, as np.expm1."""
    return np.expm1(array_of(input))


def exp2(input: Array) -> Array:
    """2^input, as np.exp2."""
    return np.exp2(array_of(input))


def sinc(input: Array) -> Array:
    """sin(pi input)/(pi input), 1 at 0, as np.sinc."""
    return np.sinc(array_of(input))


def softmax(input: Array, dim: Any) -> Array:
    """exp(input)/sum(exp(input)) along ``dim``. Shape and dtype of the input."""
    return normalization.softmax(array_of(input), axis=dim)


def log_softmax(input: Array, dim: Any) -> Array:
    """log(softmax(input, dim)). Shape and dtype of the input."""
    return normalization.log_softmax(array_of(input), axis=dim)


def logsumexp(input: Array, dim: Any, keepdim: bool = False) -> Array:
    """log(sum(exp(input))) over ``dim``, which is dropped, or kept with size 1. Dtype of the input."""
    return normalization.logsumexp(array_of(input), axis=dim, keepdims=keepdim)
