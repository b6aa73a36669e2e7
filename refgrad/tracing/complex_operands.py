"""Complex operands in both modes: which ops take them, and what reverse mode makes of the rules of holomorphic ones.

Convention. A complex number z = a + i b stands for two real ones. The cotangent of z is z_bar = dL/da + i dL/db for a real L, which is what
torch returns as a gradient. A cotangent y_bar of a complex value y means L = Re(conj(y_bar) y), so an op with the complex derivative f'
has

    y_dot = f'(z) z_dot          z_bar = y_bar conj(f'(z)) = conj(conj(y_bar) f'(z))

The rules of ops are written for real numbers, linear in the cotangent: y_bar f'(z). With conj(y_bar) in the place of y_bar, and a
conjugated answer, they hold for complex numbers as well. Of a real operand the cotangent is the real part.

Source: Kreutz-Delgado, "The complex gradient operator and the CR-calculus" (2009). The convention is twice the conjugate Wirtinger
derivative there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.errors import NoRuleError
from refgrad.op import Op, Rule
from refgrad.op.traits import HOLOMORPHIC


def no_rule(op: Op) -> NoRuleError:
    """The error for an op that met complex operands and has no derivative for them."""
    return NoRuleError(
        f"op {op.name!r} met complex operands, for which it has no derivative in refgrad. Write it with functions that take complex "
        "numbers, or with real and imaginary parts (z.real, z.imag), which are real arrays."
    )


def answers(op: Op, real_valued: bool) -> Any:
    """What computes the op of complex operands in its place; None where its own rules do.

    Raises NoRuleError for an op that refuses complex operands. One of real values without a derivative, a comparison, takes them.
    """
    rules = op.complex_rules
    if callable(rules):
        return rules
    if rules is None and (op.signature.differentiable or not real_valued):
        raise no_rule(op)
    return None


def pulled(op: Op, rule: Rule, dtypes: Sequence[Any], y_dtype: Any) -> Rule:
    """The VJP rule for operands of these dtypes, complex ones among them or beside a complex value.

    ``dtypes`` has one entry, or for a variadic op one for each operand. Raises NoRuleError for an op that refuses complex operands, or
    whose rules are those of a holomorphic function while its value is real.
    """
    holomorphic = op.complex_rules == HOLOMORPHIC
    if op.complex_rules is None or callable(op.complex_rules) or (holomorphic and y_dtype.kind != "c"):
        raise no_rule(op)

    def settled(x_bar: Any, dtype: Any) -> Any:
        if x_bar is None:
            return None
        if dtype is None or dtype.kind != "c":
            return np.real(x_bar) if x_bar.dtype.kind == "c" else x_bar
        return np.conjugate(x_bar) if holomorphic else x_bar

    def call(y_bar: Any, *saved: Any) -> Any:
        given = rule(np.conjugate(y_bar) if holomorphic else y_bar, *saved)
        if op.signature.variadic:
            return [settled(x_bar, dtype) for x_bar, dtype in zip(given, dtypes, strict=True)]
        return settled(given, dtypes[0])

    return call
