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
