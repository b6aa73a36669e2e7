"""The test of the testers: a rule planted wrong makes the whole command exit 1 and name the op."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

PLANT = """
import sys
import numpy as np
import refgrad
from refgrad.op import REGISTRY
from refgrad.cli import main

def plant(name, **rules):
    op = REGISTRY[name]
    for field, rule in rules.items():
        given = getattr(op, field)
        object.__setattr__(op, field, {**given, **rule} if isinstance(given, dict) else rule)
    op.__post_init__()

%s
sys.exit(main(["conformance", "--family", %r, "--dtype", "float64", "--examples", "50",
               "--workers", "0", "--device", "cpu", "--out", sys.argv[1]]))
"""

TRANSPOSE = """
right = REGISTRY["matmul"].vjp["x2"]
def forgets_transpose(y_bar, x1, x2_shape):
    square = x1.ndim == y_bar.ndim == 2 and x1.shape[0] == x1.shape[1]
    return np.matmul(x1, y_bar) if square else right(y_bar, x1, x2_shape)
plant("matmul", vjp={"x2": forgets_transpose})
"""
BROADCAST = """
def first_row_only(y_bar, x2_shape):
    lead = y_bar.ndim - len(x2_shape)
    return y_bar[(0,) * lead] if lead and y_bar.size else y_bar
plant("add", vjp={"x2": first_row_only})
"""
PLANTED = {  # what is planted: the op, the code, the family that meets it
    "sign": ("subtract", 'plant("subtract", vjp={"x1": lambda y_bar: -y_bar})', "mlp"),
    "factor": (
        "matmul",
        'plant("matmul", vjp={"x1": lambda y_bar, x2, x1_shape: 2 * right(y_bar, x1_shape, x2)})',
        "matmul",
    ),
    "missing transpose": ("matmul", TRANSPOSE, "matmul"),
    "missing broadcast sum": ("add", BROADCAST, "mlp"),
    "dropped term": ("softmax", 'plant("softmax", vjp=lambda y_bar, y: y * y_bar)', "softmax"),
    "dropped term in forward mode": (
        "matmul",
        'plant("matmul", jvp={"x2": lambda x2_dot, x1: 0 * (x1 @ x2_dot)})',
        "matmul",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_fails_the_run_and_is_named(name: str, tmp_path: Path) -> None:
    op, code, family = PLANTED[name]
    if name == "factor":
        code = 'right = REGISTRY["matmul"].vjp["x1"]\n' + code
    done = subprocess.run(
        [sys.executable, "-c", PLANT % (code, family), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    named = {
        line["first_wrong"]["op"]
        for line in lines
        if line["type"] == "result" and line["status"] == "disagree" and not line["known"]
    }
    assert any(op in found.split(" or ") for found in named), named
    assert op in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 1000


KERNELS = """
import sys, warnings
import torch
from refgrad.cli import main

warnings.simplefilter("ignore")
kernels = torch.library.Library("aten", "IMPL")
for name in ("tanh_backward", "sigmoid_backward"):
    kernels.impl(name, lambda y_bar, y: y_bar * y, "CPU")
kernels.impl("_softmax_backward_data", lambda y_bar, y, dim, dtype: y_bar * y, "CPU")
sys.exit(main(["conformance", "--dtype", "float32", "--examples", "50", "--workers", "0", "--device", "cpu", *sys.argv[1:]]))
"""


def with_wrong_kernels(
    folder: Path, *more: str, everything: bool = False
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """A run in which three of torch's backward kernels are replaced from outside; of generated cases alone, or with ``everything``."""
    env = {**os.environ, "REFGRAD_PYTEST_ADDOPTS": "" if everything else "-k test_family"}
    done = subprocess.run(
        [sys.executable, "-c", KERNELS, "--out", str(folder), *more], capture_output=True, text=True, timeout=900, check=False, env=env
    )  # fmt: skip
    return done, [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def wrong_ops(lines: list[dict[str, Any]], mode: str) -> set[str]:
    """The ops that disagreements of a mode name."""
    found = [x for x in lines if x["type"] == "result" and x["mode"] == mode and x["status"] == "disagree"]
    return {x["first_wrong"]["op"] for x in found}


def test_all_wrong_kernels_are_named_and_the_right_one_is_judged_in_full(tmp_path: Path) -> None:
    ops = ("tanh", "sigmoid", "softmax", "exp")
    done, lines = with_wrong_kernels(tmp_path, *[f"--op={op}" for op in ops])
    assert done.returncode == 1, done.stdout + done.stderr
    assert wrong_ops(lines, "reverse") == {"tanh", "sigmoid", "softmax"}
    results = [x for x in lines if x["type"] == "result" and not x.get("shrunk")]
    drawn = {x["id"]: set(x["ops"]) for x in results if x["mode"] == "reverse"}
    assert len(drawn) == 50
    right = [x for x in results if x["mode"] == "reverse" and "exp" in x["ops"]]
    assert len(right) == sum("exp" in ops for ops in drawn.values()) > 5
    assert {x["status"] for x in right if x["elements"]} == {"agree"}
    items = [x for x in lines if x["type"] == "item"]
    assert [(x["judged"], x["unjudged"]) for x in items] == [(50, 0)]
    assert sum(x["shrunk"] + x["unshrunk"] for x in items) >= 3
    assert "50 of 50 cases judged" in done.stderr


def test_a_wrong_kernel_inside_a_network_is_named_from_end_to_end(tmp_path: Path) -> None:
    done, lines = with_wrong_kernels(tmp_path, "--family", "mlp")
    assert done.returncode == 1, done.stdout + done.stderr
    by_node = wrong_ops(lines, "reverse")
    assert by_node & {"tanh", "sigmoid"}
    assert wrong_ops(lines, "reverse end to end") <= by_node


def test_wrong_kernels_in_graphs_and_networks_are_as_many_findings(tmp_path: Path) -> None:
    """Evidence of entries confined to single ops is not judged there: mish and tanhshrink, made of the same kernels, are wrong, too."""
    from refgrad.report.analysis.findings import findings
    from refgrad.report.storage.load import load

    done, _ = with_wrong_kernels(tmp_path, "--family", "mlp", "--family", "graphs", everything=True)
    assert done.returncode == 1, done.stdout + done.stderr
    named = [finding.op for finding in findings(load(tmp_path / "results.jsonl"))]
    assert sorted(named) == ["sigmoid", "tanh"]  # softmax is drawn by neither
