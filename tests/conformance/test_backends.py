"""The recorded disagreements of other frameworks: their files, and their evidence where the framework can be reached.

A framework is reached in this Python, or in the one that REFGRAD_PYTHON_NAME names. Elsewhere its tests are skipped; the nox session
``backend-NAME`` runs them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.families import family, vocabulary_of
from refgrad import backends
from refgrad.backends import Backend, WorkerBackend
from refgrad.backends.shipped import FOLDER, SHIPPED, framework_of, interpreter, variable, version
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.file import all_of, load, own_files
from refgrad.testing.deviations.releases import ABSENT
from refgrad.testing.judging.verdict import ERROR
from refgrad.testing.runs import deviation_evidence
from refgrad.testing.runs.item import examine
from tests.recorded import CONFORMANCE

ROOT = CONFORMANCE.parent
COMPILED = "torch-compile"  # the file of programs that torch compiled
FILES = {path: name for path, name in own_files(CONFORMANCE / "deviations.toml").items() if name != "torch"}
ENTRIES = [
    (name, d) for path, stem in FILES.items() for d in load(path, backend=stem) for name in sorted(d.backends)
]
each = pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=[f"{name}-{d.id}" for name, d in ENTRIES])
PAGES = sorted(p for stem in FILES.values() for p in (ROOT / "docs" / "findings").glob(f"{stem}-*.md"))


installed = functools.cache(version)


@functools.cache
def reached(name: str) -> Backend:
    """The backend of a shipped worker, or of torch's compiler; skips the test where its framework is not installed."""
    if name not in SHIPPED:
        pytest.importorskip("torch")
        if name.endswith("inductor") and "REFGRAD_INDUCTOR" not in os.environ:
            pytest.skip("compiling C++ takes minutes: the nox session `compile` sets REFGRAD_INDUCTOR")
    elif not installed(name):
        pytest.skip(
            f"{SHIPPED[name].distribution} is not in this Python; {variable(name)} names one that has it"
        )
    return backends.load(name)


@functools.cache
def of_a_run(name: str) -> tuple[Deviation, ...]:
    """The recorded disagreements that a run of a backend knows."""
    return tuple(all_of(CONFORMANCE / "deviations.toml", (), name))


def having(name: str, entry: Deviation) -> Backend:
    """The backend, which has the entry's ops; skips the test where autograd is installed without SciPy, whose functions it then lacks."""
    backend = reached(name)
    if name == "autograd" and entry.ops.isdisjoint(backend.ops):
        pytest.skip("SciPy is not installed, which autograd can do without")
    assert not entry.ops.isdisjoint(backend.ops)
    return backend


def test_there_are_entries_and_pages() -> None:
    assert ENTRIES
    assert PAGES


def test_the_files_are_those_of_shipped_workers_and_hold_all_evidence() -> None:
    for path, stem in FILES.items():
        entries = load(path, backend=stem)
        named = {name for d in entries for name in d.backends}
        if stem == COMPILED:
            assert named <= {name for name in backends.known() if name.startswith(f"{COMPILED}-")}
        else:
            assert stem in {framework_of(name) for name in SHIPPED}
            assert {framework_of(name) for name in named} <= {stem}
        used = {d.case for d in entries}
        assert used == {
            p for p in (path.parent / stem).glob("*.json") if not p.name.endswith(".numbers.json")
        }


@each
def test_an_entry_names_a_page_and_ops_that_its_evidence_has(name: str, entry: Deviation) -> None:
    assert (ROOT / entry.link).is_file(), f"{name} {entry.id}: {entry.link}"
    case = Case.load(entry.case)
    assert {str(node) for node in case.graph.nodes} & entry.ops
    assert case.dtype in entry.dtypes


@each
def test_a_run_of_the_backend_finds_the_entry_and_a_run_of_torch_does_not(
    name: str, entry: Deviation
) -> None:
    assert entry.id in {d.id for d in of_a_run(name)}
    assert entry.case not in {d.case for d in of_a_run("torch")}


@each
def test_the_evidence_disagrees_as_recorded(name: str, entry: Deviation) -> None:
    backend = having(name, entry)
    others = of_a_run(name)
    verdicts = deviation_evidence.judged(entry, backend.build, backend.judged, others)
    found = deviation_evidence.outcome(entry, backend.build, verdicts)
    assert not found.failure
    there = deviation_evidence.seen_again(entry, verdicts)
    as_recorded = (
        not there if deviation_evidence.state(entry, backend.build) == ABSENT else there or found.kind
    )
    assert as_recorded, [(v.mode, v.status, v.reason) for v in verdicts]


@each
def test_an_ordinary_wrong_number_fails_under_the_entry(name: str, entry: Deviation) -> None:
    from tests.conformance.test_deviations import meant, met

    if entry.narrow.error or entry.narrow.note:
        pytest.skip("an exception, or a note about a shape or a dtype, covers no number")
    backend, planted = having(name, entry), 0
    wide = dataclasses.replace(entry, devices=frozenset({"cpu"}), stands=lambda: True)
    for _, op, mode, dtype in (p.values for p in meant([entry])):
        if backend.computes(str(dtype), "cpu"):
            planted += met(wide, str(op), str(mode), str(dtype), backend.judged)
    # An entry for NaN alone admits no number, and the framework may have NaN wherever a number could be planted.
    assert planted or entry.narrow.error or entry.narrow.got == {"nan"}, "nothing was planted"


# NaN or zero is what the framework returns at ordinary operands, too.
EVERYWHERE = {
    ("mxnet", "var"), ("mxnet", "std"),  # the gradient is zeros, whatever the operand
    ("pytensor", "var"), ("pytensor", "std"),  # each row has a number that is not above its mean, where the tangent is NaN
}  # fmt: skip


@each
def test_an_ordinary_nan_infinity_or_zero_fails_under_the_entry(name: str, entry: Deviation) -> None:
    from tests.conformance.test_deviations import WRONG, meant, met

    if entry.narrow.error or entry.narrow.note or not entry.narrow.got & WRONG.keys():
        pytest.skip("the entry covers no such number")
    if (framework_of(name), entry.id) in EVERYWHERE:
        pytest.skip("it is there at ordinary operands")
    backend = having(name, entry)
    wide = dataclasses.replace(entry, devices=frozenset({"cpu"}), stands=lambda: True)
    for _, op, mode, dtype in (p.values for p in meant([entry])):
        for kind in sorted(entry.narrow.got & WRONG.keys()):
            if backend.computes(str(dtype), "cpu"):
                met(wide, str(op), str(mode), str(dtype), backend.judged, draws=1, wrong=WRONG[kind])


@pytest.mark.parametrize(
    ("dtype", "other"),
    [
        ("float32", "sin"), ("float32", "1.01"), ("bfloat16", "sin"), ("bfloat16", "1.1"), ("float16", "sin"), ("float16", "1.01"),
    ],
)  # fmt: skip  # pairs read by rows
@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_wrong_op_planted_in_a_worker_is_named(name: str, dtype: str, other: str) -> None:
    """Of the single ops that it answers, those that have the planted op are wrong, and no others."""
    reached(name)
    script, *way = SHIPPED[name].script
    backend = WorkerBackend(
        [
            str(interpreter(name)),
            str(ROOT / "tests" / "backends" / "planted.py"),
            "tanh",
            other,
            str(FOLDER / script),
            *way,
        ]
    )
    if not backend.computes(dtype, "cpu"):
        backend.suspend()
        pytest.skip(f"{name} does not compute in {dtype}, or is not judged in it")
    draw, wrong = family("ops", ("tanh", "multiply"), vocabulary_of(backend, dtype, "cpu")), set()
    for k in range(12):
        case = draw(Seeded((k,)), dtype)
        [op] = [node.op.name for node in case.graph.nodes if node.op is not None]
        for v in examine(case, backend.judged, of_a_run(name)):
            assert v.status != ERROR, v.message
            if v.failed:
                wrong.add((op, v.mode))
                assert v.first_wrong is None or v.first_wrong[1] in ("tanh", ""), v.message
    backend.suspend()
    assert {op for op, _ in wrong} == {"tanh"}
    assert len(wrong) > 1


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_script_of_a_page_exits_with_1(page: Path, tmp_path: Path) -> None:
    """The script needs the framework alone. Its exit code says whether the disagreement is there."""
    name = page.stem.partition("-")[0]
    reached(name)
    scripts = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert scripts
    for text in scripts:
        done = _script(name, text, tmp_path)
        if name == "autograd" and "No module named 'scipy'" in done.stderr:
            pytest.skip("SciPy is not installed, which autograd can do without")
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr


def _script(name: str, text: str, folder: Path) -> Any:
    file = folder / "finding.py"
    file.write_text(text, encoding="utf-8")
    command = [str(interpreter(name)), str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=folder)
