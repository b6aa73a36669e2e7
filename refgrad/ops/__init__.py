"""The ops: one op, one place. Importing this package registers all of them; the registry is in refgrad.op."""

import numpy as np

from refgrad.op import Op
from refgrad.ops import (
    activation,
    arithmetic,
    casting,
    entropy,
    exponential,
    gated_activations,
    gelu,
    hyperbolic,
    indexing,
    linalg,
    logic,
    normalization,
    piecewise_activations,
    reduction,
    scan,
    selection,
    shape,
    smooth_activations,
    sorting,
    stop_gradient,
    trigonometric,
    variance,
)

_FAMILIES = (
    activation, arithmetic, entropy, exponential, gated_activations, gelu, piecewise_activations, hyperbolic, logic, selection,
    smooth_activations, trigonometric,
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
        gated_activations,
        gelu,
        hyperbolic,
        indexing,
        shape,
        smooth_activations,
        trigonometric,
    )
    for op in vars(family).values()
    if isinstance(op, Op) and op.signature.differentiable and op is not arithmetic.remainder and _single(op)
)

__all__ = [
    "ELEMENTWISE",
    "SMOOTH",
    "activation", "arithmetic", "casting", "entropy", "exponential", "gated_activations", "gelu", "hyperbolic", "indexing", "linalg",
    "logic", "normalization", "piecewise_activations", "reduction", "scan", "selection", "shape", "smooth_activations", "sorting",
    "stop_gradient", "trigonometric", "variance",
]  # fmt: skip
