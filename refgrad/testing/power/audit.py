"""Audit: plants errors in the observations of a run, and counts how many of them its comparisons catch.

A run without findings shows only that its comparisons found nothing. The audit measures what they would have found. For a sample of the
cases it puts one wrong array of every kind in the catalogue (graph_mutations.py) into the observation, and compares it with the
expectation of the judge.

**Planted** is one wrong array at one place: the value, gradient, contribution or tangent of one node that agreed before. All other arrays
stay as the framework gave them, and only the expectation at that place is compared, because a framework with one wrong kernel computes
everything downstream consistently. A planted array is rounded to the judged format, like any result of a kernel.

**Equivalent** is a planted array that is no error. It is excluded from the share. Either it equals the observed array, or the mutation
makes no difference in exact arithmetic. The second case is decided without the bounds of the judge. The mutation is applied to the
expected array, computed in the wide format, whose radius covers the rounding of the wide format alone. It makes no difference if each
element rounds to the same number of the judged format as the correct one, or differs from it by no more than the two radii. (These cover
the rounding of the wide format, and the set of derivatives at a kink.) Undefined elements do not count. A caught array is never
equivalent, because it lies outside the bounds of a correct kernel.

In an **exact case** every expected array has a radius of zero (bounds/exactness.py), so a correct kernel gives these numbers and no others.
Its errors are counted apart as well, but for places where a kernel may use another formula that rounds, as a quotient by an approximate
reciprocal does. Each that changes a stored number has to be caught, one of one unit in the last place too: equivalent is only an array
equal to the observed one.

**Caught** is a planted array that makes the verdict a disagreement. One that makes it imprecise is counted separately: it is seen, and
passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.modes import FORWARD, REVERSE, VALUE
from refgrad.op import Function
from refgrad.records import Crash, Record
from refgrad.records.audit import END_TO_END, EXACT_CASES, FUNCTIONS, NODE_BY_NODE, SINGLE_OPS
from refgrad.records.audit import Audit as Counts
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.end_to_end import EndToEnd
from refgrad.testing.judging.judge import Judge
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import Place
from refgrad.testing.judging.verdict import AGREE, DISAGREE, IMPRECISE
from refgrad.testing.power.graph_mutations import CATALOGUE, Scene, Wrong
from refgrad.tracing.ball import Ball, exact, nearest, parts

EVERY = 4  # one of this many cases is audited


class Audit:
    """Plants errors. Counts planted, equivalent, caught and imprecise by (check, mutation, dtype). Equal cases give equal counts."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, str], list[int]] = {}
        self.broken: list[tuple[str, str]] = []  # cases whose audit raised an exception: (id, exception)

    def add(self, other: Audit) -> None:
        """Add the counts of another audit."""
        self.broken += other.broken
        for key, counted in other.counts.items():
            self.counts[key] = [n + m for n, m in zip(self.counts.get(key, [0] * 4), counted, strict=True)]

    def plant(
        self, node_judge: NodeByNode, end_to_end_judge: EndToEnd | None = None, *, single: bool = False
    ) -> None:
        """Plant every kind of error that applies to this case, each at a place drawn with the id of the case as seed.

        Caught errors are counted for node-by-node judgement, apart for cases of a ``single`` op or function, and for end-to-end judgement
        where ``end_to_end_judge`` is given.

        An exception in the audit does not change the verdicts on the case. It is recorded in ``broken`` and fails the run.
        """
        try:
            self._plant(node_judge, end_to_end_judge, _check(node_judge.case) if single else NODE_BY_NODE)
        except Exception as error:  # noqa: BLE001 - see above: a mutation may make any op raise any exception
            self.broken.append((node_judge.case.id, f"{type(error).__name__}: {error}"))

    def _plant(self, node_judge: NodeByNode, end_to_end_judge: EndToEnd | None, by_node: str) -> None:
        case = node_judge.case
        rng = np.random.default_rng(int(case.id, 16))
        reference = _Reference(node_judge)
        agreeing = [place for place in places(node_judge) if _agreed(node_judge, place)]
        with np.errstate(all="ignore"):
            for mutation, draw in CATALOGUE.items():
                for index in rng.permutation(len(agreeing)):
                    place = agreeing[index]
                    scene = Scene(node_judge, place, exact(node_judge.seen.at(place), node_judge.fmt))
                    wrong = draw(scene, rng)
                    made = None if wrong is None else wrong(scene)
                    if wrong is not None and made is not None:
                        self._plant_at(
                            mutation,
                            place,
                            nearest(parts(made)[0], node_judge.fmt),
                            wrong,
                            node_judge,
                            end_to_end_judge,
                            reference,
                            by_node,
                        )
                        break

    def _plant_at(
        self,
        mutation: str,
        place: Place,
        array: PlainArray,
        wrong: Wrong,
        node_judge: NodeByNode,
        end_to_end_judge: EndToEnd | None,
        reference: _Reference,
        by_node: str,
    ) -> None:
        seen = node_judge.seen.with_array(place, array)
        same = bool(np.array_equal(array, node_judge.seen.at(place), equal_nan=True))
        judges: list[tuple[str, Judge]] = [(by_node, node_judge)]
        if end_to_end_judge and _is_end_to_end(end_to_end_judge, place) and _agreed(end_to_end_judge, place):
            judges.append((END_TO_END, end_to_end_judge))
        equivalent: bool | None = True if same else None
        for check, judge in judges:
            status = AGREE if same else judge.rejudge(place, seen).status
            if judge is node_judge and reference.exact_at(place):
                self._count(EXACT_CASES, mutation, judge.case.dtype, status, same)
            if equivalent is None and status != DISAGREE:
                equivalent = reference.equivalent(place, wrong)
            self._count(check, mutation, judge.case.dtype, status, bool(equivalent))

    def _count(self, check: str, mutation: str, dtype: str, status: str, equivalent: bool) -> None:
        """Count one planted error; one that is caught is never equivalent."""
        count = self.counts.setdefault((check, mutation, dtype), [0, 0, 0, 0])
        count[0] += 1
        count[1] += equivalent and status != DISAGREE
        count[2] += status == DISAGREE
        count[3] += status == IMPRECISE

    def records(self) -> Iterator[Record]:
        """The counts as records for a results file, and a crash for each audit that raised an exception."""
        for case, reason in self.broken:
            yield Crash("", f"audit of case {case}", reason)
        for (check, mutation, dtype), counted in sorted(self.counts.items()):
            planted, equivalent, caught, imprecise = counted
            yield Counts(mutation, dtype, planted, equivalent, caught, check, imprecise=imprecise)


def _check(case: Case) -> str:
    """The check of a case of a single op or function."""
    return FUNCTIONS if isinstance(case.graph.nodes[case.graph.outputs[0]].op, Function) else SINGLE_OPS


class _Reference:
    """The same case judged with the rounding of the wide format alone, as an approximation of exact arithmetic.

    exact    whether all expected arrays of the case have a radius of zero
    """

    def __init__(self, node_judge: NodeByNode) -> None:
        self.node_judge = node_judge
        self.judge: NodeByNode | None = None
        self.exact = node_judge.fmt.on_grid and not any(
            np.count_nonzero(parts(e.expected)[1]) for e in node_judge.expectations.values()
        )

    def exact_at(self, place: Place) -> bool:
        """Whether the case is exact, and no other formula of a kernel rounds at this place."""
        expectation = self.node_judge.expectations.get(place)
        others = [] if expectation is None or not self.exact else expectation.reaches(self.node_judge)
        return self.exact and not any(np.count_nonzero(reach.bound) for reach in others)

    def equivalent(self, place: Place, wrong: Wrong) -> bool:
        """Whether the error makes no difference in exact arithmetic."""
        if self.judge is None:
            self.judge = NodeByNode(
                self.node_judge.case, self.node_judge.seen, unrounded(self.node_judge.fmt)
            )
            for mode in (self.judge.value, self.judge.reverse, self.judge.forward):
                mode()
        expectation, fmt = self.judge.expectations.get(place), self.node_judge.fmt
        if expectation is None:
            return False
        right = (
            expectation.expected
            if isinstance(expectation.expected, Ball)
            else exact(expectation.expected, self.judge.fmt)
        )
        made = wrong(Scene(self.judge, place, right))
        if made is None:
            return True
        (value, radius), (other, other_radius) = parts(right), parts(made)
        same = nearest(value, fmt) == nearest(other, fmt)
        # this comparison rounds, too
        room = radius + other_radius + 4 * self.judge.fmt.u * (np.abs(value) + np.abs(other))
        near = np.isfinite(room) & (np.abs(other - value) <= room)
        return bool(np.all(np.isnan(value) | same | near))


def unrounded(fmt: Format) -> Format:
    """The format with the rounding and range of its wide format in place of its own."""
    wide = np.finfo(fmt.wide)
    u = float(wide.eps) / 2
    # limited to the range of float64
    largest, least = (
        float(min(wide.max, np.finfo(float).max)),
        max(float(wide.smallest_subnormal), 5e-324),
    )
    return replace(
        fmt, u=u, u_acc=u, u_operand=0.0, eta=least, max=largest, bits=wide.nmant + 1, on_grid=False
    )


def places(node_judge: NodeByNode) -> Iterator[Place]:
    """The places of all arrays of the observation that a judge has to compare, from the graph and not from its expectations.

    A mode without an answer has none: its verdict is `unsupported` or `error`, whatever arrays the framework made before it stopped.
    """
    seen, graph = node_judge.seen, node_judge.graph
    value, reverse, forward = (mode not in seen.unavailable for mode in (VALUE, REVERSE, FORWARD))
    for k in node_judge.order:
        node = graph.nodes[k]
        if value and node.op is not None and _plantable(seen.values[k]):
            yield Place("values", k)
        if forward and node.op is not None and _plantable(seen.tangents[k]):
            yield Place("tangents", k)
        gradient = (node.op is not None or node.name) and k not in graph.outputs
        if reverse and gradient and _plantable(seen.cotangents[k]):
            yield Place("cotangents", k)
    for use, part in seen.parts.items():
        if reverse and _plantable(part):
            yield Place("parts", use)


def _plantable(x: PlainArray) -> bool:
    return x is not None and x.dtype.kind == "f" and x.size > 0


def _agreed(judge: Judge, place: Place) -> bool:
    """Whether the observed array agreed, so that a disagreement is due to the planted error."""
    expectation = judge.expectations.get(place)
    return expectation is None or not (expectation.found.wrong or expectation.found.note)


def _is_end_to_end(end_to_end_judge: EndToEnd, place: Place) -> bool:
    """Whether end-to-end judgement compares this place: the gradient of an input, or the tangent of an output."""
    part, k = place
    return (
        k in end_to_end_judge.graph.inputs.values()
        if part == "cotangents"
        else part == "tangents" and k in end_to_end_judge.graph.outputs
    )
