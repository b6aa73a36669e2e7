"""Cotangents and tangents: of the whole significand of a format, and of the kinds that a derivative may treat by itself.

A cotangent with a few bits passes unchanged through a backward that rounds it to a shorter format; only one that uses every bit of the
judged format shows the loss. A sum over many terms has a bound too wide to see a missing sum; a cotangent that is mostly zero leaves few
terms and a narrow bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.bounds.formats import Format
from refgrad.tracing.ball import nearest

Array = Any
Draw = Callable[[np.random.Generator, tuple[int, ...], Format], Array]


def whole(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> Array:
    """Normal numbers, rounded to the format: each significand bit is used."""
    return np.asarray(nearest(rng.standard_normal(shape), fmt))


def simple(rng: np.random.Generator, shape: tuple[int, ...], _: Format) -> Array:
    """Multiples of 1/4 in [-2, 2], zero among them: short numbers that every format holds."""
    return rng.integers(-8, 9, shape) / 4.0


def single(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> Array:
    """One element, and zero elsewhere."""
    x = np.zeros(shape)
    if x.size:
        x.ravel()[rng.integers(x.size)] = whole(rng, (), fmt) or 1.0
    return x


def sparse(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> Array:
    """About sqrt(n) of n elements, and zero elsewhere."""
    x = whole(rng, shape, fmt)
    n = x.size
    mask = np.zeros(n, bool)
    mask[: math.isqrt(n)] = True
    rng.shuffle(mask)
    return np.where(mask.reshape(shape), x, 0.0)


def constant(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> Array:
    """One number everywhere, as the gradient of a sum sends it."""
    return np.full(shape, whole(rng, (), fmt))


def tiny(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> Array:
    """Normal numbers times 2^-k, where 2^k is the fourth root of the format's range."""
    return np.asarray(nearest(np.ldexp(whole(rng, shape, fmt), -_quarter(fmt)), fmt))


def huge(rng: np.random.Generator, shape: tuple[int, ...], fmt: Format) -> Array:
    """Normal numbers times 2^k, where 2^k is the fourth root of the format's range."""
    return np.ldexp(whole(rng, shape, fmt), _quarter(fmt))


def damped(x: Array, unit: float, fmt: Format) -> Array:
    """Very large cotangents, divided by a power of two where gradients of ``unit`` for cotangents of size one would not fit twice.

    A backward may multiply them by each other's like before it divides: the square of a gradient has to be a number of the format.
    """
    most = np.max(np.abs(x), initial=0.0) * unit
    excess = math.frexp(most)[1] - math.frexp(fmt.max)[1] // 2 if most else 0
    return np.ldexp(x, -max(0, excess))


def zero(_: np.random.Generator, shape: tuple[int, ...], __: Format) -> Array:
    """Zero everywhere."""
    return np.zeros(shape)


def _quarter(fmt: Format) -> int:
    return math.frexp(fmt.max)[1] // 4


WHOLE = "of the whole significand"
SINGLE = "with a single element"
SPARSE = "mostly zero"
CONSTANT = "with one number everywhere"
LARGE = "very large"
ZERO = "of zeros"
DRAWS: dict[str, Draw] = {
    WHOLE: whole,
    "of short numbers": simple,
    SINGLE: single,
    SPARSE: sparse,
    CONSTANT: constant,
    "very small": tiny,
    LARGE: huge,
    ZERO: zero,
}


def drawn(
    kind: str, rng: np.random.Generator, shape: tuple[int, ...], fmt: Format, unit: float = 0.0
) -> Array:
    """An array of a kind, float64, which holds numbers of the format.

    unit   the largest element of the gradient by cotangents of size one, where it is known: see damped
    """
    x = DRAWS[kind](rng, shape, fmt)
    return damped(x, unit, fmt) if kind == LARGE and unit else x
