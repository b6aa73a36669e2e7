"""The order of tests loses none, and begins each share with long tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.ordering import longest_first
from tests.whole_runs import WholeRun, made_once


@dataclass(frozen=True)
class Item:
    """As much of a test as the order depends on."""

    path: str
    number: int
    long: bool

    def get_closest_marker(self, name: str) -> Any:
        return name if name == "long" and self.long else None


ITEMS = [Item(f"module {k // 10}", k, k // 10 in (5, 7, 8) and k % 2 == 0) for k in range(100)]


def shares(processes: int) -> list[list[Item]]:
    """The order, cut as the scheduler cuts it: each process gets an equal part of what is left."""
    ordered = cast("list[Item]", longest_first(cast("list[pytest.Item]", ITEMS), processes))
    assert sorted(item.number for item in ordered) == list(range(100))
    parts, left = [], ordered
    for k in range(processes):
        count = len(left) // (processes - k)
        parts.append(left[:count])
        left = left[count:]
    return parts


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_long_tests_begin_each_share_module_by_module(processes: int) -> None:
    of_long = [[item.path for item in share if item.long] for share in shares(processes)]
    for share, paths in zip(shares(processes), of_long, strict=True):
        assert all(item.long for item in share[: len(paths)])
    busy = [set(paths) for paths in of_long if paths]
    assert len(busy) == min(processes, 3)
    assert sum(map(len, busy)) == 3


def test_a_run_that_several_processes_read_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(out: Path) -> WholeRun:
        made.append(out)
        return WholeRun(out, 0, "printed", "said")

    first, second = (made_once(tmp_path / "run", make) for _ in range(2))
    assert first == second == WholeRun(tmp_path / "run" / "out", 0, "printed", "said")
    assert len(made) == 1
