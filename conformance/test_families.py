"""What must hold: in every mode, torch's numbers lie within the derived bounds of the derivative."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refgrad.testing.case import Case
from refgrad.testing.deviations import Deviation, load
from refgrad.testing.session import examine, write

from .families import FAMILIES, family

__all__ = ["FAMILIES"]  # of which the plugin makes items

try:
    from refgrad.torch.environment import settle
    from refgrad.torch.observe import VERSION, observe
    from refgrad.torch.script import script
except ImportError as error:  # pragma: no cover - said plainly by the command before it gets here
    raise pytest.UsageError(f"the conformance suite needs torch: {error}") from error


DEVIATIONS = load(Path(__file__).with_name("deviations.toml"), VERSION)


@pytest.fixture(scope="session", autouse=True)
def _torch_settings() -> None:
    settle()


@pytest.fixture(scope="session")
def among(pytestconfig: pytest.Config) -> frozenset[str]:
    """The ops that were asked for; all where it is empty."""
    return frozenset(pytestconfig.getoption("--refgrad-op") or ())


def test_family(
    conformance_item: Any, among: frozenset[str], refgrad_results: Any, refgrad_running: Any
) -> None:
    """All cases of the item agree."""
    draw = family(conformance_item.family, among)
    conformance_item.run(draw, observe, refgrad_results, DEVIATIONS, refgrad_running, script)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda d: d.id)
def test_deviation_still_occurs(deviation: Deviation, among: frozenset[str], refgrad_results: Any) -> None:
    """A recorded disagreement is there to be seen; an entry whose evidence agrees has to go."""
    if among and not among & deviation.ops:
        pytest.skip(f"of {', '.join(sorted(deviation.ops))}, which were not asked for")
    case = Case.load(deviation.case)
    verdicts = examine(case, observe, DEVIATIONS)
    write(refgrad_results, case, verdicts, script)
    if not any(v.known == deviation.id for v in verdicts):
        found = ", ".join(f"{v.mode}: {v.status}" for v in verdicts)
        pytest.fail(
            f"deviation {deviation.id!r} no longer occurs in torch {VERSION} ({found}): let its versions in deviations.toml end "
            f"before this release, or remove the entry; now they are {deviation.versions}"
        )
