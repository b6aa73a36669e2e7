"""What becomes of a run when its workers crash, hang or are killed: a partial report that names the case, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

from refgrad.report.storage.load import load
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import Observation
from tests.suite.faulty_backend import Faulty
from tests.suite.faulty_runs import command, environment, killed, run, started, victim
from tests.whole_runs import WholeRun, conformance, folder_of_all_processes, made_once

pytestmark = pytest.mark.long


# What kills a worker, and what the run says of its case.
DEADLY = {
    "os.abort()": "crashed: Fatal Python error: Aborted",
    "os.kill(os.getpid(), signal.SIGKILL)": "crashed: no traceback",
    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(600)": "time limit: the process hung and was ended",
    "os._exit(0)": "crashed: the judged code called os._exit(0)",
}


@pytest.fixture(scope="session")
def lost_workers(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """A run of seven items that loses a worker in four of them, each in another way."""

    def make(out: Path) -> WholeRun:
        done = run(out.parent, tuple(DEADLY), "--examples", "350", "--time-limit", "2")
        return WholeRun(out, done.returncode, done.stdout, done.stderr)

    return made_once(folder_of_all_processes(tmp_path_factory.getbasetemp()) / "lost-workers", make)


@pytest.mark.parametrize("fault", range(len(DEADLY)))
def test_a_worker_that_dies_leaves_the_case_it_died_over(lost_workers: WholeRun, fault: int) -> None:
    _, case = victim(lost_workers.out.parent, fault)
    assert lost_workers.code == 1, lost_workers.stdout + lost_workers.stderr
    errors = [line for line in lost_workers.lines("result") if line["status"] == "error"]
    [died] = [line for line in errors if line["id"] == case]
    assert died["reason"].startswith(list(DEADLY.values())[fault])
    asked = [line["case"] for line in lost_workers.lines("case") if line["id"] == case]
    assert asked  # a late process may still write the case that the next one writes, too
    assert all(found["family"] == "graphs" for found in asked)
    assert case in (lost_workers.out / "report.html").read_text()


def test_no_other_case_is_an_error_and_one_is_printed(lost_workers: WholeRun) -> None:
    victims = {victim(lost_workers.out.parent, fault)[1] for fault in range(len(DEADLY))}
    errors = {x["id"]: x["reason"] for x in lost_workers.lines("result") if x["status"] == "error"}
    others = {reason for name, reason in errors.items() if name not in victims}
    assert others <= {"time limit: no verdict after 2.0 s"}  # on a busy machine others may be late
    assert any(name in lost_workers.stdout for name in errors)


def test_of_a_case_that_hangs_the_place_is_told(lost_workers: WholeRun) -> None:
    _, case = victim(lost_workers.out.parent, 2)
    errors = [line for line in lost_workers.lines("result") if line["status"] == "error"]
    [late] = [line for line in errors if line["id"] == case]
    assert "faulty_backend.py" in late["message"]  # the traceback of the hang


def test_new_workers_run_the_other_items(lost_workers: WholeRun) -> None:
    report = load(lost_workers.results)
    assert report.partial
    assert len(report.unfinished) == len(DEADLY)  # the items that died
    assert all(name in lost_workers.printed for name in report.unfinished)
    assert report.cases > 100
    assert not (lost_workers.out / "results.jsonl.running").exists()


def test_a_message_that_no_encoding_has_costs_its_case_alone(tmp_path: Path) -> None:
    """A worker sends the message of its failing test to the process of the run."""
    done = run(tmp_path, ("raise RuntimeError('no file ' + chr(0xDCFF))",), "--workers", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stderr
    found = load(tmp_path / "out" / "results.jsonl.gz")
    assert not found.partial
    assert found.crashes == ()
    assert {r.id for r in found.results if r.status == "error"} == {victim(tmp_path)[1]}


def test_workers_that_cannot_start_end_the_run_and_say_why(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import os\nif os.environ.get('PYTEST_XDIST_WORKER'): raise ImportError('no libcuda')\n"
    )
    env = environment(tmp_path) | {"REFGRAD_PYTEST_PLUGINS": "broken"}
    env.pop("PYTEST_XDIST_WORKER", None)  # that of the worker in which this test may run
    one = command(tmp_path / "out", "--workers", "1")
    done = subprocess.run(one, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    [crash] = load(tmp_path / "out" / "results.jsonl").crashes
    assert crash.item == "workers"
    assert "died before they had a test to run" in crash.reason
    assert "broken" in crash.reason  # the last line of what the worker said


def test_a_case_past_its_time_is_an_error_and_the_next_one_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, asked = Faulty.observe, []

    def slow(backend: Faulty, case: Case) -> Observation:
        asked.append(case.id)
        while len(asked) == 8:
            time.sleep(0.01)
        return right(backend, case)

    monkeypatch.setattr(Faulty, "observe", slow)
    done = conformance(tmp_path, *command(tmp_path)[4:], "--workers", "0", "--time-limit", "2")
    assert done.code == 1, done.stdout + done.stderr
    late = {line["id"]: line["reason"] for line in done.lines("result") if line["status"] == "error"}
    assert late[asked[7]] == "time limit: no verdict after 2.0 s"
    assert set(late.values()) == {late[asked[7]]}  # on a busy machine others may be late, too
    assert not load(done.results).partial
    assert load(done.results).cases > 120


def test_a_run_that_was_killed_renders_as_a_partial_report(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    from refgrad.cli import main

    run = killed(folder_of_all_processes(tmp_path_factory.getbasetemp()), signal.SIGKILL)
    assert run.code == -signal.SIGKILL
    _, case = victim(run.out.parent)
    before = load(run.results)
    assert before.partial
    assert before.cases >= 4  # of the first sweeps of the worker
    assert case in [c.id for c in before.running]
    assert len(before.running) <= 2  # a case a worker
    assert main(["report", str(run.results), "--out", str(tmp_path)]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "Partial: it has no end line" in said
    _, _, named = said.partition("being judged when the run ended: ")
    assert case in named  # the other worker's case may stand before it
    assert "test_family[graphs-float64-cpu-" in said
    assert case in (tmp_path / "report.html").read_text()


def check_interrupted(run: WholeRun) -> None:
    _, case = victim(run.out.parent)
    assert run.code == 3, run.stdout + run.stderr
    report = load(run.results)
    assert report.partial
    assert report.cases >= 7
    assert case in [c.id for c in report.running]
    assert "Partial" in run.stdout
    assert float(run.stdout.partition(" seconds=")[2].partition(" ")[0]) > 0
    assert case in (run.out / "report.html").read_text()


def test_a_run_that_is_told_to_end_reports_what_it_had(tmp_path: Path) -> None:
    running = started(tmp_path, "--workers", "1")
    os.kill(running.pid, signal.SIGTERM)
    out, err = running.communicate(timeout=900)
    check_interrupted(WholeRun(tmp_path / "out", running.returncode, out, err))


def test_a_run_that_is_interrupted_with_its_workers_reports_what_it_had(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """As Ctrl-C does."""
    check_interrupted(killed(folder_of_all_processes(tmp_path_factory.getbasetemp()), signal.SIGINT))


def test_code_that_ends_the_process_of_a_run_ends_it_red(tmp_path: Path) -> None:
    done = run(tmp_path, ("os._exit(0)",), "--workers", "0")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "the judged code called os._exit(0)" in done.stderr
    assert load(tmp_path / "out" / "results.jsonl").partial
    _, case = victim(tmp_path)
    left = [file.read_text() for file in (tmp_path / "out" / "results.jsonl.running").iterdir()]
    assert any(case in text for text in left)  # --resume goes on behind it


def test_a_full_disk_ends_the_run_and_keeps_what_was_judged(tmp_path: Path) -> None:
    # The limit on the size of a file stands for the disk; it is set in the workers and in the main process.
    limit = (
        "None\nimport resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (48_000, resource.RLIM_INFINITY))\n"
    )
    (tmp_path / "full.py").write_text(limit)
    env = environment(tmp_path) | {"REFGRAD_PYTEST_PLUGINS": "full"}
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("the older report")
    one = command(out, "--workers", "1")
    done = subprocess.run(one, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "cannot be written" in done.stderr
    report = load(out / "results.jsonl")  # whole lines alone
    assert report.partial
    assert not report.truncated
    assert report.unfinished
    assert report.cases > 3
    assert "Partial" in done.stdout
    assert (out / "report.html").read_text() == "the older report"
    assert sorted(p.name for p in out.iterdir() if p.is_file()) == [
        "report.html",
        "results.jsonl",
        "results.jsonl.gz",
    ]


@pytest.mark.parametrize("what", ["os.remove({0!r})", "os.truncate({0!r}, 100)"])
def test_results_that_somebody_removes_during_the_run_prove_nothing(tmp_path: Path, what: str) -> None:
    fault = what.format(str(tmp_path / "out" / "results.jsonl"))
    done = run(tmp_path, (fault,), "--examples", "50", "--workers", "0")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "it was removed or changed during the run" in done.stderr
