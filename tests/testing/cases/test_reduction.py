"""Reduction of choices: the simplest that fail, whatever must be left out, lowered or repeated less often to reach them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from refgrad.testing.cases.reduction import Reduction
from refgrad.testing.cases.sequence import Choices
from refgrad.testing.cases.source import Replayed, Source
from refgrad.testing.runs.shrinking import ATTEMPTS

SEED = (7, 8)


def numbers(source: Source) -> list[int]:
    """A number of numbers; a choice before each says whether it is there."""
    return [source.integer(0, 99) for _ in range(12) if source.integer(0, 1)]


def counted(source: Source) -> list[int]:
    """A count, as many numbers, and a last number."""
    return [*(source.integer(0, 99) for _ in range(source.integer(0, 9))), source.integer(0, 99)]


def reduced(
    draw: Callable[[Source], list[int]], fails: Callable[[list[int]], bool], seed: int
) -> tuple[list[int], int, tuple[int, ...]]:
    """The smallest failing list from a random start, the number of lists examined before it was found, and the seed of bulk numbers."""
    rng, examined, needed = random.Random(seed), 0, 0

    def attempt(choices: Choices) -> tuple[tuple[int, ...], Choices] | None:
        nonlocal examined, needed
        source = Replayed(*choices)
        found = draw(source)
        rank, taken = (len(found),), Choices(tuple(source.made), choices.seed)
        if not reduction.improves(rank, taken):
            return None
        examined += 1
        needed = examined if fails(found) else needed
        return (rank, taken) if fails(found) else None

    while True:
        source = Replayed([rng.randrange(100) for _ in range(30)], SEED)
        found = draw(source)
        if fails(found):
            break
    reduction = Reduction(Choices(tuple(source.made), SEED), (len(found),), attempt)
    best = reduction.run()
    return draw(Replayed(*best)), needed, best.seed


CONDITIONS: dict[str, tuple[Callable[[list[int]], bool], list[int]]] = {
    "one large number": (lambda xs: any(x >= 57 for x in xs), [57]),
    "three numbers": (lambda xs: len(xs) >= 3, [0, 0, 0]),
    "two large numbers": (lambda xs: sum(x >= 40 for x in xs) >= 2, [40, 40]),
    "a number before a larger one": (lambda xs: any(3 < a < b for a, b in itertools.pairwise(xs)), [4, 5]),
}  # fmt: skip


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("draw", [numbers, counted])
def test_the_simplest_failing_choices_are_found(draw: Callable[[Source], list[int]], name: str) -> None:
    fails, smallest = CONDITIONS[name]
    for seed in range(20):
        found, needed, numbers_seed = reduced(draw, fails, seed)
        assert found == smallest
        assert needed < 2 * ATTEMPTS
        assert numbers_seed == (0,)


def test_what_fails_alone_is_kept() -> None:
    start = Choices((3, 1, 4), SEED)
    assert Reduction(start, (1,), lambda choices: None).run() == start


def test_a_case_of_higher_rank_is_not_simpler() -> None:
    start = Choices((5,), (0,))
    reduction = Reduction(start, (1,), lambda choices: ((1 + (choices.made != (5,)),), choices))
    assert reduction.run() == start
