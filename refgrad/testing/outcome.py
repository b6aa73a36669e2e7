"""What a single check came to: truthy where everything agreed, with the evidence at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from refgrad.errors import GradientMismatch, GradientUndecided
from refgrad.records import strict
from refgrad.testing.verdict import (
    AGREE,
    DISAGREE,
    ERROR,
    IMPRECISE,
    UNDECIDED,
    UNSUPPORTED,
    Element,
    Verdict,
)


@dataclass
class Report:
    """Verdicts of one check, by dtype and mode. ``bool(report)`` says whether it agrees, if need be with lost digits."""

    name: str
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)  # (dtype, verdict)
    source: str = ""  # how to run the check again
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)  # what was not asked, and why

    @property
    def status(self) -> str:
        """The worst status; ``agree`` only where a gradient was really compared and nothing disagreed."""
        found = {v.status for _, v in self.verdicts}
        for status in (ERROR, DISAGREE):
            if status in found:
                return status
        gradients = [v for _, v in self.verdicts if v.mode != "value"]
        if any(v.status == UNDECIDED for v in gradients):
            return UNDECIDED
        if IMPRECISE in found:
            return IMPRECISE
        if any(v.status == AGREE for v in gradients):
            return AGREE
        return UNSUPPORTED if UNSUPPORTED in found else UNDECIDED

    def __bool__(self) -> bool:
        return self.status in (AGREE, IMPRECISE)

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

    def summary(self) -> str:
        """A line for each dtype and mode, and the message of each disagreement."""
        lines = [f"{self.name}: {self.status}"]
        for dtype, v in self.verdicts:
            seen = (
                f", would have caught a relative error of {f'{v.sensitivity:.1e}' if v.sensitivity else 'any size'}"
                if v.sensitivity is not None
                else ""
            )
            lines.append(
                f"  {dtype} {v.mode}: {v.status}, {v.elements} elements compared{seen}"
                + (f" ({v.reason})" if v.reason else "")
            )
            if v.message:
                lines.append(f"    {v.message}")
            lines += [
                f"    also {e.what}{list(e.element)}: got {e.got!r}, expected {e.expected!r} ± {e.bound:.3g}"
                for e in v.wrong[1:4]
            ]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

    def repro(self) -> str:
        """How to run this check again."""
        return self.source

    def save(self, path: str | Path) -> None:
        """Write the report as JSON."""
        data = {
            "schema": 1, "name": self.name, "status": self.status, "source": self.source,
            "verdicts": [
                {"dtype": dtype, "mode": v.mode, "status": v.status, "reason": v.reason, "elements": v.elements, "message": v.message,
                 "wrong": [e.to_dict() for e in v.wrong], "sensitivity": v.sensitivity}
                for dtype, v in self.verdicts
            ],
        }  # fmt: skip
        Path(path).write_text(json.dumps(strict(data), indent=1, allow_nan=False), encoding="utf-8")

    def settle(self, raise_exception: bool, *, strict: bool = False, allow_undecided: bool = False) -> Report:
        """Tell who listens; raise GradientMismatch on a disagreement where asked to, otherwise return the report.

        With ``strict`` an imprecise result raises as well.
        """
        for listener in LISTENERS:
            listener(self)
        if raise_exception and self.status in (DISAGREE, ERROR, *([IMPRECISE] if strict else [])):
            raise GradientMismatch(self.summary(), report=self)
        if raise_exception and not allow_undecided and self.status in (UNDECIDED, UNSUPPORTED):
            raise GradientUndecided(self.summary(), report=self)
        return self


LISTENERS: list[
    Callable[[Report], None]
] = []  # who hears of every check; empty unless a report is being made
