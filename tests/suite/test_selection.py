"""``--last-failed`` judges the failures of the last run, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.errors import ArgumentError
from refgrad.records import Header
from refgrad.report.storage.details import each_result
from refgrad.report.storage.load import load
from refgrad.suite.selection import check_repeats

pytest.importorskip("torch")

BACKEND = """
import os
from refgrad.torch.backend import TorchBackend

class Faulty(TorchBackend):
    def observe(self, case):
        if case.family == "softmax" and int(case.id, 16) % 3 == 0 and not os.environ.get("MENDED"):
            raise RuntimeError("planted")
        return super().observe(case)
"""


@pytest.fixture
def conformance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The command in this process, on a backend with a fault in a third of the cases of softmax; returns the exit code."""
    from refgrad.cli import main

    (tmp_path / "faulty_backend.py").write_text(BACKEND)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k 'test_family or test_case'")

    def run(*more: str) -> int:
        return main(
            [
                "conformance",
                "--backend",
                "faulty_backend:Faulty",
                "--workers",
                "0",
                "--out",
                str(tmp_path / "out"),
                *more,
            ]
        )

    return run


SMALL = (
    "--family",
    "softmax",
    "--family",
    "matmul",
    "--dtype",
    "float64",
    "--device",
    "cpu",
    "--examples",
    "12",
)


def test_the_failures_are_judged_until_there_are_none(
    tmp_path: Path, conformance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out" / "results.jsonl"
    assert conformance("--last-failed") == 2
    assert "neither" in capsys.readouterr().err
    assert conformance(*SMALL) == 1
    failed = {r.id for r in load(path).results if r.failed}
    assert failed
    assert conformance("--last-failed") == 1
    again = load(path)
    assert {r.id for r in each_result(again)} == {r.id for r in again.results if r.failed} == failed
    monkeypatch.setenv("MENDED", "1")
    assert conformance("--last-failed") == 0
    mended = load(path)
    assert {r.id for r in each_result(mended)} == failed
    assert {i.item for i in mended.items} == {f"test_case[{case}]" for case in failed}
    assert not mended.partial
    assert sum(a.caught for a in mended.audits) > 0
    capsys.readouterr()
    assert conformance("--last-failed") == 2
    assert f"no failure in {path}" in capsys.readouterr().err
    assert conformance("--last-failed", "--examples", "5") == 2
    assert "leave out --resume" in capsys.readouterr().err


def test_after_so_many_failures_no_item_begins(
    tmp_path: Path, conformance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        conformance(
            "--family",
            "softmax",
            "--dtype",
            "float64",
            "--device",
            "cpu",
            "--examples",
            "150",
            "--max-failures",
            "1",
        )
        == 1
    )
    found = load(tmp_path / "out" / "results.jsonl")
    assert len(found.unfinished) == 2
    assert found.end is not None
    out = capsys.readouterr().out
    assert "Partial: the run ended before all was judged" in out
    assert "result=fail exit=1 " in out.splitlines()[-1]
    assert "unfinished=2 " in out.splitlines()[-1]


def test_failures_are_repeated_on_the_backend_that_had_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that leaves out --replace would judge torch, agree, and overwrite the failures."""
    from refgrad.cli import main

    wrong, right = "def wrong(x): return torch.tanh(x) * 1.01", "def right(x): return torch.tanh(x)"
    (tmp_path / "kernels_of_mine.py").write_text(f"import torch\n{wrong}\n{right}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k 'test_family or test_case'")
    usual = ["conformance", "--workers", "0", "--device", "cpu", "--out", str(tmp_path / "out")]
    small = ["--family", "ops", "--dtype", "float64", "--examples", "3"]
    replaced = ["--replace", "tanh=kernels_of_mine:wrong"]
    assert main([*usual, *replaced, *small]) == 1
    path = tmp_path / "out" / "results.jsonl"
    written = path.read_bytes()
    capsys.readouterr()
    assert main([*usual, "--last-failed"]) == 2
    said = capsys.readouterr().err
    assert "'torch?replace=tanh=kernels_of_mine:wrong', and this one is to judge 'torch'" in said
    assert "Repeat the options of that run (refgrad" in said
    assert path.read_bytes() == written
    assert main([*usual, "--last-failed", *replaced]) == 1
    assert load(path).header.ops == ("tanh",)
    assert main([*usual, "--last-failed", "--replace", "tanh=kernels_of_mine:right"]) == 0


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("torch?replace=exp=a:b", "torch", False),
        ("torch", "torch?replace=exp=a:b", False),
        ("torch?replace=exp=a:b", "torch?replace=exp=c:d", True),
        ("torch?replace=exp=a:b", "torch?replace=log=a:b", False),
        ("torch?load=a", "torch", False),
        ("torch?rounding=/a.toml", "torch?rounding=/b.toml", False),
        ("mine:Backend", "torch", False),
        ("mine:Backend", "yours:Backend", True),
        ("jax=/one/python", "jax=/another/python", True),
        ("", "torch?load=a", True),
        ("run a worker.py?x=1", "run a worker.py?x=2", True),
        (f"torch?load={'a' * 1000}"[:999] + "…", f"torch?load={'a' * 1000}", True),
        (f"torch?load={'a' * 1000}"[:999] + "…", f"torch?load={'b' * 1000}", False),
    ],
)
def test_an_address_is_compared_with_that_of_the_last_run(before: str, now: str, *, same: bool) -> None:
    from types import SimpleNamespace

    head = Header("1", "now", ("refgrad",), backend="torch", address=before)
    backend = SimpleNamespace(name="torch", address=now)
    if same:
        check_repeats(head, backend, (), ())  # type: ignore[arg-type]
    else:
        with pytest.raises(ArgumentError, match="judged on something else"):
            check_repeats(head, backend, (), ())  # type: ignore[arg-type]


@pytest.mark.parametrize(("asked", "option"), [((("cuda",), ()), "device"), (((), ("float32",)), "dtype")])
def test_failures_are_repeated_where_they_were_seen(asked: tuple[tuple[str, ...], ...], option: str) -> None:
    from types import SimpleNamespace

    head = Header(
        "1", "now", ("refgrad",), backend="torch", address="torch", devices=("cpu",), dtypes=("float64",)
    )
    backend = SimpleNamespace(name="torch", address="torch")
    check_repeats(head, backend, ("cpu",), ("float64",))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=f"leave --{option} out"):
        check_repeats(head, backend, *asked)  # type: ignore[arg-type]
