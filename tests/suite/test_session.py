"""A run with a budget of time: rounds of whole blocks, which are the first cases of the seed."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from refgrad.errors import SignalInterrupt
from refgrad.records import Crash, FinishedItem, encoded
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.suite.session import (
    SINGLE_CASES,
    _arguments,
    _least_rounds,
    _no_other_plugins,
    measured_seconds,
)
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import Observation
from refgrad.testing.runs.in_flight import folder
from tests.suite.faulty_backend import Faulty
from tests.whole_runs import WholeRun, conformance

SMALL = [
    "--family",
    "softmax",
    "--family",
    "matmul",
    "--dtype",
    "float32",
    "--device",
    "cpu",
    "--workers",
    "0",
]


def test_plugins_of_the_environment_stay_out_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them could deselect items, and a module that is not there ended the run with exit code 1."""
    for name, value in (("PYTEST_ADDOPTS", "--collect-only"), ("PYTEST_PLUGINS", "nowhere")):
        monkeypatch.setenv(name, value)
    with _no_other_plugins():
        assert not os.environ.get("PYTEST_ADDOPTS", "").startswith("--collect-only")
        assert os.environ["PYTEST_PLUGINS"] == ""
        assert os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] == "1"
    assert (os.environ["PYTEST_ADDOPTS"], os.environ["PYTEST_PLUGINS"]) == ("--collect-only", "nowhere")


def test_a_kernel_that_clears_the_environment_leaves_it_to_the_report() -> None:
    before = dict(os.environ)
    with _no_other_plugins():
        os.environ.clear()
    assert dict(os.environ) == before


@pytest.mark.parametrize(("asked", "started"), [("1", "1"), ("7", "7"), ("300", "8")])
def test_no_more_processes_start_than_there_are_blocks(tmp_path: Path, asked: str, started: str) -> None:
    """300 processes for one block of cases took minutes to start."""
    from refgrad import backends
    from refgrad.cli import _parser
    from refgrad.suite.scope import scope

    backend = backends.load("tests.suite.faulty_backend:Faulty")
    options = ["--family", "graphs", "--dtype", "float64", "--examples", "5", "--workers", asked]
    wanted = scope(_parser().parse_args(["conformance", *options]), backend)
    for parts, number in ((("test_families.py",), started), (SINGLE_CASES, asked)):
        arguments = _arguments(tmp_path / "results.jsonl", wanted, parts)
        assert arguments[arguments.index("-n") + 1] == number


@pytest.mark.long
def test_a_budget_judges_whole_rounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from refgrad.cli import main
    from refgrad.suite import session
    from refgrad.testing.runs.plan import BLOCK

    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k test_family")
    monkeypatch.setattr(session, "_LONGEST", 0.1)  # a session of few rounds, so that another one follows
    assert main(["conformance", *SMALL, "--for", "2s", "--out", str(tmp_path / "for")]) == 0
    said = capsys.readouterr()
    found = load(tmp_path / "for" / "results.jsonl")
    assert not found.partial
    assert found.header.budget == "2"
    done = len(found.items) // 2
    assert {i.item for i in found.items} == {
        f"test_family[{f}-float32-cpu-{k}]" for f in ("softmax", "matmul") for k in range(done)
    }
    assert f"refgrad: {done} rounds of {BLOCK} cases in 2 s" in said.err
    assert (
        main(["conformance", *SMALL, "--examples", str(done * BLOCK), "--out", str(tmp_path / "number")]) == 0
    )
    number = load(tmp_path / "number" / "results.jsonl")
    both = [sorted((r.id, r.mode, r.status) for r in each_result(run)) for run in (found, number)]
    assert both[0] == both[1]


def of(run: WholeRun) -> list[tuple[str, str, str]]:
    return sorted((r.id, r.mode, r.status) for r in each_result(load(run.results)))


@pytest.mark.long
@pytest.mark.parametrize(("broken", "rounds"), [(125, 1), (175, 2)], ids=["first item", "second item"])
def test_an_interrupted_budget_is_resumed_with_whole_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int, rounds: int
) -> None:
    """Interrupted in the first item of the second round, which then has no result, or in the second item, after the first has ended."""
    pytest.importorskip("torch")
    from refgrad.suite import session
    from refgrad.testing.runs.gate import Gate
    from refgrad.testing.runs.plan import BLOCK
    from refgrad.torch import backend

    right, calls = backend.observe, 0

    def interrupted(case: Case, *settings: Any) -> Observation:
        nonlocal calls
        calls += 1
        if calls == broken:
            raise SignalInterrupt
        return right(case, *settings)

    with monkeypatch.context() as patched:
        patched.setattr(backend, "observe", interrupted)
        patched.setattr(session, "_SPARE", 20.0)  # one session, however fast the machine is
        patched.setattr(Gate, "_fits", lambda gate, block, now: block < 2)
        first = conformance(tmp_path / "for", *SMALL, "--for", "1s")
    assert calls == broken
    assert first.code == 3
    spent = first.results.stat().st_mtime + 10  # nothing is left of the budget
    os.utime(first.results, (spent, spent))
    resumed = conformance(tmp_path / "for", *SMALL, "--for", "1s", "--resume")
    found = load(resumed.results)
    assert resumed.code == 0, resumed.stdout + resumed.stderr
    assert f"refgrad: {rounds} rounds of {BLOCK} cases" in resumed.stderr
    assert (found.partial, found.planned, len(found.items)) == (False, 2 * rounds, 2 * rounds)
    number = conformance(tmp_path / "number", *SMALL, "--examples", str(rounds * BLOCK))
    assert of(resumed) == of(number)
    # A run that was killed before its last line gets that line.
    lines = resumed.results.read_bytes().splitlines(keepends=True)
    resumed.results.write_bytes(b"".join(lines[:-1]))
    folder(resumed.results).mkdir(exist_ok=True)
    again = conformance(tmp_path / "for", *SMALL, "--for", "1s", "--resume")
    assert (again.code, load(again.results).partial, of(again)) == (0, False, of(number))


def test_the_rounds_in_which_a_test_ended_are_completed() -> None:
    assert _least_rounds(()) == 1
    assert _least_rounds(("test_family[ops-float32-cpu-0]", "test_mutant[pt-3]")) == 1
    assert _least_rounds(("test_family[ops-float32-cpu-2]", "test_family[ops-float32-cpu-0]")) == 3


def test_a_time_and_a_number_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from refgrad.cli import main

    for more in (["--examples", "5"], ["--shard", "1/2"]):
        assert main(["conformance", *SMALL, "--for", "4s", *more, "--out", str(tmp_path)]) == 2
        assert "--for gives a time" in capsys.readouterr().err
    assert main(["conformance", "--family", "textbook", "--for", "4s", "--out", str(tmp_path)]) == 2
    assert "the family textbook has a fixed number" in capsys.readouterr().err


def test_the_seconds_of_an_earlier_run_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert measured_seconds(path) == {}
    lines = [encoded(FinishedItem("a[1]", 2.5)), encoded(Crash("", "b", "")), b'{"type":"item","item":"torn']
    path.write_bytes(b"".join(lines))
    assert measured_seconds(path) == {"a[1]": 2.5}


class Closing(Faulty):
    """A kernel that closes standard output, as a stream or as a file, and empties the path of modules."""

    how = "stream"

    def observe(self, case: Case) -> Observation:
        if Closing.how == "path":
            sys.path.clear()
        elif Closing.how == "file":
            os.close(1)
            Closing.how = ""
        elif Closing.how == "stream":
            sys.stdout.close()
        return super().observe(case)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("how", "code"), [("stream", 1), ("file", 0), ("path", 0)])
def test_what_a_kernel_does_to_the_process_of_the_command_loses_no_report(
    how: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Closing, "how", how)
    path = [*sys.path]
    scope = [
        "--backend",
        f"{__name__}:Closing",
        "--family",
        "graphs",
        "--dtype",
        "float64",
        "--examples",
        "5",
    ]
    done = conformance(tmp_path, *scope, "--workers", "0")
    assert sys.path == path
    assert done.code == code, done.stdout + done.stderr
    assert f"exit={code} " in done.stdout
    assert (tmp_path / "report.html").exists()
    if how == "stream":
        [crash] = [line for line in done.lines("crash") if line["item"] == "pytest"]
        assert crash["reason"].startswith("pytest failed with ValueError: I/O operation on closed file")
    gc.collect()  # the files that the broken pytest left open: the warnings about them belong to this test
