"""Casts through every other format: ordinary numbers, ties, subnormals, the ends of the range, infinities and NaN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refgrad import nn
from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS, Format
from refgrad.bounds.rounding import rounded as nearest
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source

from .arrays import finish, rounded
from .wide import length

KINDS = ("ordinary", "ties", "near ties", "subnormal", "edges", "zeros", "beyond", "non-finite")
LENGTHS = (1, 2, 3, 5, 8, 17, 33, 67)  # the vector body of a kernel and its scalar tail
FORMS = ("cast", "all modes", "scaled", "two uses", "two casts")


def targets(dtype: str) -> tuple[str, ...]:
    """The formats through which a dtype is cast: all formats with their own numbers, except for its storage format."""
    own = FORMATS[dtype].storage
    return tuple(name for name, fmt in FORMATS.items() if not fmt.u_operand and fmt.storage != own)


def numbers(source: Source, count: int, fmt: Format, kind: str) -> PlainArray:
    """Numbers in float64 whose cast to the format is ordinary, or depends on a tie, on underflow or on the end of the range."""
    rng = source.rng
    signs = rng.choice((-1.0, 1.0), count)
    exponents = rng.integers(-3, 4, count) if kind == "ordinary" else rng.integers(*_exponents(fmt), count)
    significands = rng.integers(2 ** (fmt.bits - 1), 2**fmt.bits, count).astype(float)  # as integers
    scale = np.ldexp(1.0, exponents - fmt.bits)
    if kind == "ordinary":
        return rng.standard_normal(count) * np.ldexp(1.0, exponents)
    if kind == "ties":
        return signs * (significands + 0.5) * scale
    if kind == "near ties":
        return (
            signs
            * (
                significands
                + 0.5
                + rng.choice((-1.0, 1.0), count) * np.ldexp(1.0, -rng.integers(2, 12, count))
            )
            * scale
        )
    if kind == "subnormal":
        return signs * rng.integers(0, 2**fmt.bits, count) / 4 * fmt.least
    if kind == "edges":
        return signs * rng.choice(
            (fmt.max, fmt.least_normal, fmt.least, fmt.max * (1 - fmt.u), fmt.least_normal - fmt.least), count
        )
    if kind == "zeros":
        return signs * 0.0
    if kind == "beyond":
        return signs * rng.choice(
            (fmt.overflow, fmt.max * (1 + fmt.u / 2), 2 * fmt.max, 1e3 * fmt.max), count
        )
    return rng.choice((np.inf, -np.inf, np.nan, 1.0), count)


def _exponents(fmt: Format) -> tuple[int, int]:
    """The range of exponents of a format's normal numbers, as far as every format has them."""
    low, high = np.frexp(fmt.least_normal)[1], np.frexp(fmt.max)[1]
    return max(int(low), -12), min(int(high), 12)


def casts(source: Source, dtype: str) -> Case:
    """A cast of a dtype through another format and back: alone, of a scaled operand, beside another use, or two casts."""
    target = source.choice(targets(dtype))
    kind, form, count = source.choice(KINDS), source.choice(FORMS), source.choice(LENGTHS)
    count = length(source) or count
    shape = source.choice(((count,), (1, count), (count, 1)))
    fmt = FORMATS[target]
    with np.errstate(over="ignore"):
        x = rounded(numbers(source, count, fmt, kind), dtype).reshape(shape)
    inputs = {"x": x}
    if form in ("cast", "all modes"):
        graph = Graph.record(lambda x: nn.cast_through(x, target), x)
    elif form == "scaled":
        w = inputs["w"] = rounded(source.rng.integers(1, 8, shape) / 4.0, dtype)
        graph = Graph.record(lambda x, w: nn.cast_through(x * w, target), x, w)
    elif form == "two uses":
        w = inputs["w"] = rounded(source.rng.integers(1, 8, shape) / 4.0, dtype)
        graph = Graph.record(lambda x, w: nn.cast_through(x, target) * w + x, x, w)
    else:
        other = source.choice(targets(dtype))
        graph = Graph.record(lambda x: nn.cast_through(nn.cast_through(x, target) * 0.75, other), x)
    with np.errstate(all="ignore"):
        case = finish(source, "casts", graph, inputs, dtype)
    return _in_all_modes(case, fmt) if form == "all modes" else case


def _in_all_modes(case: Case, fmt: Format) -> Case:
    """The case with order 2, and with a cotangent and tangents that the cast does not round.

    The modes are compared by the adjoint identity, which holds for the derivative but not for rounded derivatives.
    """
    tangents = {name: nearest(x_dot, fmt) for name, x_dot in case.tangents.items()}
    return replace(case, cotangent=nearest(case.cotangent, fmt), tangents=tangents, order=2)
