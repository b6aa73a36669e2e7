"""The imports of refgrad and conformance as data: which module imports which, where, and in what kind of statement."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Import:
    """``importer`` imports ``target`` (dotted), at the top of the file, inside a function, or for type checkers alone."""

    importer: str
    target: str
    line: int
    lazy: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}{' inside a function' if self.lazy else ''}"


def sources(folder: str) -> list[Path]:
    """The modules in a folder. Workers are scripts of other Pythons: they import no module of refgrad (tests/backends/test_worker.py)."""
    return sorted(
        p
        for p in (ROOT / folder).rglob("*.py")
        if not {"__pycache__", "workers"} & {*p.relative_to(ROOT).parts}
    )


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def modules() -> frozenset[str]:
    return frozenset(module_name(p) for folder in ("refgrad", "conformance") for p in sources(folder))


def imports_of(importer: str, text: str, package: str, known: Collection[str] | None = None) -> list[Import]:
    """The imports of a module of this text. ``package`` holds it; ``known`` are the modules that there are."""
    found: list[Import] = []
    known = modules() if known is None else known

    def visit(node: ast.AST, lazy: bool, typing_only: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                targets = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                base = ".".join([*above, *([child.module] if child.module else [])])
                targets = [f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in child.names]
            else:
                inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                visit(child, lazy or inside, typing_only or guarded)
                continue
            found.extend(Import(importer, t, child.lineno, lazy, typing_only) for t in dict.fromkeys(targets))

    visit(ast.parse(text), lazy=False, typing_only=False)
    return found


@functools.cache
def all_imports() -> tuple[Import, ...]:
    files = [p for folder in ("refgrad", "conformance") for p in sources(folder)]
    return tuple(
        i
        for p in files
        for i in imports_of(module_name(p), p.read_text(), ".".join(p.relative_to(ROOT).parent.parts))
    )


def edges_of(imports: Iterable[Import], known: Collection[str] | None = None) -> dict[str, set[str]]:
    """What each module imports, of whatever kind the import is."""
    edges: dict[str, set[str]] = {m: set() for m in (modules() if known is None else known)}
    for i in imports:
        if i.target in edges and i.target != i.importer:
            edges[i.importer].add(i.target)
    return edges


def reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    """The modules that importing ``start`` may lead to."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in edges[waiting.pop()] - seen:
            seen.add(target)
            waiting.append(target)
    return seen


def modules_in_circles(edges: dict[str, set[str]]) -> list[str]:
    """The modules that reach themselves."""
    return sorted(m for m in edges if m in reachable(m, edges))
