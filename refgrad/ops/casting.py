"""Casts through a format: to one of FORMATS and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.profiles import DOUBLE
from refgrad.bounds.rounding import rounded
from refgrad.domain import sampled
from refgrad.op import Op, register
from refgrad.ops import samplers


def _cast_through(x: PlainArray, through: str = DOUBLE) -> PlainArray:
    return rounded(x, FORMATS[through])


def _rounding(run: Evaluation) -> Any:
    fmt, target = run.fmt, FORMATS[run.params["through"]]
    x, e = np.asarray(run.xs[0]), run.es[0]
    return (x, e) if target.holds(fmt) else bounds.cast(fmt, target, x, e)


# By convention the derivative of a cast is 1. Frameworks cast tangents and cotangents to the formats of the values they belong to, so
# that they pass through the format as well.
cast_through: Op = register(
    "cast_through", _cast_through,
    jvp=lambda x_dot, through: cast_through(x_dot, through=through),
    vjp=lambda y_bar, through: cast_through(y_bar, through=through),
    rounding=_rounding,
    torch=lambda torch, x, through=DOUBLE: x.to(getattr(torch, FORMATS[through].storage)).to(x.dtype),
    domain=sampled(samplers.cast_through),
)  # fmt: skip  # a record reads by lines
