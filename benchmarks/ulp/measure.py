"""Measures one function of a framework in one dtype."""

from __future__ import annotations

import math

import mpmath
import numpy as np

from benchmarks.ulp.errors import Worst, errors, spacing, unit
from benchmarks.ulp.functions import FUNCTIONS
from benchmarks.ulp.kernels import SHORT, Kernels
from benchmarks.ulp.points import inputs
from refgrad.bounds.formats import FORMATS, Format

_SHORT = 7  # elements: less than the vectors of any processor hold
_PARTS = 10  # short arrays of each block
_DIGITS = 60  # of mpmath


def format_under(kernels: Kernels, dtype: str) -> Format:
    """The format with the figures of the framework's profile."""
    return FORMATS[dtype].under(kernels.profile)


def figure(kernels: Kernels, name: str, dtype: str) -> float:
    """The largest error that refgrad allows: in ULP, of a composed function without a figure of its own in bounds."""
    fmt = format_under(kernels, dtype)
    if name in fmt.own_figures:
        return fmt.own_figures[name]
    return 1.0 if FUNCTIONS[name].composed else fmt.ulp(name)


def measure(kernels: Kernels, name: str, dtype: str, every: int, count: int, seed: int = 0) -> Worst:
    """The worst errors of one function in one dtype.

    Where the profile flushes, no operand is subnormal, and the part of an error is left out that the bound of a function has for this: see
    ``rules.monotone``. Operands of a recorded disagreement are counted and left out.
    """
    function, fmt, worst = FUNCTIONS[name], format_under(kernels, dtype), Worst()
    flushing = dtype in kernels.profile.flushing
    composed = function.composed and name not in fmt.own_figures
    flushed = math.ceil(2.0 * figure(kernels, name, dtype)) * fmt.eta if flushing and not composed else 0.0
    worst.error.update(dict.fromkeys(kernels.layouts, 0.0))
    for k, met in enumerate(inputs(function, fmt, every, count, seed, subnormal=not flushing)):
        excused = kernels.excused(name, dtype, met)
        xs = tuple(x[~excused] for x in met)
        worst.excused += int(np.count_nonzero(excused))
        if not xs[0].size:
            continue
        with np.errstate(all="ignore"):
            reference = function.forward(*[x.astype(fmt.wide) for x in xs])
        one, size = unit(function, reference, xs, fmt), xs[0].size
        for layout in kernels.layouts:
            if layout != SHORT:
                y = kernels.call(name, dtype, xs, layout)
                worst.meet(layout, xs, errors(y, reference, one, fmt, flushed))
        # Arrays of 1 to 7 elements, all over the block.
        for start in np.linspace(0, size - 1, _PARTS).astype(int):
            few = slice(start, start + 1 + k % _SHORT)
            part = tuple(x[few] for x in xs)
            y = kernels.call(name, dtype, part, SHORT)
            worst.meet(SHORT, part, errors(y, reference[few], one[few], fmt, flushed))
        worst.met += size
    return worst


def confirmed(kernels: Kernels, name: str, dtype: str, worst: Worst) -> float:
    """The largest error once more, against mpmath with 60 digits; as it was for a function that mpmath has no name for."""
    function, layout, fmt = FUNCTIONS[name], worst.where, format_under(kernels, dtype)
    if function.exactly is None or layout not in worst.at:
        return worst.largest
    xs = tuple(np.full(1 if layout == SHORT else 64, x, fmt.carrier) for x in worst.at[layout])
    got = float(kernels.call(name, dtype, xs, layout)[0])
    with mpmath.workdps(_DIGITS):
        exact = function.exactly(*map(mpmath.mpf, worst.at[layout]))
        one = spacing(np.longdouble(mpmath.nstr(exact, 25)), fmt)
        return float(abs(mpmath.mpf(got) - exact) / mpmath.mpf(float(one)))
