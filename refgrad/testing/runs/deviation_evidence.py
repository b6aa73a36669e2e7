"""What the evidence of a known disagreement says under the torch at hand, and whether the entry excuses anything there."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.releases import ABSENT, MENDED, SEEN, UNRECORDED
from refgrad.testing.judging.verdict import AGREE, Verdict
from refgrad.testing.runs.item import Observe, examine

# What has become of an entry, as the news of a run name it.
STILL_THERE, NO_LONGER, RECORDED = "still there", "mended", "mended (recorded)"


@dataclass(frozen=True)
class Torch:
    """The torch at hand: its release, and what it calls the CPU's vector unit (empty: not known)."""

    release: str
    kernels: str = ""


def state(entry: Deviation, torch: Torch) -> str:
    """What the record of an entry says of the torch at hand. Of kernels for another vector unit it says nothing."""
    found = UNRECORDED if entry.local else entry.releases.state(torch.release)
    elsewhere = entry.kernels and torch.kernels not in entry.kernels
    return UNRECORDED if found == SEEN and elsewhere else found


def standing(entries: Iterable[Deviation], torch: Torch, observe: Observe) -> list[Deviation]:
    """The entries that may excuse something under the torch at hand.

    Where it is recorded as mended or absent, an entry excuses nothing. Where nothing is recorded the evidence decides: it is judged
    once, when the entry is first needed.
    """
    return [_standing(d, torch, observe) for d in entries if state(d, torch) not in (ABSENT, MENDED)]


def _standing(entry: Deviation, torch: Torch, observe: Observe) -> Deviation:
    if state(entry, torch) == SEEN:
        return entry

    @functools.cache
    def still() -> bool:
        return seen_again(entry, judged(entry, torch, observe))

    return replace(entry, stands=still)


def judged(
    entry: Deviation, torch: Torch, observe: Observe, others: Sequence[Deviation] = ()
) -> list[Verdict]:
    """The verdicts on an entry's evidence. What it speaks of is marked; where it is recorded as mended or absent it fails."""
    mine = [] if state(entry, torch) in (ABSENT, MENDED) else [replace(entry, stands=lambda: True)]
    return examine(Case.load(entry.case), observe, [*mine, *others])


def seen_again(entry: Deviation, verdicts: Sequence[Verdict]) -> bool:
    """Whether the evidence shows what the entry records."""
    return any(entry.id in v.known.split(", ") for v in verdicts)


@dataclass(frozen=True)
class Outcome:
    """What a run has to say of an entry after its evidence was judged: news (``kind``, ``text``), or a reason to fail."""

    kind: str = ""
    text: str = ""
    failure: str = ""


def outcome(entry: Deviation, torch: Torch, verdicts: Sequence[Verdict]) -> Outcome:
    """Compare the evidence with the record. A disagreement that the entry does not excuse fails by itself."""
    recorded, there = state(entry, torch), seen_again(entry, verdicts)
    if recorded == ABSENT:
        return Outcome()
    if recorded == MENDED:
        release = entry.releases.mended
        return Outcome(RECORDED, f"recorded as mended in torch {release}: {entry.reason}")
    if not there and any(
        v.failed for v in verdicts
    ):  # wrong in another way: that fails, and says nothing of the record
        return Outcome()
    found = ", ".join(f"{v.mode}: {v.status}" for v in verdicts)
    if recorded == UNRECORDED:
        if there:
            if entry.local and entry.releases.state(torch.release) == SEEN:
                return Outcome()
            return Outcome(STILL_THERE, f"still there in torch {torch.release}, which nobody has recorded")
        said = "agrees" if all(v.status == AGREE for v in verdicts) else f"shows it no longer ({found})"
        return Outcome(
            NO_LONGER, f"mended in torch {torch.release}, where the evidence {said}: {entry.reason}"
        )
    if there:
        return Outcome()
    failure = (
        f"deviation {entry.id!r} no longer occurs in torch {torch.release} ({found}), although it was seen in {entry.releases}: "
        "correct seen and mended in the deviations file, or remove the entry"
    )
    return Outcome(failure=failure)
