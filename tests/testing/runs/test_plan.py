"""The items of a run: each case belongs to one item, and pairs of device and dtype that do not exist have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refgrad.testing.runs.plan import BLOCK, block_of_test, items, name_of_test
from tests.whole_runs import conformance


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


def test_the_block_of_a_test_stands_in_its_name() -> None:
    planned = items(["ops"], ["cpu", "cuda:1"], ["float32"], 2 * BLOCK, seed=0)
    assert (
        [block_of_test(name_of_test(i.name)) for i in planned] == [i.block for i in planned] == [0, 0, 1, 1]
    )
    assert block_of_test("test_item[D0-mlp-depth-6]") is None
    assert block_of_test("pytest") is None


def results(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The results of generated cases of a run, without times, sorted."""
    scope = ["--family", "softmax", "--family", "matmul", "--dtype", "float64", "--device", "cpu"]
    done = conformance(folder, *scope, "--seed", "5", "--examples", str(BLOCK + 5), *arguments)
    # 3: too few cases to prove the power of a shard
    assert done.code in (0, 3), done.stdout + done.stderr
    return sorted(done.lines("result"), key=lambda line: (line["id"], line["mode"]))


@pytest.mark.long
def test_workers_and_shards_do_not_change_cases_or_verdicts(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    whole = results(tmp_path / "whole", "--workers", "1")
    assert len({line["id"] for line in whole}) == 2 * (BLOCK + 5)
    parts = [results(tmp_path / f"part {k}", "--shard", f"{k}/2", "--workers", "0") for k in (1, 2)]
    assert min(map(len, parts)) > 5
    assert sorted([*parts[0], *parts[1]], key=lambda line: (line["id"], line["mode"])) == whole
