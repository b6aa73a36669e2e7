"""Logic of conditions: and, or, xor, not; tests for NaN, infinity and sign. A radius marks uncertain truth values."""

from __future__ import annotations

import itertools

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import KINKED
from refgrad.op import register
from refgrad.ops.selection import either


def _marked(uncertain: Array) -> Array | None:
    """The radius of a boolean result: which elements may be either; None where all are certain."""
    return uncertain if np.any(uncertain) else None


@bounds.exact_rule
def _logic(run: Evaluation) -> Array | None:
    """Uncertain where the possible truth values of the operands give different answers."""
    forward, y, xs, es = run.forward, run.y, run.xs, run.es
    if not bounds.some(es):
        return None
    choices = []
    for x, e in zip(xs, es, strict=True):
        truth, unsure = x.astype(bool), either(x, e)
        choices.append((truth,) if unsure is None else (truth, truth ^ unsure))
    return _marked(
        np.any([forward(*combination) != y for combination in itertools.product(*choices)], axis=0)
    )


logical_and = register(
    "logical_and", np.logical_and, jvp=None, vjp=None, rounding=_logic,
    torch=lambda torch, x1, x2: torch.logical_and(x1, x2), numpy=(np.logical_and,), broadcasts=True,
    elementwise=True, commutes=True,
)  # fmt: skip

logical_or = register(
    "logical_or", np.logical_or, jvp=None, vjp=None, rounding=_logic,
    torch=lambda torch, x1, x2: torch.logical_or(x1, x2), numpy=(np.logical_or,), broadcasts=True,
    elementwise=True, commutes=True,
)  # fmt: skip

logical_xor = register(
    "logical_xor", np.logical_xor, jvp=None, vjp=None, rounding=_logic,
    torch=lambda torch, x1, x2: torch.logical_xor(x1, x2), numpy=(np.logical_xor,), broadcasts=True,
    elementwise=True, commutes=True,
)  # fmt: skip

logical_not = register(
    "logical_not", np.logical_not, jvp=None, vjp=None, rounding=_logic,
    torch=lambda torch, x: torch.logical_not(x), numpy=(np.logical_not,),
    elementwise=True,
)  # fmt: skip


def _finiteness(run: Evaluation) -> Array | None:
    """Uncertain where the radius has no bound, or where the judged format may have overflowed."""
    fmt, xs, es = run.fmt, run.xs, run.es
    reach = np.abs(xs[0]) + bounds.zero(es[0])
    return _marked(np.isfinite(xs[0]) & ~(reach <= fmt.max))


isnan = register(
    "isnan", np.isnan, jvp=None, vjp=None,
    rounding=lambda run: None if run.es[0] is None else _marked(~np.isfinite(run.es[0]) & ~run.y),
    torch=lambda torch, x: torch.isnan(x), numpy=(np.isnan,),
    elementwise=True,
)  # fmt: skip

isinf = register(
    "isinf", np.isinf, jvp=None, vjp=None, rounding=_finiteness, torch=lambda torch, x: torch.isinf(x), numpy=(np.isinf,),
    elementwise=True,
)  # fmt: skip

isfinite = register(
    "isfinite", np.isfinite, jvp=None, vjp=None, rounding=_finiteness, torch=lambda torch, x: torch.isfinite(x), numpy=(np.isfinite,),
    elementwise=True,
)  # fmt: skip

signbit = register(
    "signbit", np.signbit, jvp=None, vjp=None,
    rounding=lambda run: None if run.es[0] is None else _marked(either(run.xs[0], run.es[0])),
    torch=lambda torch, x: torch.signbit(x), numpy=(np.signbit,), domain=KINKED,
    elementwise=True,
)  # fmt: skip
