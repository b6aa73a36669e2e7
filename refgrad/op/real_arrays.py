"""Arguments of public functions as arrays of real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.errors import DtypeError, refuse_tensor
from refgrad.op.registry import Traced


def real_array(x: Any, whose: str) -> Any:
    """x as an array of real numbers: traced ones as they are, integers as float64.

    ``whose`` names the function in messages. Raises DtypeError for other dtypes, TypeError for a tensor.
    """
    if isinstance(x, Traced):
        return x
    refuse_tensor(x, f"an argument of {whose}")
    x = np.asarray(x)
    if x.dtype.kind == "f":
        return x
    if x.dtype.kind in "iub":
        return x.astype(np.float64)
    raise DtypeError(f"an array of real numbers is expected, got dtype {x.dtype}")
