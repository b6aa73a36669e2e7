"""The protocol of arrays: NumPy's arrays and traced arrays have every member that it names."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.arrays import Array
from refgrad.tracing.ball import Ball
from refgrad.tracing.forward import Dual
from refgrad.tracing.reverse import Var

MACHINERY = ("_abc", "_proto", "_is_", "__init__", "__subclasshook__", "__class_getitem__")
MEMBERS = sorted(
    name
    for name, value in vars(Array).items()
    if (callable(value) or isinstance(value, property)) and not name.startswith(MACHINERY)
)


@pytest.mark.parametrize("kind", [np.ndarray, Ball, Dual, Var])
def test_arrays_have_the_members_of_the_protocol(kind: type) -> None:
    assert {"shape", "reshape", "__add__", "__getitem__"} <= set(MEMBERS)
    assert not [name for name in MEMBERS if not hasattr(kind, name)]
