"""The report of a single check, with its evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from refgrad.arrays import PlainArray
from refgrad.errors import GradientMismatch, GradientUndecided
from refgrad.records import strict
from refgrad.testing.checks.array_verdict import ArrayVerdict
from refgrad.testing.checks.explanation import explained
from refgrad.testing.checks.findings import Findings
from refgrad.testing.checks.report_html import page
from refgrad.testing.checks.report_json import report_data
from refgrad.testing.checks.report_text import summary
from refgrad.testing.judging.verdict import DISAGREE, IMPRECISE

# From a dtype, a mode and a verdict with evidence, a program that reproduces the wrong answer.
Script = Callable[[str, str, ArrayVerdict], str]


@dataclass(repr=False)
class Report(Findings):
    """The findings of one check, as text, HTML, JSON and a script. ``bool(report)`` is true where the check agrees.

    script   writes a program that reproduces a wrong answer; None where the check has none
    """

    script: Script | None = field(default=None, repr=False)
    # The identities of the verdicts that have been explained.
    _explained: set[int] = field(default_factory=set, repr=False, compare=False)

    def summary(self) -> str:
        """The report as text: the status, a line for each dtype and mode, and details of each array that does not agree."""
        self.explain()
        return summary(self)

    def explain(self) -> None:
        """Search one number or one operation that explains each wrong array, once for each.

        Called before the report is read, not by the check itself: an explanation may cost more than the check.
        """
        for dtype, mode, part in self.parts():
            done = id(part) in self._explained
            if part.evidence is not None and part.status in (DISAGREE, IMPRECISE) and not done:
                self._explained.add(id(part))
                part.explanation = explained(part.evidence, mode, dtype, self.device)
                part.evidence.recompute = None

    def repro(self) -> str:
        """A Python program that reproduces the first disagreement without refgrad. It exits with 1 while the answer is wrong, else with 0.

        It contains the inputs, cotangents, expected numbers and the source of the function. Where there is no disagreement, or no script
        can be written, the text says how to repeat the check.
        """
        if self.script is not None:
            with_evidence = [entry for entry in self.parts() if entry[2].evidence is not None]
            for status in (DISAGREE, IMPRECISE):  # verdicts about one array first
                with_status = [entry for entry in with_evidence if entry[2].status == status]
                if with_status:
                    return self.script(*min(with_status, key=lambda entry: _expected(entry[2]) is None))
        return self.source

    def save(self, path: str | Path) -> None:
        """Write the report as JSON, with the exact inputs, cotangents, answer, expected numbers and bounds of each wrong array.

        Raises OSError where the file cannot be written.
        """
        self.explain()
        text = json.dumps(strict(report_data(self)), indent=1, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def settle(self, raise_exception: bool, *, strict: bool = False, allow_undecided: bool = False) -> Report:
        """Call the listeners, then raise or return the report.

        With ``raise_exception``, raises GradientMismatch for a disagreement or an error, with ``strict`` also for an imprecise result;
        GradientUndecided where a gradient cannot be judged, unless ``allow_undecided``.
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
        """The report for Jupyter: a table of arrays, and a heat map of each wrong one."""
        self.explain()
        return page(self)


def _expected(part: ArrayVerdict) -> PlainArray | None:
    return None if part.evidence is None else part.evidence.expected


# Called with the report of every check; empty unless checks are recorded.
LISTENERS: list[Callable[[Report], None]] = []
