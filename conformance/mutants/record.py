"""The record of one mutant: a backward formula that was really shipped wrong, beside the right one, and what exposes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from refgrad.arrays import Array

Args = tuple[Any, ...]
Backward = Callable[..., Any]
Inputs = Callable[[np.random.Generator], list[Args]]
BOTH = ("float64", "float32")


class Kind(StrEnum):
    """What sort of slip it was."""

    TIE = "wrong at tie or kink"
    DROPPED = "dropped term"
    SIGN = "wrong sign"
    FACTOR = "wrong factor"
    NAN = "NaN from 0*inf"
    RANGE = "overflow, underflow or cancellation"
    BROADCAST = "missing broadcast reduction"
    DUPLICATES = "duplicate indices"
    EMPTY = "empty or zero-size"
    SECOND = "missing second order"
    FORWARD = "forward mode wrong or absent"
    PRECISION = "mixed precision or dtype of accumulation"
    STRIDE = "non-contiguous stride"
    ALIAS = "aliasing or in-place"
    ACCUMULATE = "accumulation into a gradient"


class Way(StrEnum):
    """How a mutant is judged.

    FORMULA  a NumPy formula ``(y_bar, *args) -> cotangents`` over Balls, by check_vjp: the slip is in the mathematics
    TANGENT  a NumPy formula ``(args, tangents) -> tangent`` over Balls, by check_jvp
    KERNEL   a NumPy emulation of a kernel, run in the judged format itself: the slip is in rounding, memory or aliasing
    """

    FORMULA = "formula"
    TANGENT = "tangent"
    KERNEL = "kernel"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One formula that was shipped wrong.

    link      the public report
    forward   NumPy code; the judge differentiates it. Where a function has a whole set of derivatives at the exposing
              point, it is written in the form that is smooth there (note says how)
    inputs    draws arguments: the exposing ones first, then ordinary ones. Integer and boolean arrays are not differentiated
    raises    what the wrong formula raises at the exposing inputs, where it does
    """

    id: str
    link: str
    op: str
    kind: Kind
    forward: Callable[..., Any]
    right: Backward
    wrong: Backward
    inputs: Inputs
    way: Way = Way.FORMULA
    dtypes: tuple[str, ...] = BOTH
    raises: type[Exception] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A report of the catalogue that is not executable here, and what it waits for."""

    id: str
    link: str
    op: str
    reason: str


def normal(rng: np.random.Generator, *shapes: tuple[int, ...]) -> Args:
    """Ordinary arguments: standard normal arrays."""
    return tuple(rng.standard_normal(shape) for shape in shapes)


def as_stored(x: Array) -> Array:
    """The elements of x in the order in which they lie in memory, read as if x were contiguous: what a kernel that ignores strides sees."""
    return np.ravel(x, order="K").reshape(x.shape)
