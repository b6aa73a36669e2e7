"""What NumPy's functions share on their way to a composition: operands, axes, and out=, into which results are written."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import TracingError
from refgrad.functions.registry import axes_within, axis_within, given, implements, lined_up, operand, reduced
from refgrad.tracing import dispatch


def test_a_composition_is_registered_and_takes_out_by_name_and_by_place() -> None:
    def fresh() -> None:
        """A function of NumPy that nobody has a rule for."""

    @implements(fresh)
    def shifted(a, shift=0.0, out=None):
        return a + shift

    [table] = [t for t in vars(dispatch).values() if isinstance(t, dict) and fresh in t]
    front = table.pop(fresh)
    assert front(1.0, shift=2.0) == 3.0
    assert front(1.0, 2.0, None) == front(1.0, 2.0, out=None) == 3.0
    for call in (lambda: front(1.0, 2.0, np.ones(())), lambda: front(1.0, out=np.ones(()))):
        with pytest.raises(TracingError, match=r"np.fresh\(out=...\) would write to a plain array"):
            call()

    def f(x):
        y = np.zeros(3, like=x)
        assert front(x, 1.0, y) is y
        return np.sum(y * front(x, out=y))

    assert rg.grad(f)(np.arange(3.0)).tolist() == [0, 2, 4]
    assert shifted(1.0, 2.0, out="ignored") == 3.0  # the composition itself is left as it was


def test_sequences_with_traced_numbers_are_stacked() -> None:
    def f(a):
        return np.sum(operand([[a[0], 1.0], [2.0, a[1]]]) ** 2)

    assert rg.grad(f)(np.array([3.0, 5.0])).tolist() == [6, 10]
    assert type(operand([1, 2])) is np.ndarray
    assert operand(2.0).shape == ()
    x = np.ones(2)
    assert operand(x) is x


@pytest.mark.parametrize(
    ("axis", "due"), [(0, (0,)), (-1, (2,)), ((0, -1), (0, 2)), ([1], (1,)), (range(2), (0, 1))]
)
def test_axes_count_from_the_front(axis, due) -> None:
    assert axes_within(axis, 3) == due


def test_axes_that_are_not_there_raise_numpys_error() -> None:
    for call in (lambda: axes_within((0, 3), 3), lambda: axis_within(-4, 3), lambda: reduced(5, 1)):
        with pytest.raises(np.exceptions.AxisError, match="out of bounds"):
            call()
    with pytest.raises(TypeError):
        axis_within(1.0, 3)
    with pytest.raises(ValueError, match="repeated axis"):
        reduced((0, -2), 2)
    assert reduced(None, 2) is None
    assert reduced((1, 0), 2) == (1, 0)


def test_without_an_axis_an_array_is_flat() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert lined_up(x, None)[0].shape == (6,)
    same, axis = lined_up(x, -1)
    assert same is x
    assert axis == 1
    assert lined_up(np.array(1.0), 0)[0].shape == (1,)
    with pytest.raises(np.exceptions.AxisError):
        lined_up(np.array(1.0), 1)


def test_keepdims_that_was_left_away_is_false() -> None:
    assert [given(k) for k in (np._NoValue, False, True, 1)] == [False, False, True, True]
