"""Sources of random choices for families: Hypothesis, which can shrink them, or a seeded generator, which is faster."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Source(Protocol):
    """Random choices for one case. Options are sorted from simple to complex, because shrinking moves towards the first.

    ``rng`` generates bulk numbers.
    """

    rng: np.random.Generator

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        ...

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        ...


class StopDrawing(BaseException):
    """Ends the drawing of cases. It is no Exception, because Hypothesis would treat that as a failure of the case."""


class Seeded:
    """Choices from a seeded generator."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)
        structure = random.Random(repr(seed))  # noqa: S311  reproducible, and ten times as fast as a NumPy generator for single numbers
        self._bits = structure.getrandbits

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return low + self._below(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self._below(len(options))]

    def _below(self, n: int) -> int:
        """A number in [0, n), equal to that of random.randrange(n) and computed in half its time, by rejection sampling."""
        if n < 1:
            raise ValueError("there is nothing to choose from")
        bits = n.bit_length()
        value = self._bits(bits)
        while value >= n:
            value = self._bits(bits)
        return value


class Drawn:
    """Choices drawn by Hypothesis, so that a failing case can be shrunk. Bulk numbers come from a generator with a drawn seed.

    Every choice is drawn as booleans. Hypothesis' integer strategy sometimes takes constants from the loaded source files, so its numbers
    would differ between a worker and a single process.
    """

    def __init__(self, draw: Any) -> None:
        from hypothesis import strategies as st

        self._draw, self._bit = draw, st.booleans()
        self.rng = np.random.default_rng(self.integer(0, 2**12 - 1))

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]; shrinks towards low."""
        value = 0
        for _ in range((high - low).bit_length()):
            value = 2 * value + self._draw(self._bit)
        return low + value % (high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; shrinks towards the first."""
        return options[self.integer(0, len(options) - 1)]
