"""The findings of a single check: its verdicts by dtype and mode, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field

from refgrad.testing.checks.part import Part
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
    """Verdicts of one check, by dtype and mode. ``bool(findings)`` says whether it agrees, if need be with lost digits."""

    name: str
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)  # (dtype, verdict)
    source: str = ""  # how to run the check again
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)  # what was asked for and means nothing here

    @property
    def status(self) -> str:
        """The worst status: error, disagree, undecided, imprecise, agree.

        ``agree`` needs a gradient that was compared. A mode that is unsupported does not count where another gradient was judged, and an
        undecided value does not count at all.
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
        """Whether something is wrong: a disagreement or an error. An undecided report is neither failed nor true."""
        return self.status in (DISAGREE, ERROR)

    @property
    def worst(self) -> Element | None:
        """The element with the largest error in units of its bound."""
        found = [v.worst for _, v in self.verdicts if v.worst is not None]
        return max(found, key=lambda e: e.ratio, default=None)

    @property
    def sensitivity(self) -> dict[str, float]:
        """By dtype, the median relative error of a gradient element that this check would just have caught."""
        found: dict[str, float] = {}
        for dtype, v in self.verdicts:
            if v.sensitivity is not None and v.mode != "value":
                found[dtype] = max(found.get(dtype, 0.0), v.sensitivity)
        return found

    def parts(self) -> list[tuple[str, str, Part]]:
        """Dtype, mode and part of every array that was judged."""
        return [(dtype, v.mode, part) for dtype, v in self.verdicts for part in v.parts]
