"""Reference results of the nodes of several cases, computed together: one evaluation over Balls serves all nodes of equal elementwise ops.

An element of an elementwise op depends on the elements of the operands at its place alone, and so does its rounding. So the operands of
many nodes are broadcast to the shapes of their values, concatenated, and evaluated at once; the results are split again. They equal those
of one node at a time, element by element. A judgement of small arrays takes most of its time for calls, and these are shared.

Three results of a node are computed: its value, the cotangents that it sends to its operands, and its tangent.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.graph import Node
from refgrad.testing.judging import special_points
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.shared_sums import limited, most_elements
from refgrad.tracing.ball import Ball, exact, remembering
from refgrad.tracing.cotangents import unbroadcast


@dataclass(slots=True)
class _Question:
    """One node of one observation, with the shape of its value."""

    judge: NodeByNode
    k: int
    node: Node
    shape: tuple[int, ...]
    size: int
    xs: list[PlainArray]
    # None for a constant, and for all operands where forward mode gives no answer
    x_dots: list[PlainArray | None]
    y_bar: PlainArray | None

    @property
    def key(self) -> Hashable:
        """Questions of equal keys can be evaluated together."""
        node = self.node
        kinds = tuple(
            [
                x.dtype.char if x_dot is None else "tangent"
                for x, x_dot in zip(self.xs, self.x_dots, strict=True)
            ]
        )
        return node.op, repr(node.params) if node.params else "", kinds, id(self.judge.fmt)


def evaluate_together(judges: Sequence[NodeByNode]) -> None:
    """Compute the results of all nodes of elementwise ops, and enter them in their judges.

    Nodes whose arrays are large, or have another shape than expected, are left to their judge.
    """
    groups: dict[Hashable, list[_Question]] = {}
    for judge in judges:
        for question in _questions(judge):
            groups.setdefault(question.key, []).append(question)
    for questions in groups.values():
        for places in limited([q.size for q in questions], most_elements(questions[0].judge.fmt)):
            _Group([questions[k] for k in places]).evaluate()


def _questions(judge: NodeByNode) -> Iterator[_Question]:
    seen, most = judge.seen, most_elements(judge.fmt)
    values, tangents, cotangents = seen.values, seen.tangents, seen.cotangents
    moving = seen.primals is None
    for k in judge.order:
        node = judge.graph.nodes[k]
        op = node.op
        if (
            op is None
            or not op.elementwise
            or (node.params and any(type(p) is np.ndarray for p in node.params.values()))
        ):
            continue
        xs = [values[j] for j in node.of]
        if values[k] is None or any(x is None for x in xs):
            continue
        shapes = {x.shape for x in xs}
        shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*[x.shape for x in xs])
        size = math.prod(shape)
        if size >= most or values[k].shape != shape:
            continue
        x_dots = [tangents[j] if moving else None for j in node.of]
        y_bar = cotangents[k]
        if (y_bar is not None and y_bar.shape != shape) or any(
            x_dot is not None and x_dot.shape != x.shape for x, x_dot in zip(xs, x_dots, strict=True)
        ):
            continue
        yield _Question(judge, k, node, shape, size, xs, x_dots, y_bar)


class _Group:
    """Questions that one evaluation answers."""

    def __init__(self, questions: list[_Question]) -> None:
        self.questions = questions
        first = questions[0]
        self.node, self.fmt = first.node, first.judge.fmt
        self.slices: list[slice] = []
        start = 0
        for question in questions:
            self.slices.append(slice(start, start + question.size))
            start += question.size
        self.size = start

    def evaluate(self) -> None:
        """Enter the results in the judges."""
        node, fmt, questions = self.node, self.fmt, self.questions
        plain = [self._joined([q.xs[i] for q in questions]) for i in range(len(node.of))]
        xs = [remembering(exact(x, fmt)) if x.dtype.kind == "f" else x for x in plain]
        y = node.applied(xs)
        for q, value in zip(questions, self._split(y), strict=True):
            q.judge.recomputed[q.k] = value
        assert node.op is not None
        if not node.op.domain.smooth and getattr(y, "radius", None) is not None:
            without_kinks = questions[0].judge.fmt_without_kinks
            jumps = node.applied([exact(x, without_kinks) if x.dtype.kind == "f" else x for x in plain])
            for q, value in zip(questions, self._split(jumps), strict=True):
                q.judge.values_without_kinks[q.k] = value
        missing = self._missing(y)
        self._send(xs, y, missing)
        self._push(xs, y, missing)

    def _missing(self, y: Any) -> dict[int, PlainArray]:
        """Masks of the elements of the values without a derivative, by question; questions without such elements are left out."""
        together = special_points.without_derivative(
            y, self._joined([q.judge.seen.values[q.k] for q in self.questions])
        )
        found = {}
        for n, q in enumerate(self.questions):
            mask = None if together is None else together[self.slices[n]].reshape(q.shape)
            mask = mask if mask is not None and mask.any() else None
            q.judge.without_derivative[q.k] = mask
            if mask is not None:
                found[n] = mask
        return found

    def _send(self, xs: list[Any], y: Any, missing: dict[int, PlainArray]) -> None:
        """The cotangents that the nodes send to their operands."""
        asked = [q.y_bar is not None for q in self.questions]
        if not any(asked):
            return
        y_bar = self._joined(
            [
                np.zeros(q.shape)
                if q.y_bar is None
                else special_points.undefined_outputs(missing.get(n), q.y_bar)
                for n, q in enumerate(self.questions)
            ]
        )
        sent = [
            (position, self._split(x_bar))
            for position, _, x_bar in self.node.contributions(xs, y, exact(y_bar, self.fmt))
        ]
        for n, q in enumerate(self.questions):
            if asked[n]:
                q.judge.contributions[q.k] = [
                    (position, q.node.of[position], _summed(x_bars[n], q.xs[position].shape))
                    for position, x_bars in sent
                ]

    def _push(self, xs: list[Any], y: Any, missing: dict[int, PlainArray]) -> None:
        """The tangents of the values."""
        moving = [x_dot is not None for x_dot in self.questions[0].x_dots]
        x_dots = [
            exact(self._joined([q.x_dots[i] for q in self.questions]), self.fmt) if moves else None
            for i, moves in enumerate(moving)
        ]
        expected = self.node.tangent(xs, y, x_dots)
        if expected is None:
            return
        for n, (q, y_dot) in enumerate(zip(self.questions, self._split(expected), strict=True)):
            q.judge.pushed[q.k] = special_points.without(y_dot, missing.get(n))

    def _joined(self, arrays: Iterable[Any]) -> PlainArray:
        """Arrays of the questions, each broadcast to the shape of the value, as one array with one axis."""
        return np.concatenate(
            [
                (x if x.shape == q.shape else np.broadcast_to(x, q.shape)).ravel()
                for x, q in zip(arrays, self.questions, strict=True)
            ]
        )

    def _split(self, whole: Any) -> list[Any]:
        """The result of each question, in the shape of its value."""
        if type(whole) is not Ball:
            return [whole[here].reshape(q.shape) for here, q in zip(self.slices, self.questions, strict=True)]
        value, radius, fmt = whole.value, whole.radius, whole.fmt
        if radius is None:
            return [
                Ball(value[here].reshape(q.shape), None, fmt)
                for here, q in zip(self.slices, self.questions, strict=True)
            ]
        if np.shape(radius) != value.shape:
            radius = np.broadcast_to(radius, value.shape)
        return [
            Ball(value[here].reshape(q.shape), radius[here].reshape(q.shape), fmt)
            for here, q in zip(self.slices, self.questions, strict=True)
        ]


def _summed(x_bar: Any, shape: tuple[int, ...]) -> Any:
    """The cotangent of an operand of this shape, summed over what the operand was repeated along."""
    return x_bar if x_bar.shape == shape else unbroadcast(x_bar, shape)


__all__ = ["evaluate_together"]
