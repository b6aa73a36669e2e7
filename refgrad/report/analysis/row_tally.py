"""The results behind the page's table: single ones while there are few, and groups of similar ones beyond."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from refgrad.records import AGREE, STATUSES, Result, severity
from refgrad.report.analysis.text import one_line, pattern

ALL = 6000  # results; up to so many have a row each
SINGLE = 2000  # rows of single results in a larger run, for those that do not agree

Words = tuple[str, str, str, str, str, str, str]  # status, op, family, dtype, device, mode, text


@dataclass(slots=True)
class Group:
    """Similar results. ``id``, ``ratio`` and ``ulp`` are those of the result with the largest ratio of error to bound."""

    results: int
    elements: int
    ratio: float | None
    ulp: float | None
    id: str

    @classmethod
    def of(cls, r: Result) -> Group:
        """The group of one result."""
        ratio, ulp = (None, None) if r.worst is None else (r.worst.ratio, r.worst.ulp)
        return cls(1, r.elements, ratio, ulp, r.id)

    def update(self, other: Group) -> None:
        """Add another group."""
        self.results += other.results
        self.elements += other.elements
        mine, theirs = self._severity, other._severity
        if theirs > mine or (theirs == mine and other.id < self.id):
            self.ratio, self.ulp, self.id = other.ratio, other.ulp, other.id

    @property
    def _severity(self) -> float:
        return -1.0 if self.ratio is None else severity(self.ratio)


class RowTally:
    """The results that do not fail.

    number   of results
    kept     the results that may have a row each
    groups   the others, by the words of their row
    """

    def __init__(self) -> None:
        self.number = 0
        self.kept: list[Result] = []
        self.groups: dict[Words, Group] = {}

    def add(self, r: Result) -> None:
        """Count one result."""
        self.number += 1
        if self.number > ALL and r.status == AGREE:
            self._group(r)
            return
        self.kept.append(r)
        if len(self.kept) > ALL:
            self._reduce()

    def _reduce(self) -> None:
        """Group the results that have no row of their own in a run of so many."""
        self.kept, others = single_and_other(self.kept, self.number)
        for r in others:
            self._group(r)

    def _group(self, r: Result) -> None:
        add_group(self.groups, words(r, r.op), Group.of(r))

    def update(self, other: RowTally) -> None:
        """Add the counts of another tally."""
        self.number += other.number
        self.kept = [*self.kept, *other.kept]
        for key, group in other.groups.items():
            add_group(self.groups, key, group)
        if self.number > ALL:
            self._reduce()

    def divided(self, failed: Iterable[Result]) -> tuple[list[Result], list[Result]]:
        """The results with a row each, failures first, and those that belong to groups beside ``groups``."""
        results = [*self.kept, *failed]
        return single_and_other(results, self.number + len(results) - len(self.kept))


def single_and_other(results: Iterable[Result], number: int) -> tuple[list[Result], list[Result]]:
    """The results that have a row each in a run of so many results, sorted, and the others."""
    ranked = sorted(results, key=_rank)
    if number <= ALL:
        return ranked, []
    single = [r for r in ranked if r.status != AGREE][:SINGLE]
    chosen = set(map(id, single))
    return single, [r for r in ranked if id(r) not in chosen]


def _rank(r: Result) -> tuple[object, ...]:
    return STATUSES.index(r.status), r.order


def words(r: Result, op: str) -> Words:
    """The words of the row that a result shares with similar ones."""
    return r.status, op_name(op), r.family, r.dtype, r.device, r.mode, pattern(r.text)


def op_name(op: str) -> str:
    """An op as a query can name it."""
    return one_line(op).replace('"', " ")


def add_group(groups: dict[Words, Group], key: Words, group: Group) -> None:
    """Add a group to those with the same words."""
    found = groups.get(key)
    if found is None:
        groups[key] = Group(group.results, group.elements, group.ratio, group.ulp, group.id)
    else:
        found.update(group)


def without_op(groups: dict[Words, Group]) -> dict[Words, Group]:
    """The groups in which results of different ops are together."""
    merged: dict[Words, Group] = {}
    for (status, _, *rest), group in groups.items():
        add_group(merged, _words(status, "", *rest), group)
    return merged


def _words(*parts: str) -> Words:
    status, op, family, dtype, device, mode, text = parts
    return status, op, family, dtype, device, mode, text
