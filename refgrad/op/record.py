"""The fields of the record of an op: one mathematical function with everything refgrad knows about it.

Its rules are plain functions whose *parameter names say what they need*:

    x, x1, ...        the operand of that name (the names of ``forward``'s first parameters)
    y                 the value of the op
    x_shape           the shape of operand x (asking for it keeps no array alive)
    axis, ...         a parameter of the op (the remaining parameters of ``forward``)
    active            variadic ops: a tuple of booleans, which operands are differentiated

The first parameter of a JVP rule is ``<operand>_dot``, of a VJP rule ``y_bar``. Reverse mode keeps exactly what
the signature names, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refgrad.bounds.evaluation import RoundingRule
from refgrad.domain import REAL, Domain, Special
from refgrad.formula import Formula
from refgrad.op.signature import Rules, Signature
from refgrad.op.traits import BY_NAME, NO_MISTAKES, InGraphs, Mistakes, Notation


@dataclass(frozen=True, slots=True, eq=False)
class OpRecord:
    """The record of one op. Registration checks it (checks.py).

    The mathematics:

    forward      raw NumPy: operands first, then parameters with defaults; ``*xs`` for a variadic op
    jvp, vjp     one rule an operand (a mapping by operand name; a lone rule for a single or variadic operand);
                 None for an op whose derivative is zero wherever it exists (comparisons, floor, sign)
    rounding     how an error radius passes through, and what rounding adds (see refgrad.bounds)
    domain       where the op is defined, and how to draw operands for it
    special      points where no ordinary derivative exists, with the set of acceptable ones
    slopes       exact derivatives for the comparison with mpmath, one for each operand: ``lambda mp, x: 1 / x`` receives mpmath
                 and its numbers

    Other implementations of it:

    torch        the twin: receives the torch module, then operands and parameters like ``forward``; None where torch has none
    numpy        the NumPy callables that lead here
    reduces      the ufunc whose method ``reduce`` this op is
    accumulates  the ufunc whose method ``accumulate`` this op is
    usual        other formulas in use for it, within whose bounds a result is imprecise and not wrong
    mistakes     errors that kernels of it have had

    Traits:

    broadcasts   operands broadcast against each other: the engine sums cotangents back to operand shapes
    core         how many trailing axes of every operand do not broadcast (2 for a product of matrices)
    elementwise  an element of the value depends on the elements of the operands at its place alone, and so does its rounding
    commutes     the value does not depend on the order of the operands
    view         the value may share the memory of its operand
    picks        each element of the value is one of the operands' elements: at a tie its tangent lies between theirs
    selects      its rules multiply a cotangent by factors that no operand makes infinite, positive where an element is taken
    branch_free  the derivative is one formula at every point, made of ops of which the same holds. False where it is not known
    unit_slopes  every derivative is 0, 1 or -1, or a share of a tie
    sums         the value, or a derivative in one operand, adds up many terms
    singular     an op that factorises matrices: what it does with a singular one (REGULAR, POLE, REFUSED of refgrad.op.traits)
    complex_rules  what the rules are for complex operands; None for an op that refuses them
    by_parts     how its value of complex operands is computed from their parts (refgrad.ops.by_parts); None where no bound is known
    helper       the op stands in rules alone, where it carries the rounding of a kernel's formula; users have no name for it
    notation     how drawings write it
    in_graphs    how random graphs draw it; None where they do not

    Kernels of ops that factorise matrices exist in formats that accumulate as they store, alone. Rules for complex operands are
    HOLOMORPHIC, and the engine conjugates in reverse mode; or REAL_LINEAR, and they stand as they are; or a function of operands and
    parameters computes the op of complex operands in their place. Real ops compute the parts of a complex value, which bounds its error.

    ``home`` is the module that registered it.
    """

    name: str
    forward: Callable[..., Any]
    jvp: Rules
    vjp: Rules
    rounding: RoundingRule
    torch: Callable[..., Any] | None = None
    numpy: tuple[Callable[..., Any], ...] = ()
    domain: Domain = REAL
    special: tuple[Special, ...] = ()
    broadcasts: bool = False
    picks: bool = False
    selects: bool = False
    usual: tuple[Formula, ...] = ()
    core: int = 0
    elementwise: bool = False
    commutes: bool = False
    view: bool = False
    branch_free: bool = False
    unit_slopes: bool = False
    sums: bool = False
    singular: str | None = None
    complex_rules: str | Callable[..., Any] | None = None
    by_parts: Callable[..., Any] | None = None
    helper: bool = False
    slopes: tuple[Callable[..., Any], ...] = ()
    reduces: np.ufunc | None = None
    accumulates: np.ufunc | None = None
    mistakes: Mistakes = NO_MISTAKES
    notation: Notation = BY_NAME
    in_graphs: InGraphs | None = None
    home: str = ""
    signature: Signature = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", Signature.of(self.name, self.forward, self.jvp, self.vjp))

    def __repr__(self) -> str:
        return f"<op {self.name}>"
