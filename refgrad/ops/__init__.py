"""The ops: one op, one place. Importing this package registers all of them; the registry is in refgrad.op."""

from refgrad.op import Op
from refgrad.ops import (
    activation,
    arithmetic,
    deviation,
    entropy,
    exponential,
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
    activation, arithmetic, entropy, exponential, hard, hyperbolic, logic, selection, smooth, trigonometric,
)  # fmt: skip
# Ops whose result at one place depends on their operands at that place alone, and the rule of rounding as well.
ELEMENTWISE = frozenset(op for family in _FAMILIES for op in vars(family).values() if isinstance(op, Op))

__all__ = [
    "ELEMENTWISE",
    "activation", "arithmetic", "deviation", "entropy", "exponential", "hard", "hyperbolic", "indexing", "linalg", "logic",
    "normalization", "reduction", "scan", "selection", "shape", "smooth", "sorting", "stopping", "trigonometric",
]  # fmt: skip
