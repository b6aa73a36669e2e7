"""refgrad deviations: lists entries, and writes into a file what a run has seen of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.cli import main
from refgrad.records import End, Header, News
from refgrad.testing.deviations.file import load
from refgrad.testing.runs.results import ResultsFile

FILE = """# Kept.

[[deviation]]
id = "one"  # kept, too
ops = ["maximum"]
modes = ["forward"]
dtypes = ["float64"]
devices = ["cpu"]
got = ["nan"]
seen = ["2.6", "2.13"]
reason = "because"
link = "docs"
case = "case.json"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "case.json").write_text("{}")
    path = tmp_path / "deviations.toml"
    path.write_text(FILE + FILE.replace('"one"', '"two"').replace("# Kept.\n", ""))
    return path


def run(path: Path, torch: str, **kinds: str) -> str:
    results = ResultsFile(path, fresh=True)
    header = Header(refgrad="0", started="", command=(), environment={"torch": torch})
    results.write(header, *[News(kind, name, "") for name, kind in kinds.items()], End(0, "", 0.0))
    results.close()
    return str(path)


def test_a_run_brings_releases_up_to_date_and_nothing_else(file: Path, tmp_path: Path, capsys) -> None:
    seen = run(tmp_path / "r.jsonl", "2.14.1+cu130", one="mended", two="still there")
    assert main(["deviations", "--file", str(file), "--update", seen]) == 0
    assert "one: torch 2.6 to 2.13 -> torch 2.6 to 2.13, mended in 2.14.1\n" in capsys.readouterr().out
    assert [str(d.releases) for d in load(file)] == [
        "torch 2.6 to 2.13, mended in 2.14.1",
        "torch 2.6 to 2.14.1",
    ]
    before = (FILE + FILE.replace('"one"', '"two"').replace("# Kept.\n", "")).splitlines()
    assert [line for line in before if line not in file.read_text().splitlines()] == []
    text = file.read_text()
    assert main(["deviations", "--file", str(file), "--update", seen]) == 0
    assert file.read_text() == text
    assert (
        main(
            [
                "deviations",
                "--file",
                str(file),
                "--update",
                run(tmp_path / "r.jsonl", "2.15.0", one="still there"),
            ]
        )
        == 0
    )
    assert str(load(file)[0].releases) == "torch 2.6 to 2.15.0"


def test_entries_are_listed(file: Path, capsys) -> None:
    assert main(["deviations", "--file", str(file)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["one", "two"]


def test_results_of_several_releases_are_refused(file: Path, tmp_path: Path, capsys) -> None:
    several = run(tmp_path / "r.jsonl", "2.13.0 / 2.14.1", one="mended")
    assert main(["deviations", "--file", str(file), "--update", several]) == 2
    assert "not of one release of torch" in capsys.readouterr().err


def test_the_files_of_other_frameworks_are_listed_and_updated(
    file: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    folder = tmp_path / "backends"
    folder.mkdir()
    (folder / "case.json").write_text("{}")
    other = folder / "toy.toml"
    other.write_text(
        FILE.replace('"one"', '"three"') + FILE.replace('"one"', '"two"') + 'backend = "toy-fast"'
    )
    monkeypatch.setattr("refgrad.suite.deviations.location", lambda: ("conformance", tmp_path))
    assert main(["deviations"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["one", "two", "three", "two"]
    results = ResultsFile(tmp_path / "r.jsonl", fresh=True)
    header = Header(refgrad="0", started="", command=(), environment={"toy": "3.1"}, backend="toy")
    results.write(header, News("still there", "three", ""), News("mended", "two", ""), End(0, "", 0.0))
    results.close()
    before = file.read_text()
    assert main(["deviations", "--update", str(results.path)]) == 0
    assert f"1 of 1 entries changed in {other}, by what was seen in toy 3.1" in capsys.readouterr().out
    assert [str(d.releases) for d in load(other, backend="toy")] == [
        "toy 2.6 to 3.1.0",
        "toy-fast 2.6 to 2.13",
    ]
    assert file.read_text() == before
