"""Faults of code that is not torch's: every failure has a script that runs in a process of its own and exits with 1."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests import forked

ROOT = Path(__file__).parents[2]

# A module that breaks torch when it is imported, in each of the ways in which Python code can.
FAULTY = """
import torch


def softmax(x, dim=None, dtype=None, _stacklevel=3):
    e = torch.exp(x - x.amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True).detach()


class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y)


class Sin(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g * x.cos()


def made_inside():
    class Cos(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.cos()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x.sin()

    return Cos.apply


def raising(x):
    raise ValueError("not today")


torch.nn.functional.softmax = torch.softmax = softmax
torch.tanh, torch.sin, torch.cos = Tanh.apply, Sin.apply, made_inside()
torch.exp2 = lambda x: 1.5 * x.exp2()
torch.sinh = raising
library = torch.library.Library("aten", "IMPL")
library.impl("sigmoid_backward", lambda g, y: g * y, "CPU")
"""

# Judges one case for each op, and leaves the scripts of its failures in a folder, with the status in the name.
DRIVER = """
import sys
from pathlib import Path

import faulty
from conformance.families import family
from refgrad.testing.runs.item import examine
from refgrad.testing.cases.source import Seeded
from refgrad.torch.observe import observe
from refgrad.torch.case_script import script

for op in sys.argv[2:]:
    case = family("ops", {op})(Seeded(1), "float32")
    for v in examine(case, observe):
        if v.failed:
            name = f"{op} {v.status} {v.mode}.py"
            (Path(sys.argv[1]) / name).write_text(script(case, v), encoding="utf-8")
"""
OPS = ("softmax", "tanh", "sin", "cos", "exp2", "sinh", "sigmoid")


def python(folder: Path, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = [str(folder), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return forked.run(script, *arguments, folder=folder, path=path)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "faulty.py").write_text(FAULTY)
    (folder / "driver.py").write_text(DRIVER)
    (folder / "scripts").mkdir()
    done = python(folder, folder / "driver.py", str(folder / "scripts"), *OPS)
    assert done.returncode == 0, done.stderr
    return folder / "scripts"


@pytest.mark.parametrize(
    ("op", "status", "says", "needs_refgrad"),
    [
        ("softmax", "disagree", "softmax(", False), ("tanh", "disagree", "Tanh.apply(", False), ("sin", "disagree", "Sin.apply(", False),
        ("cos", "disagree", "made_inside.<locals>.Cos cannot be imported", True), ("exp2", "disagree", "exp2()", False),
        ("sinh", "error", "raising(", False), ("sigmoid", "disagree", "registers kernels: aten::sigmoid_backward", False),
    ],
)  # fmt: skip
def test_every_failure_has_a_script_that_shows_it(
    scripts: Path, op: str, status: str, says: str, needs_refgrad: bool
) -> None:
    found = sorted(scripts.glob(f"{op} {status} *.py"))
    assert found
    # Nothing of another status.
    assert {p.name for p in found} == {p.name for p in scripts.glob(f"{op} *.py")}
    for path in found:
        text = path.read_text()
        assert says in text
        assert ("from refgrad" in text) == needs_refgrad
        compile(text, path.name, "exec")
    done = python(scripts.parent, found[0])
    assert done.returncode == 1, f"{found[0].name}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    description = {"error": "ValueError: not today"}.get(status, "disagree" if needs_refgrad else "WRONG")
    assert description in done.stdout


def test_what_a_script_imports_stands_at_its_top(scripts: Path) -> None:
    [text, *_] = [p.read_text() for p in sorted(scripts.glob("tanh *.py"))]
    assert "from faulty import Tanh\n" in text
    assert "faulty (faulty.py) is called in the place of functions of torch" in text
    assert "Needs torch and what is imported below" in text
