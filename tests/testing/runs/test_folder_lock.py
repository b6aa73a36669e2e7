"""A folder belongs to one run at a time, and to nobody once the process has ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from refgrad.errors import ArgumentError, ResultsWriteError
from refgrad.testing.runs.folder_lock import locked


def test_a_folder_is_made_held_and_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with locked(folder):
        assert folder.is_dir()
        with pytest.raises(ArgumentError, match="b: another run writes its results there"), locked(folder):
            pass
    with locked(folder):
        pass
    assert list(folder.iterdir()) == []


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = f"from refgrad.testing.runs.folder_lock import locked\nwith locked({str(tmp_path)!r}):\n print('held', flush=True)\n input()"
    held = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    with pytest.raises(ArgumentError, match="another run"), locked(tmp_path):
        pass
    held.kill()
    held.communicate()
    with locked(tmp_path):
        pass


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ArgumentError, match="file: is a file; the name of a folder"),
        locked(tmp_path / "file"),
    ):
        pass
    with (
        pytest.raises(ResultsWriteError, match="cannot be made: Not a directory"),
        locked(tmp_path / "file" / "x"),
    ):
        pass
    assert (tmp_path / "file").read_text() == ""
