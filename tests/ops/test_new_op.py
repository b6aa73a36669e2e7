"""An op is added by one file: the record of docs/extend/op.md, put into a copy of the package, is found by tests, suite and tables."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from refgrad.testing.power.graph_mutations import ONE_UNIT

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("refgrad", "conformance", "benchmarks", "tests")
SLOPE = "x_dot * bell(x)"
EVERY = (
    "test_every_op.py",
    "test_elementwise.py",
    "test_elementwise_radius.py",
    "test_slopes.py",
    "test_no_warnings.py",
)
OWN = "error_function and not underflowing"  # a selection of tests by name

# What is compiled comes along, so that no process compiles it again.
UNFINISHED = shutil.ignore_patterns("*.pyc.*")

pytestmark = pytest.mark.long


def record() -> str:
    """The file that the page shows."""
    spec = importlib.util.spec_from_file_location("blocks", ROOT / "docs" / "_ext" / "blocks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    (text,) = [
        b.text
        for b in module.blocks((ROOT / "docs" / "extend" / "op.md").read_text(encoding="utf-8"))
        if "erf = register(" in b.text
    ]
    return str(text)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the new file."""
    folder = tmp_path_factory.mktemp("package")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=UNFINISHED)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "refgrad" / "ops" / "error_function.py").write_text(record(), encoding="utf-8")
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def own_tests(folder: Path, *modules: str) -> subprocess.CompletedProcess[str]:
    return run(
        folder,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n0",
        *[f"tests/ops/{name}" for name in modules],
        "-k",
        OWN,
    )


def judged(folder: Path, out: Path) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code of the suite on the op, its results, and what it printed."""
    scope = ["--family", "ops", "--op", "error_function", "--dtype", "float64", "--device", "cpu"]
    size = ["--examples", "12", "--workers", "0"]  # errors are planted in one case in four
    done = run(folder, "-m", "refgrad.cli", "conformance", *scope, *size, "--out", str(out))
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return done.returncode, [json.loads(line) for line in lines], done.stdout + done.stderr


def test_the_tests_of_every_op_find_it(package: Path) -> None:
    done = own_tests(package, *EVERY)
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.splitlines()[-1].split()[0]) > 40, (
        "the tests of one op, its derivatives and its helper"
    )


def test_the_tables_and_the_command_show_it(package: Path) -> None:
    assert (
        "error_function     x                jvp, vjp     yes"
        in run(package, "-m", "refgrad.cli", "ops").stdout
    )
    code = "from benchmarks.slopes import exact; print([op.name for op in exact.ops()]); print(exact.REGISTRY['error_function'].home)"
    printed = run(package, "-c", code).stdout
    assert "'error_function'" in printed
    assert "refgrad.ops.error_function" in printed


def test_the_suite_draws_it_and_plants_errors_in_it(package: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code, results, printed = judged(package, tmp_path)
    assert code == 0, printed
    assert {op for r in results if r["type"] == "result" and r["family"] == "ops" for op in r["ops"]} == {
        "error_function"
    }
    planted = [r for r in results if r["type"] == "audit" and r["check"] == "single ops"]
    assert sum(r["planted"] for r in planted) > 0
    missed = {r["mutation"] for r in planted if r["caught"] < r["planted"] - r["equivalent"]}
    assert missed <= {ONE_UNIT, "relative 1e-6"}, missed  # a correct kernel may be off by as much


def test_a_wrong_slope_is_caught_by_both(package: Path, tmp_path: Path) -> None:
    file = package / "refgrad" / "ops" / "error_function.py"
    right = file.read_text(encoding="utf-8")
    assert SLOPE in right
    file.write_text(right.replace(SLOPE, "x_dot * bell(x) * 1.0001"), encoding="utf-8")
    try:
        done = own_tests(package, "test_every_op.py")
        assert done.returncode == 1
        assert "test_the_jvp_is_the_derivative[error_function]" in done.stdout
        pytest.importorskip("torch")
        code, results, printed = judged(package, tmp_path)
        assert code == 1, printed
        wrong = {
            r["first_wrong"]["op"] for r in results if r["type"] == "result" and r["status"] == "disagree"
        }
        assert wrong == {"error_function"}
    finally:
        file.write_text(right, encoding="utf-8")
