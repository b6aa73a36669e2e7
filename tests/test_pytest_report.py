"""pytest --refgrad-report in somebody else's project: plain, with workers, with one that crashes, with tests of the testers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from refgrad.pytest_report import UserReport
from refgrad.report.ci.github import commands
from refgrad.report.ci.gitlab import gitlab
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.testing.runs.folder_lock import locked

TESTS = """
import os
import numpy as np
import pytest
from refgrad.errors import GradientMismatch
from refgrad.testing import check_jvp, check_vjp

X = np.linspace(-2, 2, 9)


@pytest.mark.parametrize("k", range(4))
def test_right(k):
    assert check_vjp(np.tanh, lambda y_bar, x: y_bar * (1 - np.tanh(x) ** 2), (X + k,))
    assert check_jvp(np.sin, lambda args, dots: dots[0] * np.cos(args[0]), (X,))


def test_unrelated():
    assert "no gradient here"


def test_that_a_wrong_one_is_caught():
    with pytest.raises(GradientMismatch):
        check_vjp(np.tanh, lambda y_bar, x: y_bar * (1 + np.tanh(x) ** 2), (X,))
"""
WRONG = """

def test_wrong():
    check_vjp(np.exp, lambda y_bar, x: y_bar * (1 + x), (X,))
"""
CRASH = """

def test_crash():
    check_vjp(np.exp, lambda y_bar, x: y_bar * np.exp(x), (X,))
    os.abort()
"""


ENDS = """

def test_that_ends_after_a_wrong_one():
    with pytest.raises(GradientMismatch):
        check_vjp(np.exp, lambda y_bar, x: y_bar * (1 + x), (X,))
    END
"""


def run(folder: Path, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_kernels.py").write_text(text)
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "refgrad.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "-p",
        "xdist.plugin",
        *more,
    ]
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_"))}
    # Where refgrad is installed, pytest knows the plugin by its entry point.
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        command, cwd=folder, env={**environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=900, check=False
    )  # fmt: skip


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "gradients" / "results.jsonl").read_text().splitlines()]


pytestmark = pytest.mark.long


def test_without_its_option_nothing_is_written(tmp_path: Path) -> None:
    assert run(tmp_path, TESTS).returncode == 0
    assert [p.name for p in tmp_path.iterdir() if p.name != "__pycache__"] == ["test_kernels.py"]


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """The folders of two sessions in which all is right, with what they printed: one process, and two workers."""
    sessions = {}
    for name, workers in (("one process", ()), ("two workers", ("-n", "2"))):
        folder = tmp_path_factory.mktemp("green")
        done = run(folder, TESTS, "--refgrad-report", "gradients", *workers)
        assert done.returncode == 0, done.stdout + done.stderr
        sessions[name] = (folder, done.stdout)
    return sessions


@pytest.mark.parametrize("name", ["one process", "two workers"])
def test_right_gradients_leave_a_green_report(green: dict[str, tuple[Path, str]], name: str) -> None:
    folder, printed = green[name]
    found = load(folder / "gradients" / "results.jsonl")
    assert not found.partial
    assert repr(load(folder / "gradients" / "results.jsonl.gz")) == repr(found)
    assert found.planned == 6
    assert found.tally.statuses == {"agree": 8, "known": 1}
    assert {r.op for r in each_result(found)} >= {"check_vjp(tanh, <lambda>)", "check_jvp(sin, <lambda>)"}
    assert {at.family for at in found.tally.cells} == {"test_kernels.py"}
    assert found.tally.elements > 200
    assert len(found.audits) == 8  # kinds of errors
    assert {a.planted for a in found.audits} == {90}
    assert all(a.caught == a.planted - a.equivalent for a in found.audits)
    assert [a.mutation for a in found.audits if not a.caught] == ["transpose"]  # of vectors
    assert "exit 0: Every gradient that was judged agrees" in printed
    page = (folder / "gradients" / "report.html").read_text()
    assert "expected by the test" in page


def test_ids_do_not_depend_on_workers(green: dict[str, tuple[Path, str]]) -> None:
    one, two = (
        set(load(folder / "gradients" / "results.jsonl").tally.cases.ids) for folder, _ in green.values()
    )
    assert one == two
    assert len(one) == 9


def test_a_wrong_gradient_is_a_finding_with_its_test(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS + WRONG, "--refgrad-report", "gradients", "-n", "2")
    assert done.returncode == 1
    [r] = [r for r in load(tmp_path / "gradients" / "results.jsonl").results if r.failed]
    assert r.op == "check_vjp(exp, <lambda>)"
    line = (TESTS + WRONG).splitlines().index("def test_wrong():") + 1
    assert r.where == f"test_kernels.py:{line}"
    assert r.again == "pytest test_kernels.py::test_wrong"
    assert r.worst_elements
    page = (tmp_path / "gradients" / "report.html").read_text()
    assert re.search(r'<code id="repro-[^"]+">pytest test_kernels.py::test_wrong</code>', page)
    found = load(tmp_path / "gradients" / "results.jsonl")
    assert any(f",file=test_kernels.py,line={line}::" in said for said in commands(found))
    assert json.loads(gitlab(found, "x"))[0]["location"] == {
        "path": "test_kernels.py",
        "lines": {"begin": line},
    }


def test_a_crashed_worker_loses_nothing_that_was_judged(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS + CRASH, "--refgrad-report", "gradients", "-n", "2")
    assert done.returncode == 1, done.stdout
    found = load(tmp_path / "gradients" / "results.jsonl")
    assert found.tally.statuses == {"agree": 9, "known": 1}  # the check before the crash, too
    [crash] = found.crashes
    assert crash.item == "test_kernels.py::test_crash"
    assert "crashed while running" in crash.reason
    assert found.unfinished == ("test_kernels.py::test_crash",)
    assert "test_crash" in (tmp_path / "gradients" / "report.html").read_text()


def test_a_session_that_dies_whole_leaves_what_it_had(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS + CRASH, "--refgrad-report", "gradients")
    assert done.returncode < 0
    found = load(tmp_path / "gradients" / "results.jsonl")
    assert found.tally.results == 10
    assert found.partial
    assert found.unfinished == ("test_kernels.py::test_crash",)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize("end", ["os.abort()", "raise KeyboardInterrupt"])
def test_a_disagreement_is_not_lost_with_the_test_that_dies_after_it(
    tmp_path: Path, end: str, workers: tuple[str, ...]
) -> None:
    done = run(tmp_path, TESTS + ENDS.replace("END", end), "--refgrad-report", "gradients", *workers)
    assert done.returncode not in (0, 5), done.stdout + done.stderr
    found = load(tmp_path / "gradients" / "results.jsonl")
    assert found.partial
    assert "test_kernels.py::test_that_ends_after_a_wrong_one" in found.unfinished
    [wrong] = [r for r in found.results if r.status == "disagree"]
    assert wrong.again == "pytest test_kernels.py::test_that_ends_after_a_wrong_one"


SKIPS = """

def test_that_skips_after_a_wrong_one():
    try:
        check_vjp(np.exp, lambda y_bar, x: y_bar * (1 + x), (X,))
    except GradientMismatch:
        pytest.skip("not today")


def test_that_expects_to_fail_after_a_wrong_one():
    try:
        check_vjp(np.exp, lambda y_bar, x: y_bar * (1 + x), (X,))
    except GradientMismatch:
        pytest.xfail("known")


@pytest.mark.xfail
def test_that_is_marked():
    check_vjp(np.exp, lambda y_bar, x: y_bar * (1 + x), (X,))
"""


def test_a_skipped_test_expects_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS + SKIPS, "--refgrad-report", "gradients")
    assert "6 passed, 1 skipped, 2 xfailed" in done.stdout
    assert done.returncode == 1
    assert load(tmp_path / "gradients" / "results.jsonl").tally.statuses == {
        "agree": 8,
        "known": 3,
        "disagree": 1,
    }


THREADS = """
import threading


def start(target):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()


def wrong():
    check_vjp(np.exp, lambda y_bar, x: y_bar * (1 + x), (X,))


def test_that_a_thread_ends_with_a_wrong_one():
    start(wrong)


def test_that_a_thread_catches_a_wrong_one():
    def catch():
        with pytest.raises(GradientMismatch):
            wrong()

    start(catch)


@pytest.fixture
def background():
    yield
    start(wrong)


def test_that_its_fixture_ends_so(background):
    pass
"""


def test_a_disagreement_that_ends_a_thread_is_not_expected(tmp_path: Path) -> None:
    """pytest passes the tests, with a warning."""
    done = run(tmp_path, TESTS + THREADS, "--refgrad-report", "gradients")
    assert "9 passed" in done.stdout
    assert done.returncode == 1
    assert "exit 1: 2 cases disagree" in done.stdout
    assert load(tmp_path / "gradients" / "results.jsonl").tally.statuses == {
        "agree": 8,
        "known": 2,
        "disagree": 2,
    }


def test_after_a_phase_of_a_test_threads_have_their_old_hook() -> None:
    before = threading.excepthook
    phase = UserReport.pytest_runtest_call(UserReport.__new__(UserReport))
    next(phase)
    assert threading.excepthook is not before
    phase.close()
    assert threading.excepthook is before


def test_words_in_a_message_are_no_crash(tmp_path: Path) -> None:
    text = TESTS + "\n\ndef test_words():\n    raise ValueError(\"worker 'gw0' crashed while running 'x'\")\n"
    done = run(tmp_path, text, "--refgrad-report", "gradients", "-n", "2")
    assert done.returncode == 1
    assert load(tmp_path / "gradients" / "results.jsonl").crashes == ()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_file_that_cannot_be_collected_is_named_and_nothing_is_proved_without_it(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n")
    done = run(tmp_path, TESTS, "--refgrad-report", "gradients", "--continue-on-collection-errors", *workers)
    assert done.returncode == 1
    [crash] = load(tmp_path / "gradients" / "results.jsonl").crashes
    assert crash.item == "test_broken.py"
    why = "cannot be collected: ModuleNotFoundError: No module named 'nothing_of_that_name'"
    assert crash.reason == why
    assert "exit 1:" in done.stdout


def test_where_no_test_runs_the_report_of_the_last_run_stays(green: dict[str, tuple[Path, str]]) -> None:
    folder, _ = green["two workers"]

    def files() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in (folder / "gradients").iterdir()}

    before = files()
    for option in ("--collect-only", "--help", "--markers", "--fixtures", "--setup-plan"):
        assert run(folder, TESTS, "--refgrad-report", "gradients", option).returncode == 0, option
        assert files() == before, option


def test_a_folder_that_cannot_be_had_is_wrong_use_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder, why in (("file", "is a file"), ("file/x", "Not a directory"), ("", "an empty one")):
        done = run(tmp_path, TESTS, f"--refgrad-report={folder}")
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert why in done.stderr
        assert "INTERNALERROR" not in done.stdout + done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_two_sessions_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path / "gradients"):
        done = run(tmp_path, TESTS, "--refgrad-report", "gradients")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "another run writes its results there" in done.stderr
    assert list((tmp_path / "gradients").iterdir()) == []


def test_an_odd_project_gets_its_report(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers --strict-config --import-mode=importlib -n 2 -p no:faulthandler "
        "--refgrad-report='a folder ü'\nfilterwarnings = error\nxfail_strict = true\n"
    )
    done = run(tmp_path, TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not load(tmp_path / "a folder ü" / "results.jsonl.gz").partial


def test_a_session_that_judged_nothing_has_not_passed(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS, "--refgrad-report", "gradients", "-k", "unrelated")
    assert done.returncode == 1
    said = "verdict 3, and pytest ends with exit code 1: Nothing was proved: no element was compared."
    assert said in done.stdout
    assert done.returncode == 1


def test_a_test_that_breaks_beside_its_check_is_a_crash_and_one_without_is_not_ours(tmp_path: Path) -> None:
    broken = "\n\ndef test_broken():\n    check_vjp(np.exp, lambda y_bar, x: y_bar * np.exp(x), (X,))\n    raise KeyError('x')\n"
    other = "\n\ndef test_other():\n    raise KeyError('y')\n"
    done = run(tmp_path, TESTS + broken + other, "--refgrad-report", "gradients")
    assert done.returncode == 1
    [crash] = load(tmp_path / "gradients" / "results.jsonl").crashes
    assert (crash.item, crash.reason) == ("test_kernels.py::test_broken", "KeyError: 'x'")


def test_gradcheck_of_torch_is_recorded_with_its_device_and_dtypes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    text = """
import numpy as np, torch
from refgrad.torch import gradcheck

class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)
    @staticmethod
    def backward(ctx, y_bar):
        return y_bar * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)

def test_tanh():
    gradcheck(Tanh.apply, (torch.linspace(-1, 1, 7, requires_grad=True),), reference=np.tanh)
"""
    done = run(tmp_path, text, "--refgrad-report", "gradients", "-W", "ignore")
    assert done.returncode == 0, done.stdout + done.stderr
    found = load(tmp_path / "gradients" / "results.jsonl")
    assert {(at.dtype, at.device) for at in found.tally.cells} == {("float64", "cpu"), ("float32", "cpu")}
    assert {a.dtype for a in found.audits} == {"float64", "float32"}
