"""Where a family's choices come from: Hypothesis, which can shrink them, or a seed alone, which is faster."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Source(Protocol):
    """Choices for one case. Simpler choices come first, so that shrinking goes towards them."""

    rng: np.random.Generator

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        ...

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        ...


class StopDrawing(BaseException):
    """Raised where no more cases are wanted. No Exception: Hypothesis would take it for a failure of the case."""


class Seeded:
    """Choices from a seed alone."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)
        structure = random.Random(repr(seed))  # noqa: S311  a seed is the point; ten times as fast as a NumPy generator at single numbers
        self._bits = structure.getrandbits

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self._below(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self._below(len(options))]

    def _below(self, n: int) -> int:
        """The numbers of random.randrange(n), in half its time: as many bits as n has, until they stay below n."""
        if n < 1:
            raise ValueError("there is nothing to choose from")
        bits = n.bit_length()
        value = self._bits(bits)
        while value >= n:
            value = self._bits(bits)
        return value


class Drawn:
    """Choices that Hypothesis draws, so that a failing case shrinks. Bulk numbers come from a drawn seed.

    Everything is drawn as booleans. Hypothesis' integers now and then take a constant from the source files loaded at that
    moment, so they would differ between a worker and a single process; the same seed has to give the same cases in both.
    """

    def __init__(self, draw: Any) -> None:
        from hypothesis import strategies as st

        self._draw, self._bit = draw, st.booleans()
        self.rng = np.random.default_rng(self.integer(0, 2**12 - 1))

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included; shrinks towards low."""
        value = 0
        for _ in range((high - low).bit_length()):
            value = 2 * value + self._draw(self._bit)
        return low + value % (high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; shrinks towards the first."""
        return options[self.integer(0, len(options) - 1)]
