"""What a judge takes over from another judge of the same case, so that it is computed once."""

from __future__ import annotations

from refgrad.arrays import PlainArray
from refgrad.testing.judging.node_by_node import NodeByNode


def share(judge: NodeByNode, other: NodeByNode) -> None:
    """Take over what does not differ: results from equal values, cotangents and tangents of operands.

    What either judge computes later from equal values is there for both.
    """
    mine, theirs = judge.seen, other.seen
    if mine.values is not theirs.values or judge.fmt is not other.fmt:
        return
    judge.balls = other.balls
    judge.recomputed, judge.values_without_kinks = other.recomputed, other.values_without_kinks
    judge.without_derivative, judge.hidden_formulas = other.without_derivative, other.hidden_formulas
    for k in judge.order:
        of = judge.graph.nodes[k].of
        if k in other.contributions and _equal(mine.cotangents[k], theirs.cotangents[k]):
            judge.contributions[k] = other.contributions[k]
            judge.bounds_of_sent[k] = other.bounds_of_sent.setdefault(k, {})
        if k in other.pushed and all(_equal(mine.tangents[j], theirs.tangents[j]) for j in of):
            judge.pushed[k] = other.pushed[k]
            if k in other.bounds_of_tangent:
                judge.bounds_of_tangent[k] = other.bounds_of_tangent[k]


def _equal(a: PlainArray | None, b: PlainArray | None) -> bool:
    """Whether two arrays have the same elements, of the same shape, bit by bit."""
    return a is b or (a is not None and b is not None and a.shape == b.shape and a.tobytes() == b.tobytes())


__all__ = ["share"]
