"""Comparison of one array, and Verdict on one mode of a case."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    """The number of correct decimal digits of an element: 0 where the error is as large as the number, infinity where there is no error."""
    error, size = abs(e.got - e.expected), abs(e.expected)
    if error == 0:
        return math.inf
    return max(0.0, -math.log10(error / size)) if 0 < size < math.inf and error < math.inf else 0.0


@dataclass(slots=True)
class Comparison:
    """The comparison of one array: counts, the worst element, and the elements out of bounds, worst first.

    elements         number of compared finite elements
    loose            of those, elements with a bound above a tenth of the expected magnitude
    blind            of those, elements with a bound of the expected magnitude or more: only gross errors are detected
    skipped          number of elements whose derivative is undefined or whose bound is infinite
    ratio            the largest error, in units of its bound
    make_worst       makes the element of that error on request, because few are read
    wrong            the worst of the wrong elements
    imprecise        number of elements out of bounds that rounding explains; they are not among the wrong ones
    correct          number of elements with a correct bit; counted only where some are imprecise
    least_precise    the imprecise elements with the fewest correct digits, in that order
    bitless          number of elements out of bounds of which a formula that kernels use leaves no bit: neither right nor wrong
    lost             the worst of these
    sharpness        how sharp the bounds of the compared elements were, see sharpness.py
    every_wrong      makes all wrong elements, of which ``wrong`` lists the worst
    count            number of wrong elements
    note             a disagreement that is not about numbers: a wrong dtype, a wrong shape, a missing gradient
    already_counted  whether a check has counted it: an equal answer to another question is no new evidence
    place            which array of an observation this is (observation.Place); None outside of an observation
    along            of a sum over tied elements: by input, the directions whose pairing with the gradient it is
    """

    elements: int = 0
    loose: int = 0
    blind: int = 0
    skipped: int = 0
    ratio: float = 0.0
    make_worst: Callable[[], Element] | None = None
    wrong: list[Element] = field(default_factory=list)
    imprecise: int = 0
    correct: int = 0
    least_precise: list[Element] = field(default_factory=list)
    bitless: int = 0
    lost: list[Element] = field(default_factory=list)
    sharpness: Any = None
    every_wrong: Callable[[], list[Element]] | None = field(default=None, repr=False, compare=False)
    count: int = 0
    note: str = ""
    already_counted: bool = False
    place: Any = None
    along: Mapping[str, Any] | None = None

    @property
    def worst(self) -> Element | None:
        """The element with the largest error, None where none was compared."""
        return None if self.make_worst is None else self.make_worst()

    def with_bitless(self, before: Comparison) -> Comparison:
        """This comparison, told which elements were wrong ``before`` the bounds were widened by a formula that leaves no bit of them."""
        left = {e.element for e in (*self.wrong, *self.least_precise)}
        self.bitless = before.count + before.imprecise - self.count - self.imprecise
        self.lost = [e for e in before.wrong if e.element not in left] if self.bitless else []
        return self


@dataclass(slots=True)
class Verdict:
    """The result of judging one case in one mode.

    elements          number of compared finite elements; a verdict without any never agrees
    loose, blind      as in Comparison
    skipped           number of elements whose derivative is undefined
    imprecise         number of elements out of bounds that rounding explains
    digits            correct decimal digits of the worst of these
    worst             the element with the largest ratio of error to bound
    wrong             the elements that make it a disagreement; where it is none, those that make it imprecise
    first_wrong       node and op
    ops               by op: number of nodes, number of elements, worst ratio
    sensitivity       the smallest relative error that would have been caught, in the median over the nonzero elements
    suspects          for every wrong node, the ops that may be to blame
    wrong_nodes       for every wrong node, in the same order: node, op and comparison
    known             the entry of deviations.toml that records this disagreement
    evidence          of a disagreement, the comparison of the first wrong array
    seen              of a disagreement, the judged observation
    parts             of a check, an ArrayVerdict for each input or output
    repeatable        whether the case may be run again; false where the framework gave no answer within the time limit
    name_first_wrong  names the k-th of ``suspects`` as the first wrong node
    """

    mode: str
    status: str = AGREE
    reason: str = ""
    elements: int = 0
    loose: int = 0
    blind: int = 0
    skipped: int = 0
    imprecise: int = 0
    digits: float | None = None
    worst: Element | None = None
    wrong: list[Element] = field(default_factory=list)
    first_wrong: tuple[int, str] | None = None
    ops: dict[str, list[float]] = field(default_factory=dict)
    sensitivity: float | None = None
    message: str = ""
    suspects: list[list[str]] = field(default_factory=list)
    wrong_nodes: list[tuple[int, str, Comparison]] = field(default_factory=list)
    known: str = ""
    evidence: Comparison | None = None
    seen: Any = None
    parts: list[Any] = field(default_factory=list)
    repeatable: bool = True
    name_first_wrong: Callable[[int], None] | None = field(default=None, repr=False, compare=False)

    @property
    def failed(self) -> bool:
        """Whether this fails a run: an error or a disagreement that nobody has recorded."""
        return self.status in (DISAGREE, ERROR) and not self.known

    def __bool__(self) -> bool:
        return self.status == AGREE
