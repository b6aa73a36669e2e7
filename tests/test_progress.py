"""What a run says of itself while it goes on: how far it is, and how long it may take, once there is something to tell it by."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from refgrad.progress import Progress
from refgrad.testing.results import ResultsFile


def item(cases: int, *, failed: bool = False) -> SimpleNamespace:
    """What pytest reports of a finished item."""
    properties = [("refgrad", f'{{"cases": {cases}}}')]
    return SimpleNamespace(
        when="call",
        failed=failed,
        user_properties=properties,
        longrepr="",
        nodeid="test_families.py::test_family[x]",
    )


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(100, ResultsFile(tmp_path / "results.jsonl", fresh=True))


def test_nothing_is_foretold_from_nothing(progress: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    progress.pytest_runtest_logreport(item(0))
    assert re.fullmatch(r"0 of 100 cases, \d+ s\n", capsys.readouterr().err)
    progress.pytest_runtest_logreport(item(50))
    assert re.fullmatch(r"50 of 100 cases, \d+ s, about \d+ s left\n", capsys.readouterr().err)


def test_a_pipe_gets_a_line_every_tenth_and_failures_are_counted(
    progress: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(100):
        progress.pytest_runtest_logreport(item(1))
    assert len(capsys.readouterr().err.splitlines()) == 11
    for expected in ("1 item failing", "2 items failing"):
        progress.pytest_runtest_logreport(item(10, failed=True))
        assert expected in capsys.readouterr().err
