"""Tests that in every mode the backend's numbers lie within the derived bounds of the derivative."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from refgrad import backends
from refgrad.backends import Backend
from refgrad.errors import CaseInterruptedError, CaseTimeout
from refgrad.records import News
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.vocabulary import Shared, from_json
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.deviations.expected_refusals import Support, list_of
from refgrad.testing.deviations.expected_refusals import load as load_refusals
from refgrad.testing.deviations.file import all_of, concerning
from refgrad.testing.judging.observation import Observation
from refgrad.testing.runs import deviation_evidence
from refgrad.testing.runs.in_flight import CurrentCase
from refgrad.testing.runs.item import Item, timeout, write
from refgrad.testing.runs.judgement import failed
from refgrad.testing.runs.results import ResultsFile
from refgrad.testing.runs.scripts import script_of

from .families import FAMILIES, can_draw, containing, family, large, vocabulary_of
from .families.fixed import partly_constant

# The plugin creates items of these families, in the formats in which they are drawn.
__all__ = ["FAMILIES", "can_draw"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Judged:
    """The backend of this process, with the list of its expected refusals."""

    backend: Backend
    support: Support | None

    def observe(self, case: Case) -> Observation:
        """The observation of a case."""
        return self.backend.judged(case, self.support)

    def news(self) -> Iterator[News]:
        """Answers where the list expects a refusal."""
        return self.support.lines() if self.support is not None else iter(())


@functools.cache
def judged(name: str) -> Judged:
    """The backend of a name, after the settings that the bounds assume."""
    try:
        backend = backends.load(name)
    except ImportError as error:  # pragma: no cover - the command reports it earlier
        raise pytest.UsageError(f"the backend {name} cannot be loaded: {error}") from error
    backend.settle()
    path = list_of(HERE, backend.name)
    kinds, release = backend.known_devices, backend.build.release
    return Judged(backend, load_refusals(path, release, backend.replaced, kinds) if path else None)


@functools.cache
def entries(backend: str, *files: str) -> list[Deviation]:
    """The recorded disagreements of a backend: the suite's own, and those of a user's files."""
    framework = judged(backend).backend
    return concerning(all_of(HERE / "deviations.toml", files, framework.name), framework.replaced)


@functools.cache
def applicable(current: CurrentCase, backend: str, *files: str) -> list[Deviation]:
    """The recorded disagreements that may excuse a failure under this build of the backend."""
    framework = judged(backend)
    found = entries(backend, *files)
    return deviation_evidence.applicable(found, framework.backend.build, framework.observe, current.limited)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Create one item for each recorded disagreement."""
    if "deviation" in metafunc.fixturenames:
        found = entries(*recorded(metafunc.config))
        metafunc.parametrize("deviation", found, ids=[d.id for d in found])


def recorded(config: pytest.Config) -> tuple[str, ...]:
    """The backend's name, then the user's files of deviations."""
    return (config.getoption("--refgrad-backend"), *(config.getoption("--refgrad-deviations") or ()))


@pytest.fixture(scope="session")
def framework(pytestconfig: pytest.Config) -> Judged:
    """The backend that is judged."""
    found = judged(pytestconfig.getoption("--refgrad-backend"))
    limit = pytestconfig.getoption("--refgrad-time-limit")
    if limit:
        found.backend.limit(limit)
    return found


@pytest.fixture(scope="session")
def among(pytestconfig: pytest.Config) -> frozenset[str]:
    """The requested ops; empty for all."""
    return frozenset(pytestconfig.getoption("--refgrad-op") or ())


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Shared | None:
    """What all backends have, where several judge the same cases."""
    path = pytestconfig.getoption("--refgrad-shared")
    return from_json(Path(path).read_text(encoding="utf-8")) if path else None


@pytest.fixture(scope="session")
def wanted(pytestconfig: pytest.Config) -> frozenset[str]:
    """The requested families; empty for all."""
    return frozenset(pytestconfig.getoption("--refgrad-family") or ())


@pytest.fixture(scope="session")
def devices(pytestconfig: pytest.Config) -> frozenset[str]:
    """The devices that are judged."""
    return frozenset(pytestconfig.getoption("--refgrad-device") or ("cpu",))


@pytest.fixture(scope="session")
def deviations(pytestconfig: pytest.Config, refgrad_current: CurrentCase) -> list[Deviation]:
    """The recorded disagreements that may excuse a failure under this build."""
    return applicable(refgrad_current, *recorded(pytestconfig))


def test_family(
    conformance_item: Item,
    framework: Judged,
    among: frozenset[str],
    shared: Shared | None,
    deviations: list[Deviation],
    refgrad_results: ResultsFile,
    refgrad_current: CurrentCase,
) -> None:
    """All cases of the item agree."""
    item, script = conformance_item, script_of(framework.backend, refgrad_current.limited)
    draw = family(item.family, among, vocabulary_of(framework.backend, item.dtype, item.device, shared))
    if framework.backend.replaced:
        draw = partly_constant(containing(draw, framework.backend.replaced))
    try:
        item.run(
            draw,
            framework.observe,
            refgrad_results,
            deviations,
            refgrad_current,
            script,
            wanted=large(item.family, among, item.dtype),
        )
    finally:
        refgrad_results.write(*framework.news())


def test_deviation_still_occurs(
    deviation: Deviation,
    framework: Judged,
    among: frozenset[str],
    wanted: frozenset[str],
    devices: frozenset[str],
    deviations: list[Deviation],
    refgrad_results: ResultsFile,
    refgrad_current: CurrentCase,
    request: pytest.FixtureRequest,
) -> None:
    """A recorded disagreement occurs where the record says so. Where the record says nothing, the outcome is news."""
    if among and not among & deviation.ops:
        pytest.skip(f"of {', '.join(sorted(deviation.ops))}, which were not asked for")
    if wanted and deviation.families and not wanted & deviation.families:
        pytest.skip(f"of the family {', '.join(sorted(deviation.families))}, which was not asked for")
    case, build = Case.load(deviation.case), framework.backend.build
    if case.device != "cpu" and case.device not in devices:
        pytest.skip(f"its evidence is on {case.device}, which is not judged in this run")
    try:
        with refgrad_current.watched(), refgrad_current.judging(request.node.name, case):
            verdicts = deviation_evidence.judged(deviation, build, framework.observe, deviations)
    except CaseTimeout:
        verdicts = [timeout(refgrad_current.limit)]
    except CaseInterruptedError as error:
        verdicts = [failed(error)]
    write(refgrad_results, case, verdicts, script_of(framework.backend, refgrad_current.limited))
    refgrad_current.finished()
    found = deviation_evidence.outcome(deviation, build, verdicts)
    if found.kind:
        refgrad_results.write(News(found.kind, deviation.id, found.text))
    if found.failure:
        pytest.fail(found.failure)
