import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refgrad.bounds.formats import DTYPES
from refgrad.graph import Node
from refgrad.records.audit import EXACT_CASES, NODE_BY_NODE
from refgrad.testing import Audit, Case, judge
from refgrad.testing.cases.source import Seeded
from refgrad.testing.power.thresholds import CHANCE, REQUIRED, falls_short, minimum_sample, required


def at_most(caught: int, planted: int, share: float) -> float:
    """The probability of catching no more, exactly."""
    return math.fsum(
        math.comb(planted, k) * share**k * (1 - share) ** (planted - k) for k in range(caught + 1)
    )


@pytest.mark.parametrize("share", [0.5, 0.6, 0.95, 0.99])
@pytest.mark.parametrize("planted", [1, 5, 40, 300])
def test_what_chance_allows_is_never_called_short(share: float, planted: int) -> None:
    for caught in range(planted + 1):
        if falls_short(caught, planted, share):
            assert at_most(caught, planted, share) < CHANCE


@pytest.mark.parametrize("share", [0.6, 0.95, 0.99])
def test_the_fewest_are_the_fewest_that_can_be_called_short(share: float) -> None:
    n = minimum_sample(share)
    assert falls_short(0, n, share)
    assert not falls_short(0, n - 1, share)


def test_a_large_run_is_held_to_the_share_itself() -> None:
    assert falls_short(97_900, 100_000, 0.99)
    assert falls_short(98_700, 100_000, 0.99)
    assert not falls_short(98_990, 100_000, 0.99)
    assert not falls_short(99_000, 100_000, 0.99)
    assert not falls_short(0, 0, 0.99)


def test_all_errors_of_exact_cases_are_required_and_nothing_is_left_to_chance() -> None:
    for mutation in ("sign", "relative 1e-6", "one unit in the last place"):
        assert required(EXACT_CASES, mutation, "bfloat16") == 1
    assert required(NODE_BY_NODE, "one unit in the last place", "bfloat16") is None
    assert minimum_sample(1.0) == 1
    assert falls_short(999, 1000, 1.0)
    assert not falls_short(1000, 1000, 1.0)
    assert not falls_short(0, 0, 1.0)


def test_runs_with_the_required_share_pass() -> None:
    rng = np.random.default_rng(0)
    for n in (20, 200, 5000):
        assert not any(falls_short(int(k), n, 0.99) for k in rng.binomial(n, 0.99, 2000))
        assert n < 200 or all(falls_short(int(k), n, 0.99) for k in rng.binomial(n, 0.80, 2000))


def test_every_required_share_belongs_to_an_error_that_exists() -> None:
    from refgrad.testing.power.graph_mutations import CATALOGUE

    assert REQUIRED.keys() <= CATALOGUE.keys()
    assert required(NODE_BY_NODE, "sign", "float32") == 0.99
    assert required("end to end", "sign", "float32") is None
    assert required(NODE_BY_NODE, "relative 1e-4", "bfloat16") is None


def test_gross_errors_have_a_required_share_in_every_dtype() -> None:
    for dtype in DTYPES:
        assert (required(NODE_BY_NODE, "sign", dtype) or 0) > 0.9, dtype


def cut_products(case: Case) -> Case:
    """The case with a torch product that cuts its operands to ten bits, as a TF32 unit does; its derivative is the product's."""

    def cut(t: Any) -> Any:
        bits = t.detach().contiguous().view(torch.int32)
        return t + (((bits + 0x1000) & ~0x1FFF).view(torch.float32) - t).detach()

    def twin(torch: Any, x1: Any, x2: Any) -> Any:
        return torch.matmul(cut(x1), cut(x2))

    torch = pytest.importorskip("torch")
    for k, node in enumerate(case.graph.nodes):
        if node.op is not None and node.op.name == "matmul":
            case.graph.nodes[k] = Node(op=replace(node.op, torch=twin), of=node.of, params=node.params)
    return case


def planted_in_tf32(family: str, programs: int) -> dict[str, list[int]]:
    """By kind of error: planted, equivalent and caught node by node, where products are cut as a TF32 unit cuts them."""
    pytest.importorskip("torch")
    from conformance.families import FAMILIES
    from refgrad.torch.observe import observe

    audit = Audit()
    for k in range(programs):
        drawn = FAMILIES[family](Seeded((3, k)), "tf32", exact=False)  # on a grid every error is seen
        case = cut_products(replace(drawn, dtype="float32"))
        seen = observe(case)
        # The numbers are judged as those of a device that has such units.
        for devices in seen.devices.values():
            devices[:] = [d and "cuda" for d in devices]
        judge(replace(case, dtype="tf32", device="cuda"), seen, audit)
    assert not audit.broken
    return {mutation: count for (check, mutation, _), count in audit.counts.items() if check == NODE_BY_NODE}


def test_tf32_holds_its_required_shares_even_among_products_alone() -> None:
    judged = 0
    for mutation, (planted, equivalent, caught, *_) in planted_in_tf32("matmul", 120).items():
        share = required(NODE_BY_NODE, mutation, "tf32")
        if share is not None:
            judged += 1
            assert not falls_short(caught, planted - equivalent, share), mutation
            assert caught >= 0.9 * (planted - equivalent), mutation
    assert judged >= 8


def test_what_the_cut_hides_is_unseen_and_not_equivalent() -> None:
    planted, equivalent, caught, *_ = planted_in_tf32("matmul", 60)["relative 1e-4"]
    assert equivalent < planted / 2  # zeros, which no factor changes
    assert caught < planted / 2
