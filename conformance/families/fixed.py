"""Cases in which some operands are constants: a gradient is needed in one of several operands, or in all but one.

A backward asks which gradients are needed, and may be wrong where not all are. Functions that replace those of torch are judged so as well.
Constants are drawn after all else, so that a failing case that does not need them shrinks to the one in which every operand is an input.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refgrad.graph import Graph, Node
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import Family
from refgrad.testing.cases.source import Source, rarely

SHARE = 8  # of the cases of several inputs one in so many has some of them as constants


def partly_constant(draw: Family) -> Family:
    """The family, a share of whose cases has constants."""

    def drawn(source: Source, dtype: str) -> Case:
        return with_constants(source, draw(source, dtype))

    return drawn


def with_constants(source: Source, case: Case) -> Case:
    """The case, or one in which a single input is left, or a single one has become a constant.

    Only finite numbers become constants: torch passes zeros for the tangent of a constant to a function of forward mode, and the product
    with an infinite operand is NaN there.
    """
    names = list(case.inputs)
    if (
        len(names) < 2
        or not rarely(source, SHARE)
        or not all(np.isfinite(x).all() for x in case.inputs.values())
    ):
        return case
    chosen, alone = source.choice(names), source.choice((True, False))
    kept = [name for name in names if (name == chosen) == alone]
    graph = Graph()
    graph.nodes = [
        Node(value=case.inputs[node.name]) if node.name and node.name not in kept else node
        for node in case.graph.nodes
    ]
    graph.outputs = case.graph.outputs
    return replace(
        case,
        graph=graph,
        inputs={name: case.inputs[name] for name in kept},
        tangents={name: case.tangents[name] for name in kept},
        layouts={name: layout for name, layout in case.layouts.items() if name in kept},
    )
