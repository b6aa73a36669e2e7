"""Decides before each item whether it still runs: no item does after a stop, and rounds open only while a budget of time lasts.

The processes of a run share the decisions through files in the folder ``results.jsonl.running``.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from refgrad.testing.runs.in_flight import folder

_STOP = "stop"


def stop(results: str | Path) -> None:
    """Let no further item of the run begin. Items in progress run to their end."""
    folder(results).mkdir(parents=True, exist_ok=True)
    (folder(results) / _STOP).touch()


def stopped(results: str | Path) -> bool:
    """Whether the run was stopped."""
    return (folder(results) / _STOP).exists()


class Gate:
    """The decision for the items of a run.

    results   the results file
    until     the time (time.time) at which the budget is spent; None: no budget
    first     the round with which this run begins
    least     the number of rounds, those before ``first`` included, that run whatever the time
    """

    def __init__(
        self, results: str | Path, until: float | None = None, first: int = 0, least: int = 1
    ) -> None:
        self.results, self.until, self.first, self.least = Path(results), until, first, least
        self._decided: dict[int, bool] = {}  # by round, whether it is open

    def admits(self, block: int | None) -> bool:
        """Whether an item runs. A round is the items of one block; an item without a block (None) belongs to no round.

        The first ``least`` rounds are open. A later one opens if the one before was open and the mean duration of the rounds so far still
        fits into the budget. The first process that asks decides for all, so every round runs completely or not at all.
        """
        if stopped(self.results):
            return False
        if self.until is None or block is None:
            return True
        last = max(self._decided, default=self.first)
        return all(self._is_open(k) for k in range(min(last, block), block + 1))

    def rounds(self) -> int:
        """The number of rounds that were opened, those before ``first`` included."""
        k = self.first
        while (self._file(k)).exists() and self._file(k).read_text().startswith("open"):
            k += 1
        return k

    def _is_open(self, block: int) -> bool:
        if block not in self._decided:
            path = self._file(block)
            if not path.exists():
                now = time.time()
                self._decide(path, f"{'open' if self._fits(block, now) else 'closed'} {now!r}")
            self._decided[block] = path.read_text().startswith("open")
        return self._decided[block]

    def _fits(self, block: int, now: float) -> bool:
        if block < self.least:
            return True
        assert self.until is not None
        if block == self.first:
            return now <= self.until
        start = float(self._file(self.first).read_text().split()[1])
        return now + (now - start) / (block - self.first) <= self.until

    def _file(self, block: int) -> Path:
        return folder(self.results) / f"round-{block}"

    @staticmethod
    def _decide(path: Path, text: str) -> None:
        """Write a decision, unless another process has written it. The file appears with its content in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(text)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
