"""Parts of a run: which items run on which machine, so that together they are the whole run and no item runs twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.errors import ArgumentError


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The ``index``-th (from 1) of ``count`` parts."""

    index: int
    count: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """The shard written as "2/4". Raises ArgumentError where there is no such part."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ArgumentError(f"a shard is written I/N with 1 <= I <= N, such as 2/4; got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def part(self, names: Iterable[str]) -> list[str]:
        """The names of this part, in the order given.

        Names are ranked by a hash and dealt out like cards, so that parts are equally large and hold of everything.
        """
        listed = list(names)
        ranked = sorted(set(listed), key=lambda name: (hashlib.sha256(name.encode()).digest(), name))
        mine = set(ranked[self.index - 1 :: self.count])
        return [name for name in listed if name in mine]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
