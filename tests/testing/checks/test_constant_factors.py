"""A factor is named by what it is: by the size of an axis where it is one, by its digits where it has no name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.checks.constant_factors import factor, offsets, slice_factors
from refgrad.testing.checks.plausibility import Difference

X = np.random.default_rng(0).standard_normal((3, 8))


def difference(got, dtype="float64"):
    fmt = FORMATS[dtype]
    return Difference.of(got, X, 4 * fmt.u * np.abs(X), fmt)


@pytest.mark.parametrize(
    ("c", "words"),
    [
        (-1, "every element has the opposite sign: it is -1 times the expected value"),
        (2, "every element is 2 times the expected value"),
        (0.5, "every element is 0.5 times the expected value (2 is the size of axis 0 of output 0)"),
        (8, "every element is 8 times the expected value, which is n for n = 8, the size of axis 1"),
        (1 / 24, "every element is 0.0416667 times the expected value, which is 1/n for n = 24, the number of elements of the array"),
        (-1 / 3, "every element is -0.333333 times the expected value, which is -1/n for n = 3, the size of axis 0"),
        (np.sqrt(8), "every element is 2.82843 times the expected value, which is sqrt(n) for n = 8, the size of axis 1"),
        (8 / 7, "every element is 1.14286 times the expected value, which is n/(n - 1) for n = 8, the size of axis 1"),
        (10, "every element is 10 times the expected value, which is n for n = 10, the number of elements of output 0"),
        (1.2345678, "every element is about 1.2345678 times the expected value"),
        (1, ""),
        (1 + 1e-16, ""),
    ],
)  # fmt: skip
def test_names_of_factors(c: float, words: str) -> None:
    sizes = [("", (3, 8)), *([("output 0", (2, 5))] if c in {10, 0.5} else [])]
    assert factor(difference(c * X), sizes) == words


def test_where_several_numbers_fit_each_is_given() -> None:
    said = factor(difference(X / 1000, "bfloat16"), [("", (1000, 1001))])
    assert (
        "1/n for n = 1000, the size of axis 0 = 0.001 or 1/n for n = 1001, the size of axis 1 = 0.000999001"
        in said
    )


def test_a_place_in_the_array_itself_is_named_before_others() -> None:
    sizes = [("", (3, 8)), ("output 0", (8, 3)), ("output 1", (3,)), ("output 2", (5,)), ("output 3", (5,))]
    assert factor(difference(X / 3), sizes).endswith("1/n for n = 3, the size of axis 0")
    assert factor(difference(X / 5), sizes).endswith("1/n for n = 5, the size of axis 0 of output 2")


def test_one_number_that_does_not_fit_denies_the_factor() -> None:
    got = 2 * X
    got[1, 4] *= 1.001
    assert factor(difference(got), []) == ""
    got[1, 4] = np.nan
    assert factor(difference(got), []) == ""


def test_factors_and_terms_of_slices() -> None:
    columns = np.random.default_rng(1).uniform(2, 3, 8)
    assert slice_factors(difference(X * columns)).startswith(
        "each slice along axis 0 is the expected array times a factor of the slice"
    )
    assert slice_factors(difference(X * np.random.default_rng(1).uniform(2, 3, X.shape))) == ""
    assert "a number that is constant along axis 0, from" in offsets(difference(X + columns))
    assert offsets(difference(X + 2.5)) == "every element is the expected value plus 2.5"
    assert offsets(difference(X + np.random.default_rng(1).uniform(2, 3, X.shape))) == ""
