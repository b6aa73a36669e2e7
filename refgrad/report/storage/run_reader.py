"""One run while its lines are read. Agreeing results are counted; the others are counted as soon as their cases are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from refgrad.errors import CaseFileError
from refgrad.records import (
    AGREE,
    FAILURES,
    IMPRECISE,
    KNOWN,
    TYPES,
    UNSUPPORTED,
    Audit,
    CaseOutline,
    CaseRecord,
    Crash,
    End,
    Expected,
    FinishedItem,
    Header,
    Json,
    Measured,
    News,
    Plan,
    Record,
    Result,
    Running,
    TextbookItem,
    Torn,
    encoded,
)
from refgrad.report.analysis.news import worth_telling
from refgrad.report.analysis.run import Run
from refgrad.report.analysis.tally import Tally
from refgrad.report.storage.expected import apply_expected
from refgrad.report.storage.line_json import short
from refgrad.report.storage.lines import SortedLines
from refgrad.testing.runs.in_flight import UnfinishedCase
from refgrad.testing.runs.results import running_record

_KEPT = (*FAILURES, IMPRECISE, KNOWN)  # the statuses of results that a run holds one by one


class RunReader:
    """One run while its lines are read."""

    def __init__(self, line: bytes, header: Header) -> None:
        self.header = header
        self.lines = SortedLines(line)
        self.end: End | None = None
        self._tally = Tally()
        self._kept: list[Result] = []  # counted already
        # for their case, or for the end of the file: an expected disagreement is known
        self._waiting: list[Result] = []
        self._outlines: dict[str, CaseOutline] = {}  # by id
        self._audits: dict[tuple[bool, str, str, str], Audit] = {}
        self._news: set[News] = set()
        self._refused: set[str] = set()  # as news name it
        self._running: set[bytes] = set()  # lines
        self._others: dict[type, list[Any]] = defaultdict(list)

    def tear(self) -> None:
        """Note that the file has an incomplete line."""
        self.lines.torn = True

    def add_line(self, line: bytes, record: Json) -> None:
        """Add one line. Raises CaseFileError where it does not belong to a run, or comes after its end."""
        kind = record.get("type")
        if kind == Torn.TYPE:
            self.tear()
        elif self.end is not None:
            raise CaseFileError("a record after the end of the run; were two files joined?")
        elif kind == End.TYPE:
            self.end, self.lines.last = End.read(record), line
        elif kind == CaseRecord.TYPE:
            case, outline = CaseOutline.read(record)
            self._outlines[case] = outline
            self.lines.add(line)
        elif isinstance(kind, str) and kind in TYPES:
            self._add(line, TYPES[kind](record))
        else:
            raise CaseFileError(f"a record of type {short(kind)}; one of {', '.join(TYPES)} is expected")

    def _add(self, line: bytes, record: Record) -> None:
        self.lines.add(line)
        if isinstance(record, Result):
            self._add_result(record)
        elif isinstance(record, Audit):
            key = record.key
            self._audits[key] = record + self._audits[key] if key in self._audits else record
        elif isinstance(record, News):
            self._news.add(record)
        else:
            self._others[type(record)].append(record)
            if isinstance(record, Running):
                self._running.add(line)

    def _add_result(self, r: Result) -> None:
        if r.status == UNSUPPORTED:
            self._refused.add(f"{r.op} {r.mode} {r.dtype}")
        if r.status == AGREE:
            self._tally.add(r)
            return
        outline = self._outlines.get(r.id)
        if r.failed or outline is None:
            self._waiting.append(r.lean)
        else:
            self._count(replace(r.lean, outline=outline))

    def _count(self, r: Result) -> None:
        self._tally.add(r)
        if r.status in _KEPT:
            self._kept.append(r)

    def add_unfinished(self, cases: Iterable[UnfinishedCase]) -> None:
        """Add the cases that were being judged when the run was killed. They are stored in files next to the results."""
        for case in cases:
            record = running_record(case)
            line = encoded(record).strip()
            if line not in self._running:
                self._add(line, record)

    def run(self, source: str) -> Run:
        """The run, when all lines are added. Its records are sorted, because their order depends on the order in which workers finish."""
        records = self._others
        for r in apply_expected(self._waiting, records[Expected]):
            self._count(replace(r, outline=self._outlines.get(r.id)))
        self._waiting, self._outlines = [], {}
        planned = {name for plan in records[Plan] for name in plan.items}
        return Run(
            header=self.header,
            results=tuple(sorted(self._kept, key=lambda r: r.order)),
            tally=self._tally,
            audits=tuple(sorted(self._audits.values(), key=lambda a: a.key)),
            crashes=tuple(sorted(records[Crash], key=lambda c: (c.item, c.worker, c.reason))),
            end=self.end,
            truncated=self.lines.torn,
            textbook_items=tuple(sorted(records[TextbookItem], key=lambda x: (x.place, x.id))),
            measured=tuple(sorted(records[Measured])),
            running=tuple(sorted(records[Running], key=lambda c: (c.item, c.id))),
            items=tuple(sorted(records[FinishedItem])),
            news=worth_telling(self._news, self._refused),
            refused=frozenset(self._refused),
            planned=len(planned),
            unfinished=tuple(sorted(planned - {i.item for i in records[FinishedItem]})),
            lines=self.lines,
            source=source,
        )
