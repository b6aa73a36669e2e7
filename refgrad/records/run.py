"""The records of one results file, or of several that were merged."""

from __future__ import annotations

from dataclasses import dataclass, field

from refgrad.records.audit import Audit
from refgrad.records.case import CaseRecord
from refgrad.records.header import Header
from refgrad.records.lifecycle import Crash, End, FinishedItem, News, Running
from refgrad.records.result import Result
from refgrad.records.textbook_items import Measured, TextbookItem

TEXTBOOK = "textbook"  # the family that has a section of its own in reports


@dataclass(frozen=True, slots=True)
class Run:
    """The records of one results file, sorted: the order of lines does not matter.

    truncated          whether the last line is incomplete
    items              test items that finished
    news               distinct ones, whoever wrote them
    counted_failures   id and mode of the results that fail the run, where an option selects them (--fail-on); None: all failures
    planned            number of planned items
    unfinished         planned items that did not finish
    absent             shards of the run that are missing
    lines              the records as bytes of a results file, in an order that does not depend on workers
    parts              the runs that were merged into this one
    source             the file's name
    """

    header: Header
    results: tuple[Result, ...]
    audits: tuple[Audit, ...] = ()
    crashes: tuple[Crash, ...] = ()
    end: End | None = None
    truncated: bool = False
    textbook_items: tuple[TextbookItem, ...] = ()
    measured: tuple[Measured, ...] = ()
    running: tuple[Running, ...] = ()
    items: tuple[FinishedItem, ...] = ()
    news: tuple[News, ...] = ()
    counted_failures: tuple[tuple[str, str], ...] | None = None
    planned: int = 0
    unfinished: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    lines: bytes = field(default=b"", repr=False, compare=False)
    parts: tuple[Run, ...] = field(default=(), repr=False, compare=False)
    source: str = field(default="", repr=False, compare=False)

    @property
    def partial(self) -> bool:
        """Whether the end line, part of the last line, a planned item or a shard is missing."""
        return self.end is None or self.truncated or bool(self.unfinished or self.absent)

    @property
    def elements(self) -> int:
        """Number of compared elements, over all results."""
        return sum(r.elements for r in self.results)

    @property
    def programs(self) -> tuple[Result, ...]:
        """The results of generated cases: all but the textbook's, whose training runs would dominate every count of elements."""
        return tuple(r for r in self.results if r.family != TEXTBOOK)

    @property
    def case_records(self) -> dict[str, CaseRecord]:
        """The cases in the file, by id: those of results that do not agree, and those in progress when the run was interrupted."""
        running = {r.id: CaseRecord.of(r.id, r.case) for r in self.running if r.case}
        return running | {r.id: r.case_record for r in self.results if r.case_record is not None}

    @property
    def cases(self) -> int:
        """Number of distinct cases."""
        return len({r.id for r in self.results})
