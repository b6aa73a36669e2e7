"""What the numbers of a run depend on, as the header of its results tells it."""

from __future__ import annotations

import platform
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from refgrad.suite.machine import environment


def test_versions_and_hardware_are_told() -> None:
    pytest.importorskip("hypothesis")
    build = SimpleNamespace(release="1.2+cpu")
    backend: Any = SimpleNamespace(name="framework", build=build, environment=lambda: {"BLAS of it": "fast"})
    found = environment(backend)
    assert found["numpy"] == np.__version__
    assert found["python"] == platform.python_version()
    assert (found["framework"], found["BLAS of it"]) == ("1.2+cpu", "fast")
    assert found["numpy BLAS"]
    assert found["processor"]
