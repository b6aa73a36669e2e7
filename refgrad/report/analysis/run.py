"""One results file as a report needs it, or several that were merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from refgrad.records import (
    Audit,
    Crash,
    End,
    FinishedItem,
    Header,
    Measured,
    News,
    Result,
    Running,
    TextbookItem,
)
from refgrad.report.analysis.tally import Tally


class Lines(Protocol):
    """The lines of a results file in an order that does not depend on workers, without newlines. ``digest`` is a hash of them."""

    @property
    def first(self) -> bytes: ...

    @property
    def digest(self) -> bytes: ...

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """The records of one results file, sorted: the order of lines does not matter.

    results            the results that fail, are imprecise or are known, without their cases and scripts; all others are only counted
    tally              the counts of all results
    truncated          whether the last line is incomplete
    items              test items that finished
    news               distinct ones, whoever wrote them
    refused            op, mode and dtype of what the framework refused, in the words of news
    counted_failures   id and mode of the results that fail the run, where an option selects them (--fail-on); None: all failures
    planned            number of planned items
    unfinished         planned items that did not finish
    absent             shards of the run that are missing
    lines              the lines of the file; None for a merged run, whose parts have them
    parts              the runs that were merged into this one
    source             the file's name
    """

    header: Header
    results: tuple[Result, ...] = ()
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)
    audits: tuple[Audit, ...] = ()
    crashes: tuple[Crash, ...] = ()
    end: End | None = None
    truncated: bool = False
    textbook_items: tuple[TextbookItem, ...] = ()
    measured: tuple[Measured, ...] = ()
    running: tuple[Running, ...] = ()
    items: tuple[FinishedItem, ...] = ()
    news: tuple[News, ...] = ()
    refused: frozenset[str] = frozenset()
    counted_failures: tuple[tuple[str, str], ...] | None = None
    planned: int = 0
    unfinished: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    lines: Lines | None = field(default=None, repr=False, compare=False)
    parts: tuple[Run, ...] = field(default=(), repr=False, compare=False)
    source: str = field(default="", repr=False, compare=False)

    @property
    def partial(self) -> bool:
        """Whether the end line, part of the last line, a planned item or a shard is missing."""
        return self.end is None or self.truncated or bool(self.unfinished or self.absent)

    @property
    def files(self) -> Iterable[Lines]:
        """The lines of each file that the run was read from."""
        return [part.lines for part in self.parts or (self,) if part.lines is not None]

    @property
    def cases(self) -> int:
        """Number of distinct cases."""
        return len(self.tally.cases)
