import math

import numpy as np
import pytest

from refgrad.records.audit import NODE_BY_NODE
from refgrad.testing.shares import CHANCE, REQUIRED, fewest, required, short


def at_most(caught: int, planted: int, share: float) -> float:
    """The probability of catching no more, exactly."""
    return math.fsum(
        math.comb(planted, k) * share**k * (1 - share) ** (planted - k) for k in range(caught + 1)
    )


@pytest.mark.parametrize("share", [0.5, 0.6, 0.95, 0.99])
@pytest.mark.parametrize("planted", [1, 5, 40, 300])
def test_what_chance_allows_is_never_called_short(share: float, planted: int) -> None:
    for caught in range(planted + 1):
        if short(caught, planted, share):
            assert at_most(caught, planted, share) < CHANCE


@pytest.mark.parametrize("share", [0.6, 0.95, 0.99])
def test_the_fewest_are_the_fewest_that_can_be_called_short(share: float) -> None:
    n = fewest(share)
    assert short(0, n, share)
    assert not short(0, n - 1, share)


def test_a_large_run_is_held_to_the_share_itself() -> None:
    assert short(97_900, 100_000, 0.99)
    assert short(98_700, 100_000, 0.99)
    assert not short(98_990, 100_000, 0.99)
    assert not short(99_000, 100_000, 0.99)
    assert not short(0, 0, 0.99)


def test_runs_with_the_required_share_pass() -> None:
    rng = np.random.default_rng(0)
    for n in (20, 200, 5000):
        assert not any(short(int(k), n, 0.99) for k in rng.binomial(n, 0.99, 2000))
        assert n < 200 or all(short(int(k), n, 0.99) for k in rng.binomial(n, 0.80, 2000))


def test_every_required_share_belongs_to_an_error_that_exists() -> None:
    from refgrad.testing.mutations import CATALOGUE

    assert REQUIRED.keys() <= CATALOGUE.keys()
    assert required(NODE_BY_NODE, "sign", "float32") == 0.99
    assert required("end to end", "sign", "float32") is None
    assert required(NODE_BY_NODE, "relative 1e-4", "bfloat16") is None
