"""The script that holds its case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refgrad.graph import Graph, Node
from refgrad.testing.cases.case import Case
from refgrad.testing.runs.fallback_script import fallback

HOSTILE = "it's \"odd\"\n'''; raise SystemExit(7) #\\"


def case_of(name: str) -> Case:
    x = np.array([0.5])
    graph = Graph.record(np.sin, x)
    graph.nodes[0] = Node(name=name)
    return Case("graphs", graph, {name: x}, {name: x}, x, "float64")


@pytest.mark.parametrize("name", ["x", HOSTILE])
def test_it_judges_the_case_that_it_holds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, judged = case_of(name), []
    monkeypatch.setattr("refgrad.cli.main", lambda args: judged.append(Case.load(args[1])) or 1)
    text = fallback(case.id, case.content, HOSTILE, HOSTILE)
    with pytest.raises(SystemExit) as stop:
        exec(compile(text, "script", "exec"), {})  # noqa: S102  the point of the test
    assert stop.value.code == 1
    assert [c.id for c in judged] == [case.id]
    assert all(line.startswith("#") for line in text.partition("import tempfile")[0].splitlines())


def test_modules_that_took_part_are_imported_first() -> None:
    text = fallback("a", "{}", "value, float64 on cpu", "it cannot", ["faulty.kernels"])
    assert text.index("import faulty.kernels\n") < text.index("from refgrad.cli")
    assert "have to be importable" in text


def test_a_plain_interpreter_runs_it(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "script.py"
    case = case_of("x")
    path.write_text(fallback(case.id, case.content, "reverse, float64 on cpu", "a test asks for it"))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr  # torch is right about a sine
    assert case.id in done.stdout
