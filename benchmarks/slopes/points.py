"""Where slopes are measured: every magnitude, ends of domains, zeros of the slope, switch points and where exponentials leave the range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad.op import Op

Array = Any
# Where the domain of an op is narrower than the one that its record draws operands from, or wider.
DOMAINS: dict[tuple[str, int], tuple[float, float]] = {
    ("tan", 0): (-math.inf, math.inf),
    ("tan_slope", 0): (-math.inf, math.inf),
    ("remainder", 1): (0.0, math.inf),
}
# Beside the special points of the records: branches of the formulas, and zeros of slopes.
SWITCHES: dict[str, tuple[float, ...]] = {
    "arctan": (1024.0,),
    **dict.fromkeys(("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1"), (2.0, 3.8317, 2.1971)),
    **dict.fromkeys(("modified_bessel_k0", "modified_bessel_k1"), (0.125, 40.0)),
    **dict.fromkeys(("scaled_modified_bessel_k0", "scaled_modified_bessel_k1"), (0.125, 40.0)),
    "entr": (math.exp(-1),),
    "i0": (2.0, 8.0),
    "i1": (2.0, 8.0),
    "i0e": (8.0, 60.0),
    "i1e": (8.0, 60.0, 1.5451),
    "gelu": (-0.7518, 40.0, -40.0),
    "gelu_tanh": (-0.7525, 30.0, -30.0),
    "lgamma": (0.5, 1.5, 3.0, 20.0, -0.5, -1.5, -2.5),
    "digamma": (1.0, 3.0, 20.0, -0.5, -1.5),
    "polygamma": (20.0, 23.0, -0.5, -1.5),
    "hardswish": (-1.5, 3.0, -3.0),
    "mish": (-1.1924, 20.0),
    "silu": (-1.2785,),
    "sinc": (0.32, 0.64, 1.4303),
    "softplus": (20.0,),
}


def domain(op: Op, position: int) -> tuple[float, float]:
    """The interval of one operand."""
    interval = op.domain.interval(position)
    return DOMAINS.get((op.name, position), (interval.low, interval.high))


def beside(x: Array, dtype: Any, rng: np.random.Generator, count: int) -> Array:
    """Numbers at relative distances of 2^-bits to 1/2 from any of ``x``, on both sides."""
    bits = np.finfo(dtype).nmant + 1
    near = rng.choice(x, count)
    return near * (1 + rng.choice([-1.0, 1.0], count) * 2.0 ** -rng.integers(1, bits + 1, count))


def drawn(op: Op, position: int, dtype: Any, rng: np.random.Generator, count: int) -> Array:
    """About ``count`` numbers of the dtype inside the domain of an operand."""
    low, high = domain(op, position)
    limits = np.finfo(dtype)
    ends = [e for e in (low, high) if math.isfinite(e) and e != 0]
    log_max, log_tiny = math.log(float(limits.max)), math.log(float(limits.tiny))
    # Where exp(x), exp(2 x), exp(-x) leave the range, become negligible beside 1, or saturate.
    falls = np.array(
        [
            log_max,
            log_max / 2,
            log_tiny,
            log_tiny / 2,
            math.log(2) * limits.nmant,
            math.log(2) * limits.nmant / 2,
        ]
    )
    special = [float(s.at[position]) for s in op.special if np.ndim(s.at[position]) == 0]
    switches = [x for x in (*SWITCHES.get(op.name, ()), *special) if math.isfinite(x) and x != 0]
    few = max(count // 8, 1)
    sign = rng.choice([-1.0, 1.0], (2, few))
    turns = (np.pi / 2) * rng.integers(1, 40, few) * 2.0 ** rng.choice([0, 0, 0, 10, 20], few)
    least = 2.0 ** (limits.minexp - limits.nmant)
    parts = [
        rng.permutation(np.outer([1.0, -1.0], [least, float(limits.tiny), float(limits.max)]).ravel()),
        sign[0] * 2.0 ** rng.uniform(limits.minexp - limits.nmant + 1, limits.maxexp, few),
        sign[1] * 2.0 ** rng.uniform(-30, 10, few),
        rng.uniform(-40, 40, few),
        rng.uniform(-3, 3, few),
        beside(np.array([*ends, 1.0, -1.0, 0.5]), dtype, rng, few),
        beside(np.concatenate([falls, -falls]), dtype, rng, few),
        np.asarray(turns, dtype) + np.spacing(np.asarray(turns, dtype)) * rng.integers(-3, 4, few),
        beside(np.array(switches or [2.0]), dtype, rng, few),
    ]
    with np.errstate(over="ignore", under="ignore"):
        x = np.concatenate([np.asarray(p, float) for p in parts]).astype(dtype)
    if low == 0:
        x = np.abs(x)
    return x[np.isfinite(x) & (x >= low) & (x <= high)]


def operands(op: Op, dtype: Any, count: int, seed: int = 0) -> tuple[Array, ...]:
    """One array an operand, all of one length; of two operands many are of a similar size."""
    rng = np.random.default_rng([seed, *op.name.encode(), np.dtype(dtype).itemsize])
    found = [rng.permutation(drawn(op, k, dtype, rng, count)) for k in range(len(op.signature.operands))]
    length = min(len(x) for x in found)
    xs = [x[:length].copy() for x in found]
    if len(xs) > 1:
        half = length // 2
        low, high = domain(op, 1)
        with np.errstate(over="ignore", under="ignore"):
            near = (xs[0][:half] * rng.uniform(0.2, 2, half) + rng.uniform(-2, 2, half)).astype(dtype)
        fits = np.isfinite(near) & (near >= low) & (near <= high)
        xs[1][:half] = np.where(fits, near, xs[1][:half])
    return tuple(xs)
