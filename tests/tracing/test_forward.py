"""Forward mode: tangents through JVP rules, on levels that do not mix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad import bounds, jvp
from refgrad.op import REGISTRY, Op, new_level
from refgrad.ops import arithmetic
from refgrad.tracing.forward import Dual, push, running

Array = Any


def dual(value: Any, tangent: Any, level: int) -> Dual:
    return Dual(np.asarray(value, float), np.asarray(tangent, float), level)


def test_a_product_of_duals() -> None:
    with running() as level:
        y = dual([2.0, 3.0], [1.0, 0.0], level) * dual([5.0, 7.0], [0.0, 1.0], level)
    assert np.array_equal(y._value, [10.0, 21.0])
    assert np.array_equal(y._tangent, [5.0, 3.0])


def test_a_tangent_follows_broadcasting() -> None:
    with running() as level:
        y = dual([[1.0], [2.0]], [[1.0], [10.0]], level) + np.zeros(3)
    assert np.array_equal(y._tangent, [[1.0] * 3, [10.0] * 3])


def test_a_constant_result_is_a_plain_value() -> None:
    assert not isinstance(np.sign(dual(1.0, 1.0, new_level())), Dual)
    assert not isinstance(dual(1.0, 1.0, new_level()) > 0.0, Dual)


def test_levels_do_not_mix() -> None:
    with running() as inner, running() as outer:
        y = dual(3.0, 1.0, inner) * dual(5.0, 1.0, outer)
    assert y._level == outer
    assert y._tangent._level == inner  # d/d outer of x*z is x, which still carries the inner tangent
    assert (y._tangent._value, y._tangent._tangent) == (3.0, 1.0)
    assert (y._value._value, y._value._tangent) == (15.0, 5.0)


def test_variadic_ops_see_zeros_for_constant_operands() -> None:
    y, y_dot = jvp(
        lambda x: np.concatenate([x, np.array([9.0]), 2 * x]),
        (np.array([1.0, 2.0]),),
        (np.array([1.0, -1.0]),),
    )
    assert np.array_equal(y, [1, 2, 9, 2, 4])
    assert np.array_equal(y_dot, [1, -1, 0, 2, -2])


def test_an_integer_array_among_variadic_operands_has_a_zero_tangent() -> None:
    _, y_dot = jvp(lambda x: np.concatenate([np.array([1, 2]), x]), (np.array([1.5]),), (np.array([1.0]),))
    assert np.array_equal(y_dot, [0, 0, 1])


def test_a_jvp_rule_of_a_wrong_shape_is_an_error_that_names_the_op() -> None:
    broken = Op(
        "broken", lambda x: x + 1, jvp=lambda x_dot: x_dot[:1], vjp=lambda y_bar: y_bar, rounding=bounds.same
    )
    message = r"op 'broken': its JVP rule gave a tangent of shape \(1,\) for a value of shape \(3,\)"
    with running() as level, pytest.raises(AssertionError, match=message):
        broken(dual(np.ones(3), np.ones(3), level))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtypes_stay(dtype: Any) -> None:
    x = np.array([0.5, 1.5], dtype)
    y, y_dot = jvp(lambda x: np.exp(2.0 * x) / (1 + x), (x,), (x,))
    assert y.dtype == y_dot.dtype == dtype


def test_a_tangent_has_its_values_dtype_after_promotion() -> None:
    x = np.array([1.0, 2.0], np.float32)
    y, y_dot = jvp(lambda x: x * np.array([3.0, 4.0]), (x,), (np.array([1.0, 1.0]),))
    assert y.dtype == y_dot.dtype == np.float64
    assert np.array_equal(y_dot, [3.0, 4.0])


def test_push_of_inactive_operands_is_none() -> None:
    values, nothing = (np.ones(2), np.ones(2)), (False, False)
    assert push(arithmetic.add, values, {}, nothing, [None, None], np.full(2, 2.0)) is None


def test_push_adds_what_each_operand_contributes() -> None:
    values, y = (np.array(3.0), np.array(4.0)), np.array(12.0)
    tangents = [np.array(1.0), np.array(10.0)]
    assert push(REGISTRY["multiply"], values, {}, (True, True), tangents, y) == 4.0 + 30.0
    assert push(REGISTRY["multiply"], values, {}, (False, True), [None, tangents[1]], y) == 30.0


def test_a_long_program_keeps_nothing() -> None:
    # Duals of the past are released as the program runs: at no time do more than a few exist.
    import gc

    most = 0

    def f(x: Array) -> Array:
        nonlocal most
        for k in range(300):
            x = x * 1.0
            if k % 100 == 99:
                most = max(most, sum(kind is Dual for kind in map(type, gc.get_objects())))
        return x

    before = sum(kind is Dual for kind in map(type, gc.get_objects()))
    jvp(f, (np.ones(2),), (np.ones(2),))
    assert most - before < 10


@pytest.mark.parametrize(
    ("f", "y", "slope"),
    [
        (lambda x: 1j * x, 1j, 1j),
        (lambda x: (2.0 + 1j * x) ** 2, 3.0 + 4.0j, 2j * (2.0 + 1j)),
        (lambda x: (np.exp(2j * x) - 1j * x).real, np.cos(2.0), -2 * np.sin(2.0)),
        (lambda x: 1j * (x * x), 1j, 2j),
    ],
)
def test_a_complex_number_of_python_times_a_number(f: Any, y: complex, slope: complex) -> None:
    # 1j * np.float64(1.0) is a complex of Python, which has no shape: rules meet it as a tangent.
    found, moved = jvp(f, (np.float64(1.0),), (np.float64(1.0),))
    assert [found, moved] == [y, slope]  # products of small integers round nothing
