"""The README's Python is true: every block runs, in order, as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import refgrad as rg

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_python_of_the_readme_runs(capsys) -> None:
    assert len(BLOCKS) >= 3
    names: dict[str, object] = {}
    for block in BLOCKS:
        if "torch" in block:
            pytest.importorskip("torch")
        exec(compile(block, str(README), "exec"), names)  # noqa: S102  the point of the test
    assert "agree" in capsys.readouterr().out


def test_the_picture_is_what_draw_makes() -> None:
    picture = README.parent / "docs" / "_static" / "gates.svg"
    assert picture.read_text(encoding="utf-8") == rg.draw(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)


def test_the_two_commands_stand_in_it() -> None:
    text = README.read_text(encoding="utf-8")
    for session in ("conformance", "tests"):
        assert f"python3 -m pip install nox && python3 -m nox -s {session}" in text
