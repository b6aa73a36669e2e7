"""Products in long double by float64 BLAS, against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refgrad import bounds
from refgrad.bounds import splitting
from refgrad.ops import contraction, linalg

Array = Any
LONG = np.longdouble
pytestmark = pytest.mark.skipif(np.finfo(LONG).nmant != 63, reason="long double has no 64 bits here")
UNIT = 2.0**-64  # one rounding of long double


def full(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers that use all 64 bits."""
    x = rng.standard_normal(shape).astype(LONG)
    return x * (1 + LONG(2) ** -60 * rng.integers(-8, 9, shape))


def ranged(rng: np.random.Generator, shape: tuple[int, ...], powers: int) -> Array:
    return np.ldexp(full(rng, shape), rng.integers(-powers, powers, shape))


def cancelling(rng: np.random.Generator, k: int) -> tuple[Array, Array]:
    """Sums that vanish but for the last bits."""
    a, b = full(rng, (33, k)), full(rng, (k, 34))
    a[:, k // 2 :] = a[:, : k // 2]
    b[k // 2 :] = -b[: k // 2] * (1 + LONG(2) ** -62)
    return a, b


def one_tiny_element(rng: np.random.Generator, k: int) -> tuple[Array, Array]:
    """Element (0, 0) consists of products far below the largest entries of its row and column."""
    a, b = full(rng, (33, k)), full(rng, (k, 34))
    a[0], b[:, 0] = 0, 0
    a[0, 0], a[0, 1], b[0, 0], b[2, 0] = LONG(2) ** -30 / 3, 1, LONG(2) ** -20 / 7, 1
    return a, b


CASES: dict[str, Any] = {
    "normal": lambda rng: (full(rng, (33, 40)), full(rng, (40, 34))),
    "many terms": lambda rng: (full(rng, (33, 2100)), full(rng, (2100, 34))),
    "range inside rows": lambda rng: (ranged(rng, (33, 200), 20), ranged(rng, (200, 34), 20)),
    "huge range inside rows": lambda rng: (ranged(rng, (33, 200), 300), ranged(rng, (200, 34), 300)),
    "rows that underflow": lambda rng: (ranged(rng, (33, 64), 900), ranged(rng, (64, 34), 900)),
    "cancellation": lambda rng: cancelling(rng, 128),
    "one tiny element": lambda rng: one_tiny_element(rng, 64),
    "subnormal": lambda rng: (full(rng, (33, 64)) * 1e-320, full(rng, (64, 34))),
    "beyond float64": lambda rng: (full(rng, (33, 64)) * LONG("1e3000"), full(rng, (64, 34))),
    "below float64": lambda rng: (full(rng, (33, 64)) * LONG("1e-3000"), full(rng, (64, 34))),
    "one-hot": lambda rng: (np.eye(33, 64).astype(LONG), full(rng, (64, 34))),
    "zeros": lambda rng: (np.zeros((33, 64), LONG), full(rng, (64, 34))),
}


def exact(a: Array, b: Array, i: int, j: int) -> tuple[Fraction, Fraction]:
    """Element (i, j) of AB and of |A||B|."""
    products = [
        Fraction(*x.as_integer_ratio()) * Fraction(*y.as_integer_ratio())
        for x, y in zip(a[i], b[:, j], strict=True)
    ]
    return sum(products, Fraction(0)), sum(map(abs, products), Fraction(0))


@pytest.mark.parametrize("case", CASES)
def test_the_error_is_at_most_twice_what_long_double_is_granted(case: str) -> None:
    rng = np.random.default_rng(1)
    a, b = CASES[case](rng)
    got = splitting.matmul(a, b)
    assert got.shape == (33, 34)
    assert got.dtype == LONG
    places = [(0, 0), *zip(rng.integers(0, 33, 12), rng.integers(0, 34, 12), strict=True)]
    for i, j in places:
        value, size = exact(a, b, int(i), int(j))
        error = abs(Fraction(*got[i, j].as_integer_ratio()) - value)
        assert error <= 2 * a.shape[1] * Fraction(UNIT) * size


def test_slices_are_exact_and_their_products_too() -> None:
    rng = np.random.default_rng(2)
    x, y = full(rng, (33, 512)), full(rng, (512, 34))
    (scaled, near, _), (scaled_y, near_y, _) = splitting._scaled(x, -1), splitting._scaled(y, -2)
    count, width = splitting._slices(np.abs(near) @ np.abs(near_y), 512)
    xs, ys = splitting._split(scaled, near, count, width), splitting._split(scaled_y, near_y, count, width)
    rest = scaled - sum(s.astype(LONG) for s in xs)
    assert np.abs(rest).max() <= 2.0 ** -(count * (width + 1))
    for p, s in enumerate(xs, 1):
        units = s * 2.0 ** (p * (width + 1) - 1)
        assert np.array_equal(units, np.rint(units))
        assert np.abs(units).max() <= 2**width
    for s in xs:
        for t in ys:
            assert Fraction(*(s @ t)[3, 4].as_integer_ratio()) == exact(s, t, 3, 4)[0]


@pytest.mark.parametrize(
    ("case", "two", "sliced"),
    [
        ("normal", True, False),
        ("one tiny element", True, False),
        ("range inside rows", False, True),
        ("huge range inside rows", False, False),
    ],
)
def test_less_is_computed_where_it_will_do(
    case: str, two: bool, sliced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[str] = []
    for name in ("_two_parts", "_slices"):
        way = getattr(splitting, name)

        def watched(*args: Any, way: Any = way, name: str = name) -> Any:
            found = way(*args)
            if found is not None:
                ways.append(name)
            return found

        monkeypatch.setattr(splitting, name, watched)
    splitting.matmul(*CASES[case](np.random.default_rng(1)))
    assert ("_two_parts" in ways, "_slices" in ways) == (two, sliced)


def test_small_products_and_narrow_formats_are_numpys_own() -> None:
    rng = np.random.default_rng(3)
    a, b = full(rng, (33, 31)), full(rng, (31, 34))
    assert np.array_equal(splitting.matmul(a, b), np.matmul(a, b))
    c, d = rng.standard_normal((33, 64)), rng.standard_normal((64, 34))
    assert np.array_equal(splitting.matmul(c, d), np.matmul(c, d))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinities_and_nan_go_where_long_double_takes_them(value: float) -> None:
    rng = np.random.default_rng(4)
    a, b = full(rng, (33, 64)), full(rng, (64, 34))
    a[5, 6] = value
    with np.errstate(all="ignore"):
        assert np.array_equal(splitting.matmul(a, b), np.matmul(a, b), equal_nan=True)


def test_tensordot_and_einsum_take_the_same_way() -> None:
    rng = np.random.default_rng(5)
    a, b, c = full(rng, (6, 40, 7)), full(rng, (7, 40, 40)), full(rng, (40, 50))
    for axes in (((1, 2), (1, 0)), ((2,), (0,)), 1):
        expected = np.tensordot(a, b, axes=axes)
        got = linalg.tensordot.forward(a, b, axes=axes)
        size = np.tensordot(np.abs(a), np.abs(b), axes=axes)
        assert got.shape == expected.shape
        assert np.all(np.abs(got - expected) <= 3 * 280 * UNIT * size)
    for subscripts, xs in (
        ("abc,cbd->ad", (a, b)),
        ("abc,dbe->cde", (a, full(rng, (40, 1, 50)))),
        ("bij,bjk->bik", (b, full(rng, (7, 40, 50)))),
        ("cij,jk,ck->ki", (b, c, full(rng, (7, 50)))),
        ("cii,ij->cj", (b, c)),
        ("cij,jk->k", (b, c)),
    ):
        expected = np.einsum(subscripts, *xs)
        got = contraction.einsum.forward(*xs, subscripts=subscripts)
        size = np.einsum(subscripts, *[np.abs(x) for x in xs])
        assert got.shape == expected.shape
        assert got.dtype == LONG
        assert np.all(np.abs(got - expected) <= 3 * 40 * 40 * 7 * UNIT * size)


def test_a_bound_by_float64_is_above_the_exact_sum() -> None:
    rng = np.random.default_rng(6)
    a = np.abs(full(rng, (33, 64)))
    b = np.abs(np.ldexp(full(rng, (64, 34)), rng.integers(-1070, 900, (64, 34))))
    fmt = bounds.FORMATS["float64"]
    with np.errstate(all="ignore"):
        got = bounds.above(fmt, np.matmul, (a, b), {}, 64)
    assert got.dtype == np.float64
    for i, j in zip(rng.integers(0, 33, 40), rng.integers(0, 34, 40), strict=True):
        value = exact(a, b, int(i), int(j))[0]
        assert value <= Fraction(float(got[i, j])) <= value * (1 + Fraction(1, 2**40)) + Fraction(1, 2**1060)


def test_a_bound_beyond_float64_is_formed_in_the_wide_format() -> None:
    a = np.full((33, 64), 1e200, LONG)
    with np.errstate(all="ignore"):
        got = bounds.above(bounds.FORMATS["float64"], np.matmul, (a, a.T), {}, 64)
    assert np.all(np.isfinite(got))
