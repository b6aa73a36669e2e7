"""Tests that every item of the lectures has the same result in the reference's two modes, as a formula, and in torch."""

from __future__ import annotations

import pytest

from refgrad import backends
from refgrad.bounds.formats import computed_on
from refgrad.errors import GradientMismatch
from refgrad.pytest_plugin import COUNT
from refgrad.testing.runs.results import ResultsFile

from .textbook import ITEMS, Item
from .textbook.judge import examine
from .textbook.result_lines import result_lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Create one test for each item of a requested format."""
    if "item" in metafunc.fixturenames:
        dtypes = metafunc.config.getoption("--refgrad-dtype") or list(computed_on())
        chosen = [i for i in ITEMS if set(i.dtypes) & set(dtypes)]
        metafunc.parametrize("item", chosen, ids=[i.id for i in chosen])


@pytest.fixture(autouse=True)
def _torch_settings() -> None:
    backends.load("torch").settle()  # the programs of the items use torch


def test_item(
    item: Item,
    refgrad_results: ResultsFile,
    request: pytest.FixtureRequest,
) -> None:
    """Record the lines of the item in every case; anything but agreement of all ways fails."""
    option = request.config.getoption
    outcome = examine(
        item,
        option("--refgrad-dtype") or list(computed_on()),
        option("--refgrad-device") or ["cpu"],
        full=option("--refgrad-full"),
    )
    refgrad_results.write(*result_lines(item, outcome, ITEMS.index(item)))
    request.node.user_properties.append((COUNT, {"judged": 1}))
    wrong, undecided = outcome.failures()
    if wrong:
        raise GradientMismatch(f"{item.id}: {wrong[0]}")
    if undecided:  # no line of a result records this failure: every way of an item has to be decided
        pytest.fail(f"{item.id}: {undecided[0]}")
