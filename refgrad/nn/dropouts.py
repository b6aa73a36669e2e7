"""Dropout, with torch's names and parameters: the identity, or refused, for a random function has no derivative to compare."""

from __future__ import annotations

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.nn.arguments import array_of


def dropout(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False) -> Array:
    """``input`` itself, where nothing is dropped: without ``training``, or with p = 0.

    Raises NoRuleError where elements would be dropped at random, ArgumentError for a probability outside 0 ... 1 and for ``inplace``.
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).
    """
    return _kept("dropout", input, p, training, inplace)


def dropout1d(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False) -> Array:
    """dropout of whole channels of length d."""
    return _kept("dropout1d", input, p, training, inplace)


def dropout2d(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False) -> Array:
    """dropout of whole channels of two axes."""
    return _kept("dropout2d", input, p, training, inplace)


def dropout3d(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False) -> Array:
    """dropout of whole channels of three axes."""
    return _kept("dropout3d", input, p, training, inplace)


def alpha_dropout(input: Array, p: float = 0.5, training: bool = False, inplace: bool = False) -> Array:
    """dropout that keeps mean and variance of what selu returns. Klambauer et al., "Self-normalizing neural networks" (2017)."""
    return _kept("alpha_dropout", input, p, training, inplace)


def feature_alpha_dropout(
    input: Array, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Array:
    """alpha_dropout of whole channels."""
    return _kept("feature_alpha_dropout", input, p, training, inplace)


def _kept(who: str, input: Array, p: float, training: bool, inplace: bool) -> Array:
    x = array_of(input)
    if not 0 <= p <= 1:
        raise ArgumentError(f"{who}: p must be a probability from 0 to 1, got {p!r}")
    if inplace:
        raise ArgumentError(f"{who}: inplace=True would write to the input; leave it away and use the result")
    if training and p > 0:
        raise NoRuleError(
            f"{who}: p={p} would be random and has no rule; give training=False, or multiply by a mask of your own: "
            "x * mask / (1 - p)"
        )
    return x
