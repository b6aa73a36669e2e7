"""Where an op is defined, how to draw operands for it, and its special points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Sample = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Interval:
    """An open or closed interval of the real line; ``hole`` is a point to stay away from (a pole, a kink)."""

    low: float = -np.inf
    high: float = np.inf
    hole: float | None = None
    margin: float = 0.05

    def contains(self, x: Any) -> bool:
        """Whether every element lies inside, at a distance from ends and hole where derivatives stay moderate."""
        if self.low == -np.inf and self.high == np.inf and self.hole is None:
            return True
        x = np.asarray(x)
        if x.size == 0:
            return True
        return bool(
            (self.low == -np.inf or x.min() >= self.low + self.margin)
            and (self.high == np.inf or x.max() <= self.high - self.margin)
            and (self.hole is None or np.abs(x - self.hole).min() >= self.margin)
        )

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Random elements inside, of moderate size."""
        low, high = max(self.low, -3.0), min(self.high, 3.0)
        low, high = (
            (low, max(high, low + 2.0))
            if self.high == np.inf
            else (min(low, high - 2.0) if self.low == -np.inf else low, high)
        )
        x = rng.uniform(low + self.margin, high - self.margin, shape)
        if self.hole is not None:
            x = np.where(
                np.abs(x - self.hole) < self.margin, self.hole + 2 * self.margin + np.abs(x - self.hole), x
            )
        return x


REAL_LINE = Interval()
POSITIVE_LINE = Interval(low=0.0)
NONZERO_LINE = Interval(hole=0.0)


@dataclass(frozen=True, slots=True)
class Domain:
    """One interval an operand (the last one repeats), and a sampler where shapes or parameters need care.

    ``sample(rng)`` returns (operands, params): float64 arrays that the op accepts, away from special points, chosen so
    that over many draws every shape pattern and parameter of the op is met. ``smooth`` says that the op has derivatives
    of every order inside the domain.
    """

    intervals: tuple[Interval, ...] = (REAL_LINE,)
    sampler: Callable[[np.random.Generator], Sample] | None = None
    smooth: bool = True

    def interval(self, position: int) -> Interval:
        """The interval of the operand at ``position``."""
        return self.intervals[min(position, len(self.intervals) - 1)]

    def contains(self, operands: tuple[Any, ...]) -> bool:
        """Whether all operands lie inside."""
        return all(self.interval(i).contains(x) for i, x in enumerate(operands))

    def sample(self, rng: np.random.Generator, arity: int = 1) -> Sample:
        """Draw operands and parameters; elementwise ops get shapes that broadcast against each other."""
        if self.sampler is not None:
            return self.sampler(rng)
        shapes = (
            BROADCASTING[int(rng.integers(len(BROADCASTING)))]
            if arity > 1
            else (SHAPES[int(rng.integers(len(SHAPES)))],)
        )
        return tuple(self.interval(i).draw(rng, shapes[i % len(shapes)]) for i in range(arity)), {}


SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (2, 3), (1,), (2, 1, 3), (0,), (4, 0))
BROADCASTING: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 2)), ((3, 1, 2), (4, 1)), ((0, 3), (3,)),
)  # fmt: skip

REAL = Domain()
POSITIVE = Domain((POSITIVE_LINE,))
NONZERO = Domain((NONZERO_LINE,))
KINKED = Domain((NONZERO_LINE,), smooth=False)


def between(low: float, high: float) -> Domain:
    """The domain of an elementwise op defined on an interval."""
    return Domain((Interval(low, high),))


def sampled(
    sampler: Callable[[np.random.Generator], Sample], *intervals: Interval, smooth: bool = True
) -> Domain:
    """A domain whose operands and parameters a function draws."""
    return Domain(intervals or (REAL_LINE,), sampler, smooth)


@dataclass(frozen=True, slots=True)
class Special:
    """A point where an ordinary derivative is missing, infinite or numerically awkward.

    at       the operands there
    value    the value of the op
    allowed  for each operand the interval (low, high) of acceptable derivatives of the sum of outputs,
             or None where nothing is defined
    why      in a few words
    params   the parameters there, as pairs of a name and a value; those not named have their defaults
    """

    at: tuple[Any, ...]
    value: Any
    allowed: tuple[tuple[Any, Any] | None, ...]
    why: str
    params: tuple[tuple[str, Any], ...] = ()
