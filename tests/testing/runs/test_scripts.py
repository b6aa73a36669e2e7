"""The script of a failure: whatever the framework does while it is written, the failure keeps one."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.verdict import AGREE, ERROR, Verdict
from refgrad.testing.runs.in_flight import CurrentCase
from refgrad.testing.runs.scripts import script_of
from tests.backends.toy import toy_class

X = np.array([0.5, 1.0])
CASE = Case("graphs", Graph.record(np.exp, X), {"x": X}, {"x": X}, X, "float64")


class Writer(toy_class()):  # type: ignore[misc]
    """A backend whose scripts are what a test says."""

    address = "somewhere:Writer"

    def script(self, case: Case, verdict: Verdict) -> str:
        return str(self.write())


def written(write: object, **more: object) -> str:
    backend = Writer()
    backend.write = write
    return script_of(backend, **more)(CASE, Verdict("value", ERROR))  # type: ignore[arg-type]


def test_the_script_of_the_backend_comes_first() -> None:
    assert written(lambda: "a script") == "a script"
    assert "the backend toy writes none" in written(lambda: "")


def test_what_agrees_has_none() -> None:
    backend = Writer()
    backend.write = lambda: ""
    assert script_of(backend)(CASE, Verdict("value", AGREE)) == ""


def test_what_a_kernel_sets_while_it_is_asked_again_is_not_left_behind() -> None:
    before = np.geterr()
    written(lambda: np.seterr(all="raise"))
    assert np.geterr() == before


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, MemoryError])
def test_a_framework_that_raises_leaves_the_case(error: type[BaseException]) -> None:
    def write() -> str:
        raise error("again")

    text = written(write)
    assert f"writing it raised {error.__name__}: again" in text
    assert "somewhere:Writer" in text


def test_a_framework_that_hangs_when_it_is_asked_again_leaves_the_case(tmp_path: Path) -> None:
    """A kernel may be wrong at first and hang later. Nothing else limits the time of a script."""
    current = CurrentCase(tmp_path / "results.jsonl", limit=0.2)
    with current.watched():
        text = written(lambda: time.sleep(20), limited=current.limited)
    current.close()
    assert "did not answer in time" in text
    assert CASE.id in text
