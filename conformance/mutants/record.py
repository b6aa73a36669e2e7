"""The record of a mutant: a backward formula that a framework has shipped wrong, the right formula, and inputs that expose the error."""

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
    """The kind of error."""

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

    FORMULA  a NumPy formula ``(y_bar, *args) -> cotangents`` over Balls, by check_vjp: the error is in the mathematics
    TANGENT  a NumPy formula ``(args, tangents) -> tangent`` over Balls, by check_jvp
    KERNEL   a NumPy emulation of a kernel, which runs in the judged format: the error is in rounding, memory or aliasing
    """

    FORMULA = "formula"
    TANGENT = "tangent"
    KERNEL = "kernel"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A formula that a framework has shipped wrong.

    link      the public report
    forward   NumPy code, which the judge differentiates. Where a function has a set of derivatives at the exposing point, it is written
              in a form that is smooth there (see note)
    inputs    draws arguments: exposing ones first, then ordinary ones. Integer and boolean arrays are not differentiated
    raises    the exception of the wrong formula at the exposing inputs, where it raises one
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
    """A report that cannot be executed here, with the reason."""

    id: str
    link: str
    op: str
    reason: str


def normal(rng: np.random.Generator, *shapes: tuple[int, ...]) -> Args:
    """Ordinary arguments: standard normal arrays."""
    return tuple(rng.standard_normal(shape) for shape in shapes)


def as_stored(x: Array) -> Array:
    """The elements of x in the order of memory, read as if x were contiguous: what a kernel reads that ignores strides."""
    return np.ravel(x, order="K").reshape(x.shape)
