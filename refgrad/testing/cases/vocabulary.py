"""The ops from which the cases of a backend are drawn: those that its framework has."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.arrays import Params
from refgrad.nodes import Nodes
from refgrad.op import OpRecord


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The ops that a framework has in one dtype on one device.

    ops    their names
    fixed  parameters that it lacks, as "op.parameter", or "parameter" where no op has it; their default values are understood
    """

    ops: frozenset[str]
    fixed: frozenset[str] = frozenset()

    def __and__(self, other: Vocabulary) -> Vocabulary:
        """What both have."""
        return Vocabulary(self.ops & other.ops, self.fixed | other.fixed)

    def covers(self, ops: Collection[str]) -> bool:
        """Whether all of these ops are there, with all their parameters."""
        return not self.fixed and self.ops >= set(ops)

    def takes(self, op: OpRecord, params: Params) -> bool:
        """Whether the op is there with these parameters."""
        usual = op.signature.defaults
        return op.name in self.ops and all(
            _same(params.get(name, default), default)
            for name, default in usual.items()
            if name in self.fixed or f"{op.name}.{name}" in self.fixed
        )

    def expresses(self, graph: Nodes) -> bool:
        """Whether all ops of a graph are there with their parameters."""
        return all(self.takes(node.op, node.params) for node in graph.nodes if node.op is not None)


Shared = Mapping[tuple[str, str], Vocabulary]  # by device and dtype, what all of several backends have


def to_json(shared: Shared) -> str:
    """Shared vocabularies as a text."""
    return json.dumps([[*at, sorted(found.ops), sorted(found.fixed)] for at, found in sorted(shared.items())])


def from_json(text: str) -> Shared:
    """The shared vocabularies of a text that ``to_json`` made."""
    return {
        (device, dtype): Vocabulary(frozenset(ops), frozenset(fixed))
        for device, dtype, ops, fixed in json.loads(text)
    }


def _same(given: Any, usual: Any) -> bool:
    return given is usual or (np.ndim(given) == 0 and bool(given == usual))
