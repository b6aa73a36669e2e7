"""Judges the evidence of recorded disagreements under the installed build, and decides which entries may excuse a failure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from refgrad.backends import Build
from refgrad.errors import CaseTimeout
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.releases import ABSENT, MENDED, SEEN, UNRECORDED
from refgrad.testing.judging.verdict import AGREE, Verdict
from refgrad.testing.runs.item import Observe, examine

# The kinds of news about an entry.
STILL_THERE, NO_LONGER, RECORDED = "still there", "mended", "mended (recorded)"


def state(entry: Deviation, build: Build) -> str:
    """The state that an entry records for a build (releases.py); UNRECORDED where its kernels are for another vector unit."""
    found = UNRECORDED if entry.local else entry.releases.state(build.release)
    elsewhere = entry.kernels and build.kernels not in entry.kernels
    return UNRECORDED if found == SEEN and elsewhere else found


def applicable(
    entries: Iterable[Deviation],
    build: Build,
    observe: Observe,
    limited: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[Deviation]:
    """The entries that may excuse a failure under a build.

    An entry that is recorded as mended or absent excuses nothing. For a build without a record, the evidence decides. It is judged once,
    when the entry is first needed, within the time that ``limited`` gives it (CurrentCase.limited). Evidence that takes longer does not
    show what the entry records.
    """
    return [
        _with_evidence(d, build, observe, limited) for d in entries if state(d, build) not in (ABSENT, MENDED)
    ]


def _with_evidence(
    entry: Deviation, build: Build, observe: Observe, limited: Callable[[], AbstractContextManager[None]]
) -> Deviation:
    if state(entry, build) == SEEN:
        return entry

    @functools.cache
    def still() -> bool:
        try:
            with limited():
                return seen_again(entry, judged(entry, build, observe))
        except CaseTimeout:
            return False

    return replace(entry, stands=still)


def judged(
    entry: Deviation, build: Build, observe: Observe, others: Sequence[Deviation] = ()
) -> list[Verdict]:
    """The verdicts on an entry's evidence. A recorded disagreement is marked as known, unless it is recorded as mended or absent."""
    mine = [] if state(entry, build) in (ABSENT, MENDED) else [replace(entry, stands=lambda: True)]
    return examine(Case.load(entry.case), observe, [*mine, *others])


def seen_again(entry: Deviation, verdicts: Sequence[Verdict]) -> bool:
    """Whether the evidence shows what the entry records."""
    return any(entry.id in v.known.split(", ") for v in verdicts)


@dataclass(frozen=True)
class Outcome:
    """The outcome of judging an entry's evidence: news (``kind``, ``text``), or a reason to fail."""

    kind: str = ""
    text: str = ""
    failure: str = ""


def outcome(entry: Deviation, build: Build, verdicts: Sequence[Verdict]) -> Outcome:
    """Compare the evidence with the record. A disagreement that the entry does not excuse fails by itself."""
    recorded, there = state(entry, build), seen_again(entry, verdicts)
    if recorded == ABSENT:
        return Outcome()
    if recorded == MENDED:
        release = entry.releases.mended
        return Outcome(RECORDED, f"recorded as mended in {build.backend} {release}: {entry.reason}")
    if not there and any(v.failed for v in verdicts):  # another failure: the record does not apply
        return Outcome()
    found = ", ".join(f"{v.mode}: {v.status}" for v in verdicts)
    if recorded == UNRECORDED:
        if there:
            if entry.local and entry.releases.state(build.release) == SEEN:
                return Outcome()
            return Outcome(STILL_THERE, f"still there in {build}, which nobody has recorded")
        found_there = (
            "agrees" if all(v.status == AGREE for v in verdicts) else f"shows it no longer ({found})"
        )
        return Outcome(NO_LONGER, f"mended in {build}, where the evidence {found_there}: {entry.reason}")
    if there:
        return Outcome()
    failure = (
        f"deviation {entry.id!r} no longer occurs in {build} ({found}), although it was seen in {entry.releases}: "
        "correct seen and mended in the deviations file, or remove the entry"
    )
    return Outcome(failure=failure)
