"""Shards: a partition of a run's items over machines. Every item belongs to exactly one shard."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.errors import ArgumentError


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Shard number ``index``, counted from 1, of ``count`` shards."""

    index: int
    count: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """The shard written as "2/4". Raises ArgumentError where the text names none."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ArgumentError(f"a shard is written I/N with 1 <= I <= N, such as 2/4; got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def part(self, names: Iterable[str]) -> list[str]:
        """The names that belong to this shard, in the order given.

        Names are ranked by a hash and assigned in turn: shards differ by at most one name, and each is a random sample of all names.
        """
        listed = list(names)
        ranked = sorted(set(listed), key=lambda name: (hashlib.sha256(name.encode()).digest(), name))
        mine = set(ranked[self.index - 1 :: self.count])
        return [name for name in listed if name in mine]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
