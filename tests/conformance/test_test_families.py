"""The test of the testers: a rule planted wrong makes the whole command exit 1 and name the op."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

PLANT = """
import sys
import numpy as np
import refgrad
from refgrad.op import REGISTRY, Op, Signature
from refgrad.cli import main

def plant(name, **rules):
    op = REGISTRY[name]
    for field, rule in rules.items():
        given = getattr(op, field)
        object.__setattr__(op, field, {**given, **rule} if isinstance(given, dict) else rule)
    object.__setattr__(op, "signature", Signature.of(op))

%s
sys.exit(main(["conformance", "--family", %r, "--dtype", "float64", "--examples", "150", "--workers", "1", "--device", "cpu", "--out", sys.argv[1]]))
"""

PLANTED = {
    "sign": ("subtract", 'plant("subtract", vjp={"x2": lambda y_bar: y_bar})', "graphs"),
    "factor": ("tanh", 'plant("tanh", vjp=lambda y_bar, y: 2 * y_bar * (1 - y * y))', "graphs"),
    "missing transpose": ("matmul", 'plant("matmul", vjp={"x2": lambda y_bar, x1, x2: np.matmul(x1, y_bar) if x1.shape == x1.shape[::-1] and x1.ndim == y_bar.ndim == 2 else REGISTRY_VJP(y_bar, x1, x2)})', "matmul"),
    "missing broadcast sum": (
        "add",
        'plant("add", vjp={"x2": lambda y_bar, x2_shape: y_bar if y_bar.shape == x2_shape else '
        "np.reshape(y_bar[(0,) * (y_bar.ndim - len(x2_shape))], (-1,))[: int(np.prod(x2_shape))].reshape(x2_shape) if y_bar.size else y_bar})",
        "mlp",
    ),
    "dropped term": ("softmax", 'plant("softmax", vjp=lambda y_bar, y: y * y_bar)', "softmax"),
    "dropped term in forward mode": ("multiply", 'plant("multiply", jvp={"x2": lambda x2_dot, x1: 0 * x1 * x2_dot})', "graphs"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_fails_the_run_and_is_named(name: str, tmp_path: Path) -> None:
    op, code, family = PLANTED[name]
    if "REGISTRY_VJP" in code:
        code = 'REGISTRY_VJP = REGISTRY["matmul"].vjp["x2"]\n' + code
    done = subprocess.run([sys.executable, "-c", PLANT % (code, family), str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    named = {line["first_wrong"]["op"] for line in lines if line["type"] == "result" and line["status"] == "disagree" and not line["known"]}
    assert any(op in found.split(" or ") for found in named), named
    assert op in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 1000
