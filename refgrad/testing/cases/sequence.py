"""The numbered cases of a family: each is a function of the family, the dtype, a seed and its number."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Recorded, Replayed, Seeded, Source

Family = Callable[[Source, str], Case]


class Choices(NamedTuple):
    """The choices of one case, as distances from the first option, and the seed of its bulk numbers."""

    made: tuple[int, ...]
    seed: tuple[int, ...]


SIMPLEST = Choices((), (0,))  # the first option of every choice


@dataclass(frozen=True)
class CaseSequence:
    """The cases of a family in one dtype on one device.

    Case 0 takes the first option of every choice, whatever the seed. Case k > 0 depends on the name of the family, the dtype, the seed and
    k alone: not on the device, on other cases, or on the process that draws it.
    """

    family: Family
    name: str
    dtype: str
    device: str
    seed: int

    def case(self, number: int) -> Case:
        """The case of a number from 0 on."""
        source: Source = Seeded(self._seed(number)) if number else Replayed(*SIMPLEST)
        return self._drawn(source)

    def choices(self, number: int) -> Choices:
        """The choices of a case, from which ``replay`` draws it again."""
        if not number:
            return self.replay(SIMPLEST)[1]
        source = Recorded(self._seed(number))
        self._drawn(source)
        return Choices(tuple(source.made), self._seed(number))

    def replay(self, choices: Choices) -> tuple[Case, Choices]:
        """The case of recorded choices, and the choices that it took: fewer where the case needs fewer, more where it needs more."""
        source = Replayed(*choices)
        return self._drawn(source), Choices(tuple(source.made), choices.seed)

    def _drawn(self, source: Source) -> Case:
        return self.family(source, self.dtype).on(self.device)

    def _seed(self, number: int) -> tuple[int, ...]:
        return abs(self.seed), int(self.seed < 0), _number(self.name), _number(self.dtype), number


def _number(name: str) -> int:
    """A number for a name, the same in every process."""
    return zlib.crc32(name.encode())
