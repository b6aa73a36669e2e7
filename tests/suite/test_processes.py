"""The number of processes where none is asked for: the cores, and the room on the devices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from refgrad.suite import processes
from refgrad.suite.processes import MEMORY, default_workers


def backend(**free: int | None) -> Any:
    """A backend that tells the free memory of its devices; asking for another one is an error."""
    return SimpleNamespace(free_memory=lambda device: free[device.replace(":", "_")])


@pytest.mark.parametrize(
    ("cores", "devices", "workers"),
    [
        (2, ["cpu"], 2),
        (16, ["cpu"], 8),
        (16, ["gpu"], 8),
        (4, ["cpu", "gpu"], 4),
        (16, ["small"], 3),
        (16, ["small", "gpu"], 3),
        (16, ["gpu:1"], 5),
        (16, ["cpu", "silent"], 1),
        (16, ["full"], 1),
    ],
)
def test_the_default_has_room_everywhere(
    monkeypatch: pytest.MonkeyPatch, cores: int, devices: list[str], workers: int
) -> None:
    monkeypatch.setattr(processes, "cores", lambda: cores)
    there = backend(gpu=80 * MEMORY, small=3 * MEMORY + 5, gpu_1=5 * MEMORY, silent=None, full=10)
    assert default_workers(there, devices) == workers


def test_there_is_a_core() -> None:
    assert processes.cores() >= 1
