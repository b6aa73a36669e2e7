"""The script of a wrong formula runs with NumPy alone, and shows what check_vjp and check_jvp found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refgrad.testing.checks.check import check_jvp, check_vjp
from refgrad.testing.checks.formula_script import formula_script
from refgrad.testing.checks.script_text import run

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((3, 4)), RNG.standard_normal(4)
HALF = 0.5


def f(x, w, n):
    return (x * w) ** n


def halved(y_bar, x, w, n):
    slope = HALF * n * (x * w) ** (n - 1)
    return y_bar * slope * w, np.sum(y_bar * slope * x, axis=0) / HALF, None


def right(y_bar, x, w, n):
    slope = n * (x * w) ** (n - 1)
    return y_bar * slope * w, np.sum(y_bar * slope * x, axis=0), None


def pushed(args, tangents):
    x, w, n = args
    return n * (x * w) ** (n - 1) * (tangents[0] * w - tangents[1] * x)


def scripted(check, formula, args, **more):
    report = check(f, formula, args, raise_exception=False, **more)
    report.script = formula_script(formula, report.name, args)
    return report


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("check", "formula"), [(check_vjp, halved), (check_jvp, pushed)])
def test_a_wrong_formula_is_shown_with_numpy_alone(check, formula, dtype: str, tmp_path: Path) -> None:
    report = scripted(check, formula, (X, W, 3), dtype=dtype)
    text = report.repro()
    assert run(text)[0] == 1
    assert text.startswith(f"# {report.name}: ")
    path = tmp_path / "script.py"
    head, future, rest = text.partition("from __future__ import annotations\n")
    path.write_text(f"{head}{future}import sys\nsys.modules['refgrad'] = None\n{rest}", encoding="utf-8")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "WRONG" in done.stdout


def test_the_script_of_a_right_formula_says_so() -> None:
    report = scripted(check_vjp, halved, (X, W, 3))
    report.script = formula_script(right, report.name, (X, W, 3))
    assert report.repro().startswith(
        "# When it was written, this script did not show the disagreement: it exits with 0."
    )


def test_a_single_argument_and_large_arrays() -> None:
    x = RNG.standard_normal(300)
    formula = lambda y_bar, x: -y_bar * np.cos(x)  # noqa: E731
    report = check_vjp(np.sin, formula, (x,), raise_exception=False)
    report.script = formula_script(formula, report.name, (x,))
    assert "the opposite sign" in report.summary()
    assert run(report.repro())[0] == 1


def test_nested_arguments_are_named() -> None:
    formula = lambda y_bar, p: {"w": -y_bar}  # noqa: E731
    args = ({"w": W},)
    report = check_vjp(lambda p: p["w"], formula, args, raise_exception=False)
    report.script = formula_script(formula, report.name, args)
    assert "containers of arrays are not written" in report.repro()
