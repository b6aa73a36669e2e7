"""The documentation is true: every block of code runs as a reader would run it, and every link leads somewhere."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refgrad
from refgrad.backends.shipped import SHIPPED, framework_of
from refgrad.bounds.formats import FORMATS
from refgrad.errors import CaseFileError
from refgrad.op import REGISTRY
from refgrad.records import Header, encoded
from refgrad.testing import check_vjp
from refgrad.testing.cases.case import Case

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
NAMES = [p.relative_to(DOCS).as_posix() for p in PAGES]
SHOWN = {"output", "console", "toml", "yaml", "text", "json"}  # blocks that are not Python
FRAMEWORKS = {framework_of(name) for name in SHIPPED}  # a page about one has a script that needs it alone
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
    ROOT / "SECURITY.md",
    ROOT / "changes" / "README.md",
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
                if _imported(block.text) & FRAMEWORKS:
                    pytest.skip("tests/conformance/test_backends.py runs it with its framework")
                for optional in _imported(block.text) & {"torch", "nox"}:
                    pytest.importorskip(optional)
                if "torch.compile(" in block.text and not any(map(shutil.which, ("g++", "c++", "clang++"))):
                    pytest.skip("torch.compile needs a C++ compiler")
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
    line = "declare('format_of_a_page', bits=3, exponent=-2, computed=False)"
    run(
        f"```python\nfrom refgrad.bounds.formats import FORMATS, declare\n{line}\nassert 'format_of_a_page' in FORMATS\n```\n",
        "page",
    )
    assert "format_of_a_page" not in FORMATS


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
        re.findall(
            r"^ *@nox\.session.*\n(?:@.*\n)* *def (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE
        )
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


def paths(text: str) -> list[str]:
    """The files and folders of the repository that a page names in code marks."""
    named = re.findall(r"`((?:refgrad|tests|conformance|docs|\.ci|\.github|changes)/[\w./-]*)`", text)
    return [p for p in named if p.endswith("/") or Path(p).suffix]


@prose
def test_paths_that_a_page_names_exist(page: Path) -> None:
    if page.parent.name == "extend":
        pytest.skip("these pages name files that their reader adds")
    assert [p for p in paths(page.read_text(encoding="utf-8")) if not (ROOT / p).exists()] == []


def test_the_check_of_paths_sees_paths() -> None:
    assert paths("`refgrad/gone.py`, `tests/`, `.ci/run`, `refgrad/tanh`") == ["refgrad/gone.py", "tests/"]
    assert sum(len(paths(p.read_text(encoding="utf-8"))) for p in PAGES + OUTSIDE) > 30


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


# --- the changelog ---

FRAGMENTS = sorted(
    p for p in (ROOT / "changes").iterdir() if p.name not in {"README.md", "template.md.jinja"}
)
KINDS = [
    kind["directory"]
    for kind in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"][
        "type"
    ]
]


def faults(name: str, text: str) -> list[str]:
    """What is wrong with a changelog fragment: its name, or its form."""
    found = []
    if not (re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.[a-z]+\.md", name) and name.split(".")[1] in KINDS):
        found.append(f"the name is WHAT.KIND.md with KIND one of {KINDS}")
    if not re.match(r"[A-Z`*]", text) or not text.endswith("\n") or text.endswith("\n\n"):
        found.append("the text begins with a sentence, not a hyphen, and ends with one newline")
    if any(line and not line.startswith(("- ", "  ")) for line in text.partition("\n- ")[2].split("\n")[1:]):
        found.append("after the first list item only list items follow")
    return found


def test_changelog_fragments_have_a_kind_and_a_form() -> None:
    wrong = {p.name: found for p in FRAGMENTS if (found := faults(p.name, p.read_text(encoding="utf-8")))}
    assert not wrong


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("erf.md", "The op `erf`.\n"), ("erf.new.md", "The op `erf`.\n"), ("Erf.added.md", "The op `erf`.\n"),
        ("erf.added.rst", "The op `erf`.\n"), ("erf.added.md", "- The op `erf`.\n"), ("erf.added.md", "The op `erf`."),
        ("erf.added.md", "The ops:\n- `erf`\nand others.\n"), ("erf.added.md", "\n"),
    ],
)  # fmt: skip
def test_a_fragment_with_a_fault_is_seen(name: str, text: str) -> None:
    assert len(faults(name, text)) == 1
    assert faults("erf.added.md", "The ops:\n- `erf`,\n  of a number\n- `erfc`\n") == []


def test_the_guide_to_fragments_lists_the_kinds() -> None:
    guide = (ROOT / "changes" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE) == KINDS


def test_the_changelog_has_the_place_where_a_release_is_put() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    assert (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").count(settings["start_string"]) == 1


def test_the_table_of_sessions_names_all_of_them() -> None:
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = re.findall(r"@nox\.session(?:\((.*)\))?\n(?:@.*\n)*def (\w+)", noxfile)
    named = [re.search(r"name=\"([\w-]+)\"", options) for options, _ in sessions]
    names = {n[1] if n else function for n, (_, function) in zip(named, sessions, strict=True)}
    table = (ROOT / "docs/tutorials/versions.md").read_text(encoding="utf-8").partition("## Sessions")[2]
    assert len(names) > 15
    assert {name for name in names if f"`{name}`" not in table} == set()


# --- operating systems ---

POSIX_ONLY = re.compile(
    r"^\s*import (fcntl|resource|pwd|grp|termios|pty|tty)\b|(/proc/[\w/]+)"
    r"|\b(?:os|signal)\.(setitimer|fork|SIGHUP|SIGKILL|getuid|mkfifo)\b",
    re.MULTILINE,
)


def test_the_page_on_operating_systems_names_what_is_posix_only() -> None:
    source = "\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "refgrad").rglob("*.py")))
    used = {next(filter(None, found)) for found in POSIX_ONLY.findall(source)}
    page = (DOCS / "platforms.md").read_text(encoding="utf-8")
    assert {"fcntl", "setitimer", "/proc/cpuinfo"} <= used
    assert [name for name in sorted(used) if name not in page] == []


# --- file formats ---


@pytest.fixture
def case() -> Case:
    one = np.ones(())
    return Case("ops", refgrad.Graph.record(np.sin, 1.0), {"x": one}, {"x": one}, one, "float64")


def test_the_policy_states_the_schemas_that_are_written(case: Case, tmp_path: Path) -> None:
    record, graph = Header("0", "", ()).to_dict(), case.graph.to_dict()
    check_vjp(np.sin, lambda y_bar, x: y_bar * np.cos(x), (np.ones(3),)).save(tmp_path / "check.json")
    saved = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    text = (DOCS / "schemas.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|(]+?) (?:\([^|]+\) )?\| (\d+) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    assert rows == [
        (name, str(data["schema"]))
        for name, data in (
            ("results file", record),
            ("case", case.to_dict()),
            ("graph", graph),
            ("saved check", saved),
        )
    ]
    for name, written, optional in (
        ("case", case.to_dict(), {"order", "cotangent_layout"}),
        ("graph", graph, set()),
    ):
        table = text.partition(f"## A {name}\n")[2].partition("|---|---|\n")[2].partition("\n\n")[0]
        listed = {field for row in table.splitlines() for field in re.findall(r"`(\w+)`", row.split("|")[1])}
        assert listed == written.keys() | optional, name


def test_readers_pass_over_fields_that_they_do_not_know(case: Case) -> None:
    data, header = case.to_dict(), json.loads(encoded(Header("0", "", ("refgrad",))))
    assert Case.from_dict({**data, "later": 1, "graph": {**data["graph"], "later": 1}}).to_dict() == data
    assert Header.read({**header, "later": 1}) == Header.read(header)


@pytest.mark.parametrize("part", ["case", "graph"])
def test_another_schema_is_refused_by_its_number(case: Case, part: str) -> None:
    data = case.to_dict()
    (data if part == "case" else data["graph"])["schema"] = 99
    with pytest.raises(CaseFileError, match="99"):
        Case.from_dict(data)


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
