"""What comes of a call with traced arrays, as a value or an exception, and the plain values below them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.op import Traced


def outcome(run: Callable[[], Any]) -> Any:
    """What comes out, or the exception."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - whatever NumPy or refgrad says
        return error


def below(y: Any) -> Any:
    """The result without its levels; of a tuple or list, of each element."""
    if isinstance(y, (tuple, list)):
        return type(y)(below(e) for e in y)
    return below(y._value) if isinstance(y, Traced) else y


def arrays_in(x: Any) -> list[np.ndarray]:
    """The arrays in nested dicts, tuples and lists."""
    if isinstance(x, dict):
        return [a for v in x.values() for a in arrays_in(v)]
    if isinstance(x, (tuple, list)):
        return [a for v in x for a in arrays_in(v)]
    return [x] if isinstance(x, np.ndarray) else []
