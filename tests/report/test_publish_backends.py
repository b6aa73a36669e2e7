"""`refgrad report` with results of several backends: a folder for each, one page of all, baselines and further files of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refgrad.cli import main
from refgrad.errors import ArgumentError
from refgrad.report import outputs_by_backend

pytest.importorskip("jinja2")
A, B = "a" * 16, "b" * 16
END = {"type": "end", "exit": 0, "finished": "2026-11-21T05:02:00Z", "seconds": 10.0}


@pytest.fixture(autouse=True)
def _outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def results(make, save, tmp_path: Path):
    """A function of a backend and the lines of its results: their file."""

    def made(backend, *lines, folder="given", **changes) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        head = make.header(backend=backend, beside=["torch", "jax"], **changes)
        return str(save([head, *lines, END], f"{folder}/{backend}.jsonl"))

    return made


def test_each_backend_has_a_folder_and_the_page_compares_them(make, results, tmp_path: Path, capsys) -> None:
    files = [results("jax", make.wrong(A)), results("torch", make.result(A))]
    assert main(["report", *files, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert said.index("== torch") < said.index("== jax") < said.index("jax disagrees in 1;")
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")) == [
        "jax/report.html",
        "jax/results.jsonl.gz",
        "report.html",
        "torch/report.html",
        "torch/results.jsonl.gz",
    ]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'href="jax/report.html#disagree-tanh"' in page
    assert 'id="disagree-tanh"' in (tmp_path / "out" / "jax" / "report.html").read_text(encoding="utf-8")
    again = [str(tmp_path / "out" / name / "results.jsonl.gz") for name in ("torch", "jax")]
    assert main(["report", *again]) == 1  # beside the folders, not in one of them
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == page
    assert 'id="failures"' in (tmp_path / "out" / "torch" / "report.html").read_text(encoding="utf-8")


def test_each_is_compared_with_its_own_baseline(make, results, tmp_path: Path, capsys) -> None:
    files = [results("torch", make.result(A)), results("jax", make.wrong(A))]
    before = results("jax", make.wrong(A), make.result(B), folder="before")
    more = ["--out", str(tmp_path / "out"), "--baseline", before, "--fail-on", "new"]
    assert main(["report", *files, *more]) == 0
    said = capsys.readouterr().out
    assert said.count("\nagainst the baseline: ") == 1
    assert "The failures of jax are not new against its baseline." in " ".join(said.split())
    fresh = results("jax", make.result(A), folder="fresh")
    assert (
        main(["report", *files, "--out", str(tmp_path / "out"), "--baseline", fresh, "--fail-on", "new"]) == 1
    )


def test_a_baseline_of_another_backend_is_refused(make, results, tmp_path: Path, capsys) -> None:
    files = [results("torch", make.result(A)), results("jax", make.result(A))]
    stranger = results("mxnet", make.result(A), folder="before")
    assert main(["report", *files, "--out", str(tmp_path / "out"), "--baseline", stranger]) == 2
    assert "results of mxnet were given, and torch, jax are compared" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="no --baseline was given"):
        outputs_by_backend(tmp_path / "report.html", {"torch": []}, fail_on=["new"])


def test_further_files_are_completed_by_the_name_of_the_folder(make, results, tmp_path: Path) -> None:
    files = [results("torch", make.result(A)), results("jax", make.wrong(A))]
    more = ["--junit", str(tmp_path / "junit.xml"), "--gitlab", str(tmp_path / "gl.json")]
    assert main(["report", *files, "--out", str(tmp_path / "out"), *more]) == 1
    assert "tanh" in (tmp_path / "junit-jax.xml").read_text(encoding="utf-8")
    assert "tanh" not in (tmp_path / "junit-torch.xml").read_text(encoding="utf-8")
    assert len(json.loads((tmp_path / "gl-jax.json").read_text(encoding="utf-8"))) == 1


def test_a_page_that_cannot_be_written_is_no_success(make, results, tmp_path: Path, capsys) -> None:
    files = [results("torch", make.result(A)), results("jax", make.result(A))]
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    assert main(["report", *files, "--out", str(tmp_path / "out")]) == 3
    assert "cannot be written" in capsys.readouterr().err
