"""Estimates the scale of the intermediate results behind an array, from an ordinary answer, for the answers to other cotangents.

Cotangents that are mostly zero give few elements of a gradient, or sums of few terms. The intermediate results scale with the size of the
cotangents: the root mean square of the nonzero ones. A sum of t terms of random signs, where an ordinary answer has N, scales with
sqrt(t/N) as well. Here t/N is estimated as the fraction of nonzero cotangents over the fraction of nonzero elements of the gradient. By
this estimate an elementwise function keeps all its terms, and a sum over all elements loses those whose cotangent is zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.testing.judging.imprecision import Hidden
from refgrad.testing.judging.verdict import Comparison
from refgrad.tracing.ball import Ball, parts

_PIECE = 2**16  # elements


class Scales:
    """The typical relative bound and the largest element of each array, for cotangents or tangents of size one."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], tuple[float, float]] = {}

    def of(
        self,
        key: tuple[str, int],
        seeds: Sequence[PlainArray | None],
        expected: Ball | PlainArray,
        loss: float = 0.0,
    ) -> Hidden:
        """What is known about the formula behind an answer to these seeds (cotangents or tangents; None where there is none)."""
        typical, unit = self.found.get(key, (np.inf, 0.0))
        if not unit or not seeds:
            return Hidden(loss, largest=unit)
        of_gradient, of_seeds = _nonzero(parts(expected)[0]), _nonzero(*seeds)
        terms = min(1.0, of_seeds / of_gradient) if of_gradient else 1.0
        return Hidden(loss, typical, unit * _size(*seeds) * math.sqrt(terms))

    def learn(self, key: tuple[str, int], found: Comparison, seeds: Sequence[PlainArray | None]) -> None:
        """Record the first answer as the ordinary one. A value has no seeds; its scale is its own largest element."""
        size = _size(*seeds) if seeds else 1.0
        if size and key not in self.found and found.sharpness is not None:
            typical, most = found.sharpness.typical_and_largest()
            if most:
                self.found[key] = typical, most / size

    def unit(self, mode: str) -> float:
        """The largest element of any array of a mode (the first entry of a key), for cotangents of size one; 0 before the first answer."""
        return max((u for key, (_, u) in self.found.items() if key[0] == mode), default=0.0)


def _nonzero(*arrays: PlainArray | None) -> float:
    """The fraction of nonzero elements; None entries are ignored."""
    given = [x for x in arrays if x is not None]
    size = sum(np.size(x) for x in given)
    return sum(np.count_nonzero(x) for x in given) / size if size else 0.0


def _size(*arrays: PlainArray | None) -> float:
    """The root mean square of the nonzero elements."""
    given = [np.asarray(x) for x in arrays if x is not None]
    top = max((float(max(np.max(x), -np.min(x))) for x in given if x.size), default=0.0)
    count = sum(np.count_nonzero(x) for x in given)
    squares = sum(float(np.sum((x / top) ** 2)) for y in given for x in _pieces(y)) if top else 0.0
    return top * math.sqrt(squares / count) if top else 0.0


def _pieces(x: PlainArray) -> Iterator[PlainArray]:
    """The array in groups of rows of about ``_PIECE`` elements, so that temporary arrays stay small."""
    step = max(1, _PIECE * len(x) // x.size) if x.ndim and x.size > _PIECE else 0
    return (x[k : k + step] for k in range(0, len(x), step)) if step else iter((x,))
