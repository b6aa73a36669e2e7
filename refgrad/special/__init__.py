"""Special functions, by the names and parameters of torch.special.

All take NumPy arrays (or traced ones) of float16, float32, float64 or long double and keep the dtype; integers become float64. They are
ordinary functions: apply them to plain arrays, or differentiate code that calls them with grad, jvp, vjp and the rest.
"""

from __future__ import annotations

from refgrad.special.error_functions import (
    erf,
    erfc,
    erfcx,
    erfinv,
    log_ndtr,
    ndtr,
    ndtri,
)

__all__ = [
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "log_ndtr",
    "ndtr",
    "ndtri",
]
