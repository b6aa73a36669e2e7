"""Rounding rules of ops that round nothing: they move, select or compare elements. Radii of operands go on, and that is all."""

from __future__ import annotations

import numpy as np

from refgrad.bounds.evaluation import Evaluation, Radius, RoundingRule, zero
from refgrad.bounds.small_arrays import some, spread
from refgrad.quiet import quiet

EXACT_RULES: set[RoundingRule] = set()


def exact_rule(rule: RoundingRule) -> RoundingRule:
    """Marks the rule of ops that round nothing: radii of operands go on, and exact operands have an exact result."""
    EXACT_RULES.add(rule)
    return rule


@exact_rule
def moved(run: Evaluation) -> Radius:
    """Rule of ops that move elements (reshape, concatenate, getitem): radii move with them, and nothing is rounded."""
    forward, xs, es, params = run.forward, run.xs, run.es, run.params
    if not some(es):
        return None
    return forward(
        *[np.zeros(x.shape) if e is None else spread(e, x.shape) for x, e in zip(xs, es, strict=True)],
        **params,
    )


@exact_rule
def same(run: Evaluation) -> Radius:
    """Rule of exact ops whose slope in the first operand is at most 1 (negative, abs)."""
    return run.es[0]


@exact_rule
def steps(run: Evaluation) -> Radius:
    """Rule of monotone step functions (floor, sign): exact; where a jump lies within the radius, the height of the step."""
    forward, y, xs, es, params = run.forward, run.y, run.xs, run.es, run.params
    if not some(es):
        return None
    x, e = xs[0], zero(es[0])
    return np.maximum(
        np.abs(forward(x + e, *xs[1:], **params) - y), np.abs(y - forward(x - e, *xs[1:], **params))
    )


@exact_rule
def compared(run: Evaluation) -> Radius:
    """Rule of comparisons: exact; the radius marks the elements whose result is uncertain."""
    fmt, xs, es = run.fmt, run.xs, run.es
    if not some(es):
        return None
    x1, x2 = xs
    reach = zero(es[0]) + zero(es[1])
    with quiet():
        uncertain = (np.abs(np.subtract(x1, x2, dtype=fmt.wide)) <= reach) & (reach > 0)
    return uncertain if np.count_nonzero(uncertain) else None
