"""The findings of a single check: its verdicts by dtype and mode, and the status that they imply."""

from __future__ import annotations

from dataclasses import dataclass, field

from refgrad.testing.checks.array_verdict import ArrayVerdict
from refgrad.testing.judging.verdict import (
    AGREE,
    DISAGREE,
    ERROR,
    IMPRECISE,
    UNDECIDED,
    UNSUPPORTED,
    Element,
    Verdict,
)


@dataclass(repr=False)
class Findings:
    """The verdicts of one check. ``bool(findings)`` is true where the check agrees, possibly with loss of precision.

    name       the name of the check
    verdicts   (dtype, verdict) for each dtype and mode
    source     how to repeat the check
    notes      remarks on arguments without effect, and on questions that were left out
    """

    name: str
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)
    source: str = ""
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The worst status: error, disagree, undecided, imprecise, agree.

        ``agree`` requires a compared gradient. An unsupported mode does not count where another gradient was judged, and an undecided value
        never counts.
        """
        found = {v.status for _, v in self.verdicts}
        gradients = {v.status for _, v in self.verdicts if v.mode != "value"}
        for status in (ERROR, DISAGREE):
            if status in found:
                return status
        if UNDECIDED in gradients:
            return UNDECIDED
        if IMPRECISE in found:
            return IMPRECISE
        if AGREE in gradients:
            return AGREE
        return UNSUPPORTED if UNSUPPORTED in found else UNDECIDED

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.status}>"

    def __bool__(self) -> bool:
        return self.status in (AGREE, IMPRECISE)

    @property
    def failed(self) -> bool:
        """Whether there is a disagreement or an error. An undecided report has not failed and is not true."""
        return self.status in (DISAGREE, ERROR)

    @property
    def worst(self) -> Element | None:
        """The element with the largest error in units of its bound."""
        found = [v.worst for _, v in self.verdicts if v.worst is not None]
        return max(found, key=lambda e: e.ratio, default=None)

    @property
    def sensitivity(self) -> dict[str, float]:
        """By dtype, the median over gradient elements of the smallest relative error that the check would have detected."""
        found: dict[str, float] = {}
        for dtype, v in self.verdicts:
            if v.sensitivity is not None and v.mode != "value":
                found[dtype] = max(found.get(dtype, 0.0), v.sensitivity)
        return found

    def parts(self) -> list[tuple[str, str, ArrayVerdict]]:
        """(dtype, mode, verdict) of every judged array."""
        return [(dtype, v.mode, part) for dtype, v in self.verdicts for part in v.parts]
