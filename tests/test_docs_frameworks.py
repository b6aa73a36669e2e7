"""The page of frameworks is true: its table names every backend, and the versions that the sessions install."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from refgrad.backends.registry import BUILT_IN
from refgrad.backends.shipped import SHIPPED, framework_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def rows(text: str, column: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this name, by their first cell without code marks."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    start = next(k for k, row in enumerate(cells) if row[0] == column)
    found: dict[str, list[str]] = {}
    for row in cells[start + 2 :]:
        if len(row) != len(cells[start]):
            break
        found[row[0].strip("`")] = row[1:]
    return found


def test_the_page_of_frameworks_names_every_backend() -> None:
    page = (DOCS / "frameworks.md").read_text(encoding="utf-8")
    assert rows(page, "backend").keys() == {*BUILT_IN, *SHIPPED}


def test_the_page_of_frameworks_states_what_the_sessions_install() -> None:
    page = rows((DOCS / "frameworks.md").read_text(encoding="utf-8"), "backend")
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    [value] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BACKENDS"
    ]
    sessions = {name: pins for name, pins in ast.literal_eval(value).items() if name in SHIPPED}
    assert sessions.keys() == {framework_of(name) for name in SHIPPED}
    for name, (python, requirements) in sessions.items():
        stated = page[name][1]
        wanted = [python, *re.findall(r"==([\d.]*\d)", requirements[0])]
        assert all(part in stated for part in wanted), (
            f"{name}: the page states {stated!r}, the session installs {wanted}"
        )
