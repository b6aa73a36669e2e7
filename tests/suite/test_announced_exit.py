"""A process that judged code ends: the exit code says so, and children end as they like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refgrad.suite.announced_exit import announced_exit

ROOT = Path(__file__).resolve().parents[2]


def ended(statement: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import os\nfrom pathlib import Path\nfrom refgrad.suite.announced_exit import announced_exit\n"
        f"with announced_exit(Path('out/results.jsonl')):\n    {statement}\nos._exit(5)"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("status", [0, 1])
def test_the_end_is_told_and_is_red(status: int) -> None:
    done = ended(f"os._exit({status})")
    assert done.returncode == 3
    assert f"os._exit({status})" in done.stderr
    assert "out/results.jsonl" in done.stderr.replace("\\", "/")


def test_afterwards_the_function_is_the_old_one() -> None:
    done = ended("pass")
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_ends_as_it_likes(tmp_path: Path) -> None:
    done = ended(
        "pid = os.fork()\n    if not pid: os._exit(7)\n    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert done.stdout == "7\n"
    assert not done.stderr


def test_no_file_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, dup = [], os.dup
    monkeypatch.setattr(os, "dup", lambda descriptor: made.append(dup(descriptor)) or made[-1])
    with announced_exit(tmp_path):
        [descriptor] = made
        os.fstat(descriptor)
    with pytest.raises(OSError, match="ad file"):
        os.fstat(descriptor)
