"""Ties in a framework's gradients: whether the shares of tied elements in reverse mode add up, as those of a subgradient do.

Each element is judged by itself elsewhere, and at a tie any share from 0 to 1 is admitted. Forward mode shows what shares add up to, where
a framework has it. Kernels often have none. So the sums are compared with the reference, too (ties.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import Place
from refgrad.testing.judging.second_order import out_of_reach
from refgrad.testing.judging.ties import Tied, judge_ties
from refgrad.testing.judging.verdict import Comparison


def shares(node_judge: NodeByNode, names: list[str], plain: list[PlainArray]) -> list[tuple[int, Comparison]]:
    """The comparisons of sums over tied elements, each with the node of an input that contains them.

    names, plain   the differentiated inputs of a case of one op, and their gradients in reverse mode

    There are none where an element by itself is out of bounds: that finding says more. Nor are there any of operands near the ends of the
    range: a square that leaves it on the way opens a bound as a tie does, and no share of anything.
    """
    case, graph = node_judge.case, node_judge.graph
    nodes = [graph.inputs[name] for name in names]
    expectations = [node_judge.expectations.get(Place("cotangents", k)) for k in nodes]
    expected = [e.expected for e in expectations if e is not None and _settled(e.found)]
    if len(expected) < len(nodes):
        return []
    hidden = node_judge.hidden(str(graph.nodes[graph.outputs[0]]))

    def of_these(*balls: Any) -> Any:
        given = dict(zip(names, balls, strict=True))
        return graph(*[given.get(name, case.inputs[name]) for name in graph.inputs])

    found = judge_ties(
        of_these,
        [np.asarray(node_judge.seen.values[k]) for k in nodes],
        [np.asarray(case.cotangent)],
        expected,
        plain,
        replace(node_judge.fmt, on_grid=False),  # sums are over more than a grid admits
        np.random.default_rng(int(case.id, 16)),
        0.0 if hidden is None else hidden.loss,
    )
    if any(tied.found.wrong for tied in found):
        found = [tied for tied in found if not _meets(tied, out_of_reach(node_judge))]
    for tied in found:
        tied.found.along = dict(zip(names, tied.along, strict=True))
    return [(nodes[tied.inputs[0]], tied.found) for tied in found]


def _meets(tied: Tied, places: PlainArray) -> bool:
    """Whether a group has an element at one of these places of the result, to which its operands may be broadcast."""
    return bool(places.all()) or any(
        x.shape == places.shape and np.any(places & (x != 0)) for x in tied.along
    )


def _settled(found: Comparison) -> bool:
    return not found.wrong and not found.imprecise and not found.note


__all__ = ["shares"]
