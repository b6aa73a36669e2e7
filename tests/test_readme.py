"""The README is true: its Python runs whatever is drawn, its commands run, and its pictures are there."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refgrad as rg
from refgrad.backends.shipped import FOLDER, SHIPPED, version
from refgrad.cli import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEMPLATE = FOLDER / "template_worker.py"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ").partition("  #")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("seed", range(8))
def test_the_python_of_the_readme_runs_whatever_is_drawn(
    seed: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda *given: draw(*(given or (seed,))))
    names: dict[str, object] = {}
    statuses = []
    for block in BLOCKS:
        if "torch" in block:
            pytest.importorskip("torch").manual_seed(seed)
        exec(compile(block, str(README), "exec"), names)  # noqa: S102  the point of the test
        if "report" in names:
            statuses.append(names.pop("report").status)  # type: ignore[attr-defined]
    assert statuses == ["agree", "agree"]
    assert capsys.readouterr().out.count(": agree\n") == 2


def test_no_block_of_python_is_overlooked() -> None:
    assert len(BLOCKS) == TEXT.count("```python") == 3
    assert "seed" not in "".join(BLOCKS), "an example that needs a seed depends on what is drawn"


# --- commands ---


def test_the_commands_of_the_readme_are_all_tried() -> None:
    starts = {
        " ".join(shlex.split(command)[:2]) for command in COMMANDS if not command.startswith("python3 ")
    }
    assert starts == {
        "pytest --refgrad-report", *(f"refgrad {name}" for name in ("conformance", "report", "repro", "ops", "deviations")),
    }  # fmt: skip
    assert sum("nox -s" in command for command in COMMANDS) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="the README shows commands of a POSIX shell")
@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python3 ")])
def test_a_command_that_installs_is_a_command(command: str, tmp_path: Path) -> None:
    """Commands that install something run with a python3 that only says how it was called."""
    (tmp_path / "python3").write_text('#!/bin/sh\nprintf "%s\\n" "$*"\n')
    (tmp_path / "python3").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["/bin/sh", "-ec", command], env=env, capture_output=True, text=True, check=True)
    calls = done.stdout.splitlines()
    assert calls == [part.strip().removeprefix("python3 ").replace('"', "") for part in command.split("&&")]
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = re.findall(r"^@nox\.session.*\n(?:@.*\n)*def (\w+)", noxfile, re.MULTILINE)
    for call in calls:
        if session := re.search(r"nox -s (\w+)", call):
            assert session[1] in sessions


def there(word: str) -> str:
    """The backends of a command; the worker of NumPy stands for a framework that is not installed."""
    names = word.split(",")
    return ",".join(str(TEMPLATE) if n in SHIPPED and not version(n) else n for n in names)


def pytest_in_a_process(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


@pytest.mark.long
def test_the_commands_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In order, in one folder, refgrad's in this process. What would take minutes judges one small family.

    `repro` has a recorded disagreement.
    """
    for needed in ("torch", "xdist", "jinja2"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    shutil.copy(ROOT / "conformance" / "deviations" / "det-modes.json", tmp_path / "case.json")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_formula.py").write_text(
        "import numpy as np\nfrom refgrad.testing import check_vjp\n\n\ndef test_formula():\n"
        "    check_vjp(np.sin, lambda y_bar, x: y_bar * np.cos(x), (np.ones(3),))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("REFGRAD_PYTEST_ADDOPTS", "-k test_family")
    for command in COMMANDS:
        name, *arguments = shlex.split(command)
        if name == "python3":
            continue
        if arguments[0] == "conformance":
            several = "--backend" in arguments
            arguments = [there(word) if several else word for word in arguments]
            arguments += ["--examples", "20", "--workers", "0", "--device", "cpu", "--seed", "0"]
            family = "graphs" if several else "softmax"  # NumPy's worker has too few ops for softmax
            arguments += [] if "--op" in arguments else ["--family", family, "--dtype", "float64"]
        code = main(arguments) if name == "refgrad" else pytest_in_a_process(arguments)
        said = capfd.readouterr()
        told = f"{command}\n{said.out}{said.err}"
        assert code == (arguments[0] == "repro"), told  # 1: the case disagrees
        assert said.out, told
        if arguments[0] in {"conformance", "report", "--refgrad-report"}:
            page = tmp_path / "reports" / "report.html"
            assert page.exists(), told
            page.unlink()


def test_the_two_commands_stand_in_it() -> None:
    for session in ("conformance", "tests"):
        assert f"python3 -m pip install nox && python3 -m nox -s {session}" in COMMANDS


# --- pictures ---


def test_the_pictures_have_addresses_that_every_site_can_show() -> None:
    addresses = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    base = "https://raw.githubusercontent.com/refgrad/refgrad/main/"
    assert len(addresses) == 2
    for address in addresses:
        assert address.startswith(base)
        assert (ROOT / address.removeprefix(base).partition("?")[0]).is_file()


def test_the_picture_is_what_draw_makes() -> None:
    code = re.search(r"`(rg\.draw\(.*?\))` draws", TEXT)
    assert code is not None
    picture = ROOT / "docs" / "_static" / "gates.svg"
    assert picture.read_text(encoding="utf-8") == eval(code[1], {"rg": rg})  # noqa: S307  the README's own code
