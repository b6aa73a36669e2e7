"""Files of a run: made where they are missing, and bytes as they are on every system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refgrad.testing.runs.descriptor import opened


def test_a_file_is_made_and_added_to(tmp_path: Path) -> None:
    for _ in range(2):
        descriptor = opened(tmp_path / "new", os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b"line\n")
        os.close(descriptor)
    assert (tmp_path / "new").read_bytes() == b"line\n" * 2


def test_windows_is_asked_for_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(os, "O_BINARY", 1 << 40, raising=False)
    monkeypatch.setattr(os, "open", lambda path, flags, mode: asked.append(flags) or 7)
    assert opened(tmp_path / "new", os.O_RDWR) == 7
    [flags] = asked
    assert flags == os.O_RDWR | os.O_CREAT | os.O_BINARY  # type: ignore[attr-defined]
