"""Shards: a partition of a run's items over machines. Every item belongs to exactly one shard."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterable, Mapping
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
            raise ArgumentError(
                f"a shard is written I/N with 1 <= I <= N <= 999999, such as 2/4; got {text!r}"
            )
        return cls(int(found[1]), int(found[2]))

    def part(self, names: Iterable[str], weights: Mapping[str, float] | None = None) -> list[str]:
        """The names that belong to this shard, in the order given.

        The heaviest name comes first, equal ones in the order of a hash; each goes to the shard with the least weight so far. So shards
        have about equal weights, and of equally heavy names each shard is a random sample. A name without a weight weighs 1. The partition
        depends on names and weights only.
        """
        listed, weights = list(names), weights or {}
        ranked = sorted(
            set(listed),
            key=lambda name: (-weights.get(name, 1.0), hashlib.sha256(name.encode()).digest(), name),
        )
        shards = [(0.0, k) for k in range(1, self.count + 1)]  # a heap: the weight so far, the index
        mine = set()
        for name in ranked:
            total, k = shards[0]
            heapq.heapreplace(shards, (total + weights.get(name, 1.0), k))
            if k == self.index:
                mine.add(name)
        return [name for name in listed if name in mine]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
