"""What a record says of an op besides its mathematics: its symbol in drawings, its place in random graphs, and the errors of its kernels.

Drawings, families of cases and planted errors read these instead of naming ops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from refgrad.arrays import Array, Params
from refgrad.formula import Formula

Choice = TypeVar("Choice")

# The pools from which a random graph takes its ops.
ELEMENTWISE = "elementwise"
PARAMETRISED = "parametrised"
SEVERAL = "several"  # products, factorisations and joins
POOLS = (ELEMENTWISE, PARAMETRISED, SEVERAL)

# What an op that factorises a matrix does with a singular one.
REGULAR = "regular"  # value and derivative are numbers
POLE = "pole"  # the value is infinite
REFUSED = "refused"  # it raises LinAlgError
SINGULAR = (REGULAR, POLE, REFUSED)

# What the rules of an op are for complex operands; see complex_rules of the record. A function in place of one of these computes the
# op of complex operands.
HOLOMORPHIC = "holomorphic"  # those of a function with a complex derivative: linear in the tangent or cotangent, without conjugates
REAL_LINEAR = "real-linear"  # they come to what the convention for complex numbers asks for as they stand
COMPLEX_RULES = (HOLOMORPHIC, REAL_LINEAR)


class Choices(Protocol):
    """The source of chance of a case; refgrad.testing.cases.source.Source is one."""

    rng: np.random.Generator

    def choice(self, options: Sequence[Choice]) -> Choice:
        """One of the options; shrinking prefers the first."""

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How a drawing of a graph writes the op; by its name where nothing is given.

    symbol       the text of the gate
    with_number  a binary op with a constant number: the text where the number is the first operand, and the text where it is the
                 second. ``{}`` stands for the number, ``^{}`` for the number as an exponent.
    of_params    the text for some values of the parameters; None for all others
    """

    symbol: str = ""
    with_number: tuple[str, str] | None = None
    of_params: Callable[[Mapping[str, Any]], str | None] | None = None


BY_NAME = Notation()


@dataclass(frozen=True, slots=True)
class InGraphs:
    """How random graphs draw the op.

    pool    one of POOLS
    place   its place in the pool. A case shrinks towards the first ones. Two ops of one pool have different places.
    weight  how often the pool lists it
    params  draws parameters for a first operand, ``params(source, x)``; raises ValueError for an operand that the op does not take
    """

    pool: str
    place: int
    weight: int = 1
    params: Callable[[Choices, Array], Params] | None = None


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Errors that kernels of this op have had, for the catalogue of planted errors.

    terms         the number of terms by which a mean divides, ``terms(x_shape, **params)``: a kernel may forget to divide
    other_branch  brings operands to the other side of a branch, ``other_branch(xs, rng)``. It returns all operands, those that it
                  did not change as the same objects, or None where it cannot. A kernel may take the wrong branch.
    incomplete    the rules with a term left out
    """

    terms: Callable[..., int] | None = None
    other_branch: Callable[[list[Array], np.random.Generator], list[Array] | None] | None = None
    incomplete: Formula | None = None


NO_MISTAKES = Mistakes()
