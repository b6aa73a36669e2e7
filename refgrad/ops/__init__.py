"""The ops: one op, one place. Importing this package registers all of them; the registry is in refgrad.op."""

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

__all__ = [
    "activation", "arithmetic", "deviation", "entropy", "exponential", "hard", "hyperbolic", "indexing", "linalg",
    "normalization", "reduction", "scan", "selection", "shape", "smooth", "sorting", "stopping", "trigonometric",
]  # fmt: skip
