"""Observation: the arrays that a framework computed for a case, and the reason for each mode without an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from refgrad.bounds.profiles import Profile
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.verdict import Verdict

Array = Any  # a plain array, or None where the framework gave none
Answer = Sequence[Array]  # an array, or None for zeros, for each floating-point input; or one for the tangent

NodePart = Literal["values", "cotangents", "tangents"]
Part = Literal["values", "cotangents", "tangents", "parts"]
NODE_PARTS: tuple[NodePart, ...] = ("values", "tangents", "cotangents")


class Place(NamedTuple):
    """The position of an array in an observation.

    part  which list or table of the observation
    key   the node; in "parts" the user's node and the position of the operand
    """

    part: Part
    key: Any

    @property
    def node(self) -> int:
        """The node; in "parts" the user's."""
        return int(self.key[0] if self.part == "parts" else self.key)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why a framework gave no answer in a mode.

    words    the words of the framework: the class of an exception and the first line of its message
    refused  whether the words state that the framework has no such derivative or kernel; any other failure (an exception of a kernel)
             is no refusal, and its verdict is an error
    node     the node of the graph that failed, -1 where it is not known
    details  the end of the traceback, for the message
    late     whether the framework exceeded the time limit of a case; then the case is not run again
    """

    words: str
    refused: bool = True
    node: int = -1
    details: str = ""
    late: bool = False


NOT_ASKED = NoAnswer("not asked")


@dataclass
class ModeAnswers:
    """The answers of a framework in the further modes: an array (or None for zeros) for each floating-point input, or one tangent.

    names        the floating-point inputs, in the order of the arrays
    answers      by mode (refgrad.modes)
    again        the answer of a second run in ``PLAIN_REVERSE``
    unavailable  by mode, why there is no answer; under REPEATED_REVERSE, why the second run gave none
    """

    names: list[str]
    answers: dict[str, Answer] = field(default_factory=dict)
    again: Answer | None = None
    unavailable: dict[str, NoAnswer] = field(default_factory=dict)

    def why(self, *modes: str) -> NoAnswer:
        """The reason of the first of these modes that has one; NOT_ASKED where none has."""
        return next((self.unavailable[mode] for mode in modes if mode in self.unavailable), NOT_ASKED)


class ExpectedRefusals(Protocol):
    """A list of what a framework is expected to refuse (testing/deviations/expected_refusals.py)."""

    def check(self, case: Case, verdicts: Iterable[Verdict]) -> None:
        """Compare the refusals among the verdicts on one case with the list; one that it does not name becomes an error."""


@dataclass
class Observation:
    """The arrays of a framework: one entry for each node of the graph, None where the framework gave none. Arrays are exact float64 copies.

    values      forward values
    cotangents  gradients of <cotangent, output> with respect to every node, from one call of the framework
    tangents    forward-mode tangents of every node, for the case's input tangents
    dtypes      by part ("values", "cotangents", "tangents"), the framework's dtype names
    devices     by part, the kind of device that holds each array
    parts       where a value has several users: the contribution of each to its gradient, by (user's node, operand position)
    unavailable by mode ("value", "reverse", "forward"), why there is no answer; without values nothing is judged
    primals     values of the run that gave the tangents, where its kernels rounded differently (a matrix product, for example); else None
    modes       for a case of order 2, the answers in the further modes
    profile     what the framework promises of its rounding on the case's device; None: what torch promises there
    support     the list of expected refusals; None: every refusal is accepted
    """

    values: list[Array]
    cotangents: list[Array]
    tangents: list[Array]
    dtypes: dict[str, list[str | None]]
    devices: dict[str, list[str | None]]
    parts: dict[tuple[int, int], Array] = field(default_factory=dict)
    unavailable: dict[str, NoAnswer] = field(default_factory=dict)
    primals: list[Array] | None = None
    modes: ModeAnswers | None = None
    profile: Profile | None = None
    support: ExpectedRefusals | None = None

    def at(self, place: Place) -> Array:
        """The array at a place; None where the framework gave none."""
        part, key = place
        return self.parts.get(key) if part == "parts" else self.by_node(part)[key]

    def by_node(self, part: NodePart) -> list[Array]:
        """The arrays of a part, one entry a node."""
        return {"values": self.values, "cotangents": self.cotangents, "tangents": self.tangents}[part]

    def with_array(self, place: Place, array: Array) -> Observation:
        """This observation with another array at a place."""
        part, key = place
        if part == "parts":
            return replace(self, parts={**self.parts, key: array})
        arrays = [*self.by_node(part)]
        arrays[key] = array
        changed: dict[str, Any] = {part: arrays}
        return replace(self, **changed)

    def dtype_at(self, place: Place) -> str | None:
        """The framework's name of the dtype at a place; None where it gave none, or no array."""
        part, key = place
        return self.dtypes[part][key] if part in self.dtypes else None

    def device_at(self, place: Place) -> str | None:
        """The kind of device that holds the array at a place; None where it is not known, or where there is no array."""
        part, key = place
        return self.devices[part][key] if part in self.devices else None


def or_zeros(found: Array, x: Array) -> Array:
    """A derivative, zeros where the framework gave None."""
    return np.zeros(np.shape(x)) if found is None else found
