"""The numbered cases of a family: each is a function of the family, the dtype, a seed and its number."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Eager, Recorded, Replayed, Seeded, Source

Family = Callable[[Source, str], Case]
Wanted = Callable[[Case], bool]

TRIES = 200  # draws until a case is as wanted


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

    wanted   what the cases from 1 on have to be like, one after the other. Each is the first of TRIES eager draws that is so, or the last.
    """

    family: Family
    name: str
    dtype: str
    device: str
    seed: int
    wanted: Sequence[Wanted] = ()

    def case(self, number: int) -> Case:
        """The case of a number from 0 on."""
        if 0 < number <= len(self.wanted):
            return self._wanted(number)[0]
        source: Source = Seeded(self._seed(number)) if number else Replayed(*SIMPLEST)
        return self._drawn(source)

    def choices(self, number: int) -> Choices:
        """The choices of a case, from which ``replay`` draws it again."""
        if not number:
            return self.replay(SIMPLEST)[1]
        if number <= len(self.wanted):
            return self._wanted(number)[1]
        source = Recorded(self._seed(number))
        self._drawn(source)
        return Choices(tuple(source.made), self._seed(number))

    def replay(self, choices: Choices) -> tuple[Case, Choices]:
        """The case of recorded choices, and the choices that it took: fewer where the case needs fewer, more where it needs more."""
        source = Replayed(*choices)
        return self._drawn(source), Choices(tuple(source.made), choices.seed)

    def _wanted(self, number: int) -> tuple[Case, Choices]:
        """The case of a number of which it is said what it has to be like, and its choices."""
        for attempt in range(TRIES):
            seed = (*self._seed(number), attempt)
            source = Eager(seed)
            case = self._drawn(source)
            if self.wanted[number - 1](case):
                break
        return case, Choices(tuple(source.made), seed)

    def _drawn(self, source: Source) -> Case:
        return self.family(source, self.dtype).on(self.device)

    def _seed(self, number: int) -> tuple[int, ...]:
        return abs(self.seed), int(self.seed < 0), _number(self.name), _number(self.dtype), number


def _number(name: str) -> int:
    """A number for a name, the same in every process."""
    return zlib.crc32(name.encode())
