"""pytest's way into refgrad. Inert, and cheap to load, until one of its options is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from refgrad.testing.results import ResultsFile

BLOCK = 50  # cases in one item: small enough that workers share the load evenly and progress is seen


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the conformance suite; normally set by ``refgrad conformance``."""
    group = parser.getgroup("refgrad", "refgrad: conformance of gradients")
    group.addoption(
        "--refgrad-results",
        metavar="FILE",
        default=None,
        help="append verdicts to this JSON-lines file (switches refgrad on)",
    )
    group.addoption(
        "--refgrad-family", action="append", default=None, help="a family to run (repeatable; default: all)"
    )
    group.addoption("--refgrad-dtype", action="append", default=None, help="a dtype to judge (repeatable)")
    group.addoption("--refgrad-device", action="append", default=None, help="a device to judge (repeatable)")
    group.addoption(
        "--refgrad-examples", type=int, default=100, help="cases for each family, dtype and device"
    )
    group.addoption("--refgrad-seed", type=int, default=0, help="seed of the cases")


def pytest_configure(config: pytest.Config) -> None:
    """Open the results file where asked for."""
    path = config.getoption("--refgrad-results")
    if path:
        config.pluginmanager.register(Recorder(config, Path(path)), "refgrad-recorder")


class Recorder:
    """Lives in every worker: parametrizes items and gives them the results file."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.config = config
        self.path = path
        self._file: ResultsFile | None = None

    @property
    def results(self) -> ResultsFile:
        """The results file, opened on first use in this process."""
        if self._file is None:
            from refgrad.testing.results import ResultsFile

            self._file = ResultsFile(self.path)
        return self._file

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One item a (family, dtype, device, block of cases)."""
        if "conformance_item" not in metafunc.fixturenames:
            return
        from refgrad.formats import DTYPES, judged_on
        from refgrad.testing.session import Item

        option = self.config.getoption
        families = metafunc.module.FAMILIES
        items, total = [], int(option("--refgrad-examples"))
        for start in range(0, total, BLOCK):
            for family in [f for f in option("--refgrad-family") or families if f in families]:
                for device in option("--refgrad-device") or ["cpu"]:
                    for dtype in option("--refgrad-dtype") or DTYPES:
                        if not judged_on(device, dtype):
                            continue
                        size = min(BLOCK, total - start)
                        items.append(
                            Item(family, dtype, device, start // BLOCK, size, int(option("--refgrad-seed")))
                        )
        metafunc.parametrize(
            "conformance_item", items, ids=[f"{i.family}-{i.dtype}-{i.device}-{i.block}" for i in items]
        )

    @pytest.fixture
    def refgrad_results(self) -> Any:
        """The results file of this run."""
        return self.results

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """An item that failed for another reason than a verdict is recorded too."""
        report = yield
        if report.failed:
            from refgrad.errors import GradientMismatch

            error = call.excinfo.value if call.excinfo else None
            if not isinstance(error, GradientMismatch):
                self.results.write(
                    {
                        "type": "crash",
                        "worker": _worker(self.config),
                        "item": item.name,
                        "reason": f"{type(error).__name__}: {error}",
                    }
                )
        return report


def _worker(config: pytest.Config) -> str:
    return str(getattr(config, "workerinput", {}).get("workerid", "main"))


def cases_of(report: pytest.TestReport) -> int:
    """How many cases an item judged, as it said in its user properties (one JSON string, so that it crosses xdist)."""
    for name, value in report.user_properties:
        if name == "refgrad":
            return int(json.loads(str(value))["cases"])
    return 0
