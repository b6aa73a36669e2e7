"""The probe says what torch does with nested torch.func.jvp of a Function."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch.checking.outer_tangents import _Cube, loses_outer_tangents  # noqa: E402
from refgrad.torch.forward_mode import func_jvp  # noqa: E402


def test_the_probe_is_right_once_and_says_what_becomes_of_it_twice() -> None:
    two, one = torch.tensor(2.0), torch.ones(())
    assert func_jvp(_Cube.apply, (two,), (one,))[1] == 12
    twice = func_jvp(lambda x: func_jvp(_Cube.apply, (x,), (one,))[1], (two,), (one,))[1]
    assert twice == (0 if loses_outer_tangents() else 12)
