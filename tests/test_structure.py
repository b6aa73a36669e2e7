"""What holds the house together: who may import whom, what `import refgrad` loads, how long files are, what tests mirror."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable

import pytest

import refgrad
from tests.imports import (
    ROOT,
    Import,
    all_imports,
    edges_of,
    imports_of,
    modules,
    modules_in_circles,
    reachable,
    sources,
)

MOST_LINES = 400

# The rooms, from the ground up. A room is a module of refgrad, a package, or a package of testing/ and report/. A module imports from
# lower floors and from its own room. Lazy imports and imports for type checkers count.
FLOORS = (
    {"arrays"},
    {
        "errors",
        "quiet",
        "collector",
        "console",
        "numeric",
        "domain",
        "blocks",
        "modes",
        "painters",
        "exit_codes",
    },
    {"containers", "encode", "formula", "operands", "bounds"},
    {"op", "tree", "records"},
    {"ops"},
    {"tracing"},
    {"functions", "nn", "special", "linalg", "complex", "arguments"},
    {"auxiliary", "mapping", "pushforward"},
    {"transforms", "custom"},
    {"node", "jacobians", "linearization"},
    {"nodes"},
    {"graph"},
    {"testing.cases", "draw"},
    {""},  # refgrad itself, with the public names
    {"testing.judging"},
    {"backends"},
    {"testing.power", "testing.deviations"},
    {"testing.checks"},
    {"testing.runs"},
    {"testing", "report.analysis"},
    {"torch", "report.storage"},
    {"report.page", "report.ci"},
    {"report"},
    {"pytest_report"},
    {"pytest_plugin"},
    {"suite"},
    {"cli"},
    {"__main__"},
)
ROOMS = set().union(*FLOORS)
# These import NumPy, the standard library and each other.
CORE = set().union(*FLOORS[:12]) - {"records", "modes", "exit_codes"} | {"", "draw"}
OUTSIDE = {  # room or module: what else it may import, at the top of a file and inside functions
    "numeric": (set(), {"mpmath"}),
    "ops": (set(), {"mpmath"}),
    "testing.cases.strategies": ({"hypothesis"}, {"hypothesis"}),
    "testing": (set(), {"hypothesis", "packaging"}),
    "torch": ({"torch"}, {"torch"}),
    "report": (set(), {"jinja2"}),
    "suite": (set(), {"pytest", "hypothesis", "xdist"}),
    "pytest_plugin": ({"pytest"}, {"pytest"}),
    "suite.progress": ({"pytest"}, {"pytest"}),
    "pytest_report": ({"pytest"}, {"pytest"}),
}


def place(module: str) -> str:
    """The module's path below refgrad: 'ops.scan' for 'refgrad.ops.scan', '' for 'refgrad'."""
    return module.partition(".")[2]


def room(module: str) -> str:
    """The room of a module of refgrad: 'ops' for 'refgrad.ops.scan', 'testing.judging' for 'refgrad.testing.judging.tally'."""
    first, _, rest = place(module).partition(".")
    inner = f"{first}.{rest.partition('.')[0]}"
    return inner if inner in ROOMS else first


def floor(module: str) -> int:
    if module.startswith("conformance"):
        return len(FLOORS)
    return next(k for k, rooms in enumerate(FLOORS) if room(module) in rooms)


def top(module: str) -> str:
    """The first part of a module's path below refgrad: 'testing' for 'refgrad.testing.judging.tally'."""
    return place(module).partition(".")[0]


def test_the_walker_sees_every_kind_of_import() -> None:
    # The tests below are worth nothing if this one fails.
    text = """
import a
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import b.c
def f():
    from refgrad import op
class C:
    from .ops import scan
"""
    seen = [(i.target, i.line, i.lazy, i.typing_only) for i in imports_of("refgrad.made_up", text, "refgrad")]
    assert seen == [
        ("a", 2, False, False), ("typing", 3, False, False), ("b.c", 5, False, True), ("refgrad.op", 7, True, False),
        ("refgrad.ops.scan", 9, False, False),
    ]  # fmt: skip


def test_every_module_has_a_floor() -> None:
    strangers = {m for m in modules() if m.startswith("refgrad.") and room(m) not in ROOMS | {"_suite"}}
    assert not strangers, f"give these a floor in test_structure.FLOORS: {sorted(strangers)}"


def test_the_suite_finds_itself_under_any_name() -> None:
    # In the wheel conformance/ is refgrad/_suite: its modules import each other by relative names.
    text = {p: ast.parse(p.read_text()) for p in sources("conformance")}
    absolute = [p.name for p, tree in text.items() for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 0
                and str(n.module).split(".")[0] == "conformance"]  # fmt: skip
    assert text
    assert not absolute


def test_modules_import_only_what_their_room_may() -> None:
    wrong = []
    for i in all_imports():
        package = i.target.partition(".")[0]
        if (
            package in sys.stdlib_module_names
            or package in {"numpy", "refgrad"}
            or i.importer.startswith("conformance")
        ):
            continue
        eager, lazily = OUTSIDE.get(place(i.importer), OUTSIDE.get(top(i.importer), (set(), set())))
        if not i.typing_only and package not in (lazily if i.lazy else eager):
            wrong.append(str(i))
    assert not wrong, "\n".join(wrong)


def test_a_framework_is_imported_by_its_room_alone() -> None:
    """The judge, the suite and the reports reach it by the registry of backends. The programs of the textbook are written in torch."""
    wrong = []
    for i in all_imports():
        of_torch = i.target == "torch" or i.target.startswith(("torch.", "refgrad.torch"))
        at_home = i.importer.startswith(("refgrad.torch", "conformance.textbook"))
        if of_torch and not at_home:
            wrong.append(str(i))
    assert any(i.importer.startswith("refgrad.torch") and i.target == "torch" for i in all_imports())
    assert not wrong, "\n".join(wrong)


def test_the_registry_names_backends_that_exist() -> None:
    from refgrad.backends.registry import BUILT_IN

    assert {where.partition(":")[0] for where in BUILT_IN.values()} <= modules()


def test_forward_and_reverse_never_import_each_other() -> None:
    edges = edges_of(all_imports())
    reached = {name: reachable(f"refgrad.tracing.{name}", edges) for name in ("forward", "reverse")}
    assert "refgrad.tracing.reverse" not in reached["forward"]
    assert "refgrad.tracing.forward" not in reached["reverse"]
    assert "refgrad.op" in reached["forward"] & reached["reverse"], (
        "the graph of imports is empty: this test saw nothing"
    )


def test_modules_import_from_lower_floors_only() -> None:
    assert not upward(all_imports(), modules()), "\n".join(map(str, upward(all_imports(), modules())))


def upward(imports: Iterable[Import], known: Collection[str]) -> list[Import]:
    """The imports from a higher floor, or from another room of the same one. So rooms form no circle either."""
    return [
        i
        for i in imports
        if i.target in known
        and not (i.importer.startswith("conformance") and i.target.startswith("conformance"))
        and room(i.importer) != room(i.target)
        and floor(i.target) >= floor(i.importer)
    ]


def test_the_core_never_asks_for_the_judge() -> None:
    judge = ROOMS - CORE
    wrong = [
        str(i)
        for i in all_imports()
        if i.importer.startswith("refgrad")
        and room(i.importer) in CORE
        and i.target.startswith("refgrad")
        and room(i.target) in judge
    ]
    assert judge
    assert not wrong, "\n".join(wrong)


def test_there_is_no_circle() -> None:
    circle = modules_in_circles(edges_of(all_imports()))
    assert not circle, f"these import each other in a circle: {circle}"


MADE_UP = {
    "refgrad.a": "import refgrad.b",
    "refgrad.b": "",
    "refgrad.c": "import refgrad.b",
}
CIRCLES = {
    "at the top": "import refgrad.a",
    "inside a function": "def f():\n    from refgrad import a",
    "for type checkers": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from refgrad.a import A",
    "by a relative name": "from . import a",
    "inside a method, for type checkers": "class C:\n    def f(self):\n        if TYPE_CHECKING:\n            import refgrad.a",
}


@pytest.mark.parametrize("kind", CIRCLES)
def test_a_circle_of_any_kind_of_import_is_found(kind: str) -> None:
    texts = MADE_UP | {"refgrad.b": CIRCLES[kind]}
    found = [i for name, text in texts.items() for i in imports_of(name, text, "refgrad", frozenset(texts))]
    assert modules_in_circles(edges_of(found, texts)) == ["refgrad.a", "refgrad.b"]
    straight = [
        i for name, text in MADE_UP.items() for i in imports_of(name, text, "refgrad", frozenset(texts))
    ]
    assert modules_in_circles(edges_of(straight, MADE_UP)) == []


def test_an_import_from_a_higher_or_the_same_floor_is_found() -> None:
    texts = {
        "refgrad.op": "def f():\n    import refgrad.graph",
        "refgrad.graph": "from refgrad.op import Op",
        "refgrad.tree": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from refgrad.op import Op",
        "refgrad.torch.b": "import refgrad.torch.c",
        "refgrad.torch.c": "",
    }
    found = [
        i
        for name, text in texts.items()
        for i in imports_of(name, text, name.rpartition(".")[0], frozenset(texts))
    ]
    assert [str(i) for i in upward(found, frozenset(texts))] == [
        "refgrad.op:2 imports refgrad.graph inside a function",
        "refgrad.tree:3 imports refgrad.op",
    ]


def run_fresh(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after running ``code``."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split())


HEAVY = {"torch", "hypothesis", "pytest", "_pytest", "scipy", "jinja2", "mpmath", "matplotlib"}


def below(prefixes: tuple[str, ...], loaded: set[str]) -> set[str]:
    return {m for m in loaded if m.startswith(prefixes)}


def test_import_refgrad_loads_no_numpy() -> None:
    # The public names are imported on first use. What loads more makes every command slower, `refgrad --help` included.
    loaded = run_fresh("import refgrad; dir(refgrad); refgrad.__version__")
    assert below(("refgrad",), loaded) == {"refgrad", "refgrad.draw", "refgrad.painters"}
    assert not loaded & {*HEAVY, "numpy", "typing", "json"}


def test_a_transformation_loads_numpy_alone() -> None:
    loaded = run_fresh("import refgrad; refgrad.grad")
    assert {"numpy", "refgrad.functions.statistics", "refgrad.tracing.fast_path"} <= loaded
    assert not loaded & HEAVY
    judge = (
        "refgrad.records",
        "refgrad.testing",
        "refgrad.torch",
        "refgrad.report",
        "refgrad.cli",
        "refgrad.suite",
        "refgrad.draw.",
    )
    assert not below(judge, loaded)


@pytest.mark.parametrize(
    "options", [["--help"], ["--version"], ["conformance", "--help"], ["report", "--help"]]
)
def test_help_loads_no_numpy(options: list[str]) -> None:
    loaded = run_fresh(
        f"from refgrad.cli import main\ntry: main({options})\nexcept SystemExit as end: assert not end.code"
    )
    assert "argparse" in loaded
    assert not loaded & {*HEAVY, "numpy"}


def test_the_public_names_work_in_a_fresh_interpreter() -> None:
    """In dir(), by ``from`` and by attribute, also after the import of a module of the same name."""
    code = "import refgrad, refgrad.draw.svg, refgrad.nn\nassert set(refgrad.__all__) <= set(dir(refgrad))\n"
    for name in refgrad.__all__:
        code += f"from refgrad import {name}\nassert refgrad.{name} is {name}\n"
        code += f"assert {name!r} in ('linalg', 'nn', 'special') or callable({name})\n"
    assert len(refgrad.__all__) > 10
    run_fresh(code)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(refgrad, "gradient")
    with pytest.raises(ImportError, match="gradient"):
        from refgrad import gradient  # noqa: F401


def test_traced_arrays_know_all_numpy_functions_wherever_they_are_used() -> None:
    """NumPy functions are registered by refgrad.functions, which the rooms above tracing/ import. Each of these modules is enough."""
    for module in ("refgrad.transforms", "refgrad.node", "refgrad.custom.call", "refgrad.testing.judging"):
        loaded = run_fresh(f"import {module}")
        assert {"refgrad.functions.statistics", "refgrad.ops.reduction"} <= loaded, module


def test_the_plugin_is_cheap_to_load() -> None:
    loaded = run_fresh("import refgrad.pytest_plugin")
    assert "pytest" in loaded
    assert not loaded & {"torch", "hypothesis", "scipy", "jinja2", "mpmath"}
    heavy = ("refgrad.records", "refgrad.testing", "refgrad.torch", "refgrad.report", "refgrad.pytest_report")
    assert not {m for m in loaded if m.startswith(heavy)}


@pytest.mark.parametrize("folder", ["refgrad", "conformance", "tests"])
def test_files_are_short(folder: str) -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources(folder)}
    assert lengths
    long = {name: n for name, n in lengths.items() if n > MOST_LINES}
    assert not long, f"400 lines is the limit: {long}"


# A comment behind a closing bracket that begins its line: it made the statement too long, and the formatter broke it there.
# Behind a comma it belongs to an entry of a list.
BEHIND_A_BRACKET = re.compile(r"^ *[)\]}][^\"'#\n]*(?<!,)  # (?!fmt:|noqa|type:)", re.MULTILINE)


@pytest.mark.parametrize("folder", ["refgrad", "conformance", "tests", "benchmarks"])
def test_no_comment_tears_a_statement_apart(folder: str) -> None:
    torn = [str(p.relative_to(ROOT)) for p in sources(folder) if BEHIND_A_BRACKET.search(p.read_text())]
    assert not torn, f"put the comment above the statement: {torn}"


def test_a_comment_that_tears_a_statement_apart_is_found() -> None:
    assert BEHIND_A_BRACKET.search("y = f(\n    x\n)  # why\n")
    assert not BEHIND_A_BRACKET.search("y = f(\n    x\n)  # fmt: skip\n# why\nf(x)  # why\n")
    assert not BEHIND_A_BRACKET.search("y = [\n    f(\n        x\n    ),  # an entry\n]\n")


ABOUT_THE_WHOLE = (  # test modules and folders that mirror no single module
    "tests/test_structure.py", "tests/test_module_tests.py", "tests/test_dtype_names.py", "tests/test_numpy_code.py",
    "tests/test_every_argument.py", "tests/test_docstrings.py", "tests/test_ordering.py", "tests/test_forked.py",
    "tests/test_numpy_walk.py", "tests/test_numpy_page.py",
    "tests/test_numpy_dtypes.py", "tests/test_numpy_shapes.py", "tests/test_readme.py",
    "tests/test_docs.py", "tests/test_docs_frameworks.py", "tests/test_ci.py", "tests/test_every_twin.py", "tests/test_special_names.py",
    "tests/test_owned_results.py", "tests/test_ended_transformations.py",
    "tests/programs/", "tests/suite/test_interrupted_runs.py", "tests/test_graph_json.py",
    "tests/torch/test_check_script_memory.py",
    "tests/report/test_hostile.py", "tests/report/test_browser.py", "tests/report/test_renderings_agree.py", "tests/torch_side/",
    "tests/ops/test_every_op.py", "tests/ops/test_no_warnings.py", "tests/ops/test_elementwise", "tests/ops/test_composed_bounds.py",
    "tests/ops/test_slopes.py", "tests/ops/test_special_values.py",
    "tests/test_op_names.py", "tests/ops/test_new_op.py", "tests/ops/test_traits.py",
)  # fmt: skip


def test_tests_mirror_the_source() -> None:
    strays = []
    for path in sources("tests"):
        name = path.relative_to(ROOT).as_posix()
        if not path.name.startswith("test_") or name.startswith(ABOUT_THE_WHOLE):
            continue
        inner = path.relative_to(ROOT / "tests")
        base = ROOT if inner.parts[0] == "conformance" else ROOT / "refgrad"
        mirrored = base / inner.with_name(inner.name.removeprefix("test_"))
        if not mirrored.exists() and not mirrored.with_suffix("").is_dir():
            strays.append(f"{inner} mirrors no {mirrored.relative_to(ROOT)}")
    assert not strays, "\n".join(strays)
