"""The items of generated cases of a run, and the names of their tests."""

from __future__ import annotations

from collections.abc import Iterable

from refgrad.bounds.formats import judged_on
from refgrad.testing.runs.item import BLOCK, Item


def items(
    families: Iterable[str], devices: Iterable[str], dtypes: Iterable[str], examples: int, seed: int
) -> list[Item]:
    """One item for each family, device, dtype and block of at most BLOCK cases, for pairs of device and dtype that are judged."""
    families, devices, dtypes = list(families), list(devices), list(dtypes)
    return [
        Item(family, dtype, device, start // BLOCK, min(BLOCK, examples - start), seed)
        for start in range(0, examples, BLOCK)
        for family in families
        for device in devices
        for dtype in dtypes
        if judged_on(device, dtype)
    ]


def name_of_test(item: str) -> str:
    """The name of the test that runs an item of this name."""
    return f"test_family[{item}]"


def block_of_test(name: str) -> int | None:
    """The block of cases that the test of this name judges; None for a test that judges no block."""
    block = name.removesuffix("]").rpartition("-")[2]
    return int(block) if name.startswith("test_family[") and block.isdecimal() else None
