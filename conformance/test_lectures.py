"""Tests that a backend agrees at every node of the textbook's programs. The programs are asked as cases, so any backend can answer."""

from __future__ import annotations

import pytest

from refgrad.errors import GradientMismatch
from refgrad.pytest_plugin import COUNT
from refgrad.testing.cases.vocabulary import Shared
from refgrad.testing.runs.in_flight import CurrentCase
from refgrad.testing.runs.results import ResultsFile

from .families import vocabulary_of
from .families.restricted import expressed
from .test_cases import failures
from .test_families import Judged, framework, shared
from .textbook import Item
from .textbook.cases import items, of_item

__all__ = ["framework", "shared"]  # fixtures


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Create one test for each item that has cases of a requested format."""
    if "lecture" in metafunc.fixturenames:
        found = items(metafunc.config.getoption("--refgrad-dtype") or ())
        metafunc.parametrize("lecture", found, ids=[i.id for i in found])


def test_lecture(
    lecture: Item,
    framework: Judged,
    shared: Shared | None,
    request: pytest.FixtureRequest,
    refgrad_results: ResultsFile,
    refgrad_current: CurrentCase,
) -> None:
    """All programs of the item agree, in each format and on each device in which the backend computes."""
    option, failing = request.config.getoption, []
    for device in option("--refgrad-device") or ["cpu"]:
        for dtype in option("--refgrad-dtype") or lecture.dtypes:
            if dtype not in lecture.dtypes or not framework.backend.computes(dtype, device):
                continue
            vocabulary = vocabulary_of(framework.backend, dtype, device, shared)
            for case in of_item(lecture, dtype, device):
                asked = case if vocabulary is None else expressed(case, vocabulary)
                failing += failures(asked, request, refgrad_results, refgrad_current)
    request.node.user_properties.append((COUNT, {"judged": 1}))
    if failing:
        raise GradientMismatch(failing[0].message or failing[0].reason, report=failing[0])
