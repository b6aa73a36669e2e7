"""Counts by case: the results of each case in short form, and the ops that its node-by-node results judged.

Many cases have equal results but for the numbers, so cases refer to a shared tuple of entries. A case costs about 200 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from refgrad.records import Result
from refgrad.report.analysis.blame import END_TO_END


class Entry(NamedTuple):
    """One result of a case without its numbers. ``op`` is named by failures only."""

    family: str
    device: str
    dtype: str
    mode: str
    status: str
    shrunk: bool
    op: str


Entries = tuple[Entry, ...]  # the results of one case, sorted


class CaseTally:
    """The entries and the ops by case id."""

    def __init__(self) -> None:
        self._entries: dict[str, Entries] = {}
        self._shared: dict[Entries, Entries] = {}
        self._longer: dict[tuple[int, Entry], Entries] = {}  # by the identity of shared entries and a new one
        self._judged: dict[str, int] = {}  # by case, a set of ops as the bits of an integer
        self._bits: dict[str, int] = {}  # by op, its bit
        self._named: list[str] = []  # the ops in the order of their bits

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, case: str) -> bool:
        return case in self._entries

    @property
    def ids(self) -> Iterable[str]:
        """The ids of all cases."""
        return self._entries.keys()

    def items(self) -> Iterable[tuple[str, Entries]]:
        """Each case with its results."""
        return self._entries.items()

    def entries(self, case: str) -> Entries:
        """The results of a case; none where the run has no such case."""
        return self._entries.get(case, ())

    def add(self, r: Result) -> None:
        """Count one result."""
        entry = Entry(r.family, r.device, r.dtype, r.mode, r.status, r.shrunk, r.op if r.failed else "")
        self._entries[r.id] = self._extended(self._entries.get(r.id, ()), entry)
        if r.ops and r.mode not in END_TO_END:
            self._judged[r.id] = self._judged.get(r.id, 0) | self._mask(r.ops)

    def _extended(self, entries: Entries, entry: Entry) -> Entries:
        key = id(entries), entry
        found = self._longer.get(key)
        if found is None:
            longer = tuple(sorted((*entries, entry)))
            found = self._longer[key] = self._shared.setdefault(longer, longer)
        return found

    def _mask(self, ops: Iterable[str]) -> int:
        mask = 0
        for op in ops:
            bit = self._bits.get(op)
            if bit is None:
                bit = self._bits[op] = 1 << len(self._bits)
                self._named.append(op)
            mask |= bit
        return mask

    def _ops(self, mask: int) -> Iterator[str]:
        """The ops of a mask. A run may name thousands, of which a case has few: only the bits that are set are visited."""
        while mask:
            bit = mask & -mask
            yield self._named[bit.bit_length() - 1]
            mask ^= bit

    def update(self, other: CaseTally) -> None:
        """Add the cases of another tally."""
        for case, entries in other._entries.items():
            before = self._entries.get(case, ())
            for entry in entries if before else ():
                before = self._extended(before, entry)
            self._entries[case] = before or self._shared.setdefault(entries, entries)
        translated: dict[int, int] = {}
        for case, mask in other._judged.items():
            ours = translated.get(mask)
            if ours is None:
                ours = translated[mask] = self._mask(other._ops(mask))
            self._judged[case] = self._judged.get(case, 0) | ours

    def judged(self, case: str, ops: Container[str]) -> set[str]:
        """Those of the ops that a node-by-node result of the case judged."""
        return {op for op in self._ops(self._judged.get(case, 0)) if op in ops}

    def by_entries(self) -> Mapping[Entries, int]:
        """The number of cases with equal entries."""
        return Counter(self._entries.values())

    def by_ops(self, ops: Iterable[str], without: set[str]) -> Iterator[tuple[set[str], Entries, int]]:
        """The cases in which one of the ops was judged, but for those ``without``: the ops, the entries, and the number of such cases."""
        mask = sum(self._bits[op] for op in {*ops} & self._bits.keys())
        alike = Counter(
            (judged & mask, self._entries[case])
            for case, judged in self._judged.items()
            if judged & mask and case not in without
        )
        for (judged, entries), number in alike.items():
            yield set(self._ops(judged)), entries, number
