"""The comparison of backends on a terminal: 80 columns, all that differs, who agrees last."""

from __future__ import annotations

import pytest

from refgrad.report.analysis.backend_comparison import compare_backends
from refgrad.report.storage.load import load
from refgrad.report.terminal_backends import MOST, WIDTH, backends_table

A, B = "a" * 16, "b" * 16


@pytest.fixture
def table(make, save):
    """A function of lines by backend: the table of their comparison."""

    def made(color=False, head=None, **lines):
        runs = {
            name: load(
                save([make.header(backend=name, beside=list(lines), **head or {}), *mine], f"{name}.jsonl")
            )
            for name, mine in lines.items()
        }
        return backends_table(
            compare_backends(runs), {name: f"/out/{name}/report.html" for name in lines}, color
        )

    return made


def test_ops_backends_and_the_sentence(make, table) -> None:
    text = table(torch=[make.result(A), make.result(B)], jax=[make.wrong(A), make.result(B)])
    lines = text.splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    assert lines[0].split() == [
        "backend",
        "release",
        "exit",
        "cases",
        "wrong",
        "error",
        "known",
        "impr.",
        "open",
    ]
    assert [line.split()[0:1] for line in lines[1:3]] == [["torch"], ["jax"]]
    assert next(line for line in lines if line.startswith("tanh")).split() == ["tanh", "●", ".41", "✗", "1/2"]
    assert "report of jax: /out/jax/report.html" in lines
    assert "exit 1: Of 2 cases that all backends judged: jax disagrees in 1;" in text
    assert "\x1b" not in text
    assert "\x1b[1;31mexit 1" in table(color=True, torch=[make.result(A)], jax=[make.wrong(A)])


def test_left_out_ops_and_many_of_everything(make, table) -> None:
    ids = {f"{k:016x}": f"op{k}" for k in range(MOST + 5)}
    many = {f"backend{k}": [make.wrong(case, op) for case, op in ids.items()] for k in range(9)}
    text = table(head={"left_out": {"erf": "backend1"}}, **many)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert "left out  1, for want of them in backend1: erf" in text
    assert "... and 5 more ops, which the page shows" in text
    assert "... and 4 more backends, which the page shows" in text
