"""What the drawer of a function's arguments receives: choices of structure, and arrays by their role.

The suite derives from it a class whose numbers have special values among them, in a wide shape now and then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.profiles import DOUBLE
from refgrad.domain import Interval
from refgrad.op.traits import Choice, Choices

SIZES = (3, 1, 2, 4, 5, 7)  # of an axis, the simplest first


class Draws:
    """The draws of the arguments of one call, from a source of choices. A case shrinks towards the first options.

    source    the choices; ``source.rng`` is the generator of bulk numbers
    dtype     the format in which the call is judged: a framework may lack a kernel of some arguments in some formats
    """

    dtype = DOUBLE

    def __init__(self, source: Choices) -> None:
        self.source = source

    @property
    def rng(self) -> np.random.Generator:
        """The generator of bulk numbers."""
        return self.source.rng

    def choice(self, options: Sequence[Choice]) -> Choice:
        """One of the options."""
        return self.source.choice(options)

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return self.source.integer(low, high)

    def size(self) -> int:
        """The size of an axis."""
        return self.choice(SIZES)

    def shape(self, least: int = 1, most: int = 3) -> tuple[int, ...]:
        """A shape of ``least`` to ``most`` axes, none of them empty."""
        return tuple([self.size() for _ in range(self.integer(least, most))])

    def numbers(self, shape: tuple[int, ...], low: float = -np.inf, high: float = np.inf) -> PlainArray:
        """An operand: float64 numbers from low to high, of moderate size, in this shape."""
        if np.isinf(low) and np.isinf(high):
            return np.asarray(self.rng.standard_normal(shape))
        return np.asarray(Interval(low, high).draw(self.rng, shape))

    def labels(self, shape: tuple[int, ...], classes: int) -> PlainArray:
        """Labels 0 ... classes - 1: an array of int64, which has no derivative."""
        return np.asarray(self.rng.integers(0, classes, shape))

    def mask(self, shape: tuple[int, ...]) -> PlainArray:
        """An array of booleans, which has no derivative."""
        return np.asarray(self.rng.random(shape) < 0.5)


class Seeded:
    """Choices that a generator makes: for draws outside the suite, where nothing shrinks."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def choice(self, options: Sequence[Choice]) -> Choice:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))


__all__ = ["Draws", "Seeded"]
