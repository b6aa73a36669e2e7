"""Failures put together: what has the same first wrong op, dtype, device and mode is one finding, shown by its smallest case."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from refgrad.records import DISAGREE, Result, Run
from refgrad.report.text import one_line, pattern


@dataclass(frozen=True, slots=True)
class Cluster:
    """Failures of one kind, the smallest case first."""

    status: str
    op: str
    dtype: str
    device: str
    mode: str
    reason: str  # what errors have in common; empty for disagreements
    results: tuple[Result, ...]

    @property
    def smallest(self) -> Result:
        """The case to look at: fewest nodes, then fewest elements."""
        return self.results[0]

    @property
    def title(self) -> str:
        """What went wrong, in a few words."""
        return self.op or self.reason or "unnamed"

    @property
    def cases(self) -> int:
        """Distinct cases."""
        return len({r.id for r in self.results})

    @property
    def query(self) -> str:
        """The table's query that lists this cluster."""
        terms = [
            ("op", self.op),
            ("dtype", self.dtype),
            ("device", self.device),
            ("mode", self.mode),
            ("status", self.status),
        ]
        return " ".join(term(key, value) for key, value in terms if value)


def term(key: str, value: str) -> str:
    """One term of the query line."""
    value = one_line(value).replace('"', " ")
    return f'{key}:"{value}"' if set(value) & set(" ,") else f"{key}:{value}"


def clusters(run: Run) -> tuple[Cluster, ...]:
    """All failures; the cluster with the smallest reproduction comes first, then the one with the most cases."""
    groups: dict[tuple[str, ...], list[Result]] = defaultdict(list)
    for r in run.results:
        if r.failed:
            reason = "" if r.status == DISAGREE else pattern(r.text)
            groups[r.status, r.op, r.dtype, r.device, r.mode, reason].append(r)
    found = [
        Cluster(
            key[0],
            key[1],
            key[2],
            key[3],
            key[4],
            key[5],
            tuple(sorted(rs, key=lambda r: (*_size(r), r.order))),
        )
        for key, rs in groups.items()
    ]
    return tuple(sorted(found, key=_rank))


def _size(r: Result) -> tuple[float, int]:
    return len(r.nodes) or math.inf, r.elements


def _rank(c: Cluster) -> tuple[bool, float, int, str, str, str, str, str]:
    return (
        c.status != DISAGREE,
        _size(c.smallest)[0],
        -len(c.results),
        c.op,
        c.dtype,
        c.device,
        c.mode,
        c.reason,
    )
