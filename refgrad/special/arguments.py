"""Arguments of the functions of refgrad.special."""

from __future__ import annotations

from typing import Any

from refgrad.op.real_arrays import real_array


def array_of(x: Any) -> Any:
    """x as an array of real numbers: traced ones as they are, integers as float64. Raises DtypeError for others, TypeError for a tensor."""
    return real_array(x, "a function of refgrad.special")
