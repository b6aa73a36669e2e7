"""Runs of the suite: workers and shards, an installed suite, folders and files of a run, devices that are required."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from refgrad.graph import Graph
from refgrad.records import Header
from refgrad.report.analysis.items import judged_cases
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.suite.progress import Progress
from refgrad.suite.runner import _conclude
from refgrad.testing import Case, Observation
from refgrad.testing.runs.folder_lock import locked
from refgrad.testing.runs.in_flight import CurrentCase
from refgrad.testing.runs.results import ResultsFile
from tests.suite.faulty_backend import Faulty
from tests.whole_runs import conformance

pytest.importorskip("torch")


@pytest.mark.long
def test_workers_and_shards_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lines but for the times of items, and the same page up to its times, what it measured and the command."""
    from conformance.textbook import implicit
    from refgrad.cli import main

    monkeypatch.setattr(implicit, "SIDE", 512)
    # Of the textbook, the items that measure something.
    monkeypatch.setenv(
        "REFGRAD_PYTEST_ADDOPTS", "-k 'test_family or D3-relu-vector or D3-matrix or D3-implicit'"
    )

    def judged(name: str, *more: str) -> Path:
        families = ["--family", "matmul", "--family", "textbook", "--dtype", "float64", "--dtype", "float32"]
        scope = ["--device", "cpu", "--examples", "80", "--out", str(tmp_path / name)]
        # A part may have nothing to judge.
        assert main(["conformance", *families, *scope, *more]) in (
            0,
            3,
        )
        return tmp_path / name / "results.jsonl"

    def lines_of(*files: Path) -> list[str]:
        """But for times, and a case once: every process writes those that it judged."""
        apart = tuple(f'{{"type":"{kind}"' for kind in ("run", "plan", "measured", "end"))
        lines = [
            line for file in files for line in file.read_text().splitlines() if not line.startswith(apart)
        ]
        cases = {line for line in lines if line.startswith('{"type":"case"')}
        rest = [line for line in lines if line not in cases]
        return sorted([*cases, *(re.sub(r'(?<="seconds":)[\d.]+', "", line) for line in rest)])

    whole = judged("whole", "--workers", "0")
    assert sum('"family":"matmul"' in line for line in lines_of(whole)) > 500
    assert sum('"type":"textbook"' in line for line in lines_of(whole)) == 3
    assert sum(line.startswith('{"type":"measured"') for line in whole.read_text().splitlines()) == 2
    with monkeypatch.context() as of_workers:
        of_workers.setenv("REFGRAD_PYTEST_PLUGINS", "tests.suite.small_matrices")
        runs = {"two": [judged("two", "--workers", "2")]}
    for n in (1, 2, 4):
        runs[f"{n} shards"] = [
            judged(f"{k} of {n}", "--shard", f"{k}/{n}", "--workers", "0") for k in range(1, n + 1)
        ]
    for name, files in runs.items():
        assert lines_of(*files) == lines_of(whole), name
        capsys.readouterr()
        compared = ["--out", str(tmp_path / f"{name} compared"), "--baseline", str(whole)]
        assert main(["report", *map(str, files), *compared]) == 0
        assert "against the baseline: no difference; " in capsys.readouterr().out
        assert main(["report", *map(str, reversed(files)), "--out", str(tmp_path / name)]) == 0
        assert _timeless(tmp_path / name / "report.html") == _timeless(tmp_path / "whole" / "report.html")
        again = [
            "report",
            str(tmp_path / name / "results.jsonl.gz"),
            "--out",
            str(tmp_path / f"{name} again"),
        ]
        assert main(again) == 0
        for file in ("report.html", "results.jsonl.gz"):
            assert (tmp_path / f"{name} again" / file).read_bytes() == (tmp_path / name / file).read_bytes()
    assert f"cases judged: {judged_cases(load(whole))[0]}" in capsys.readouterr().out
    assert main(["report", str(runs["4 shards"][1]), "--out", str(tmp_path / "one")]) == 3
    assert "of its parts 1/4, 3/4, 4/4 are not here" in capsys.readouterr().out.replace("\n", " ")


def _timeless(page: Path) -> str:
    """A page without its times and rates, without what it measured and without the command that made it."""
    apart = (
        "<dt>command",
        "<dt>started",
        "<dt>finished",
        "<dt>cases per second",
        "<dt>elements per second",
        'class="measured"',
    )
    # Without the slowest items.
    text = re.sub('<section id="items".*?</section>', "", page.read_text(), flags=re.DOTALL)
    kept = [line for line in text.splitlines() if not any(mark in line for mark in apart)]
    return "\n".join(line.partition("<time>")[0] for line in kept)


SMALL = ["conformance", "--family", "matmul", "--dtype", "float64", "--device", "cpu", "--examples", "10"]


def small(folder: Path, *more: str, **around: str) -> subprocess.CompletedProcess[str]:
    """A short run in a process of its own."""
    path = around.pop("PYTHONPATH", str(Path(__file__).parents[2]))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-m", "refgrad.cli", *SMALL, *more], cwd=folder, capture_output=True, text=True, check=False, timeout=900,
        env=env | {"REFGRAD_PYTEST_ADDOPTS": "-k test_family"} | around,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As in a wheel: in an environment inside of a project that has a conftest.py, and options, of its own. Returns site-packages."""
    root, project = Path(__file__).parents[2], tmp_path_factory.mktemp("installed") / "a project ü"
    site = project / ".venv" / "site-packages"
    unfinished = shutil.ignore_patterns("*.pyc.*")  # what is compiled comes along
    shutil.copytree(root / "refgrad", site / "refgrad", ignore=unfinished)
    shutil.copytree(root / "conformance", site / "refgrad" / "_suite", ignore=unfinished)
    (project / "conftest.py").write_text("raise RuntimeError('somebody else')\n")
    (project / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    return site


@pytest.mark.long
@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_installed_suite_leaves_the_project_around_it_alone(installed: Path, workers: str) -> None:
    site, project = installed, installed.parents[1]
    shutil.rmtree(project / "reports", ignore_errors=True)
    around = {"PYTEST_ADDOPTS": "-x --no-such-option", "PYTHONWARNINGS": "error", "PYTHONPATH": str(site)}
    done = small(project, "--workers", workers, **around)
    assert done.returncode == 0, done.stdout + done.stderr
    assert load(project / "reports" / "results.jsonl").cases == 10
    # and afterwards its page is made where there is no suite, in a locale without signs
    again = subprocess.run(
        [sys.executable, "-m", "refgrad.cli", "report", "reports/results.jsonl.gz"], cwd=project, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "?" not in again.stdout


def test_a_family_or_dtype_that_is_named_twice_is_judged_once(tmp_path: Path) -> None:
    done = conformance(
        tmp_path, *SMALL[1:], "--family", "matmul", "--dtype", "float64", "--device", "cpu", "--workers", "0"
    )
    assert done.code == 0, done.stdout + done.stderr
    found = load(done.results)
    assert found.planned == 1
    assert found.header.families == ("matmul",)
    assert found.tally.results == len({(r.id, r.mode) for r in each_result(found)}) > 0


def test_two_runs_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reports").mkdir()
    Path("reports/results.jsonl").write_text("the other's\n")
    with locked(Path("reports")):
        done = conformance(Path("reports"), *SMALL[1:], "--workers", "0")
    assert done.code == 2
    assert done.stderr.splitlines()[-1].startswith("refgrad: reports: another run writes its results there")
    assert (tmp_path / "reports" / "results.jsonl").read_text() == "the other's\n"


def test_no_file_of_a_run_is_written_over_another_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in (["--junit", "reports/results.jsonl"], ["--gitlab", "reports/report.html"], ["--junit", "x", "--gitlab", "x"]):  # fmt: skip
        done = conformance(Path("reports"), *SMALL[1:], "--workers", "0", *more)
        assert done.code == 2
        assert f"{more[-1]}: an input or another output has this name" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_without_a_reader_the_report_is_written_all_the_same(tmp_path: Path) -> None:
    scope = ["--family", "ops", "--dtype", "float64", "--examples", "10", "--workers", "0"]
    small = ["conformance", "--backend", "tests.suite.faulty_backend:Faulty", *scope]  # which starts at once
    script = shlex.join([sys.executable, "-m", "refgrad.cli", *small])
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }
    for k, sink in enumerate(("| true", ">&-", ">&- 2>&-")):
        done = subprocess.run(
            ["/bin/bash", "-c", f"set -o pipefail; {script} --out {k} {sink}"], cwd=tmp_path, env=env, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert {p.name for p in (tmp_path / str(k)).iterdir()} == {
            "report.html",
            "results.jsonl",
            "results.jsonl.gz",
        }


def test_a_required_device_that_is_missing_is_exit_code_3_with_the_results(tmp_path: Path) -> None:
    done = conformance(tmp_path, *SMALL[1:], "--examples", "30", "--workers", "0", "--require-device", "xpu")
    assert done.code == 3, done.stdout + done.stderr
    assert "xpu was required and is missing" in done.printed
    assert done.lines()[-1]["exit"] == 3
    assert len(done.lines("result")) >= 3 * 30  # value, reverse and forward mode of each case


def test_a_skipped_item_has_come_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.skip\ndef test_nothing(): ...\n", encoding="utf-8"
    )
    results = tmp_path / "results.jsonl"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "refgrad.pytest_plugin",
        f"--refgrad-results={results}",
        "test_it.py",
    ]
    # Where refgrad is installed the plugin would be there twice.
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    [item] = [line for line in lines if line["type"] == "item"]
    assert item["item"] == "test_nothing"
    assert item["seconds"] >= 0


class Hanging(Faulty):
    """Hangs on a case of another family than the suite draws: on the evidence of a record."""

    def observe(self, case: Case) -> Observation:
        while case.family == "recorded":
            time.sleep(0.01)
        return super().observe(case)


class Skipping(Faulty):
    """Skips, as a test does that finds no device: in a block of cases, or before there is one."""

    at = "settle"

    def settle(self) -> None:
        if Skipping.at == "settle":
            pytest.skip("no such device here")

    def limit(self, seconds: float) -> None:
        if Skipping.at == "block":
            pytest.skip("no such device here")


def test_evidence_that_hangs_ends_as_an_error_and_the_run_ends(tmp_path: Path) -> None:
    """A kernel may hang in the evidence of a recorded disagreement, which is no case of a family."""
    x = np.array([0.5, 1.0])
    case = Case("recorded", Graph.record(np.exp, x), {"x": x}, {"x": x}, x, "float64")
    (tmp_path / "case.json").write_text(case.to_json())
    (tmp_path / "known.toml").write_text(
        '[[deviation]]\nid = "exp"\nops = ["exp"]\ngot = ["nan"]\nmodes = ["reverse"]\ndtypes = ["float64"]\ndevices = ["cpu"]\n'
        'seen = ["1", "9"]\nreason = "r"\nlink = "l"\ncase = "case.json"\nbackend = "toy"\n'
    )
    scope = ["--backend", f"{__name__}:Hanging", "--family", "graphs", "--examples", "5", "--workers", "0"]
    known = ["--deviations", str(tmp_path / "known.toml"), "--time-limit", "0.3"]
    done = conformance(tmp_path / "out", *scope, *known, items="-k still_occurs")
    assert done.code == 1, done.stdout + done.stderr
    [late] = done.lines("result")
    assert (late["id"], late["reason"]) == (case.id, "time limit: no verdict after 0.3 s")
    assert done.lines("end")


@pytest.mark.parametrize(
    ("item", "test"),
    [
        ("graphs-float64-cpu-0", "test_family[graphs-float64-cpu-0]"),
        ("test_case[0123]", "test_case[0123]"),
        ("test_deviation_still_occurs[exp]", "test_deviation_still_occurs[exp]"),
    ],
)
def test_the_case_of_a_process_that_died_is_an_error_in_whichever_test(
    tmp_path: Path, item: str, test: str
) -> None:
    """Blocks name their item, other tests themselves. A case without this match would be told as one that was running."""
    x = np.array([0.5, 1.0])
    case = Case("graphs", Graph.record(np.exp, x), {"x": x}, {"x": x}, x, "float64")
    results = ResultsFile(tmp_path / "results.jsonl", fresh=True)
    results.write(Header("0.1.0", "", ()))
    current = CurrentCase(results.path)
    with current.judging(item, case):
        pass
    current.close()  # the case stays: nobody has called ``finished``
    progress = Progress({}, results)
    progress.lost.append((test, "worker 'gw0' crashed"))
    found = _conclude(results, progress, Faulty(), 1, 0.0)
    results.close()
    assert found is not None
    assert [(r.id, r.status) for r in each_result(found)] == [(case.id, "error")]


@pytest.mark.parametrize("at", ["settle", "block"])
def test_what_is_skipped_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Otherwise a run that judged a part of its cases would be green."""
    monkeypatch.setattr(Skipping, "at", at)
    scope = ["--backend", f"{__name__}:Skipping", "--family", "graphs", "--dtype", "float64"]
    done = conformance(tmp_path / "out", *scope, "--examples", "5", "--workers", "0")
    assert done.code == 1, done.stdout + done.stderr
    [crash] = done.lines("crash")
    assert "no such device here" in crash["reason"]
