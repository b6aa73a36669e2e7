"""refgrad accept: what it writes covers the accepted failures and nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad import report
from refgrad.backends import Build
from refgrad.cli import main
from refgrad.graph import Graph
from refgrad.records import End, Header, Result
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.file import all_of, load
from refgrad.testing.judging.observation import Observation
from refgrad.testing.runs.deviation_evidence import applicable, judged, outcome
from refgrad.testing.runs.item import examine
from refgrad.testing.runs.results import ResultsFile, results_of
from refgrad.torch.devices import VERSION
from refgrad.torch.observe import observe

Framework = Callable[[Case], Observation]
SUITE = Path(__file__).parents[2] / "conformance" / "deviations.toml"


def case(f: object = np.tanh, scale: float = 1.0) -> Case:
    x = scale * np.array([0.5, 1.0, -2.0])
    return Case("ops", Graph.record(f, x), {"x": x}, {"x": x}, x, "float64")  # type: ignore[arg-type]


def broken(*elements: int, factor: float = 2.0) -> Framework:
    """Torch with a gradient that is off at some elements."""

    def ask(asked: Case) -> Observation:
        seen = observe(asked)
        for k in elements:
            seen.cotangents[0][k] *= factor
        return seen

    return ask


def raising(message: str) -> Framework:
    def ask(_: Case) -> Observation:
        raise RuntimeError(message)

    return ask


def results(path: Path, *asked: tuple[Case, Framework]) -> str:
    """A results file of these cases."""
    file = ResultsFile(path, fresh=True)
    header = Header(refgrad="0", started="", command=(), environment={"torch": VERSION})
    file.write(header, *[r for c, f in asked for r in results_of(c, examine(c, f))], End(1, "", 0.0))
    file.close()
    return str(path)


def failed(asked: Case, framework: Framework, entries: Path) -> list[str]:
    found = applicable(all_of(SUITE, [str(entries)]), Build("torch", VERSION), framework)
    return [v.mode for v in examine(asked, framework, found) if v.failed]


def test_accepted_failures_are_known_and_every_other_one_fails(tmp_path: Path, capsys) -> None:
    to, wrong = tmp_path / "known.toml", broken(1)
    path = results(tmp_path / "r.jsonl", (case(), wrong), (case(np.exp), broken()))
    assert main(["accept", path, "--reason", 'why "so"', "--to", str(to)]) == 0
    assert "1 entry in" in capsys.readouterr().out
    [entry] = load(to, local=True)
    assert (entry.id, entry.ops, entry.reason) == ("tanh", {"tanh"}, 'why "so"')
    assert failed(case(), wrong, to) == []
    for others in (broken(1, 2), broken(2), broken(1, factor=5.0)):
        assert "reverse" in failed(case(), others, to)
    assert "reverse" in failed(case(scale=0.5), wrong, to)
    assert "reverse" in failed(dataclasses.replace(case(), dtype="float32"), wrong, to)


def test_what_is_mended_is_news_and_excuses_nothing(tmp_path: Path) -> None:
    to = tmp_path / "known.toml"
    path = results(tmp_path / "r.jsonl", (case(), broken(1)))
    assert main(["accept", path, "--reason", "why", "--to", str(to)]) == 0
    [entry] = load(to, local=True)
    for framework, kind in ((broken(1), ""), (broken(), "mended")):
        verdicts = judged(entry, Build("torch", VERSION), framework)
        assert (
            outcome(entry, Build("torch", VERSION), verdicts).kind,
            outcome(entry, Build("torch", VERSION), verdicts).failure,
        ) == (
            kind,
            "",
        )


def test_an_error_is_accepted_by_what_was_raised(tmp_path: Path) -> None:
    to = tmp_path / "known.toml"
    path = results(tmp_path / "r.jsonl", (case(), raising("no kernel\nmore")))
    assert main(["accept", path, "--reason", "why", "--to", str(to)]) == 0
    [entry] = load(to)
    assert entry.id == "tanh-error"


def test_entries_are_added_to_what_is_there(tmp_path: Path) -> None:
    to = tmp_path / "known.toml"
    path = results(tmp_path / "r.jsonl", (case(), broken(1)), (case(np.exp), broken(0)))
    assert main(["accept", path, "--reason", "why", "--to", str(to), "--op", "exp"]) == 0
    before = "# mine\n" + to.read_text()
    to.write_text(before)
    assert main(["accept", path, "--reason", "why", "--to", str(to), "--id", case().id[:8]]) == 0
    assert main(["accept", path, "--reason", "why", "--to", str(to), "--op", "exp"]) == 0
    assert to.read_text().startswith(before)
    assert [d.id for d in load(to)] == ["exp", "tanh", "exp-2"]


def test_a_check_in_a_test_has_no_case_to_accept(tmp_path: Path, capsys) -> None:
    path, to = results(tmp_path / "r.jsonl"), tmp_path / "known.toml"
    lines = Path(path).read_text().splitlines(keepends=True)
    check = Result("z1", "t.py", "float64", "cpu", "reverse", "disagree", again="pytest t.py::test")
    Path(path).write_text("".join([lines[0], json.dumps(check.to_dict()) + "\n", *lines[1:]]))
    assert main(["accept", path, "--reason", "why", "--to", str(to)]) == 2
    assert "1 failed without a case, as checks in tests do" in capsys.readouterr().err
    assert not to.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--op", "sin"], "no failure of these ops or ids to accept"), (["--reason", " "], "--reason is empty")],
)
def test_nothing_to_accept_is_refused(tmp_path: Path, capsys, more: list[str], said: str) -> None:
    to = tmp_path / "known.toml"
    path = results(tmp_path / "r.jsonl", (case(), broken(1)))
    assert main(["accept", path, "--reason", "why", "--to", str(to), *more]) == 2
    assert said in capsys.readouterr().err
    assert not to.exists()


@pytest.mark.long
def test_accepted_entries_travel_to_the_workers_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, out = tmp_path / "known.toml", tmp_path / "out"
    path = results(tmp_path / "r.jsonl", (case(), broken(1)))
    assert main(["accept", path, "--reason", "why", "--to", str(to)]) == 0
    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k still_occurs")
    scope = ["--op", "tanh", "--dtype", "float64", "--device", "cpu", "--examples", "1", "--workers", "1"]
    main(["conformance", *scope, "--deviations", str(to), "--out", str(out)])
    assert [(n.kind, n.name) for n in report.load(out / "results.jsonl.gz").news] == [("mended", "tanh")]


def test_a_file_that_cannot_be_read_is_named_before_anything_runs(tmp_path: Path, capsys) -> None:
    (tmp_path / "known.toml").write_text("[other]")
    for name in ("known.toml", "missing.toml", str(SUITE)):
        path = str(tmp_path / name)
        assert main(["conformance", "--deviations", path, "--out", str(tmp_path / "out")]) == 2
        assert f"refgrad: {path}: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
