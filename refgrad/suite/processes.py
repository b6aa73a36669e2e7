"""The number of processes of a run where none is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable

from refgrad.backends import Backend

MOST = 8  # a further process of a default run gains little, and takes memory
MEMORY = 2**30  # bytes of a device that a process is given: the context of CUDA takes half of them


def default_workers(backend: Backend, devices: Iterable[str]) -> int:
    """One process a core, at most MOST, and on a device with memory of its own no more than its free memory has room for.

    A device whose backend does not tell its free memory has one process. The CPU shares the memory of the machine, and does not count.
    """
    found = min(cores(), MOST)
    for device in devices:
        if device.partition(":")[0] != "cpu":
            free = backend.free_memory(device)
            found = min(found, 1 if free is None else free // MEMORY)
    return max(1, found)


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
