"""What a judge asks: of every array of an observation, whether it is what was expected.

Each question is kept, so that it can be put again to another observation: that is how the audit finds out what this very
comparison would have caught.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.formats import Format, format_of
from refgrad.testing.case import Case
from refgrad.testing.compare import compare
from refgrad.testing.observation import Observation
from refgrad.testing.summary import Tally
from refgrad.testing.verdict import Comparison, Verdict

Array = Any
Place = tuple[
    str, Any
]  # a part of an observation, and the node (or, in "parts", the user's node and operand position)


@dataclass(slots=True)
class Question:
    """One array as it was judged: what was expected there, who is to blame for it, what the comparison found."""

    mode: str
    node: int
    op: str
    expected: Any
    what: str
    users: list[str] | None
    nan: bool
    found: Comparison


class Judge:
    """Judges the arrays of one observation of one case. ``fmt`` is the format whose rounding is granted: the case's own dtype."""

    def __init__(self, case: Case, seen: Observation, fmt: Format | None = None) -> None:
        self.case, self.seen, self.graph = case, seen, case.graph
        self.fmt: Format = format_of(case.dtype, case.device) if fmt is None else fmt
        self.asked: dict[Place, Question] = {}

    def tally(self, mode: str) -> Tally:
        """A verdict of this case, still empty."""
        return Tally(mode, self.case.dtype, self.case.device)

    def ask(
        self,
        tally: Tally,
        place: Place,
        node: int,
        op: str,
        expected: Any,
        what: str,
        users: list[str] | None = None,
        *,
        nan: bool = False,
    ) -> None:
        """Compare the array at a place with what is expected there, and count it; with ``nan``, NaN must be met by NaN."""
        found = self._compared(self.seen, place, expected, what, nan)
        found.place = place
        for e in found.wrong:
            e.operand = self._magnitude(place[0], node, e.element)
        self.asked[place] = Question(tally.result.mode, node, op, expected, what, users, nan, found)
        tally.add(node, op, found, users)

    def again(self, place: Place, seen: Observation) -> Verdict:
        """The verdict on the array at a place of another observation, by what was expected of this one.

        Everything else being taken from this observation, it is the verdict on a framework that is wrong at this place
        and right in all that it makes of it. A place that this judge never looked at is one where nothing was compared.
        """
        question = self.asked.get(place)
        if question is None:
            return self.tally("").verdict()
        tally = self.tally(question.mode)
        tally.add(
            question.node,
            question.op,
            self._compared(seen, place, question.expected, question.what, question.nan),
            question.users,
        )
        return tally.verdict()

    def _magnitude(self, part: str, node: int, element: tuple[int, ...]) -> float:
        """Of the first operand that an element of a value or tangent was made from, or whose gradient it is; NaN if of another shape."""
        of = self.graph.nodes[node].of
        k = node if part in ("cotangents", "parts") else of[0]
        x = self.seen.values[k]
        there = len(element) == np.ndim(x) and all(i < n for i, n in zip(element, np.shape(x), strict=True))
        return abs(float(x[element])) if there else np.nan

    def _compared(self, seen: Observation, place: Place, expected: Any, what: str, nan: bool) -> Comparison:
        part, key = place
        got = getattr(seen, part)[key]
        if got is None:
            return Comparison(note=f"{what}: the framework gave none, one is due")
        strange = self._strange(seen, part, key)
        return Comparison(note=strange) if strange else compare(got, expected, self.fmt, what, nan=nan)

    def _strange(self, seen: Observation, part: str, key: Any) -> str:
        """A dtype or device other than asked for, in words."""
        if part not in seen.dtypes:
            return ""
        dtype, device = seen.dtypes[part][key], seen.devices[part][key]
        if dtype is not None and dtype != self.fmt.storage:
            return f"{part[:-1]} of node {key} has dtype {dtype}, expected {self.fmt.storage}"
        if device is not None and device != self.case.device:
            return f"{part[:-1]} of node {key} is on device {device}, expected {self.case.device}"
        return ""
