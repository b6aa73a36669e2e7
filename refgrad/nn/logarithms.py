"""Functions of entropy and odds, elementwise."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.nn.arguments import array_of
from refgrad.ops import entropy


def logit(x: Array) -> Array:
    """log(x/(1 - x)), elementwise, for x between 0 and 1: the inverse of sigmoid. Shape and dtype of x."""
    return entropy.logit(array_of(x))


def entr(x: Array) -> Array:
    """-x log(x), elementwise: 0 at 0, -inf below. Shape and dtype of x."""
    return entropy.entr(array_of(x))


def xlogy(x: Array, y: Array) -> Array:
    """x log(y), and 0 where x is 0. The broadcast shape of x and y, and their common dtype."""
    return entropy.xlogy(array_of(x), array_of(y))


def xlog1py(x: Array, y: Array) -> Array:
    """x log(1 + y), accurate for small y, and 0 where x is 0. The broadcast shape of x and y, and their common dtype."""
    return entropy.xlog1py(array_of(x), array_of(y))
