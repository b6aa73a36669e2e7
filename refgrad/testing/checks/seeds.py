"""Random cotangents and tangents of several kinds, each of which exposes other errors.

A cotangent with few significant bits survives a backward that rounds it to a shorter format; one that uses all bits of the judged format
exposes the loss. The bound of a sum over many terms may be too wide to expose a missing sum; a sparse cotangent leaves few terms and a
narrow bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.tracing.ball import nearest

Draw = Callable[[np.random.Generator, tuple[int, ...], Format], PlainArray]


def whole(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> PlainArray:
    """Normally distributed numbers, rounded to the format: they use all bits of the significand."""
    return np.asarray(nearest(rng.standard_normal(shape), fmt))


def simple(rng: np.random.Generator, shape: tuple[int, ...], _: Format) -> PlainArray:
    """Multiples of 1/4 in [-2, 2], zero included: every format holds them exactly."""
    return rng.integers(-8, 9, shape) / 4.0


def single(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> PlainArray:
    """One nonzero element."""
    x = np.zeros(shape)
    if x.size:
        x.ravel()[rng.integers(x.size)] = whole(rng, (), fmt) or 1.0
    return x


def sparse(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> PlainArray:
    """About sqrt(n) nonzero elements of n."""
    x = whole(rng, shape, fmt)
    n = x.size
    mask = np.zeros(n, bool)
    mask[: math.isqrt(n)] = True
    rng.shuffle(mask)
    return np.where(mask.reshape(shape), x, 0.0)


def constant(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> PlainArray:
    """Equal elements, as the gradient of a sum has."""
    return np.full(shape, whole(rng, (), fmt))


def ones(_: np.random.Generator, shape: tuple[int, ...], __: Format) -> PlainArray:
    """Ones, as every backward of a loss begins with. A kernel may leave a product out where it meets them."""
    return np.ones(shape)


def along(axis: int) -> Draw:
    """The kind of draw with equal elements along an axis, as the gradient of a sum along it has; constant without such an axis."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> PlainArray:
        if len(shape) <= max(axis, 0):
            return constant(rng, shape, fmt)
        short = list(shape)
        short[axis] = min(1, short[axis])
        return np.array(np.broadcast_to(whole(rng, tuple(short), fmt), shape))

    return draw


def tiny(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> PlainArray:
    """Normal numbers times 2^-k, where 2^k is the fourth root of the format's range."""
    return np.asarray(nearest(np.ldexp(whole(rng, shape, fmt), -_quarter_exponent(fmt)), fmt))


def huge(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> PlainArray:
    """Normal numbers times 2^k, where 2^k is the fourth root of the format's range."""
    return np.ldexp(whole(rng, shape, fmt), _quarter_exponent(fmt))


def limited(x: PlainArray, unit: float, fmt: Format) -> PlainArray:
    """Large cotangents, divided by a power of two such that the square of the gradient does not overflow.

    A backward may multiply numbers of the size of the gradient before it divides. ``unit`` is the largest element of the gradient for
    cotangents of size 1.
    """
    most = np.max(np.abs(x), initial=0.0) * unit
    excess = math.frexp(most)[1] - math.frexp(fmt.max)[1] // 2 if most else 0
    return np.ldexp(x, -max(0, excess))


def zero(_: np.random.Generator, shape: tuple[int, ...], __: Format) -> PlainArray:
    """Zeros."""
    return np.zeros(shape)


def _quarter_exponent(fmt: Format) -> int:
    return math.frexp(fmt.max)[1] // 4


WHOLE = "of the whole significand"
SINGLE = "with a single element"
SPARSE = "mostly zero"
CONSTANT = "with one number everywhere"
ONES = "of ones"
SMALL = "very small"
LARGE = "very large"
ZERO = "of zeros"
DRAWS: dict[str, Draw] = {
    WHOLE: whole,
    "of short numbers": simple,
    SINGLE: single,
    SPARSE: sparse,
    CONSTANT: constant,
    ONES: ones,
    SMALL: tiny,
    LARGE: huge,
    ZERO: zero,
}
WITHOUT_GRADIENT = f"{WHOLE}, the cotangents without requires_grad"  # of a double backward
AFTER_NEGATED = f"{WHOLE}, after their negative was asked of the same graph"  # of a double backward
# Draws that a check of torch gives with strides of 0 along the axis.
EQUAL_FIRST, EQUAL_SECOND, EQUAL_LAST = (
    "equal along the first axis",
    "equal along axis 1",
    "equal along the last axis",
)
_EQUAL: dict[str, Draw] = {EQUAL_FIRST: along(0), EQUAL_SECOND: along(1), EQUAL_LAST: along(-1)}


def drawn(
    kind: str, rng: np.random.Generator, shape: tuple[int, ...], fmt: Format, unit: float = 0.0
) -> PlainArray:
    """A float64 array of numbers of the format, of one of the kinds in DRAWS, or equal along an axis.

    unit   the largest element of the gradient for cotangents of size 1; 0 where it is unknown. See ``limited``
    """
    x = (DRAWS.get(kind) or _EQUAL[kind])(rng, shape, fmt)
    return limited(x, unit, fmt) if kind == LARGE and unit else x
