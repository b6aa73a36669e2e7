"""The numbers at which functions are measured: each, or every N-th, of a small format; random and chosen ones of the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.ulp.functions import Array, Function
from refgrad.bounds.formats import Format
from refgrad.bounds.rounding import rounded

Operands = tuple[Array, ...]
BLOCK = 2**16
_BITS16 = 16  # bits of bfloat16 and float16


def inputs32(every: int) -> Iterator[Array]:
    """Every N-th float32 number, by its bits, infinities and NaN left out."""
    step = BLOCK * every
    for start in range(0, 2**32, step):
        bits = np.arange(start, min(start + step, 2**32), every, dtype=np.int64).astype(np.uint32)
        x = bits.view(np.float32)
        x = x[np.isfinite(x)]
        if x.size:
            yield x


def inputs16(dtype: str) -> Iterator[Array]:
    """All numbers of bfloat16, as float32, or of float16, infinities and NaN left out."""
    bits = np.arange(2**_BITS16, dtype=np.uint32)
    x = (bits << _BITS16).view(np.float32) if dtype == "bfloat16" else bits.astype(np.uint16).view(np.float16)
    yield x[np.isfinite(x)]


def inputs64(count: int, low: float, high: float, seed: int) -> Iterator[Array]:
    """Random float64 numbers of every magnitude and of moderate ones; neighbours of 1, of multiples of pi/2, of roundings' ties."""
    rng = np.random.default_rng([seed, 0x1ED])
    left, right = max(low, -800.0), min(high, 800.0)
    for start in range(0, count, BLOCK):
        n = min(BLOCK, count - start)
        turns = rng.integers(-(2**20), 2**20, n) * (np.pi / 2)
        for x in (
            rng.integers(-(2**63), 2**63, n, dtype=np.int64).view(np.float64),
            rng.uniform(left, right, n),
            rng.uniform(max(left, -4), min(right, 4), n),
            rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-30, 10, n),
            1 + rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-52, 0, n),
            turns + np.spacing(turns) * rng.integers(-4, 5, n),
            np.rint(rng.uniform(-64, 64, n)) / 64 + rng.uniform(-1e-9, 1e-9, n),
        ):
            x = x[np.isfinite(x)]
            if x.size:
                yield x


def inputs(
    function: Function, fmt: Format, every: int, count: int, seed: int, *, subnormal: bool = True
) -> Iterator[Operands]:
    """The operands of the function, inside the interval where it is measured; ``subnormal``: whether subnormal numbers are among them.

    They are arrays of the format's carrier.
    """
    reach = np.inf if function.within is None else function.within.get(fmt.name, np.inf)
    low, high = max(function.low, -reach), min(function.high, reach)
    if function.operands == 1 and fmt.name == "float32":
        streams = [inputs32(every)]
    elif function.operands == 1 and fmt.name != "float64":
        streams = [inputs16(fmt.name)]
    else:
        # Seeds of one measurement follow each other; those of the next do not overlap.
        seeds = [seed] if function.operands == 1 else [2 * seed + k for k in range(function.operands)]
        streams = [inputs64(count, low, high, s) for s in seeds]
    for blocks in zip(*streams, strict=True):
        n = min(x.size for x in blocks)
        xs = tuple(held(x[:n], fmt) for x in blocks)
        kept = (xs[0] >= low) & (xs[0] <= high) & np.isfinite(xs).all(0)
        if not subnormal:
            kept &= np.all([(np.abs(x) >= fmt.least_normal) | (x == 0) for x in xs], axis=0)
        if kept.any():
            yield tuple(x[kept] for x in xs)


def held(x: Array, fmt: Format) -> Array:
    """The numbers of the format nearest to x, in an array of its carrier."""
    with np.errstate(over="ignore", under="ignore"):
        return x.astype(fmt.carrier) if fmt.native else rounded(x, fmt).astype(fmt.carrier)
