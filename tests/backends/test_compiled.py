"""The folder of compiled programs: one for the workers of a run, and none after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refgrad.backends import WorkerBackend, compiled
from refgrad.backends.shipped import FOLDER

MAKES_ONE = """
import os, sys
from refgrad.backends import compiled
print(compiled.folder(), flush=True)
assert compiled.folder() == os.environ[compiled.VARIABLE]
if os.fork() == 0:
    sys.exit()  # runs what the parent registered for its end
os.wait()
print(os.path.isdir(compiled.folder()))
"""


def made(**environment: str) -> list[str]:
    """The folder that a process of its own makes, and whether it is there after a fork has ended."""
    kept = {k: v for k, v in os.environ.items() if k != compiled.VARIABLE}
    command = [sys.executable, "-c", MAKES_ONE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**kept, **environment})
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_folder_is_made_once_and_removed_by_the_process_that_made_it() -> None:
    name, there = made()
    assert there == "True"
    assert not Path(name).exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_folder_of_the_environment_is_used_and_stays(tmp_path: Path) -> None:
    assert made(**{compiled.VARIABLE: str(tmp_path)}) == [str(tmp_path), "True"]
    assert tmp_path.is_dir()


def test_each_worker_finds_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(compiled.VARIABLE, "")  # as where it is not set
    script = tmp_path / "told.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(FOLDER)!r})\n"
        "import os, serving\n"
        "serving.take_channel().serve({'framework': 'told', 'version': os.environ['REFGRAD_COMPILED'], 'ops': [],\n"
        "    'dtypes': {'cpu': ['float32']}, 'modes': {'value': 'call'}}, None)\n",
        encoding="utf-8",
    )
    backend = WorkerBackend([sys.executable, str(script)])
    assert Path(backend.build.release).is_dir()
    assert backend.build.release == compiled.folder()
    backend.suspend()
