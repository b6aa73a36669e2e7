"""Runs of ``refgrad conformance`` in the test process, and one run of it that several tests read."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

GENERATED = "-k test_family"  # without the mutants and without the evidence of recorded disagreements
MAKING = 600.0  # seconds that a process waits for the run of another one


@dataclass(frozen=True)
class WholeRun:
    """A run of the command: its folder, its exit code, and what it printed."""

    out: Path
    code: int
    stdout: str
    stderr: str

    @property
    def results(self) -> Path:
        """The results file."""
        return self.out / "results.jsonl"

    def lines(self, kind: str = "") -> list[dict[str, Any]]:
        """The records of the results file, all of them or those of one type."""
        read = [json.loads(line) for line in self.results.read_text(encoding="utf-8").splitlines()]
        return [line for line in read if kind in ("", line["type"])]

    @property
    def printed(self) -> str:
        """Standard output as one line: the width of the terminal breaks lines anywhere."""
        return " ".join(self.stdout.split())


def conformance(out: Path, *arguments: str, items: str = GENERATED) -> WholeRun:
    """Run the command with the results in ``out``. ``items`` are options of pytest that choose items; "" keeps all."""
    from refgrad.cli import main

    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, REFGRAD_PYTEST_ADDOPTS=items),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        code = main(["conformance", *arguments, "--out", str(out)])
    return WholeRun(out, code, stdout.getvalue(), stderr.getvalue())


def made_once(folder: Path, make: Callable[[Path], WholeRun]) -> WholeRun:
    """The run in ``folder``, made by the first test process that comes here; the others wait for it and read it."""
    told, out = folder / "told.json", folder / "out"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + MAKING
        while not told.exists() and time.monotonic() < end:
            time.sleep(0.05)
        code, stdout, stderr = json.loads(told.read_text(encoding="utf-8"))
        return WholeRun(out, code, stdout, stderr)
    found = make(out)
    written = folder / "told"
    written.write_text(json.dumps((found.code, found.stdout, found.stderr)), encoding="utf-8")
    written.rename(told)  # in one step: no process reads half of it
    return found


def folder_of_all_processes(own: Path) -> Path:
    """The folder that the test processes of a session share. ``own`` is the base of temporary folders of this process."""
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
