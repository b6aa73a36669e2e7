"""The backend of docs/extend/backend.md, without its bug, which meets faults in some of its cases.

It needs NumPy alone, so a process that judges it starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from refgrad.testing import Case, Observation
from tests.backends.toy import toy_class

FAULTS = "REFGRAD_TEST_FAULTS"  # a folder, and statements that are faults


def met(case: Case) -> None:
    """The first fault of the environment that no other process has met; nothing where there is none."""
    folder, *faults = json.loads(os.environ.get(FAULTS, '[""]'))
    for k, fault in enumerate(faults):
        if _first(Path(folder) / f"happened-{k}", case):
            exec(fault, {"os": os, "signal": signal, "time": time})  # noqa: S102  a statement of a test
            return


def _first(file: Path, case: Case) -> bool:
    """Two workers may come here at the same moment: one of them makes the file."""
    try:
        with file.open("x") as made:
            made.write(f"{os.getpid()} {case.id}")
    except FileExistsError:
        return False
    return True


class Faulty(toy_class()):  # type: ignore[misc]
    """Each process comes once to its eighth case."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.observed = 0

    def observe(self, case: Case) -> Observation:
        self.observed += 1
        if self.observed == 8:
            met(case)
        seen: Observation = super().observe(case)
        return seen
