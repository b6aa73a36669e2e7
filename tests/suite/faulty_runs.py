"""Runs of the suite in processes of their own, with faults planted in some of their cases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from tests.suite.faulty_backend import FAULTS
from tests.whole_runs import WholeRun, made_once


def command(out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "refgrad.cli", "conformance", "--backend", "tests.suite.faulty_backend:Faulty", "--family", "graphs",
        "--dtype", "float64", "--device", "cpu", "--examples", "150", "--workers", "2", "--out", str(out), *more,
    ]  # fmt: skip


def environment(folder: Path, *faults: str) -> dict[str, str]:
    """The command with faults planted, and without the items that no fault here concerns."""
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return {
        **os.environ,
        "PYTHONPATH": path,
        FAULTS: json.dumps([str(folder), *faults]),
        "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }


def run(folder: Path, faults: tuple[str, ...], *more: str) -> subprocess.CompletedProcess[str]:
    env = environment(folder, *faults)
    one = command(folder / "out", *more)
    return subprocess.run(one, env=env, capture_output=True, text=True, timeout=900, check=False)


def victim(folder: Path, fault: int = 0) -> tuple[int, str]:
    """The process and the case that met a fault."""
    pid, case = (folder / f"happened-{fault}").read_text().split()
    return int(pid), case


def started(folder: Path, *more: str) -> subprocess.Popen[str]:
    """A run that hangs in one of its cases."""
    running = subprocess.Popen(
        command(folder / "out", "--time-limit", "0", *more), env=environment(folder, "time.sleep(600)"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        # Ctrl-C counts even where these tests run in the background, in which shells switch it off for all that follows.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no threads here
    )  # fmt: skip
    end = time.monotonic() + 120
    happened = folder / "happened-0"
    # It is empty until it is written.
    while not (happened.exists() and happened.read_text()) and time.monotonic() < end:
        time.sleep(0.1)
    assert happened.exists(), "no worker came to its eighth case"
    return running


def killed(shared: Path, number: signal.Signals) -> WholeRun:
    """A run with two workers that hangs and gets a signal, its workers too. All test processes that share a folder read the same one."""

    def make(out: Path) -> WholeRun:
        running = started(out.parent)
        os.killpg(running.pid, number)
        stdout, stderr = running.communicate(timeout=900)
        return WholeRun(out, running.returncode, stdout, stderr)

    return made_once(shared / f"killed-by-{number.name}", make)
