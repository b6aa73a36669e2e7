"""Everything one results file says."""

from __future__ import annotations

from dataclasses import dataclass, field

from refgrad.records.audit import Audit
from refgrad.records.case import CaseRecord
from refgrad.records.header import Header
from refgrad.records.lifecycle import Crash, End, FinishedItem, News, Running
from refgrad.records.result import Result
from refgrad.records.textbook_items import Lesson, Measured

TEXTBOOK = "textbook"  # the family whose items have a section of their own


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one results file says. Records are sorted, so that the order of lines does not matter."""

    header: Header
    results: tuple[Result, ...]
    audits: tuple[Audit, ...] = ()
    crashes: tuple[Crash, ...] = ()
    end: End | None = None
    truncated: bool = False
    lessons: tuple[Lesson, ...] = ()
    measured: tuple[Measured, ...] = ()
    running: tuple[Running, ...] = ()
    items: tuple[FinishedItem, ...] = ()  # what came to its end, with its time
    news: tuple[News, ...] = ()  # each once, whoever wrote it
    fails: tuple[tuple[str, str], ...] | None = (
        None  # case and mode of the results by which it fails, where an option says so; None: all failures
    )
    planned: int = 0
    unfinished: tuple[str, ...] = ()  # the items of the plan that did not come to their end
    absent: tuple[str, ...] = ()  # the parts of the run (shards) that are not here
    lines: bytes = field(
        default=b"", repr=False, compare=False
    )  # as the file has them, in an order of their own
    parts: tuple[Run, ...] = field(default=(), repr=False, compare=False)  # the runs that it was merged from
    source: str = field(default="", repr=False, compare=False)  # the file

    @property
    def partial(self) -> bool:
        """Whether something is missing: the end line, half of the last line, an item, a shard."""
        return self.end is None or self.truncated or bool(self.unfinished or self.absent)

    @property
    def elements(self) -> int:
        """Elements really compared, over all results."""
        return sum(r.elements for r in self.results)

    @property
    def programs(self) -> tuple[Result, ...]:
        """The results but for the textbook's, whose training runs compare more numbers than all generated programs together."""
        return tuple(r for r in self.results if r.family != TEXTBOOK)

    @property
    def asked(self) -> dict[str, CaseRecord]:
        """The cases that travelled, by id: of the results that do not agree, and those that were being judged at the end."""
        left = {r.id: CaseRecord.of(r.id, r.case) for r in self.running if r.case}
        return left | {r.id: r.asked for r in self.results if r.asked is not None}

    @property
    def cases(self) -> int:
        """Distinct cases."""
        return len({r.id for r in self.results})
