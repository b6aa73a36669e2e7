"""The backend of docs/extend/backend.md, one file, judged by the whole command: its bug is found, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refgrad.backends import Backend
from refgrad.bounds.profiles import CPU
from refgrad.errors import DeviceMissingError
from refgrad.graph import Graph
from refgrad.modes import FORWARD_END_TO_END, REVERSE_END_TO_END, VALUE
from refgrad.report.storage.load import load
from refgrad.testing import Case, judge
from tests.backends.toy import FILE, MENDED, ROOT, toy_class


@pytest.fixture
def toy() -> Backend:
    """The backend of the page, without its bug."""
    return toy_class()()


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "refgrad.cli", *more]
    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "REFGRAD_PYTEST_ADDOPTS": "-k test_family"}
    return subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )


def judged(folder: Path, text: str, *more: str, workers: int = 0) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, what was printed, and the results of a run of the command on the file."""
    (folder / "toy.py").write_text(text)
    done = run(
        folder, "conformance", "--backend", "toy:Toy", "--dtype", "float32", "--dtype", "float64", "--examples", "40",
        "--workers", str(workers), "--out", "out", *more,
    )  # fmt: skip
    file = folder / "out" / "results.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return done.returncode, done.stdout + done.stderr, lines


@pytest.mark.long
def test_the_bug_of_a_backend_is_found_and_named(tmp_path: Path) -> None:
    assert MENDED != FILE
    code, printed, lines = judged(tmp_path, FILE, "--family", "ops", workers=1)
    assert code == 1, printed
    results = [x for x in lines if x["type"] == "result"]
    wrong = {(x["mode"], x["first_wrong"]["op"]) for x in results if x["status"] == "disagree"}
    assert {("reverse", "tanh"), ("forward", "tanh")} <= wrong
    assert {op for _, op in wrong} == {"tanh"}
    assert {x["status"] for x in results if "tanh" not in x["ops"] and x["ops"]} <= {"agree", "undecided"}
    head = load(tmp_path / "out" / "results.jsonl").header
    assert (head.backend, head.release) == ("toy", np.__version__)
    assert head.calls == {"value": "call", "reverse": "back", "forward": "push"}
    [found, *_] = [x["id"] for x in results if x["status"] == "disagree"]
    again = run(tmp_path, "repro", "out/results.jsonl", "--id", found, "--backend", "toy:Toy")
    assert again.returncode == 1, again.stderr
    assert "disagree" in again.stdout
    unnamed = run(tmp_path, "repro", "out/results.jsonl", "--id", found)
    assert unnamed.returncode == 2
    assert "the backend that was judged is 'toy'" in unnamed.stderr
    script = next(x["script"] for x in results if x["status"] == "disagree")
    (tmp_path / "failure.py").write_text(script)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    alone = subprocess.run(
        [sys.executable, "failure.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert alone.returncode == 1, alone.stderr
    assert "disagree" in alone.stdout


@pytest.mark.long
def test_a_right_backend_agrees_and_cases_have_its_ops_alone(tmp_path: Path) -> None:
    code, printed, lines = judged(tmp_path, MENDED, "--family", "ops", "--family", "graphs")
    assert code == 0, printed
    results = [x for x in lines if x["type"] == "result"]
    assert {x["family"] for x in results} == {"ops", "graphs"}
    assert sum(x["status"] == "agree" for x in results) > len(results) / 2
    assert {x["status"] for x in results} <= {"agree", "undecided", "imprecise"}
    # 1 - y^2 loses digits near 1
    assert {x["first_wrong"]["op"] for x in results if x["status"] == "imprecise"} <= {"tanh"}


def test_a_family_of_ops_that_a_backend_lacks_is_refused(tmp_path: Path) -> None:
    code, printed, lines = judged(tmp_path, MENDED, "--family", "ops", "--family", "mlp")
    assert (code, lines) == (2, [])
    assert "toy lacks the ops of the families mlp" in printed


def test_the_textbook_is_torch_s(tmp_path: Path) -> None:
    code, printed, lines = judged(tmp_path, MENDED, "--family", "textbook")
    assert (code, lines) == (2, [])
    assert "written for torch, not for toy" in printed


def test_a_device_that_a_backend_does_not_know_is_missing(toy: Backend) -> None:
    assert toy.devices() == ["cpu"]
    with pytest.raises(DeviceMissingError, match="toy knows the devices cpu; got 'cuda'"):
        toy.computes("float32", "cuda")


def a_case(dtype: str = "float32") -> Case:
    x = np.array([0.5, -1.0, 2.0], dtype)
    return Case("made", Graph.record(lambda x: np.tanh(np.sin(x)), x), {"x": x}, {"x": x}, x, dtype)


def test_the_promise_of_a_backend_is_the_bound(toy: Backend) -> None:
    """tanh(sin(0.5)) is 0.45, where a float32 number has a neighbour in 0.56 of the distance that 1 ULP bounds for it."""
    case = a_case()
    seen = toy.judged(case)
    y = np.asarray(seen.values[2], np.float32)
    for _ in range(6):  # 3.4 ULP in the sense of the bounds: torch promises 2.5, the toy 4
        y[0] = np.nextafter(y[0], np.float32(np.inf))
    seen.values[2] = y.astype(float)
    assert {v.mode: v.status for v in judge(case, seen)}["value"] == "agree"
    torch = replace(seen, profile=CPU)
    assert {v.mode: v.status for v in judge(case, torch)}["value"] == "disagree"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process")  # it has threads
@pytest.mark.parametrize("end", [lambda seen: seen, lambda seen: 1 / 0])
def test_a_copy_of_the_process_that_a_kernel_makes_does_not_come_back(
    toy: Backend, monkeypatch: pytest.MonkeyPatch, end: Any
) -> None:
    right, children = toy.observe, []

    def forking(case: Case) -> Any:
        seen = right(case)
        children.append(os.fork())
        return seen if children[-1] else end(seen)

    monkeypatch.setattr(toy, "observe", forking)
    here = os.getpid()
    try:
        toy.judged(a_case())
    finally:
        if os.getpid() != here:  # without the guard the copy would go on with all tests
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 1


def test_a_fused_backend_is_judged_from_end_to_end(toy: Backend) -> None:
    case = a_case()
    seen = toy.judged(case)
    assert seen.profile is not None
    seen.values[1] = seen.values[1] + 1e-3  # the value that is reported is not the one that was used
    assert {v.mode: v.status for v in judge(case, seen)}["value"] == "disagree"
    fused = replace(seen, profile=replace(seen.profile, fused=True))
    verdicts = {v.mode: v.status for v in judge(case, fused)}
    assert verdicts == {VALUE: "agree", REVERSE_END_TO_END: "agree", FORWARD_END_TO_END: "agree"}
    fused.cotangents[0] = fused.cotangents[0] * 1.001
    assert {v.mode: v.status for v in judge(case, fused)}[REVERSE_END_TO_END] == "disagree"
