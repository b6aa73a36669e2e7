"""The family of the textbook's programs as cases: a worker without torch answers them, and a wrong op of it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from conformance.textbook import ITEMS
from conformance.textbook.cases import FAMILY, items
from refgrad.cli import main
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.suite.scope import LECTURES
from tests.backends import test_worker
from tests.whole_runs import conformance

TEMPLATE = str(test_worker.TEMPLATE)


def test_the_cases_have_the_name_of_the_family() -> None:
    assert FAMILY == LECTURES


def test_items_are_chosen_by_format() -> None:
    assert items() == list(ITEMS)
    assert [i for i in ITEMS if "float32" not in i.dtypes] == [
        i for i in ITEMS if i not in items(["float32"])
    ]
    assert not items(["float16"])


def test_a_worker_answers_the_programs_of_the_textbook(tmp_path: Path) -> None:
    """What it cannot express it names, and every item is asked."""
    more = ("--backend", TEMPLATE, "--family", LECTURES, "--dtype", "float32", "--workers", "0")
    done = conformance(tmp_path, *more, items="")
    assert done.code == 0, done.stdout + done.stderr
    found = load(done.results)
    assert {r.family for r in each_result(found)} == {LECTURES}
    assert {r.status for r in each_result(found)} >= {"agree", "unsupported"}
    assert sum(a.caught for a in found.audits) > 25


def test_the_written_textbook_is_for_torch_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--backend", TEMPLATE, "--family", "textbook", "--out", str(tmp_path)]) == 2
    assert f"name the family {LECTURES}" in capsys.readouterr().err
