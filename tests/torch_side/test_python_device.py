"""A device that a package registers: judged by name after its module was loaded, under the profile that a file states."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from torch.utils import backend_registration

from tests.imports import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
        reason="this release of torch has no devices in Python",
    ),
]
PROFILE = 'device = "pydevice"\nsource = "kernels of the CPU"\n[ulp.float32]\ntanh = 2.5\n'


def run(tmp_path: Path, module: str, *arguments: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Run the command in a process of its own, because a process has one such device. Exit code, output, records."""
    profile = tmp_path / "profile.toml"
    profile.write_text(PROFILE)
    command = [
        sys.executable,
        "-m",
        "refgrad.cli",
        "conformance",
        "--load",
        f"tests.torch_side.{module}",
        "--device",
        "pydevice",
    ]
    command += ["--rounding", str(profile), "--dtype", "float32", "--out", str(tmp_path), *arguments]
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "REFGRAD_PYTEST_ADDOPTS": "-k test_family",
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (tmp_path / "results.jsonl").exists(), done.stderr
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return done.returncode, done.stdout + done.stderr, [json.loads(line) for line in lines]


def test_a_right_device_agrees(tmp_path: Path) -> None:
    code, printed, records = run(
        tmp_path, "python_device", "--family", "mlp", "--examples", "8", "--workers", "0"
    )
    results = [r for r in records if r["type"] == "result"]
    assert {r["device"] for r in results} == {"pydevice"}, printed
    assert not [r for r in results if r["status"] in ("disagree", "error")]
    assert sum(r["elements"] for r in results) > 100
    assert code in (0, 3), printed  # so few cases plant too few errors
    around = records[0]["environment"]
    assert around["loaded modules"] == "tests.torch_side.python_device"
    assert around["stated rounding profiles"] == "pydevice: kernels of the CPU"


def test_a_wrong_kernel_is_named(tmp_path: Path) -> None:
    code, printed, records = run(
        tmp_path, "python_device_with_a_bug", "--op", "tanh", "--examples", "10", "--workers", "1"
    )
    wrong = [r for r in records if r["type"] == "result" and r["status"] == "disagree"]
    assert code == 1, printed
    assert {r["mode"] for r in wrong} >= {"reverse"}
    assert "first wrong at tanh" in " ".join(printed.split())
    assert "value" not in {r["mode"] for r in wrong}  # torch computes the tangent by this kernel, too
