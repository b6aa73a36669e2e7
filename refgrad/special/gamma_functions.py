"""The logarithm of the gamma function and its derivatives, elementwise."""

from __future__ import annotations

import math
import operator

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.ops import gamma_functions
from refgrad.special.arguments import array_of


def gammaln(input: Array) -> Array:
    """log |Gamma(input)|: infinite at 0, -1, -2, ..., at which no derivative exists. Shape and dtype of the input."""
    return gamma_functions.lgamma(array_of(input))


def digamma(input: Array) -> Array:
    """The derivative of gammaln: -inf at 0, inf at -0, and NaN at -1, -2, ... Shape and dtype of the input."""
    return gamma_functions.digamma(array_of(input))


psi = digamma


def polygamma(n: int, input: Array) -> Array:
    """The derivative of order ``n`` of digamma, which is digamma itself for n = 0. Shape and dtype of the input.

    At poles it is infinite where both sides agree, else NaN. Raises ArgumentError for an n that is no integer or is negative.
    """
    order = _whole(n, "polygamma", "n", 0)
    return gamma_functions.polygamma(array_of(input), order=order) if order else digamma(input)


def multigammaln(input: Array, p: int) -> Array:
    """log of the gamma function of p dimensions, p (p - 1)/4 log(pi) + the sum of gammaln(input - k/2) over k < p.

    Shape and dtype of the input. It is defined above (p - 1)/2, and NaN elsewhere. Raises ArgumentError for a p that is no integer or
    is below 1.
    """
    dimensions = _whole(p, "multigammaln", "p", 1)
    input = array_of(input)
    inside = input > (dimensions - 1) / 2
    safe = np.where(inside, input, float(dimensions))
    total = gamma_functions.lgamma(safe) + dimensions * (dimensions - 1) / 4 * math.log(math.pi)
    for k in range(1, dimensions):
        total = total + gamma_functions.lgamma(safe - k / 2)
    return np.where(inside, total, np.nan)


def _whole(n: int, function: str, argument: str, least: int) -> int:
    try:
        number = operator.index(n)
    except TypeError:
        number = least - 1
    if number < least:
        raise ArgumentError(f"{function}: {argument} must be an integer of {least} or more, got {n!r}")
    return number
