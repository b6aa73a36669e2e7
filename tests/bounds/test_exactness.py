"""Results that no kernel rounds, against a third judge: fractions, in which nothing is rounded, and every order of a sum."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refgrad.bounds import exactness
from refgrad.bounds.formats import DTYPES, FORMATS, Format, format_of
from refgrad.op import REGISTRY, apply
from refgrad.tracing.ball import exact, parts

GRIDS = (1.0, 2.0**-3, 2.0**5)


def holds(fmt: Format, x: Fraction) -> bool:
    """Whether x is zero or a normal number of the format, by its definition."""
    if not x:
        return True
    digits = abs(x.numerator)
    while digits % 2 == 0:
        digits //= 2
    power_of_two = x.denominator & (x.denominator - 1) == 0
    return power_of_two and digits < 2**fmt.bits and fmt.least_normal <= abs(x) <= fmt.max


def operands(fmt: Format, rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[np.ndarray[Any, Any]]:
    """Integers on grids, half of them of nearly all digits of the format."""
    found = []
    for shape in shapes:
        digits = int(rng.integers(1, fmt.bits + 1) if rng.integers(2) else fmt.bits - rng.integers(0, 4))
        most = 2 ** min(digits, fmt.bits)
        found.append(rng.integers(-most, most + 1, shape) * float(rng.choice(GRIDS)))
    return found


def radius(name: str, fmt: Format, xs: list[Any], **params: Any) -> tuple[Any, Any]:
    """Value and radius of an op on exact operands."""
    op = REGISTRY[name]
    return parts(apply(op, tuple(exact(x, fmt) for x in xs), {**op.signature.defaults, **params}))


ELEMENTWISE = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "square": lambda a: a * a,
    "negative": lambda a: -a,
    "abs": abs,
    "maximum": max,
    "minimum": min,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_one_operation_is_exact_where_the_format_holds_its_result(name: str, dtype: str) -> None:
    fmt, rng = format_of(dtype, "cuda", on_grid=True), np.random.default_rng(3)
    f, claimed, refused = ELEMENTWISE[name], 0, 0
    for _ in range(40):
        xs = operands(fmt, rng, *[(12,)] * len(REGISTRY[name].signature.operands))
        _, e = radius(name, fmt, xs)
        for k in range(12):
            right = f(*[Fraction(float(x[k])) for x in xs])
            assert (e[k] == 0) == holds(fmt, right), (name, [x[k] for x in xs])
            claimed, refused = claimed + (e[k] == 0), refused + (e[k] != 0)
    assert claimed > 100
    assert refused > 10 or name in ("negative", "abs", "maximum", "minimum")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_quotient_is_exact_for_powers_of_two_alone(dtype: str) -> None:
    # 6/3 is 2, and 6 times the rounded 1/3 need not be: kernels may do either.
    fmt = format_of(dtype, "cuda", on_grid=True)
    _, e = radius("divide", fmt, [np.array([6.0, 6.0, 5.0, -7.0, 0.0]), np.array([3.0, 2.0, -4.0, 0.5, 8.0])])
    assert (e == 0).tolist() == [False, True, True, True, True]
    _, e = radius("divide", fmt, [np.array([1.0, 1.0]), np.array([fmt.least_normal, 2.0 / fmt.least_normal])])
    assert not e[0] or fmt.least_normal * fmt.max >= 1
    assert e[1]  # the reciprocal is subnormal


@pytest.mark.parametrize("dtype", DTYPES)
def test_below_the_normal_numbers_nothing_is_exact(dtype: str) -> None:
    fmt = format_of(dtype, "cuda", on_grid=True)
    low = fmt.least_normal
    _, e = radius("multiply", fmt, [np.array([low, low, 3 * low]), np.array([0.5, 1.0, 0.5])])
    assert e[0] > 0  # a device may flush it to zero
    assert e[1] == 0
    assert (e[2] == 0) == (fmt.bits < 53)  # in float64 the error of so small a product is no number


@pytest.mark.parametrize("dtype", DTYPES)
def test_radii_of_operands_leave_nothing_exact(dtype: str) -> None:
    fmt = format_of(dtype, "cuda", on_grid=True)
    third = exact(np.ones(3), fmt) / exact(np.array([3.0, 3.0, 1.0]), fmt)
    for f in (lambda x: x + 1.0, lambda x: x * 2.0, lambda x: x * x, lambda x: x + x, lambda x: x / 2.0):
        _, e = parts(f(third))
        assert e[0] > 0
        assert e[1] > 0
        assert e[2] == 0
    _, e = parts(np.sum(third))
    assert e > 0
    _, e = parts(third @ exact(np.ones(3), fmt))
    assert e > 0


def partial_sums(terms: list[Fraction]) -> Iterator[Fraction]:
    """All sums of some of the terms, which any order may meet."""
    for n in range(1, len(terms) + 1):
        for some in itertools.combinations(terms, n):
            yield sum(some, Fraction())


def as_sums(name: str, xs: list[Any]) -> Iterator[tuple[Any, list[Fraction]]]:
    """The terms of each element of a sum: (index, terms)."""
    exactly = [[[Fraction(float(v)) for v in row] for row in np.atleast_2d(x)] for x in xs]
    if name == "fan_in":
        for k in range(len(exactly[0][0])):
            yield k, [x[0][k] for x in exactly]
    elif name in ("sum", "mean"):
        yield (), [v / (len(exactly[0][0]) if name == "mean" else 1) for v in exactly[0][0]]
    elif name == "cumsum":
        for k in range(len(exactly[0][0])):
            yield k, exactly[0][0][: k + 1]
    else:
        a, b = exactly
        for i in range(len(a)):
            for j in range(len(b[0])):
                yield (i, j), [a[i][k] * b[k][j] for k in range(len(b))]


SUMS: dict[str, tuple[tuple[tuple[int, ...], ...], dict[str, Any]]] = {
    "fan_in": (((3,), (3,), (3,)), {}),
    "sum": (((5,),), {}),
    "mean": (((4,),), {}),
    "cumsum": (((4,),), {"axis": 0}),
    "matmul": (((2, 4), (4, 3)), {}),
    "tensordot": (((2, 4), (4, 3)), {"axes": 1}),
    "einsum": (((2, 4), (4, 3)), {"subscripts": "ij,jk->ik"}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SUMS)
def test_a_sum_is_exact_only_where_no_order_rounds(name: str, dtype: str) -> None:
    fmt, rng = format_of(dtype, "cuda", on_grid=True), np.random.default_rng(5)
    shapes, params = SUMS[name]
    claimed = refused = 0
    for _ in range(100):
        xs = operands(fmt, rng, *shapes)
        _, e = radius(name, fmt, xs, **params)
        for place, terms in as_sums(name, xs):
            if e[place] == 0:
                claimed += 1
                assert all(holds(fmt, s) for s in partial_sums(terms)), (name, xs)
            else:
                refused += 1
            assert e[place] != 0 or holds(fmt, sum(terms, Fraction()))
    assert claimed > 10
    assert refused > 10


def test_a_mean_of_three_is_not_exact() -> None:
    for dtype in DTYPES:
        _, e = radius("mean", format_of(dtype, "cuda", on_grid=True), [np.array([1.0, 2.0, 3.0])])
        assert e > 0  # a kernel may multiply by the rounded 1/3


def test_operands_that_are_shortened_keep_their_digits() -> None:
    fmt = format_of("tf32", "cuda", on_grid=True)
    short, long = np.full((2, 2), 2.0**11 - 1), np.full((2, 2), 2.0**12 + 1)
    assert not radius("matmul", fmt, [short, np.ones((2, 2))])[1].any()
    assert radius("matmul", fmt, [long, np.ones((2, 2))])[1].all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_format_without_a_grid_claims_nothing(dtype: str) -> None:
    fmt = format_of(dtype, "cuda")
    for rule in (exactness.sums, exactness.product, exactness.quotient):
        assert rule(fmt, np.ones(3, fmt.wide), [np.ones(3)] * 2, (None, None)) is None
    assert exactness.total(fmt, np.ones(3), 1.0) is None
    assert exactness.products(fmt, np.ones(3), [np.ones(3)] * 2, (None, None)) is None
    assert exactness.terms(fmt, np.ones(3), [np.ones(3)] * 2, (None, None)) is None
    assert np.all(radius("add", fmt, [np.full(3, 3.0), np.full(3, 4.0)])[1] > 0)


def test_float64_is_judged_in_float64_where_there_is_no_wider_format() -> None:
    # Each rounded result is a number of the format then, so the error of the operation decides.
    fmt = replace(format_of("float64", on_grid=True), wide=np.dtype(np.float64))
    for name in ("add", "subtract", "multiply"):
        _, e = radius(name, fmt, [np.array([3.0, 2.0**53 - 1]), np.array([5.0, 2.0**27 + 0.5])])
        assert e[0] == 0
        assert e[1] > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_exponential_is_exact_at_zero_and_far_below_the_range_alone(dtype: str) -> None:
    fmt = format_of(dtype, "cuda", on_grid=True)
    far = -4.0 * 4096.0  # below the range of long double, too
    value, e = radius("exp", fmt, [np.array([0.0, -0.0, far, 1.0, -1.0, -700.0])])
    assert np.array_equal(np.broadcast_to(e, value.shape) == 0, [True, True, True, False, False, False])
    assert np.array_equal(value[:3], [1.0, 1.0, 0.0])
    _, e = radius("exp", replace(fmt, on_grid=False), [np.array([0.0, far])])
    assert np.count_nonzero(e) == 2
    x = exact(np.array([0.0, 1.0]), fmt)
    # 1/3 is rounded, and the radius goes on: a rounded operand.
    assert np.count_nonzero(parts(np.exp(x / 3.0))[1]) == 2
    half_of_least = Decimal(2) ** -1075
    # No rounding makes it the least number of float64.
    assert Decimal(exactness.VANISHING).exp() < half_of_least / 1000


def test_the_unit_of_an_array() -> None:
    assert exactness.unit(np.array([6.0, -4.0])) == 2.0
    assert exactness.unit(np.array([0.75, 3.0])) == 0.25
    assert exactness.unit(np.array([3.0, 0.0], np.longdouble)) == 1.0
    assert exactness.unit(np.array([2.0**-1074])) == 2.0**-1074
    assert exactness.unit(np.zeros(3)) == math.inf
    assert exactness.unit(np.zeros(0)) == math.inf
    assert exactness.unit(np.array([1.0, np.inf])) == 0.0
    assert exactness.unit(np.array([1.0, np.nan])) == 0.0


def test_fits_is_the_definition() -> None:
    rng = np.random.default_rng(2)
    for name in DTYPES:
        fmt = FORMATS[name]
        x = np.concatenate([rng.integers(0, 2 ** (fmt.bits + 2), 200) * 2.0 ** rng.integers(-9, 9, 200),
                            [0.0, fmt.max, fmt.least_normal, fmt.least_normal / 2, fmt.max / 3]])  # fmt: skip
        found = exactness.fits(fmt, x.astype(fmt.wide))
        assert found.tolist() == [holds(fmt, Fraction(float(v))) for v in x]
        assert not exactness.fits(fmt, np.array([np.inf, np.nan, -np.inf], fmt.wide)).any()
