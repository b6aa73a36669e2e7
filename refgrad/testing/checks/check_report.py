"""What a single check came to: truthy where everything agreed, with the evidence at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refgrad.errors import GradientMismatch, GradientUndecided
from refgrad.records import strict
from refgrad.testing.checks.explanation import explained
from refgrad.testing.checks.findings import Findings
from refgrad.testing.checks.part import Part
from refgrad.testing.checks.report_html import page
from refgrad.testing.checks.report_json import report_data
from refgrad.testing.checks.report_text import summary
from refgrad.testing.judging.verdict import DISAGREE, IMPRECISE

Script = Callable[
    [str, str, Part], str
]  # of a dtype, a mode and a part with evidence: a program that asks for it again


@dataclass(repr=False)
class Report(Findings):
    """The findings of one check, told as text, HTML, JSON and a script. ``bool(report)`` is true where the check agrees."""

    script: Script | None = field(default=None, repr=False)  # None where the check has no such program
    _explained: set[int] = field(default_factory=set, repr=False, compare=False)  # the identities of parts

    def summary(self) -> str:
        """The status in one line, a line for each dtype and mode, and what is known of each array that does not agree."""
        self.explain()
        return summary(self)

    def explain(self) -> None:
        """Look for one number or one operation that explains each wrong array. Done once, before anything is told.

        What is imprecise is explained when somebody reads it: an explanation may cost more than the check.
        """
        for dtype, mode, part in self.parts():
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
            shown = [entry for entry in self.parts() if entry[2].evidence is not None]
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


def _expected(part: Part) -> Any:
    return None if part.evidence is None else part.evidence.expected


LISTENERS: list[
    Callable[[Report], None]
] = []  # who hears of every check; empty unless a report is being made
