"""One failing case as the page shows it: its picture, its script, its file, and an address that is made of its content."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass

from refgrad.records import Result
from refgrad.report.page.figure import Figure, figure

MOST_SCRIPT, MOST_CASE = 24_000, 48_000  # characters that travel in the page


@dataclass(frozen=True, slots=True)
class FailingCase:
    """A failing result with all that the page shows of it."""

    anchor: str  # the id of its element
    result: Result
    figure: Figure | None
    script: str  # empty where there is none, or where it is too large to travel
    link: str  # data: address of the case file; empty where it is too large to travel
    name: str  # of the case file

    @property
    def alone(self) -> bool:
        """Whether the script needs the framework alone."""
        return "import refgrad" not in self.script and "from refgrad" not in self.script

    @property
    def size(self) -> int:
        """About how many characters it takes in the page."""
        return len(self.script) + len(self.link) + 2000 + (self.figure.length if self.figure else 0)


def failing_case(result: Result) -> FailingCase:
    """A failing result, ready to be shown."""
    script = result.script if len(result.script) <= MOST_SCRIPT else ""
    case = json.dumps(result.case, ensure_ascii=False, separators=(",", ":")) if result.case else ""
    link = "data:application/json;base64," + base64.b64encode(case.encode()).decode("ascii") if case else ""
    return FailingCase(
        anchor(result.id, result.mode),
        result,
        figure(result),
        script,
        link if len(link) <= MOST_CASE else "",
        f"case-{_file_name(result.id)}.json",
    )


def anchor(case_id: str, mode: str) -> str:
    """The id of the element that shows a case in a mode: made of both alone, so that it is the same in every report."""
    return "-".join(["case", *re.findall(r"[A-Za-z0-9_]+", f"{case_id} {mode}")])


def _file_name(name: str) -> str:
    """A name that means a file and nothing else to a shell."""
    return "".join(ch for ch in name if ch.isascii() and (ch.isalnum() or ch in "-_")) or "unnamed"
