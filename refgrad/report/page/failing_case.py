"""A failing case for the page: figure, script, case file and permanent anchor."""

from __future__ import annotations

import base64
import json
import re
import shlex
from dataclasses import dataclass

from refgrad.records import Result
from refgrad.report.page.figure import Figure, figure
from refgrad.report.storage.files import RESULTS

MOST_SCRIPT, MOST_CASE = 24_000, 48_000  # characters; larger ones are left out of the page


@dataclass(frozen=True, slots=True)
class FailingCase:
    """A failing result with everything that the page shows of it.

    anchor   the id of its HTML element
    script   "" where there is none, or it is too large for the page
    link     a data: URL of the case file; "" where it is too large for the page
    name     the name of the case file
    command  what judges the case again; "" where nothing does
    """

    anchor: str
    result: Result
    figure: Figure | None
    script: str
    link: str
    name: str
    command: str

    @property
    def standalone(self) -> bool:
        """Whether the script runs without refgrad."""
        return "import refgrad" not in self.script and "from refgrad" not in self.script

    @property
    def size(self) -> int:
        """An estimate of the characters that it adds to the page."""
        return len(self.script) + len(self.link) + 2000 + (self.figure.length if self.figure else 0)


def failing_case(result: Result) -> FailingCase:
    """A failing result prepared for the page."""
    script = result.script if len(result.script) <= MOST_SCRIPT else ""
    case = json.dumps(result.case, ensure_ascii=False, separators=(",", ":")) if result.case else ""
    link = "data:application/json;base64," + base64.b64encode(case.encode()).decode("ascii") if case else ""
    link = link if len(link) <= MOST_CASE else ""
    name = f"case-{_file_name(result.id)}.json"
    source = name if link else f"{RESULTS} --id {shlex.quote(result.id)}"
    return FailingCase(
        anchor(result.id, result.mode),
        result,
        figure(result),
        script,
        link,
        name,
        result.again or (f"refgrad repro {source}" if case else ""),
    )


def anchor(case_id: str, mode: str) -> str:
    """The id of the HTML element for a case in a mode. It depends on both only, so it is the same in every report."""
    return "-".join(["case", *re.findall(r"[A-Za-z0-9_]+", f"{case_id} {mode}")])


def _file_name(name: str) -> str:
    """A file name without characters that are special to a shell."""
    return "".join(ch for ch in name if ch.isascii() and (ch.isalnum() or ch in "-_")) or "unnamed"
