"""Known disagreements: the entries of deviations.toml that match results of a run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from refgrad.records import KNOWN, Result
from refgrad.report.analysis.run import Run


@dataclass(frozen=True, slots=True)
class Known:
    """One entry with the results that match it. ``message`` is that of the smallest case."""

    id: str
    reason: str
    link: str
    cases: int
    results: int
    where: str
    message: str


def known(run: Run) -> tuple[Known, ...]:
    """The entries that match results of this run, sorted by id."""
    matching: dict[str, list[Result]] = defaultdict(list)
    for r in run.results:
        if r.status == KNOWN:
            for name in r.known.split(", "):
                matching[name].append(r)
    recorded = {name: (reason, link) for name, reason, link in run.header.deviations}
    found = []
    for name in sorted(matching):
        reason, link = recorded.get(name, ("", ""))
        results = sorted(matching[name], key=lambda r: (*r.size_key, r.order))
        where = ", ".join(sorted({f"{r.dtype} {r.device} {r.mode}" for r in results}))
        found.append(
            Known(name, reason, link, len({r.id for r in results}), len(results), where, results[0].message)
        )
    return tuple(found)
