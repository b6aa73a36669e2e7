"""What a single check came to: truthy where everything agreed, with the evidence at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refgrad.errors import GradientMismatch, GradientUndecided
from refgrad.records import strict
from refgrad.testing.explaining import explained
from refgrad.testing.part import Part
from refgrad.testing.saving import report_data
from refgrad.testing.showing import page
from refgrad.testing.telling import summary
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

Script = Callable[
    [str, str, Part], str
]  # of a dtype, a mode and a part with evidence: a program that asks for it again


@dataclass(repr=False)
class Report:
    """Verdicts of one check, by dtype and mode. ``bool(report)`` says whether it agrees, if need be with lost digits."""

    name: str
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)  # (dtype, verdict)
    source: str = ""  # how to run the check again
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)  # what was asked for and means nothing here
    script: Script | None = field(default=None, repr=False)  # None where the check has no such program
    _explained: set[int] = field(default_factory=set, repr=False, compare=False)  # the identities of parts

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
        return f"<Report {self.name}: {self.status}>"

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

    def summary(self) -> str:
        """The status in one line, a line for each dtype and mode, and what is known of each array that does not agree."""
        self.explain()
        return summary(self)

    def explain(self) -> None:
        """Look for one number or one operation that explains each wrong array. Done once, before anything is told.

        What is imprecise is explained when somebody reads it: an explanation may cost more than the check.
        """
        for dtype, mode, part in self._parts():
            known = id(part) in self._explained
            if part.evidence is not None and part.status in (DISAGREE, IMPRECISE) and not known:
                self._explained.add(id(part))
                part.explanation = explained(part.evidence, mode, dtype, self.device)
                part.evidence.ask = None

    def repro(self) -> str:
        """A Python program that shows the first disagreement without refgrad, and exits with 1 while it is there.

        It holds inputs, cotangents, the expected numbers and the source of the function. Where there is no disagreement, or the check has
        no such program, how to run the check again.
        """
        if self.script is not None:
            shown = [entry for entry in self._parts() if entry[2].evidence is not None]
            for wanted in (DISAGREE, IMPRECISE):  # first those that are about one array
                these = [entry for entry in shown if entry[2].status == wanted]
                if these:
                    return self.script(*min(these, key=lambda entry: _expected(entry[2]) is None))
        return self.source

    def save(self, path: str | Path) -> None:
        """Write the report as JSON: verdicts, and of each wrong array inputs, cotangents, answer, expected numbers and bounds, exactly."""
        self.explain()
        text = json.dumps(strict(report_data(self)), indent=1, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def settle(self, raise_exception: bool, *, strict: bool = False, allow_undecided: bool = False) -> Report:
        """Tell who listens; raise where asked to, otherwise return the report.

        Raises GradientMismatch on a disagreement or an error, with ``strict`` on an imprecise result as well; GradientUndecided where
        a gradient could not be judged, unless ``allow_undecided``.
        """
        if self.failed:
            self.explain()
        for listener in LISTENERS:
            listener(self)
        if not raise_exception:
            return self
        if self.failed or (strict and any(v.status == IMPRECISE for _, v in self.verdicts)):
            raise GradientMismatch(self.summary(), report=self)
        if not self and not allow_undecided:
            raise GradientUndecided(self.summary(), report=self)
        return self

    def _repr_html_(self) -> str:
        """The report in Jupyter: a table of its arrays, and a picture of each wrong one."""
        self.explain()
        return page(self)

    def _parts(self) -> list[tuple[str, str, Part]]:
        """Dtype, mode and part."""
        return [(dtype, v.mode, part) for dtype, v in self.verdicts for part in v.parts]


def _expected(part: Part) -> Any:
    return None if part.evidence is None else part.evidence.expected


LISTENERS: list[
    Callable[[Report], None]
] = []  # who hears of every check; empty unless a report is being made
