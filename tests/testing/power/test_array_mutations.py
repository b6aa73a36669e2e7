"""Errors planted in single comparisons: errors are caught, equivalent mutations are excluded, and only a listener causes planting."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing import check_vjp
from refgrad.testing.judging.compare import compare
from refgrad.testing.power import array_mutations
from refgrad.testing.power.array_mutations import CATALOGUE, MutationCounts
from refgrad.tracing.ball import Ball


def counts(x: np.ndarray, radius: float, dtype: str = "float64") -> dict[str, tuple[int, int, int]]:
    fmt, made = FORMATS[dtype], MutationCounts()
    allowed = Ball(x.astype(fmt.wide), np.full(x.shape, radius), fmt)
    made.plant(x, allowed, fmt, compare(x, allowed, fmt, ""))
    return {mutation: tuple(n[:3]) for (mutation, _), n in made.counts.items()}


def test_a_sharp_bound_catches_all() -> None:
    found = counts(np.arange(1.0, 10.0).reshape(3, 3), 1e-12)
    assert found == dict.fromkeys(CATALOGUE, (1, 0, 1))


def test_a_wide_bound_catches_none_and_says_so() -> None:
    assert counts(np.arange(1.0, 10.0).reshape(3, 3), 1e3) == dict.fromkeys(CATALOGUE, (1, 0, 0))


@pytest.mark.parametrize(
    ("x", "equivalent"), [(np.zeros((2, 2)), set(CATALOGUE)), (np.full((2, 2), 3.0), {"roll", "transpose"})]
)
def test_what_changes_nothing_is_no_error(x: np.ndarray, equivalent: set[str]) -> None:
    found = counts(x, 1e-12)
    assert {m for m, (_, equivalent, _) in found.items() if equivalent} == equivalent


def test_an_error_below_the_format_is_none() -> None:
    assert counts(np.array([1.0, 2.0]), 0.0, "bfloat16")["relative 1e-4"] == (1, 1, 0)


def test_nothing_is_planted_in_what_was_found_wrong_or_empty() -> None:
    fmt = FORMATS["float64"]
    made = MutationCounts()
    for x, y in ((np.ones(3), np.zeros(3)), (np.ones(0), np.ones(0))):
        allowed = Ball(y.astype(fmt.wide), np.full(y.shape, 1e-12), fmt)
        made.plant(x, allowed, fmt, compare(x, allowed, fmt, ""))
    assert not made.counts


def test_checks_plant_only_for_a_listener() -> None:
    assert array_mutations.LISTENERS == []
    made = MutationCounts()
    array_mutations.LISTENERS.append(made)
    try:
        check_vjp(
            np.tanh, lambda y_bar, x: y_bar * (1 - np.tanh(x) ** 2), (np.linspace(-1, 1, 6).reshape(2, 3),)
        )
    finally:
        array_mutations.LISTENERS.remove(made)
    assert {m for m, _ in made.counts} == set(CATALOGUE)
    assert all(
        caught == made.counts[key][0] - made.counts[key][1] for key, (_, _, caught, _) in made.counts.items()
    )
    assert [counts.check for counts in made.records()] == ["checks"] * len(CATALOGUE)
