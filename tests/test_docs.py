"""The documentation is true: every block of code runs as a reader would run it, and every link leads somewhere."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import refgrad  # noqa: F401  registers every op
from refgrad.op import REGISTRY

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
NAMES = [p.relative_to(DOCS).as_posix() for p in PAGES]
SHOWN = {"output", "console", "toml", "yaml", "text"}  # blocks that are not Python
DIRECTIVES = {"{run}", "{ops}", "{toctree}", "{eval-rst}"}


def _extension() -> Any:
    """What builds the pages: docs/_ext/blocks.py, which needs no Sphinx."""
    spec = importlib.util.spec_from_file_location("docs_blocks", DOCS / "_ext" / "blocks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ext = _extension()
page = pytest.mark.parametrize("page", PAGES, ids=NAMES)
OUTSIDE = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "reports" / "README.md",
]
prose = pytest.mark.parametrize(
    "page", PAGES + OUTSIDE, ids=[*NAMES, *[p.relative_to(ROOT).as_posix() for p in OUTSIDE]]
)


def test_there_are_pages_and_blocks() -> None:
    kinds = [b.kind for p in PAGES for b in ext.blocks(p.read_text(encoding="utf-8"))]
    assert len(PAGES) > 25
    assert kinds.count("{run}") > 25
    assert kinds.count("python") > 20


@page
def test_kinds_of_blocks_are_known(page: Path) -> None:
    kinds = {b.kind for b in ext.blocks(page.read_text(encoding="utf-8"))}
    assert kinds <= SHOWN | DIRECTIVES | {"python"}


@page
def test_the_python_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(page.read_text(encoding="utf-8"), str(page))


def run(text: str, where: str) -> None:
    """Blocks of a page share their names: those that run at the build among themselves, those that are shown among themselves."""
    names: dict[str, dict[str, Any]] = {kind: {"__name__": "__page__"} for kind in ("{run}", "python")}
    printed = None
    with ext.registry_kept():
        for block in ext.blocks(text):
            if block.kind in names:
                for optional in _imported(block.text) & {"torch", "nox"}:
                    pytest.importorskip(optional)
                printed, _ = ext.execute(block.text, names[block.kind], where, block.line)
            elif block.kind == "output":
                assert printed is not None, "an output follows the Python that prints it"
                same = doctest.OutputChecker().check_output(block.text, printed, doctest.ELLIPSIS)
                assert same, f"{where}:{block.line}: printed\n{printed}"
                printed = None


def test_a_page_that_lies_is_caught() -> None:
    run("```python\nprint(1 + 1)\n```\n\n```output\n2\n```\n", "true")
    with pytest.raises(AssertionError, match="false:6: printed"):
        run("```python\nprint(1 + 1)\n```\n\n```output\n3\n```\n", "false")
    with pytest.raises(NameError, match="x"):
        run("```{run}\n:hide:\nx = 1\n```\n\n```python\nx\n```\n", "of another kind")


def test_what_a_page_registers_is_forgotten() -> None:
    line = "refgrad.op.register('of_a_page', abs, jvp=None, vjp=None, rounding=refgrad.bounds.same)"
    run(f"```python\nimport refgrad\n{line}\nassert 'of_a_page' in refgrad.op.REGISTRY\n```\n", "page")
    assert "of_a_page" not in REGISTRY


def _imported(text: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add("torch" if node.module.startswith("refgrad.torch") else node.module.partition(".")[0])
    return found


@page
def test_data_blocks_can_be_read(page: Path) -> None:
    for block in ext.blocks(page.read_text(encoding="utf-8")):
        if block.kind == "toml":
            tomllib.loads(block.text)
        elif block.kind == "yaml":
            pytest.importorskip("yaml").safe_load(block.text)


@prose
def test_commands_exist(page: Path) -> None:
    """Commands are not run (they install, or take minutes), but refgrad parses them, and sessions, tests and scripts are there."""
    from refgrad.cli import _parser

    sessions = set(
        re.findall(r"^@nox\.session.*\n(?:@.*\n)*def (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    )
    assert {"tests", "conformance", "docs"} <= sessions
    for block in ext.blocks(page.read_text(encoding="utf-8")):
        if block.kind != "console":
            continue
        for line in block.text.splitlines():
            assert line.startswith("$ "), line
            for command in re.split(r"\s(?:&&|\|\|)\s", line[2:]):
                words = [w for w in shlex.split(command, comments=True) if not re.match(r"[A-Z_]+=", w)]
                if words[0] == "refgrad":
                    _parser().parse_args(words[1:])  # SystemExit where an option is unknown
                elif "nox" in words[:3] and "-s" in words:
                    assert words[words.index("-s") + 1].partition("-")[0] in sessions, line
                    if "conformance" in words and "--" in words:
                        _parser().parse_args(["conformance", *words[words.index("--") + 1 :]])
                files = [ROOT / w for w in words if w.startswith("tests/")]
                assert all(f.exists() for f in files), line
                if "-k" in words and all(f.is_file() for f in files):
                    assert any(words[words.index("-k") + 1] in f.read_text() for f in files), line


# --- links ---


def anchors(path: Path) -> set[str]:
    """The headings of a page as links name them."""
    text = ext.FENCE.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#{1,3} (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}


def links(path: Path) -> list[str]:
    """Where the links of a page lead, external ones left out."""
    text = re.sub(r"`[^`\n]*`", "", ext.FENCE.sub("", path.read_text(encoding="utf-8")))
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", t)]


@prose
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(path), f"{page.name}: {link}; the headings are {sorted(anchors(path))}"


def test_every_page_is_reached_from_the_index() -> None:
    listed = {DOCS / "index.md"}
    for index in (DOCS / "index.md", DOCS / "findings" / "index.md"):
        for block in ext.blocks(index.read_text(encoding="utf-8")):
            if block.kind == "{toctree}":
                for name in filter(None, block.text.split("\n")):
                    listed.update(index.parent.glob(f"{name}.md"))
    assert set(PAGES) == listed


def test_the_index_of_findings_calls_each_page_by_its_title() -> None:
    index = DOCS / "findings" / "index.md"
    named = dict(re.findall(r"^- \[(.*)\]\((.*\.md)\)$", index.read_text(encoding="utf-8"), re.MULTILINE))
    pages = {p for p in PAGES if p.parent == index.parent} - {index}
    assert {index.parent / link for link in named.values()} == pages
    for title, link in named.items():
        assert (index.parent / link).read_text(encoding="utf-8").startswith(f"# {title}\n"), link


def test_the_checks_of_links_see_links() -> None:
    assert "textbook.md" in links(DOCS / "index.md")
    assert "differentiate" in anchors(DOCS / "start.md")


# --- the build, where Sphinx is at hand ---


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    for needed in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(needed)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-b",
        "html",
        "--fail-on-warning",
        str(DOCS),
        str(tmp_path / "html"),
    ]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built = (tmp_path / "html" / "textbook.html").read_text(encoding="utf-8")
    assert built.count('class="refgrad-graph"') >= 12
    assert "<math" in built
    table = (tmp_path / "html" / "ops.html").read_text(encoding="utf-8")
    assert all(f">{name}</span>" in table for name in REGISTRY), "the table of ops is whole"
    scripts = re.findall(r'(?:src|href)="(https?:[^"]*)"', built)
    assert not [s for s in scripts if s.endswith((".js", ".css"))], "a page needs no network"
