"""The setting of a wrong element: the nodes whose op may be the cause, and their operands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format, format_of
from refgrad.graph import Node
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import Element

Result = TypeVar("Result")


@dataclass(frozen=True)
class Site:
    """A node that may be the cause of a wrong element of its value or tangent, or of the gradient of the operand at ``position``."""

    k: int
    node: Node
    position: int | None


@dataclass(frozen=True)
class Setting:
    """A case and the observation of the framework.

    A fused backend tells the values and tangents of the output alone, and no cotangents. Values and cotangents are then computed here.
    """

    case: Case
    seen: Observation
    _results: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """The result of a computation on this case. One of an equal key is computed once: many elements of an array ask for it."""
        if key not in self._results:
            self._results[key] = compute()
        found: Result = self._results[key]
        return found

    @property
    def fmt(self) -> Format:
        """The format in which the case was judged."""
        return format_of(self.case.dtype, self.case.device, self.seen.profile)

    @property
    def fused(self) -> bool:
        """Whether the backend is judged from end to end alone."""
        return self.seen.profile is not None and self.seen.profile.fused

    def sites(self, e: Element, ops: Sequence[str]) -> list[Site]:
        """The nodes of these ops that may be the cause of an element; several where a value has several users."""
        graph = self.case.graph
        part: str
        key: Any
        part, key = e.place if e.place is not None else ("", None)
        if part == "parts":
            found = [Site(key[0], graph.nodes[key[0]], key[1])]
        elif part in ("values", "tangents"):
            found = [Site(key, graph.nodes[key], None)]
        elif graph.nodes[e.node].op is not None and part != "cotangents":
            found = [Site(e.node, graph.nodes[e.node], None)]
        else:
            found = [
                Site(k, graph.nodes[k], position)
                for k in graph.order()
                for position, j in enumerate(graph.nodes[k].of)
                if j == e.node
            ]
        return [s for s in found if s.node.op is not None and s.node.op.name in ops]

    def operands(self, site: Site) -> tuple[PlainArray, ...]:
        """The values of the operands of a node: the framework's own where it told all of them."""
        seen = [self.seen.values[j] for j in site.node.of]
        if any(x is None for x in seen):
            seen = [self._values[j] for j in site.node.of]
        return tuple([np.asarray(x) for x in seen])

    def value(self, site: Site) -> PlainArray:
        """The value of a node: the framework's own where it told it."""
        seen = self.seen.values[site.k]
        return np.asarray(self._values[site.k] if seen is None else seen)

    def operand_tangents(self, site: Site) -> tuple[PlainArray | None, ...]:
        """The tangents of the operands of a node; of an input that of the case, where the framework told none."""
        given = self.case.tangents
        names = [self.case.graph.nodes[j].name for j in site.node.of]
        seen = [self.seen.tangents[j] for j in site.node.of]
        return tuple([given.get(n) if t is None else t for n, t in zip(names, seen, strict=True)])

    def cotangent(self, site: Site) -> PlainArray | None:
        """The cotangent of a node; of the output that of the case, where the framework told none."""
        seen = self.seen.cotangents[site.k]
        if seen is None and self.case.graph.outputs == (site.k,):
            return self.case.cotangent
        return self._cotangents[site.k] if seen is None and self.fused else seen

    @functools.cached_property
    def _values(self) -> list[PlainArray | None]:
        with quiet():
            return self.case.graph.run(self.case.inputs)

    @functools.cached_property
    def _cotangents(self) -> list[Any]:
        graph = self.case.graph
        with quiet():
            return graph.reverse_accumulation(self._values, [(graph.outputs[0], self.case.cotangent)])

    def magnitude(self, e: Element, ops: Sequence[str]) -> float:
        """The magnitude of the element of the first operand, or of the operand whose gradient it is; NaN where the shapes differ."""
        if not np.isnan(e.operand):
            return e.operand
        for site in self.sites(e, ops):
            x = self.operands(site)[site.position or 0]
            if site.position is None and getattr(site.node.op, "broadcasts", False):
                x = np.broadcast_to(x, self.value(site).shape)
            if len(e.element) == x.ndim and all(i < n for i, n in zip(e.element, x.shape, strict=True)):
                return abs(float(x[e.element]))
        return float("nan")

    def meets(self, e: Element, site: Site, places: PlainArray) -> bool:
        """Whether an element depends on one of these places of the broadcast operands.

        ``places`` is a mask of the shape of the value, or of a stack of matrices. An element of a broadcast operand depends on all places
        to which it is broadcast. The element of a sum over all elements depends on all places.
        """
        if not places.ndim or not e.element:
            return bool(places.any())
        if len(e.element) > places.ndim:  # of a matrix
            return bool(places[e.element[: places.ndim]])
        shape = places.shape if site.position is None else self.operands(site)[site.position].shape
        if len(e.element) != len(shape) or any(i >= n for i, n in zip(e.element, shape, strict=True)):
            return False
        lead = (slice(None),) * (places.ndim - len(shape))
        at = tuple(slice(None) if n == 1 else slice(i, i + 1) for i, n in zip(e.element, shape, strict=True))
        return bool(places[lead + at].any())
