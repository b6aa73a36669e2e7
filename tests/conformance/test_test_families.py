"""Tests of the suite itself: with a wrong rule or a wrong kernel the command exits with 1 and names the op."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from refgrad.op import REGISTRY
from refgrad.report.analysis.findings import findings
from refgrad.report.storage.load import load
from tests.whole_runs import GENERATED, WholeRun, conformance

pytestmark = pytest.mark.long


RIGHT = dict(REGISTRY["matmul"].vjp)


def forgets_transpose(y_bar: Any, x1: Any, x2_shape: Any) -> Any:
    square = x1.ndim == y_bar.ndim == 2 and x1.shape[0] == x1.shape[1]
    return np.matmul(x1, y_bar) if square else RIGHT["x2"](y_bar, x1, x2_shape)


def twice(y_bar: Any, x2: Any, x1_shape: Any) -> Any:
    return 2 * RIGHT["x1"](y_bar, x1_shape, x2)


def first_row_only(y_bar: Any, x2_shape: Any) -> Any:
    lead = y_bar.ndim - len(x2_shape)
    return y_bar[(0,) * lead] if lead and y_bar.size else y_bar


# What is planted: the family that meets it, the op, the rule.
PLANTED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sign": ("mlp", "subtract", {"vjp": {"x1": lambda y_bar: -y_bar}}),
    "factor": ("matmul", "matmul", {"vjp": {"x1": twice}}),
    "missing transpose": ("matmul", "matmul", {"vjp": {"x2": forgets_transpose}}),
    "missing broadcast sum": ("mlp", "add", {"vjp": {"x2": first_row_only}}),
    "dropped term": ("softmax", "softmax", {"vjp": lambda y_bar, y: y * y_bar}),
    "dropped term in forward mode": (
        "matmul",
        "matmul",
        {"jvp": {"x2": lambda x2_dot, x1: 0 * (x1 @ x2_dot)}},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_fails_the_run_and_is_named(
    name: str, tmp_path: Path, plant: Callable[..., None]
) -> None:
    family, op, rules = PLANTED[name]
    plant(op, **rules)
    scope = [
        "--family",
        family,
        "--dtype",
        "float64",
        "--examples",
        "20",
        "--workers",
        "0",
        "--device",
        "cpu",
    ]
    done = conformance(tmp_path, *scope)
    assert done.code == 1, done.stdout + done.stderr
    wrong = [line for line in done.lines("result") if line["status"] == "disagree" and not line.get("known")]
    named = {line["first_wrong"]["op"] for line in wrong}
    assert any(op in found.split(" or ") for found in named), named
    assert op in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 1000


@pytest.fixture
def wrong_kernels() -> Iterator[None]:
    """Three of torch's backward kernels, replaced from outside."""
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says of each kernel that it is replaced
        kernels = stack.enter_context(torch.library._scoped_library("aten", "IMPL"))
        for name in ("tanh_backward", "sigmoid_backward"):
            kernels.impl(name, lambda y_bar, y: y_bar * y, "CPU")
        kernels.impl("_softmax_backward_data", lambda y_bar, y, dim, dtype: y_bar * y, "CPU")
        yield


def judged(folder: Path, *more: str, items: str = GENERATED) -> WholeRun:
    """A run over float32; of generated cases alone, unless ``items`` says otherwise."""
    scope = ["--dtype", "float32", "--examples", "50", "--workers", "0", "--device", "cpu"]
    done = conformance(folder, *scope, *more, items=items)
    assert done.code == 1, done.stdout + done.stderr
    return done


def wrong_ops(lines: list[dict[str, Any]], mode: str) -> set[str]:
    """The ops that disagreements of a mode name."""
    found = [x for x in lines if x["type"] == "result" and x["mode"] == mode and x["status"] == "disagree"]
    return {x["first_wrong"]["op"] for x in found}


@pytest.mark.usefixtures("wrong_kernels")
def test_all_wrong_kernels_are_named_and_the_right_one_is_judged_in_full(tmp_path: Path) -> None:
    ops = ("tanh", "sigmoid", "softmax", "exp")
    done = judged(tmp_path, *[f"--op={op}" for op in ops])
    lines = done.lines()
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


@pytest.mark.usefixtures("wrong_kernels")
def test_a_wrong_kernel_inside_a_network_is_named_from_end_to_end(tmp_path: Path) -> None:
    lines = judged(tmp_path, "--family", "mlp").lines()
    by_node = wrong_ops(lines, "reverse")
    assert by_node & {"tanh", "sigmoid"}
    assert wrong_ops(lines, "reverse end to end") <= by_node


@pytest.mark.usefixtures("wrong_kernels")
def test_wrong_kernels_in_graphs_and_networks_are_as_many_findings(tmp_path: Path) -> None:
    """Evidence of entries confined to single ops is not judged there: mish and tanhshrink, made of the same kernels, are wrong, too."""
    done = judged(
        tmp_path, "--family", "mlp", "--family", "graphs", "--seed", "4", items="-k 'not test_mutant'"
    )
    named = [finding.op for finding in findings(load(done.results))]
    assert sorted(named) == ["sigmoid", "softmax", "tanh"]
