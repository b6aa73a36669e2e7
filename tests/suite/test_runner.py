"""What becomes of a run when its workers crash, hang or are killed: a partial report that names the case, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from refgrad.report.analysis.items import judged_cases
from refgrad.report.storage.load import load
from refgrad.testing.runs.folder_lock import alone

pytest.importorskip("torch")

# A pytest plugin that changes what a worker observes: it is named in PYTEST_PLUGINS, which every worker inherits.
FAULT = '''
import os, signal, time
from pathlib import Path
import refgrad.torch.observe as room

right, calls = room.observe, 0
once = Path(__file__).with_name("happened")

def observe(case):
    global calls
    calls += 1
    if calls == 8 and first(case):
        FAULT
    return right(case)

def first(case):
    """Two workers may come here at the same moment: one of them makes the file."""
    try:
        with once.open("x") as file:
            file.write(f"{os.getpid()} {case.id}")
    except FileExistsError:
        return False
    return True

room.observe = observe
'''


def command(out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "refgrad.cli", "conformance", "--family", "softmax", "--dtype", "float64", "--device", "cpu",
        "--examples", "150", "--workers", "2", "--out", str(out), *more,
    ]  # fmt: skip


def environment(folder: Path, fault: str) -> dict[str, str]:
    """The command with a fault planted, and without the items that no fault here concerns."""
    (folder / "faulty.py").write_text(FAULT.replace("FAULT", fault))
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTEST_PLUGINS": "faulty",
        "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }


def run(
    folder: Path, fault: str, *more: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    done = subprocess.run(
        command(folder / "out", *more), env=environment(folder, fault), capture_output=True, text=True, timeout=900, check=False
    )  # fmt: skip
    return done, lines(folder / "out" / "results.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def victim(folder: Path) -> tuple[int, str]:
    pid, case = (folder / "happened").read_text().split()
    return int(pid), case


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("os.abort()", "crashed: Fatal Python error: Aborted"), ("os.kill(os.getpid(), signal.SIGKILL)", "crashed: no traceback")],
)  # fmt: skip
def test_a_worker_that_dies_leaves_the_case_it_died_over(tmp_path: Path, fault: str, reason: str) -> None:
    done, found = run(tmp_path, fault)
    _, case = victim(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    [died] = [line for line in found if line["type"] == "result" and line["status"] == "error"]
    assert died["id"] == case
    assert died["reason"].startswith(reason)
    [asked] = [line for line in found if line["type"] == "case" and line["id"] == case]
    assert asked["case"]["family"] == "softmax"
    assert case in done.stdout
    report = load(tmp_path / "out" / "results.jsonl")
    assert len(report.unfinished) == 1  # the item that died; the others were run by a new worker
    assert report.unfinished[0] in done.stdout.replace("\n", " ")
    assert report.cases > 60
    assert case in (tmp_path / "out" / "report.html").read_text()
    assert not (tmp_path / "out" / "results.jsonl.running").exists()


def test_workers_that_cannot_start_end_the_run_and_say_why(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import os\nif os.environ.get('PYTEST_XDIST_WORKER'): raise ImportError('no libcuda')\n"
    )
    env = environment(tmp_path, "pass") | {"PYTEST_PLUGINS": "broken"}
    env.pop("PYTEST_XDIST_WORKER", None)  # that of the worker in which this test may run
    done = subprocess.run(
        command(tmp_path / "out"), env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    [crash] = load(tmp_path / "out" / "results.jsonl").crashes
    assert crash.item == "workers"
    assert "died before they had a test to run" in crash.reason
    assert "broken" in crash.reason  # the last line of what the worker said


def test_a_case_past_its_time_is_an_error_and_the_next_one_follows(tmp_path: Path) -> None:
    done, found = run(tmp_path, "while True: time.sleep(0.01)", "--time-limit", "6")
    _, case = victim(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    late = {line["id"]: line["reason"] for line in found if line.get("status") == "error"}
    assert late[case] == "time limit: no verdict after 6.0 s"
    assert set(late.values()) == {late[case]}  # on a busy machine others may be late, too
    assert not load(tmp_path / "out" / "results.jsonl").partial
    assert load(tmp_path / "out" / "results.jsonl").cases > 120


def test_a_case_that_hangs_beyond_reach_ends_its_worker(tmp_path: Path) -> None:
    stuck = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(600)"
    done, found = run(tmp_path, stuck, "--time-limit", "4")
    _, case = victim(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    [late] = [line for line in found if line.get("status") == "error" and line["id"] == case]
    assert late["reason"] == "time limit: the process hung and was ended"
    assert "faulty.py" in late["message"]  # the traceback of the hang
    assert load(tmp_path / "out" / "results.jsonl").partial


def started(folder: Path) -> subprocess.Popen[str]:
    """A run that hangs in one of its cases."""
    running = subprocess.Popen(
        command(folder / "out", "--time-limit", "0"), env=environment(folder, "time.sleep(600)"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        # Ctrl-C counts even where these tests run in the background, in which shells switch it off for all that follows.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no threads here
    )  # fmt: skip
    end = time.monotonic() + 120
    while not (folder / "happened").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert (folder / "happened").exists(), "no worker came to its eighth case"
    return running


def test_a_run_that_was_killed_renders_as_a_partial_report(tmp_path: Path) -> None:
    running = started(tmp_path)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode == -signal.SIGKILL
    _, case = victim(tmp_path)
    before = load(tmp_path / "out" / "results.jsonl")
    assert before.partial
    assert before.cases >= 7
    assert case in [c.id for c in before.running]
    assert len(before.running) <= 2  # a case a worker
    arguments = [sys.executable, "-m", "refgrad.cli", "report", str(tmp_path / "out" / "results.jsonl")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert "Partial: it has no end line" in said
    assert f"being judged when the run ended: {case}" in said
    assert "test_family[softmax-float64-cpu-" in said
    assert case in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(("send", "number"), [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)])
def test_an_interrupted_run_reports_what_it_had(tmp_path: Path, send: Any, number: signal.Signals) -> None:
    running = started(tmp_path)
    send(running.pid, number)  # Ctrl-C reaches the workers, too
    out, err = running.communicate(timeout=900)
    _, case = victim(tmp_path)
    assert running.returncode == 3, out + err
    report = load(tmp_path / "out" / "results.jsonl")
    assert report.partial
    assert report.cases >= 7
    assert case in [c.id for c in report.running]
    assert "Partial" in out
    assert case in (tmp_path / "out" / "report.html").read_text()


def test_a_full_disk_ends_the_run_and_keeps_what_was_judged(tmp_path: Path) -> None:
    # The limit on the size of a file stands for the disk; it is set in the workers and in the main process.
    limit = (
        "None\nimport resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))\n"
    )
    (tmp_path / "full.py").write_text(limit)
    env = environment(tmp_path, "pass") | {"PYTEST_PLUGINS": "full"}
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("the older report")
    done = subprocess.run(command(out), env=env, capture_output=True, text=True, timeout=900, check=False)
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


def test_workers_and_shards_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lines but for the times of items, and the same page up to its times, what it measured and the command."""
    from refgrad.cli import main

    monkeypatch.setenv(
        "REFGRAD_PYTEST_ADDOPTS", "-k 'test_family or D3-relu-vector or D3-matrix or D3-implicit'"
    )  # of the textbook, the items that measure something

    def judged(name: str, *more: str) -> Path:
        families = ["--family", "textbook", "--dtype", "float32", "--examples", "100"]
        assert main([*command(tmp_path / name, *families, *more)[3:]]) in (
            0,
            3,
        )  # a part may have nothing to judge
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

    whole = judged("whole", "--workers", "1")
    assert sum('"family":"softmax"' in line for line in lines_of(whole)) > 500
    assert sum('"type":"textbook"' in line for line in lines_of(whole)) == 3
    assert sum(line.startswith('{"type":"measured"') for line in whole.read_text().splitlines()) == 2
    runs = {"eight": [judged("eight", "--workers", "8")]}
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
    """A page without its times, without what it measured and without the command that made it."""
    apart = ("<dt>command", "<dt>started", "<dt>finished", 'class="measured"')
    text = re.sub(
        '<section id="items".*?</section>', "", page.read_text(), flags=re.DOTALL
    )  # the slowest items
    kept = [line for line in text.splitlines() if not any(mark in line for mark in apart)]
    return "\n".join(line.partition("<time>")[0] for line in kept)


SMALL = ["conformance", "--family", "softmax", "--dtype", "float64", "--device", "cpu", "--examples", "10"]


def small(folder: Path, *more: str, **around: str) -> subprocess.CompletedProcess[str]:
    """A short run in a process of its own."""
    path = around.pop("PYTHONPATH", str(Path(__file__).parents[2]))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-m", "refgrad.cli", *SMALL, *more], cwd=folder, capture_output=True, text=True, check=False, timeout=900,
        env=env | {"REFGRAD_PYTEST_ADDOPTS": "-k test_family"} | around,
    )  # fmt: skip


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_installed_suite_leaves_the_project_around_it_alone(tmp_path: Path, workers: str) -> None:
    """As in a wheel: in an environment inside of a project that has a conftest.py, and options, of its own."""
    root, project = Path(__file__).parents[2], tmp_path / "a project ü"
    site = project / ".venv" / "site-packages"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "refgrad", site / "refgrad", ignore=unwanted)
    shutil.copytree(root / "conformance", site / "refgrad" / "_suite", ignore=unwanted)
    (project / "conftest.py").write_text("raise RuntimeError('somebody else')\n")
    (project / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
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
    done = small(tmp_path, "--family", "softmax", "--dtype", "float64", "--device", "cpu", "--workers", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    found = load(tmp_path / "reports" / "results.jsonl")
    assert found.planned == 1
    assert found.header.families == ("softmax",)
    assert len(found.results) == len({(r.id, r.mode) for r in found.results}) > 0


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "results.jsonl").write_text("the other's\n")
    with alone(tmp_path / "reports"):
        done = small(tmp_path, "--workers", "0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("refgrad: reports: another run writes its results there")
    assert (tmp_path / "reports" / "results.jsonl").read_text() == "the other's\n"


def test_no_file_of_a_run_is_written_over_another_of_it(tmp_path: Path) -> None:
    for more in (["--junit", "reports/results.jsonl"], ["--gitlab", "reports/report.html"], ["--junit", "x", "--gitlab", "x"]):  # fmt: skip
        done = small(tmp_path, "--workers", "0", *more)
        assert done.returncode == 2
        assert f"{more[-1]}: is read or written under this name already" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_reader_the_report_is_written_all_the_same(tmp_path: Path) -> None:
    script = f"{shlex.quote(sys.executable)} -m refgrad.cli {' '.join(SMALL)} --workers 0"
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
    done, found = run(tmp_path, "pass", "--require-device", "xpu")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "xpu was required and is missing" in " ".join(done.stdout.split())
    assert found[-1]["exit"] == 3
    assert sum(line["type"] == "result" for line in found) > 100


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
    env = os.environ | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"
    }  # where refgrad is installed the plugin would be there twice
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    [item] = [line for line in lines if line["type"] == "item"]
    assert item["item"] == "test_nothing"
    assert item["seconds"] >= 0
