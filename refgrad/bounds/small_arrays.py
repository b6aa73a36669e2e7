"""Operations on small arrays and their radii, of which the call is the cost: a Python number beside an array, and tests of a mask.

NumPy converts a Python number to an array at each call, which takes longer than a product of ten numbers. A constant is converted once
here, to the dtype of the array beside it, so the result has the same dtype and the same digits. The methods ``any`` and ``all`` of a mask
take twenty times as long as a search of its bytes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray

_FEW = 4096  # bytes of a mask up to which it is copied and searched


@functools.lru_cache(maxsize=1024)
def constant(x: float, dtype: np.dtype[Any]) -> PlainArray:
    """The number as an array of shape () in the dtype, float64 for a dtype of whole numbers; read-only. x is neither -0.0 nor NaN."""
    made = np.asarray(x, dtype if dtype.kind == "f" else np.float64)
    made.flags.writeable = False
    return made


def every(mask: Any) -> bool:
    """Whether all elements of a mask, an array of booleans or one boolean of NumPy, are true."""
    return 0 not in mask.tobytes() if mask.size <= _FEW else np.count_nonzero(mask) == mask.size


def spread(x: Any, shape: tuple[int, ...]) -> Any:
    """x broadcast to a shape, itself where it has that shape."""
    return x if x.shape == shape else np.broadcast_to(x, shape)


def some(es: tuple[Any, ...]) -> bool:
    """Whether any operand carries a radius: those of exact operands are None."""
    for e in es:  # noqa: SIM110 - a generator takes several times as long
        if e is not None:
            return True
    return False
