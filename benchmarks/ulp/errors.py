"""Errors in units of the last place of a format, and the worst of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.ulp.functions import Array, Function
from benchmarks.ulp.points import Operands
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import Format
from refgrad.op import REGISTRY


@dataclass
class Worst:
    """The worst error met in each layout, in ULP (of a composed function: in bounds), and where.

    met      how many operands
    excused  how many were left out, because the value there is a recorded disagreement
    """

    error: dict[str, float] = field(default_factory=dict)
    at: dict[str, tuple[float, ...]] = field(default_factory=dict)
    met: int = 0
    excused: int = 0

    def meet(self, layout: str, xs: Operands, errors: Array) -> None:
        """Take in the errors at these operands."""
        if errors.max() > self.error.setdefault(layout, 0.0):
            k = int(np.argmax(errors))
            self.error[layout], self.at[layout] = float(errors[k]), tuple(float(x[k]) for x in xs)

    @property
    def where(self) -> str:
        """The layout of the largest error."""
        return max(self.error, key=self.error.__getitem__)

    @property
    def largest(self) -> float:
        """The largest error of all layouts."""
        return self.error[self.where]


def spacing(y: Array, fmt: Format) -> Array:
    """One ULP at y: the distance of neighbours in its binade, below the normal range that of the subnormal numbers."""
    lowest = round(math.log2(fmt.least_normal))
    if y.dtype == np.float64 and fmt.carrier != "float64":  # much faster: the exponent's bits are the power
        power = (y.view(np.int64) & np.int64(0x7FF << 52)).view(np.float64)
        return np.maximum(power, 2.0**lowest) * 2.0 ** (1 - fmt.bits)
    exponent = np.where(y == 0, lowest, np.frexp(y)[1] - 1)
    return np.ldexp(y.dtype.type(1), np.maximum(exponent, lowest) + 1 - fmt.bits)


def errors(y: Array, reference: Array, one: Array, fmt: Format, flushed: float = 0.0) -> Array:
    """|y - reference| in units of ``one``; infinite for NaN. Where the reference is beyond the range, infinity is as good.

    ``flushed`` is what kernels that flush subnormal numbers may lose in addition.
    """
    with np.errstate(all="ignore"):
        off = np.abs(y - reference)
        if flushed:
            off = np.maximum(off - flushed, 0.0)
        off /= one
        if off.max() < np.inf:
            return off
        off = np.where(np.isnan(off) & ~np.isnan(reference), np.inf, off)
        beyond = ~(np.abs(reference) < fmt.max * (1 + fmt.u / 2))
        return np.where(beyond & (~np.isfinite(y) | ~np.isfinite(reference)), 0.0, off)


def shown(error: float) -> str:
    """An error in the column of a table."""
    return f"{error:12.4f}" if error < 1e5 else f"{error:12.3g}"


def unit(function: Function, reference: Array, xs: Operands, fmt: Format) -> Array:
    """What errors are counted in: ULP; the radius that the rule of a composed function states."""
    if not function.composed or function.composed in fmt.own_figures:
        return spacing(reference, fmt)
    op = REGISTRY[function.composed]
    params: dict[str, Any] = {"threshold": None} if function.composed == "softplus" else {}
    with np.errstate(all="ignore"):
        return op.rounding(
            Evaluation(fmt, op.forward, reference, tuple(x.astype(fmt.wide) for x in xs), (None,), params)
        )
