"""Graphs that round nothing at the operands of a case, though some of their ops round at others.

Softmax has weights that are powers of two, and zeros, where the largest logits of a row are equal, a power of two in number, and far above
the others: exp(0) is 1 in every library (C, annex F). A mean of four numbers is a quotient by a power of two. The graph is run over Balls,
and the radii of all values, cotangents and tangents have to be zero. A kernel may compute by another formula, so the formulas that the
record of an op names have to round nothing either.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refgrad.bounds.formats import FORMATS, Format
from refgrad.errors import RefgradError
from refgrad.op import Op
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.exact_calls import exact_by, rounds
from refgrad.tracing.ball import exact


def exact_graph(case: Case, others: Sequence[int]) -> bool:
    """Whether no op of the case rounds, in value, reverse and forward mode, by any formula that is known.

    others   the nodes whose ops are not known to round nothing on a grid
    """
    with quiet():
        try:
            return _exact(case, others, replace(FORMATS[case.dtype], on_grid=True))
        except (RefgradError, np.linalg.LinAlgError):  # operands that an op refuses
            return False


def _exact(case: Case, others: Sequence[int], fmt: Format) -> bool:
    graph = case.graph
    values = _values(case, fmt)
    if values is None:
        return False
    sent: list[Any] = []
    bars = graph.reverse_accumulation(values, [(graph.outputs[0], exact(case.cotangent, fmt))], sent)
    dots = graph.forward_accumulation(values, {k: exact(x, fmt) for k, x in case.tangents.items()})
    if any(map(rounds, (*bars, *sent, *dots))):
        return False
    return all(_by_other_formulas(case, k, values, bars, dots, fmt) for k in others)


def _values(case: Case, fmt: Format) -> list[Any] | None:
    """The values of all nodes over Balls; None as soon as one of them is rounded."""
    graph = case.graph
    values: list[Any] = [None] * len(graph.nodes)
    for k in graph.order():
        node = graph.nodes[k]
        if node.op is not None:
            values[k] = node.applied([values[j] for j in node.of])
            if rounds(values[k]):
                return None
        else:
            values[k] = exact(case.inputs[node.name], fmt) if node.name else node.value
    return values


def _by_other_formulas(
    case: Case, k: int, values: Sequence[Any], bars: Sequence[Any], dots: Sequence[Any], fmt: Format
) -> bool:
    """Whether the other formulas of node k round nothing at its operands, its cotangent and its tangents."""
    node = case.graph.nodes[k]
    assert isinstance(node.op, Op)
    plain = [getattr(values[j], "value", values[j]) for j in node.of]
    moving = [getattr(dots[j], "value", None) for j in node.of]
    if all(x is None for x in moving):  # of constants
        return not node.op.usual
    cotangent = getattr(bars[k], "value", None)
    return all(
        exact_by(
            functools.partial(f.of(node.op), **node.params),
            [np.asarray(x) for x in plain],
            moving,
            cotangent,
            fmt,
        )
        for f in node.op.usual
    )
