"""The ops: one op, one place. Importing this package registers all of them; the registry is in refgrad.op."""

import numpy as np

from refgrad.op import Op
from refgrad.ops import (
    activation,
    arithmetic,
    deviation,
    entropy,
    exponential,
    gated,
    gelu,
    hard,
    hyperbolic,
    indexing,
    linalg,
    logic,
    normalization,
    reduction,
    scan,
    selection,
    shape,
    smooth,
    sorting,
    stopping,
    trigonometric,
)

_FAMILIES = (
    activation, arithmetic, entropy, exponential, gated, gelu, hard, hyperbolic, logic, selection, smooth, trigonometric,
)  # fmt: skip
# Ops whose result at one place depends on their operands at that place alone, and the rule of rounding as well.
ELEMENTWISE = frozenset(op for family in _FAMILIES for op in vars(family).values() if isinstance(op, Op))


def _single(op: Op) -> bool:
    """Whether the record of an op allows one derivative, or none, at every point."""
    return not op.picks and all(
        ends is None or bool(np.all(np.equal(*ends))) for point in op.special for ends in point.allowed
    )


# Differentiable ops of one derivative, which is a formula of such ops: none of them chooses between branches.
SMOOTH = frozenset(
    op
    for family in (
        arithmetic,
        entropy,
        exponential,
        gated,
        gelu,
        hyperbolic,
        indexing,
        shape,
        smooth,
        trigonometric,
    )
    for op in vars(family).values()
    if isinstance(op, Op) and op.signature.differentiable and op is not arithmetic.remainder and _single(op)
)

__all__ = [
    "ELEMENTWISE",
    "SMOOTH",
    "activation", "arithmetic", "deviation", "entropy", "exponential", "gated", "gelu", "hard", "hyperbolic", "indexing", "linalg", "logic",
    "normalization", "reduction", "scan", "selection", "shape", "smooth", "sorting", "stopping", "trigonometric",
]  # fmt: skip
