"""The list of what torch refuses is what the torch at hand refuses, and a run holds it against the list."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from conformance import support
from conformance.families import family
from refgrad import backends
from refgrad.backends import Backend
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.expected_refusals import Refusal, load, release
from refgrad.torch.devices import VERSION
from tests.whole_runs import WholeRun, conformance

TORCH = backends.load("torch")
SOME = ("heaviside", "hardsigmoid", "tanh")


def some(_: Backend, device: str) -> Iterator[Case]:
    for dtype in ("float64", "bfloat16"):
        for op in SOME:
            for k in range(3):
                yield family("ops", (op,))(Seeded((k,)), dtype).on(device)


def test_the_list_names_what_torch_refuses_and_nothing_else() -> None:
    listed = load(support.LIST, VERSION)
    found: set[Refusal] = set().union(*(support.refusals(TORCH, case) for case in some(TORCH, "cpu")))
    assert {place.op for place in found} >= {"heaviside"}
    expected = {
        place
        for place in listed.refusals
        if place.op in SOME
        and place.device == "cpu"
        and place.dtype in {"float64", "bfloat16"}
        and listed.expects(place.op, place.mode, place.dtype, "cpu")
    }
    if release(VERSION) in listed.recorded["cpu"]:
        assert found == expected
    else:  # a release that nobody has recorded: it may have gained support
        assert found <= expected


def test_the_file_is_what_the_command_writes() -> None:
    assert support.text(load(support.LIST, VERSION)) == support.LIST.read_text()


def test_the_command_says_what_differs_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(support, "cases", some)
    path = tmp_path / "unsupported.toml"
    assert support.main(["--list", str(path)]) == 1
    assert not path.exists()
    out = capsys.readouterr().out
    assert f"refused in {release(VERSION)}: heaviside reverse float64 cpu" in out
    assert out.strip().endswith("the list differs")
    assert support.main(["--list", str(path), "--update"]) == 0
    assert support.main(["--list", str(path)]) == 0
    assert load(path, VERSION).expects("heaviside", "reverse", "bfloat16", "cpu")
    assert not load(path, VERSION).expects("tanh", "reverse", "bfloat16", "cpu")


@pytest.fixture
def judged_with(tmp_path: Path) -> Iterator[Callable[..., WholeRun]]:
    """A run in which torch's backward kernel of sigmoid raises."""
    with torch.library._scoped_library("aten", "IMPL") as kernels:

        def run(error: Exception, *options: str) -> WholeRun:
            def broken(*_: Any) -> None:
                raise error

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch says that a kernel is replaced
                kernels.impl("sigmoid_backward", broken, "CPU")
            return conformance(tmp_path, "--dtype", "float64", "--device", "cpu", "--workers", "0", *options)

        yield run


@pytest.mark.long
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "RuntimeError: CUDA error"),
        (IndexError("out of reach"), "IndexError: out of reach"),
        (
            RuntimeError("derivative for aten::sigmoid is not implemented"),
            "lost support: RuntimeError: derivative",
        ),
    ],
)
def test_a_kernel_that_raises_fails_the_run_and_is_named(
    error: Exception, reason: str, judged_with: Callable[..., WholeRun]
) -> None:
    done = judged_with(error, "--op", "sigmoid", "--op", "tanh", "--examples", "10")
    assert done.code == 1, done.stdout + done.stderr
    broken = [line for line in done.lines("result") if line["status"] == "error"]
    assert {line["first_wrong"]["op"] for line in broken} == {"sigmoid"}
    assert {"reverse", "recorded reverse", "functional reverse", "reverse over reverse"} <= {
        line["mode"] for line in broken
    }
    assert all(line["reason"].startswith(reason) for line in broken)
    assert "sigmoid" in done.stdout


@pytest.mark.long
def test_a_kernel_that_raises_in_a_graph_is_named(judged_with: Callable[..., WholeRun]) -> None:
    done = judged_with(RuntimeError("illegal"), "--family", "mlp", "--examples", "30")
    broken = [line for line in done.lines("result") if line["status"] == "error"]
    assert done.code == 1
    assert {line["first_wrong"]["op"] for line in broken} == {"sigmoid"}
    graphs = {line["id"]: line["case"]["graph"] for line in done.lines("case")}
    assert any(len(graphs[line["id"]]["nodes"]) > line["first_wrong"]["node"] + 1 for line in broken)
