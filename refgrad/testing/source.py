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


class Seeded:
    """Choices from a seed alone."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)
        self.structure = random.Random(repr(seed))  # noqa: S311  a seed is the point; ten times as fast as a NumPy generator at single numbers

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return self.structure.randint(low, high)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return self.structure.choice(options)


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
