"""The code blocks of a page: found, and executed. The documentation is built with this, and tested with it.

A page may hold these blocks:

    {run}      Python that runs when the page is built; what it prints and the value of its last line are shown
    python     Python that is shown; it runs in the tests
    output     what the python block before it prints ("..." stands for anything)
    console    commands, each after "$ "
    toml, yaml, text and so on
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<kind>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """One fenced block: its kind (what stands after the fence), its text without options, its line in the page."""

    kind: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    found = []
    for match in FENCE.finditer(page):
        lines = match["body"].splitlines(keepends=True)
        options = 0
        if match["kind"].startswith("{"):
            while options < len(lines) and lines[options].startswith(":"):
                options += 1
        line = page.count("\n", 0, match.start("body")) + 1 + options
        found.append(Block(match["kind"].strip(), "".join(lines[options:]), line))
    return found


def execute(text: str, names: dict[str, Any], where: str, line: int = 1) -> tuple[str, Any]:
    """Run a block; returns what it printed, and the value of its last line where that is an expression."""
    tree = ast.parse("\n" * (line - 1) + text, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, where, "exec", dont_inherit=True), names)  # noqa: S102 - the point of it
        if last is not None:
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)  # noqa: S307
    return printed.getvalue(), value


@contextlib.contextmanager
def registry_kept() -> Iterator[None]:
    """What a page registers (an op, a function or a format of an example) is forgotten at its end."""
    import refgrad.node  # noqa: F401 - fills the registries before they are kept
    from refgrad.bounds.formats import FORMATS
    from refgrad.op import BY_FUNCTION, BY_METHOD, FUNCTIONS, REGISTRY

    tables: tuple[dict[Any, Any], ...] = (REGISTRY, BY_FUNCTION, BY_METHOD, FUNCTIONS, FORMATS)
    before = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, kept in zip(tables, before, strict=True):
            table.clear()
            table.update(kept)
