"""Verdicts: what a comparison found, element by element, and what may be said of a case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from refgrad.records import AGREE, DISAGREE, ERROR, IMPRECISE, UNDECIDED, UNSUPPORTED, Element

__all__ = [
    "AGREE",
    "DISAGREE",
    "ERROR",
    "IMPRECISE",
    "UNDECIDED",
    "UNSUPPORTED",
    "Comparison",
    "Element",
    "Verdict",
    "digits",
]


def digits(e: Element) -> float:
    """How many decimal digits of an element are correct: 0 where the error is as large as the number."""
    error, size = abs(e.got - e.expected), abs(e.expected)
    if error == 0:
        return math.inf
    return max(0.0, -math.log10(error / size)) if 0 < size < math.inf and error < math.inf else 0.0


@dataclass(slots=True)
class Comparison:
    """One array compared: counts, the worst element, the elements out of bounds (worst first)."""

    elements: int = 0  # finite elements really compared
    loose: int = 0  # of those, bound above a tenth of the expected magnitude
    blind: int = 0  # bound at or above the expected magnitude: only gross errors could be seen
    skipped: int = 0  # nothing is defined there, or the bound is infinite
    ratio: float = 0.0  # the largest error, in units of its bound
    make_worst: Callable[[], Element] | None = None  # makes the element of that error; few are ever looked at
    wrong: list[Element] = field(default_factory=list)
    imprecise: int = (
        0  # elements out of bounds that rounding explains all the same; they are not among the wrong ones
    )
    correct: int = 0  # elements with a correct bit, counted where some are imprecise
    least_precise: list[Element] = field(
        default_factory=list
    )  # of those the first few, fewest correct digits first
    sharpness: Any = None  # of the elements compared, how sharp their bounds were, see kept.py
    every_wrong: Callable[[], list[Element]] | None = field(
        default=None, repr=False, compare=False
    )  # makes all elements out of bounds, of which ``wrong`` lists the worst
    count: int = 0  # of the elements out of bounds
    note: str = ""  # a disagreement that is not about numbers: dtype, shape, missing gradient
    already_counted: bool = (
        False  # whether a check has counted it: an equal answer to another question is no new evidence
    )
    place: Any = None  # which array of an observation this is: (part, node), see questions.py

    @property
    def worst(self) -> Element | None:
        """The element with the largest error, None where none was compared."""
        return None if self.make_worst is None else self.make_worst()


@dataclass(slots=True)
class Verdict:
    """What one comparison mode of one case came to.

    ``elements`` counts the finite elements really compared: zero compared is never agreement. ``wrong`` lists the elements that make
    it a disagreement; where there are none, those that make it imprecise.
    """

    mode: str
    status: str = AGREE
    reason: str = ""
    elements: int = 0
    loose: int = 0
    blind: int = 0
    skipped: int = 0  # elements where nothing is defined
    imprecise: int = 0  # beyond their bound, and explained by rounding
    digits: float | None = None  # correct decimal digits that are left in the worst of these
    worst: Element | None = None
    wrong: list[Element] = field(default_factory=list)
    first_wrong: tuple[int, str] | None = None
    ops: dict[str, list[float]] = field(default_factory=dict)  # op -> [nodes, elements, worst ratio]
    sensitivity: float | None = None
    message: str = ""
    suspects: list[list[str]] = field(
        default_factory=list
    )  # for every wrong node, the ops that may be to blame
    wrong_nodes: list[tuple[int, str, Comparison]] = field(
        default_factory=list
    )  # beside it, node, op and what was found there
    known: str = ""  # the entry of deviations.toml that records this disagreement
    evidence: Comparison | None = None  # of a disagreement, the first array found wrong
    seen: Any = None  # of a disagreement, the observation that was judged
    parts: list[Any] = field(default_factory=list)  # of a check, an ArrayVerdict for each input or output
    repeatable: bool = True  # whether the framework may be asked again: not where it gave no answer in time
    name_first_wrong: Callable[[int], None] | None = field(
        default=None, repr=False, compare=False
    )  # names the k-th of ``suspects`` as the first wrong node

    @property
    def failed(self) -> bool:
        """Whether this fails a run: an error or a disagreement that nobody has recorded."""
        return self.status in (DISAGREE, ERROR) and not self.known

    def __bool__(self) -> bool:
        return self.status == AGREE
