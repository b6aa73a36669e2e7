"""The items of a run: each case belongs to one item, and pairs of device and dtype that do not exist have none."""

from __future__ import annotations

import pytest

from refgrad.testing.runs.plan import BLOCK, items, name_of_test


@pytest.mark.parametrize("examples", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_the_blocks_of_a_family_have_all_its_cases(examples: int) -> None:
    found = items(["ops"], ["cpu"], ["float32"], examples, seed=3)
    assert sum(i.examples for i in found) == examples
    assert [i.block for i in found] == list(range(len(found)))
    assert all(0 < i.examples <= BLOCK for i in found)
    assert {i.seed for i in found} == {3}


def test_families_devices_and_dtypes_are_combined() -> None:
    found = items(iter(["ops", "mlp"]), iter(["cpu", "cuda"]), iter(["float32", "tf32"]), 5, seed=0)
    pairs = {(i.family, i.device, i.dtype) for i in found}
    assert len(found) == len(pairs) == 6
    assert ("ops", "cpu", "tf32") not in pairs
    assert ("mlp", "cuda", "tf32") in pairs


def test_an_item_and_its_test_share_the_name() -> None:
    [item] = items(["ops"], ["cpu"], ["float32"], 5, seed=0)
    assert name_of_test(item.name) == "test_family[ops-float32-cpu-0]"
