"""Runs of the suite in processes of their own, with faults planted in some of their cases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# A pytest plugin that changes what a worker observes: it is named in PYTEST_PLUGINS, which every worker inherits.
PLUGIN = '''
import os, signal, time
from pathlib import Path
import refgrad.torch.observe as room

if os.environ.get("PYTEST_XDIST_WORKER"):
    import torch._dynamo  # which torch imports at its first use otherwise: that may outlast a short time limit

right, calls = room.observe, 0
FAULTS = {faults!r}

def observe(case, *settings):
    """Each process comes once to its eighth case. There it meets the first fault that no other process has met."""
    global calls
    calls += 1
    if calls == 8:
        for k, fault in enumerate(FAULTS):
            if first(k, case):
                exec(fault)
                break
    return right(case, *settings)

def first(k, case):
    """Two workers may come here at the same moment: one of them makes the file."""
    try:
        with Path(__file__).with_name("happened-" + str(k)).open("x") as file:
            file.write(f"{{os.getpid()}} {{case.id}}")
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


def environment(folder: Path, *faults: str) -> dict[str, str]:
    """The command with faults planted, and without the items that no fault here concerns."""
    (folder / "faulty.py").write_text(PLUGIN.format(faults=faults))
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTEST_PLUGINS": "faulty",
        "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }


def run(folder: Path, faults: tuple[str, ...], *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder / "out", *more), env=environment(folder, *faults), capture_output=True, text=True, timeout=900, check=False
    )  # fmt: skip


def victim(folder: Path, fault: int = 0) -> tuple[int, str]:
    """The process and the case that met a fault."""
    pid, case = (folder / f"happened-{fault}").read_text().split()
    return int(pid), case
