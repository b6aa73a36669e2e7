"""Sources of the choices of a family: a seeded generator, choices that were recorded, or Hypothesis."""

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


class Replayed:
    """Choices that were made before, as distances from the first option. A run continues with first options after the last of them.

    A choice beyond the options becomes the last option, because an earlier choice may have changed what is offered. ``made`` lists the
    choices as they were taken. ``seed`` is that of the bulk numbers.
    """

    def __init__(self, choices: Sequence[int], seed: int | Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)
        self.made: list[int] = []
        self._given = choices

    @property
    def exhausted(self) -> bool:
        """Whether every recorded choice is taken: what follows takes first options alone."""
        return len(self.made) >= len(self._given)

    def integer(self, low: int, high: int) -> int:
        """The next choice, as an integer in [low, high]."""
        return low + self._next(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """The next choice, as one of the options."""
        return options[self._next(len(options))]

    def _next(self, n: int) -> int:
        if n < 1:
            raise ValueError("there is nothing to choose from")
        place = len(self.made)
        taken = min(self._given[place], n - 1) if place < len(self._given) else 0
        self.made.append(taken)
        return taken


class Recorded(Seeded):
    """Choices from a seeded generator. ``made`` lists them as distances from the first option, so that Replayed can repeat them."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        super().__init__(seed)
        self.made: list[int] = []

    def _below(self, n: int) -> int:
        self.made.append(super()._below(n))
        return self.made[-1]


class Eager(Recorded):
    """A recorded source of cases into which everything rare comes that can come."""

    def certainly(self, share: int) -> bool:
        """True, recorded as the choice by which Replayed repeats it."""
        self.made.append(share - 1)
        return True


def rarely(source: Source, share: int) -> bool:
    """Whether something rare comes into a case, as it does in one case of ``share``; shrinks towards False."""
    return source.certainly(share) if isinstance(source, Eager) else source.integer(0, share - 1) == share - 1


class Drawn:
    """Choices drawn by Hypothesis, for the strategies of ``refgrad.testing``. Bulk numbers come from a generator with a drawn seed.

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
