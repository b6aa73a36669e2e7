"""What holds for every test: tests say nothing to the CI system that runs them, and none is judged by its time."""

import os
import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(name, None)

# Hypothesis' deadline and its check of slow inputs are assertions of time: a busy machine would fail them.
settings.register_profile("refgrad", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("refgrad")


@pytest.fixture
def read_anew(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A module is imported anew within the test, and once more after it: what the test patched does not stay behind."""

    def forget(name: str) -> None:
        monkeypatch.setitem(sys.modules, name, sys)  # so that there is something to undo
        monkeypatch.delitem(sys.modules, name)

    return forget
