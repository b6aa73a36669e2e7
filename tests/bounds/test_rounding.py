"""Rounding to formats: exhaustively over all codes of the 8-bit ones, and against NumPy where it has the format."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgrad.bounds.formats import FORMATS, Format
from refgrad.bounds.rounding import nearest, representable, rounded

Array = Any
EXPONENT_BITS = {"float8_e4m3": 4, "float8_e5m2": 5}
eight_bit = pytest.mark.parametrize("name", EXPONENT_BITS)
native = pytest.mark.parametrize("name", [n for n, fmt in FORMATS.items() if fmt.native])


def decoded(code: int, exponent_bits: int, *, infinity: bool) -> float:
    """The number of an 8-bit code by the definition of the formats: sign, biased exponent, significand."""
    places = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    sign = -1.0 if code & 0x80 else 1.0
    exponent, rest = (code & 0x7F) >> places, code & (2**places - 1)
    last = 2**exponent_bits - 1
    if infinity and exponent == last:
        return sign * np.inf if rest == 0 else np.nan
    if not infinity and exponent == last and rest == 2**places - 1:
        return np.nan
    if exponent == 0:
        return sign * rest * 2.0 ** (1 - bias - places)
    return sign * (1 + rest * 2.0**-places) * 2.0 ** (exponent - bias)


def codes(name: str) -> Array:
    """The numbers of all 256 codes."""
    return np.array([decoded(c, EXPONENT_BITS[name], infinity=FORMATS[name].infinity) for c in range(256)])


def numbers(name: str) -> Array:
    """The finite numbers of an 8-bit format, in order, from 0 on; the place in the list is the code."""
    found = codes(name)[:128]
    return found[np.isfinite(found)]


@eight_bit
def test_the_entry_says_what_the_codes_hold(name: str) -> None:
    fmt, found = FORMATS[name], numbers(name)
    assert found[0] == 0.0
    assert found[1] == fmt.least == 2 * fmt.eta
    assert found[-1] == fmt.max
    assert fmt.least_normal in found
    assert np.diff(found[found >= 1])[0] == 2 * fmt.u
    assert np.isinf(codes(name)).any() == fmt.infinity


@eight_bit
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_every_code_rounds_to_itself(name: str, dtype: Any) -> None:
    x = codes(name).astype(dtype)
    y = rounded(x, FORMATS[name])
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))
    assert np.all(representable(x, FORMATS[name]))


@eight_bit
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_between_neighbours_the_nearest_is_taken_and_ties_go_to_the_even_code(name: str, sign: float) -> None:
    fmt, found = FORMATS[name], numbers(name)
    low, high = found[:-1], found[1:]
    middle = (low + high) / 2
    even = np.where(np.arange(len(low)) % 2 == 0, low, high)
    for x, due in (
        (middle, even),
        (np.nextafter(middle, 0), low),
        (np.nextafter(middle, np.inf), high),
        (low + (high - low) / 4, low),
        (high - (high - low) / 4, high),
    ):
        np.testing.assert_array_equal(rounded(sign * x, fmt), sign * due)


@eight_bit
def test_beyond_the_range_is_infinity_or_the_largest_number(name: str) -> None:
    fmt = FORMATS[name]
    beyond = np.inf if fmt.infinity else fmt.max
    x = np.array(
        [np.nextafter(fmt.overflow, 0), np.nextafter(fmt.overflow, np.inf), 2 * fmt.max, 1e300, np.inf]
    )
    np.testing.assert_array_equal(rounded(x, fmt), [fmt.max, beyond, beyond, beyond, beyond])
    np.testing.assert_array_equal(rounded(-x, fmt), -rounded(x, fmt))
    assert np.isnan(rounded(np.array(np.nan), fmt))


def _near(fmt: Format, seed: int) -> Array:
    """Numbers of every size, ties and their neighbours among them, in long double."""
    rng = np.random.default_rng(seed)
    low, high = np.frexp(fmt.least)[1], np.frexp(fmt.max)[1]
    exponents = rng.integers(low - 2, high + 2, 200)
    x = np.ldexp(rng.integers(2**fmt.bits, 2 ** (fmt.bits + 1), 200) / 2, exponents - fmt.bits)
    return np.concatenate([x, np.nextafter(x, 0), np.nextafter(x, np.inf), rng.standard_normal(200)])


@native
@given(seed=st.integers(0, 2**20))
def test_rounding_is_numpys_where_numpy_has_the_format(name: str, seed: int) -> None:
    fmt = FORMATS[name]
    with np.errstate(all="ignore"):
        x = _near(fmt, seed).astype(np.float64)
        due = x.astype(name)
        np.testing.assert_array_equal(rounded(x, fmt), due.astype(np.float64))
        np.testing.assert_array_equal(nearest(x, fmt), due.astype(np.float64))


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 2**16, dtype=np.uint64).astype(np.uint32)
    bits[: 2**14] &= 0xFFFF8000  # ties
    x = bits.view(np.float32)
    x = x[np.isfinite(x)]
    bits = x.view(np.uint32)
    due = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    np.testing.assert_array_equal(rounded(x, FORMATS["bfloat16"]), due)


def test_a_result_is_rounded_to_the_dtype_of_the_operand_in_turn() -> None:
    x = np.array([65504.0], np.float16)
    assert np.isinf(rounded(x, FORMATS["bfloat16"]))  # 65536 in bfloat16, which float16 has not
    assert rounded(x, FORMATS["float64"]) == x


def test_of_long_double_every_digit_decides() -> None:
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("long double is double here")
    x = 1 + np.ldexp(np.longdouble(1), -53) + np.ldexp(np.longdouble(1), -63)
    assert rounded(x, FORMATS["float64"]) == 1 + 2.0**-52
    assert rounded(1 + np.ldexp(np.longdouble(1), -53), FORMATS["float64"]) == 1
