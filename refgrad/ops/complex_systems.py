"""Determinants, inverses and linear systems of complex matrices by parts: bounds for the field ``by_parts``.

The analysis of Gaussian elimination for real matrices holds for complex ones with moduli in the place of magnitudes and a larger unit:
a complex product is off by sqrt(2) gamma_2 of its modulus, a quotient by sqrt(2) gamma_4, a sum by u (Higham, "Accuracy and Stability of
Numerical Algorithms", 2nd ed., lemma 3.5 and section 9.3). An element of the factors is made by one product, one quotient and up to n
sums, so n + 9 roundings of moduli take the place of n + 1: the unit is (n + 9)/(n + 1) u. A part is off by no more than the modulus is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Params, PlainArray
from refgrad.bounds.evaluation import Evaluation, Radius, RoundingRule
from refgrad.op import Op
from refgrad.ops.by_parts import ByParts, Operands, Parts, joined, zeros

_TERMS = 4  # real products in a complex one, each of which may underflow


def of_matrices(name: str, forward: Callable[..., PlainArray], rounding: RoundingRule) -> ByParts:
    """The parts of a function of one or two complex arrays, the first one matrices, by a rule that holds for moduli.

    ``rounding`` receives complex operands and values, and the radii of their moduli.
    """

    def part(*xs: PlainArray, imaginary: bool = False) -> Any:
        y = forward(*_joined(xs))
        return (y.imag if imaginary else y.real).copy()

    def rule(run: Evaluation) -> Radius:
        xs = _joined(run.xs)
        es = [
            None if re is None and im is None else np.hypot(bounds.zero(re), bounds.zero(im))
            for re, im in zip(run.es[::2], run.es[1::2], strict=True)
        ]
        n = xs[0].shape[-1]
        coarse = replace(run.fmt, u=(n + 9) / (n + 1) * run.fmt.u, eta=_TERMS * run.fmt.eta)
        return rounding(
            run._replace(fmt=coarse, y=np.asarray(forward(*xs)), xs=tuple(xs), es=tuple(es), params={})
        )

    op = Op(name, part, jvp=None, vjp=None, rounding=rule, sums=True)

    def by_parts(_: Any, operands: Operands, params: Params) -> Parts:
        flat = [
            x
            for operand in operands
            for x in (operand.re, zeros(operand.re) if operand.im is None else operand.im)
        ]
        return Parts(*[op(*flat, imaginary=imaginary) for imaginary in (False, True)])

    return by_parts


def _joined(xs: tuple[PlainArray, ...]) -> list[PlainArray]:
    return [joined(re, im) for re, im in zip(xs[::2], xs[1::2], strict=True)]
