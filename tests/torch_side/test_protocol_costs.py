"""benchmarks.protocol: a row for each backend, and rates that can be."""

from __future__ import annotations

import pytest

from benchmarks import protocol
from refgrad import backends
from refgrad.backends.shipped import FOLDER

TEMPLATE = str(FOLDER / "template_worker.py")


def test_a_worker_s_costs_are_measured_in_every_step() -> None:
    backend = backends.load(TEMPLATE)
    found = protocol.measured(backend, protocol.cases_of(backend, "ops", "float32", 4, 0))
    assert all(step is not None and step > 0 for step in found.milliseconds.values())
    assert min(found.sent) > 100
    assert 0 < found.judged < found.answered


def test_the_table_has_a_row_for_each_backend(capsys: pytest.CaptureFixture[str]) -> None:
    protocol.main(["--backend", TEMPLATE, "--family", "ops", "--cases", "2"])
    title, head, row = capsys.readouterr().out.splitlines()
    assert title.startswith("2 cases of ops in float32")
    assert len(row.split()) == 1 + len(head.split())  # a backend is a name and its release
