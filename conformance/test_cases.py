"""Tests that cases of an earlier run agree now. ``refgrad conformance --last-failed`` selects its failing ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from refgrad.errors import CaseInterruptedError, CaseTimeout, GradientMismatch
from refgrad.pytest_plugin import COUNT
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.verdict import Verdict
from refgrad.testing.power.audit import Audit
from refgrad.testing.runs.in_flight import CurrentCase
from refgrad.testing.runs.item import examine, timeout, write
from refgrad.testing.runs.judgement import failed
from refgrad.testing.runs.results import ResultsFile
from refgrad.testing.runs.scripts import script_of

from .test_families import applicable, judged, recorded


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Create one test for each selected case."""
    if "case" in metafunc.fixturenames:
        file = metafunc.config.getoption("--refgrad-cases")
        lines = Path(file).read_text(encoding="utf-8").splitlines() if file else []
        cases = [Case.from_json(line) for line in lines]
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


def test_case(
    case: Case,
    request: pytest.FixtureRequest,
    refgrad_results: ResultsFile,
    refgrad_current: CurrentCase,
) -> None:
    """The case agrees, and errors planted in it are detected."""
    failing = failures(case, request, refgrad_results, refgrad_current)
    request.node.user_properties.append((COUNT, {"judged": 1}))
    if failing:
        raise GradientMismatch(failing[0].message or failing[0].reason, report=failing[0])


def failures(
    case: Case, request: pytest.FixtureRequest, results: ResultsFile, current: CurrentCase
) -> list[Verdict]:
    """Judge one case by itself, and record its verdicts. Returns those that fail."""
    chosen = recorded(request.config)
    framework, audit = judged(chosen[0]), Audit()
    if limit := request.config.getoption("--refgrad-time-limit"):
        framework.backend.limit(limit)
    try:
        with current.watched(), current.judging(request.node.name, case):
            verdicts = examine(case, framework.observe, applicable(current, *chosen), audit)
    except CaseTimeout:
        verdicts = [timeout(limit)]
    except CaseInterruptedError as error:
        verdicts = [failed(error)]
    write(results, case, verdicts, script_of(framework.backend, current.limited))
    results.write(*audit.records(), *framework.news())
    current.finished()
    return [v for v in verdicts if v.failed]
