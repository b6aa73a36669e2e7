"""Wide arrays: 64 to 4,096 elements, with special values among ordinary ones.

A kernel computes such an array in its vector body and the last elements in its scalar tail, and an array of thousands of elements has
equal elements, extremes and neighbours of special points. The length is a choice whose first option is a narrow array, so that a failing
case shrinks to one.
"""

from __future__ import annotations

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.testing.cases.source import Source, rarely

from .arrays import rounded

# Powers of two, which vector bodies cover, and lengths with tails of one element, of an odd number, and of one less than a vector.
LENGTHS = (64, 65, 127, 257, 512, 1023, 1024, 2048, 2049, 3001, 4095, 4096)
SHARE = 8  # one case in so many is wide, by default
KINDS = ("ordinary", "alike", "zeros", "large", "mixed")
RARE = 32  # one element in so many is replaced in the body, and one in so many at the end


def length(source: Source, share: int = SHARE, most: int = LENGTHS[-1]) -> int:
    """The length of the arrays of a case, at most ``most``; 0 for a narrow case. One case in ``share`` is wide."""
    offered = tuple(n for n in LENGTHS if n <= most)
    wide, found = rarely(source, share), source.choice(offered)
    # Both are drawn in any case, so that the later choices stay when a case becomes narrow.
    return found if wide else 0


def with_special_values(source: Source, x: PlainArray, dtype: str, largest: float) -> PlainArray:
    """x with special values of a drawn kind among its elements and at its end, where operands of one length get them together.

    An array of less than RARE elements has none. The kind is drawn for any length, so that shrinking the length keeps the later choices.

    alike   one number, in all these places
    zeros   of both signs
    large   numbers up to ``largest``
    mixed   all of these

    Subnormal numbers are not among them: programs of these families are ordinary. The families of single ops and of casts have them.
    """
    rng, kind, count = source.rng, source.choice(KINDS), x.size // RARE
    if kind == "ordinary" or not count:
        return x
    pools = {
        "alike": (float(rng.integers(-2, 3)) / 2,),
        "zeros": (0.0, -0.0),
        "large": (largest, -largest, largest / 2, largest / 3),
    }
    pool = pools.get(kind) or tuple(v for values in pools.values() for v in values)
    y = np.array(x)
    flat = y.reshape(-1)
    flat[rng.choice(x.size, count, replace=False)] = rng.choice(pool, count)
    flat[x.size - count :] = rng.choice(pool, count)
    return rounded(y, dtype)
