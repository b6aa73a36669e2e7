"""Shards: together all, each once, the same on every machine."""

from __future__ import annotations

import random

import pytest

from refgrad.errors import ArgumentError
from refgrad.records.shards import Shard

NAMES = [f"test_family[graphs-float32-cpu-{k}]" for k in range(37)]


@pytest.mark.parametrize("count", [1, 2, 4, 37, 50])
def test_every_item_is_in_exactly_one_shard(count: int) -> None:
    parts = [Shard(k, count).part(NAMES) for k in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(NAMES)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_does_not_depend_on_the_order_of_collection() -> None:
    turned = random.Random(0).sample(NAMES, len(NAMES))
    assert set(Shard(2, 3).part(turned)) == set(Shard(2, 3).part(NAMES))
    first = Shard(2, 3).part(NAMES)[:4]
    assert [name.rpartition("-")[2] for name in first] == ["1]", "2]", "5]", "6]"]


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_shards_are_balanced_by_weight(count: int) -> None:
    """No shard exceeds the mean by more than one of its own names, and the heavy ones are apart."""
    weights = {name: 10.0 if k < 4 else 1.0 + k % 3 for k, name in enumerate(NAMES)}
    parts = [Shard(k, count).part(NAMES, weights) for k in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(NAMES)
    sums = [sum(weights[name] for name in part) for part in parts]
    assert max(sums) - min(sums) <= (3.0 if count <= 4 else 10.0)
    heavy = [sum(weights[name] == 10.0 for name in part) for part in parts]
    assert max(heavy) <= -(-4 // count)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", "1 / 2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="such as 2/4; got"):
        Shard.read(text)
    assert str(Shard.read("2/4")) == "2/4"
