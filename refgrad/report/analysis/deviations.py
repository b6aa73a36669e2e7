"""Known disagreements: what deviations.toml records and this run has seen again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from refgrad.records import KNOWN, Result, Run


@dataclass(frozen=True, slots=True)
class Known:
    """One entry with what was seen of it."""

    id: str
    reason: str
    link: str
    cases: int
    results: int
    where: str
    message: str  # of the smallest case


def known(run: Run) -> tuple[Known, ...]:
    """The entries that this run met, in the order of their names."""
    seen: dict[str, list[Result]] = defaultdict(list)
    for r in run.results:
        if r.status == KNOWN:
            for name in r.known.split(", "):
                seen[name].append(r)
    about = {name: (reason, link) for name, reason, link in run.header.deviations}
    found = []
    for name in sorted(seen):
        reason, link = about.get(name, ("", ""))
        results = sorted(seen[name], key=lambda r: (len(r.nodes), r.elements, r.order))
        where = ", ".join(sorted({f"{r.dtype} {r.device} {r.mode}" for r in results}))
        found.append(
            Known(name, reason, link, len({r.id for r in results}), len(results), where, results[0].message)
        )
    return tuple(found)
