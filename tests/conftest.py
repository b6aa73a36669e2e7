"""What holds for every test: tests say nothing to the CI system that runs them, none is judged by its time, the longest run first."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.ordering import longest_first
from tests.whole_runs import WholeRun, conformance, folder_of_all_processes, made_once

for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(name, None)

# Hypothesis' deadline and its check of slow inputs are assertions of time: a busy machine would fail them.
settings.register_profile("refgrad", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("refgrad")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A process without tests takes some from another. With `load` a few long tests at the end hold the session up."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the share of each test process the tests that are marked as long come first."""
    items[:] = longest_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_sessionstart() -> None:
    """While tests are collected there is no garbage to speak of, and a search for it visits ever more objects.

    A shell starts what runs in its background with SIGINT ignored: tests of interrupts expect the usual handler.
    """
    gc.disable()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """The collector of garbage leaves alone what is there before the first test: thirty thousand tests, torch, NumPy, Hypothesis.

    Nothing of it is released before the session ends. Without this each full collection visits all of it.
    A young collection waits for more objects than usual: a traced program makes a thousand of them, and hardly a cycle.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture
def read_anew(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A module is imported anew within the test, and once more after it: what the test patched does not stay behind."""

    def forget(name: str) -> None:
        monkeypatch.setitem(sys.modules, name, sys)  # so that there is something to undo
        monkeypatch.delitem(sys.modules, name)

    return forget


@pytest.fixture(scope="session")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """One run with a worker over all parts of the suite but the textbook: what agrees, what was planted, the mutants."""
    pytest.importorskip("torch")
    scope = ["--family", "mlp", "--dtype", "float64", "--device", "cpu", "--examples", "60", "--workers", "1"]
    shared = folder_of_all_processes(tmp_path_factory.getbasetemp())

    def make(out: Path) -> WholeRun:
        return conformance(out, *scope, items="")

    return made_once(shared / "clean-run", make)


@pytest.fixture
def plant() -> Iterator[Callable[..., None]]:
    """Replace rules of an op for the duration of a test: ``plant("add", vjp={"x2": wrong})``."""
    from refgrad.op import REGISTRY

    before = []

    def change(name: str, **rules: Any) -> None:
        op = REGISTRY[name]
        for field, rule in rules.items():
            right = getattr(op, field)
            before.append((op, field, right))
            object.__setattr__(op, field, {**right, **rule} if isinstance(right, dict) else rule)
        op.__post_init__()

    yield change
    for op, field, right in reversed(before):
        object.__setattr__(op, field, right)
        op.__post_init__()
