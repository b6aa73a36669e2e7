"""What tests of kernels expect where the record of an op names the formula that kernels use."""

import functools

import numpy as np

from refgrad.formula import by_each
from refgrad.testing.judging.alternative_formulas import apart
from refgrad.tracing.ball import Ball, parts


def with_formulas(run):
    """The Balls that ``run()`` returns, each with the widest bound of the formulas of its ops of which records say ``blind``."""
    own, others = run(), [found for found, blind in by_each(run) if blind]
    if not others:
        return own
    return [
        Ball(x.value, functools.reduce(np.fmax, [apart(z, x) for z in found], parts(x)[1]), x.fmt)
        for x, *found in zip(own, *others, strict=True)
    ]
