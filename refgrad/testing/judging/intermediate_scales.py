"""How large the intermediate results behind an array are: learnt from an ordinary answer, for the answers to other cotangents.

Cotangents that are mostly zero show a few elements of a gradient, or sums of few terms. What an element is computed from scales with the
size of the cotangents: the root of the mean square of those that are not zero. Where it is a sum of t of the N terms that an ordinary
answer has, of random signs, it scales with sqrt(t/N), too: t/N is the share of the cotangents that are not zero, over the share of the
gradient that is not zero. An elementwise function keeps all its terms by that measure, and a sum over everything loses them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.verdict import Comparison
from refgrad.tracing.ball import parts

Array = Any
_PIECE = 2**16  # elements


class Scales:
    """The typical loss and the largest element of each array, by cotangents or tangents of size one."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], tuple[float, float]] = {}

    def of(
        self, key: tuple[str, int], seeds: Sequence[Array | None], expected: Any, loss: float = 0.0
    ) -> Hidden:
        """What is known of the formula behind an answer to these seeds."""
        typical, unit = self.found.get(key, (np.inf, 0.0))
        if not unit or not seeds:
            return Hidden(loss, largest=unit)
        mine, whole = _share(parts(expected)[0]), _share(*seeds)
        terms = min(1.0, whole / mine) if mine else 1.0
        return Hidden(loss, typical, unit * _size(*seeds) * math.sqrt(terms))

    def learn(self, key: tuple[str, int], found: Comparison, seeds: Sequence[Array | None]) -> None:
        """Take the first answer as the ordinary one. A value has no seeds: its scale is its own largest element."""
        size = _size(*seeds) if seeds else 1.0
        if size and key not in self.found and found.sharpness is not None:
            typical, most = found.sharpness.typical_and_largest()
            if most:
                self.found[key] = typical, most / size

    def unit(self, mode: str) -> float:
        """The largest element of any array of a mode (the first entry of a key), by cotangents of size one; 0 before the first answer."""
        return max((u for key, (_, u) in self.found.items() if key[0] == mode), default=0.0)


def _share(*arrays: Array | None) -> float:
    """The share of the elements that are not zero; arrays that are not given do not count."""
    given = [x for x in arrays if x is not None]
    size = sum(np.size(x) for x in given)
    return sum(np.count_nonzero(x) for x in given) / size if size else 0.0


def _size(*arrays: Array | None) -> float:
    """The root of the mean square of the elements that are not zero."""
    given = [np.asarray(x) for x in arrays if x is not None]
    top = max((float(max(np.max(x), -np.min(x))) for x in given if x.size), default=0.0)
    count = sum(np.count_nonzero(x) for x in given)
    squares = sum(float(np.sum((x / top) ** 2)) for y in given for x in _pieces(y)) if top else 0.0
    return top * math.sqrt(squares / count) if top else 0.0


def _pieces(x: Array) -> Iterator[Array]:
    """Rows of an array, so many that they take no memory to speak of."""
    step = max(1, _PIECE * len(x) // x.size) if x.ndim and x.size > _PIECE else 0
    return (x[k : k + step] for k in range(0, len(x), step)) if step else iter((x,))
