"""Runs of the suite in processes of their own, with a fault planted in one of their cases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# A pytest plugin that changes what a worker observes: it is named in PYTEST_PLUGINS, which every worker inherits.
FAULT = '''
import os, signal, time
from pathlib import Path
import refgrad.torch.observe as room

right, calls = room.observe, 0
once = Path(__file__).with_name("happened")

def observe(case):
    global calls
    calls += 1
    if calls == 8 and first(case):
        FAULT
    return right(case)

def first(case):
    """Two workers may come here at the same moment: one of them makes the file."""
    try:
        with once.open("x") as file:
            file.write(f"{os.getpid()} {case.id}")
    except FileExistsError:
        return False
    return True

room.observe = observe
'''


def command(out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "refgrad.cli", "conformance", "--family", "softmax", "--dtype", "float64", "--device", "cpu",
        "--examples", "150", "--workers", "2", "--out", str(out), *more,
    ]  # fmt: skip


def environment(folder: Path, fault: str) -> dict[str, str]:
    """The command with a fault planted, and without the items that no fault here concerns."""
    (folder / "faulty.py").write_text(FAULT.replace("FAULT", fault))
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTEST_PLUGINS": "faulty",
        "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }


def run(
    folder: Path, fault: str, *more: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    done = subprocess.run(
        command(folder / "out", *more), env=environment(folder, fault), capture_output=True, text=True, timeout=900, check=False
    )  # fmt: skip
    return done, lines(folder / "out" / "results.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def victim(folder: Path) -> tuple[int, str]:
    pid, case = (folder / "happened").read_text().split()
    return int(pid), case
