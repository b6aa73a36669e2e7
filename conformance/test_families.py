"""What must hold: in every mode, torch's numbers lie within the derived bounds of the derivative."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from refgrad.records import News
from refgrad.testing.cases.case import Case
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.expected_refusals import held
from refgrad.testing.deviations.expected_refusals import load as load_support
from refgrad.testing.deviations.file import all_of
from refgrad.testing.runs import deviation_evidence
from refgrad.testing.runs.item import write

from .families import FAMILIES, family

__all__ = ["FAMILIES"]  # of which the plugin makes items

try:
    from refgrad.torch.case_script import script
    from refgrad.torch.devices import KERNELS, VERSION
    from refgrad.torch.environment import settle
    from refgrad.torch.observe import observe as asked
except ImportError as error:  # pragma: no cover - said plainly by the command before it gets here
    raise pytest.UsageError(f"the conformance suite needs torch: {error}") from error


TORCH = deviation_evidence.Torch(VERSION, KERNELS)
SUPPORT = load_support(Path(__file__).with_name("unsupported.toml"), VERSION)
observe = held(asked, SUPPORT)


@functools.cache
def entries(*files: str) -> list[Deviation]:
    """The recorded disagreements: the suite's own, and those of a user's files."""
    return all_of(Path(__file__).with_name("deviations.toml"), files)


@functools.cache
def standing(*files: str) -> list[Deviation]:
    """Those that may excuse something under this torch."""
    return deviation_evidence.standing(entries(*files), TORCH, observe)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item for each recorded disagreement."""
    if "deviation" in metafunc.fixturenames:
        found = entries(*_files(metafunc.config))
        metafunc.parametrize("deviation", found, ids=[d.id for d in found])


def _files(config: pytest.Config) -> tuple[str, ...]:
    return tuple(config.getoption("--refgrad-deviations") or ())


@pytest.fixture(scope="session", autouse=True)
def _torch_settings() -> None:
    settle()


@pytest.fixture(scope="session")
def among(pytestconfig: pytest.Config) -> frozenset[str]:
    """The ops that were asked for; all where it is empty."""
    return frozenset(pytestconfig.getoption("--refgrad-op") or ())


@pytest.fixture(scope="session")
def wanted(pytestconfig: pytest.Config) -> frozenset[str]:
    """The families that were asked for; all where it is empty."""
    return frozenset(pytestconfig.getoption("--refgrad-family") or ())


@pytest.fixture(scope="session")
def deviations(pytestconfig: pytest.Config) -> list[Deviation]:
    """The recorded disagreements that may excuse something under this torch."""
    return standing(*_files(pytestconfig))


def test_family(
    conformance_item: Any,
    among: frozenset[str],
    deviations: list[Deviation],
    refgrad_results: Any,
    refgrad_running: Any,
) -> None:
    """All cases of the item agree."""
    draw = family(conformance_item.family, among)
    try:
        conformance_item.run(draw, observe, refgrad_results, deviations, refgrad_running, script)
    finally:
        refgrad_results.write(*SUPPORT.lines())


def test_deviation_still_occurs(
    deviation: Deviation,
    among: frozenset[str],
    wanted: frozenset[str],
    deviations: list[Deviation],
    refgrad_results: Any,
) -> None:
    """A recorded disagreement is there to be seen where the record says so; where it says nothing, what is seen is news."""
    if among and not among & deviation.ops:
        pytest.skip(f"of {', '.join(sorted(deviation.ops))}, which were not asked for")
    if wanted and deviation.families and not wanted & deviation.families:
        pytest.skip(f"of the family {', '.join(sorted(deviation.families))}, which was not asked for")
    case = Case.load(deviation.case)
    verdicts = deviation_evidence.judged(deviation, TORCH, observe, deviations)
    write(refgrad_results, case, verdicts, script)
    found = deviation_evidence.outcome(deviation, TORCH, verdicts)
    if found.kind:
        refgrad_results.write(News(found.kind, deviation.id, found.text))
    if found.failure:
        pytest.fail(found.failure)
