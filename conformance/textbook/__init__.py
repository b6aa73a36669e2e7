"""The lectures: every formula, exercise and printed number of five decks on back-propagation as an item that is executed.

An item's gradient is worked out four times, by the reference's forward mode, its reverse mode, the formula written out and torch.
"""

from __future__ import annotations

from . import (
    chain,
    gates,
    graphs,
    implicit,
    layers,
    networks,
    perceptron,
    polynomial,
    regression,
    scalar,
    training,
    tutorial,
    vectors,
)
from .outcome import MODES
from .record import Item

ITEMS: tuple[Item, ...] = (
    *scalar.ITEMS, *chain.ITEMS, *perceptron.ITEMS, *polynomial.ITEMS, *vectors.ITEMS, *graphs.ITEMS, *layers.ITEMS, *regression.ITEMS,
    *networks.ITEMS, *gates.ITEMS, *implicit.ITEMS, *training.ITEMS, *tutorial.ITEMS,
)  # fmt: skip

__all__ = ["ITEMS", "MODES", "Item"]
