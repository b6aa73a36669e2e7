"""The order of tests: in the share of each test process the long ones come first."""

from __future__ import annotations

import itertools

import pytest


def longest_first(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """The items in as many equal shares as there are processes, each begun by an equal number of modules with long tests.

    A long test is one with the mark ``long``. The long tests of a module stay together, because they share fixtures.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    rest = iter([item for item in items if not item.get_closest_marker("long")])
    modules = [list(group) for _, group in itertools.groupby(long, key=lambda item: item.path)]
    ordered: list[pytest.Item] = []
    for k in range(processes):
        first = [item for module in modules[k::processes] for item in module]
        share = (len(items) - len(ordered)) // (processes - k)
        ordered += [*first, *itertools.islice(rest, max(share - len(first), 0))]
    return [*ordered, *rest]
