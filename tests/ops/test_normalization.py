"""softmax and its relatives: rules against the third judge, special points, and arguments of every size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import FORMATS, format_of
from refgrad.errors import ArgumentError
from refgrad.ops import normalization
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within, balls_of, slopes

OPS = [normalization.softmax, normalization.log_softmax, normalization.logsumexp, normalization.cross_entropy]


def drawn(op, seed):
    """Operand from the op's own domain, with a tangent and a cotangent."""
    rng = np.random.default_rng([seed, *op.name.encode()])
    (x,), params = op.domain.sample(rng)
    y = op.forward(x, **params)
    return x, params, rng.standard_normal(x.shape), rng.standard_normal(np.shape(y))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", range(40))
def test_derivatives_against_differences(op, seed):
    x, params, x_dot, y_bar = drawn(op, seed)
    ball, tangent, cotangent = balls_of([x, x_dot, y_bar], "float64")
    _, y_dot = rg.jvp(lambda x: op(x, **params), (ball,), (tangent,))
    expected, error = slopes(lambda x: op.forward(x, **params), (x,), (x_dot,))
    judged = assert_within(expected, y_dot, "tangent", error)
    (x_bar,) = rg.vjp(lambda x: op(x, **params), ball)[1](cotangent)
    assert parts(x_bar)[0].shape == x.shape
    along = np.sum(x_bar * tangent)
    judged += assert_within(np.sum(expected * y_bar), along, "cotangent", np.sum(np.abs(y_bar) * error))
    assert judged == y_bar.size + 1


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", range(20))
def test_second_derivatives(op, seed):
    x, params, x_dot, y_bar = drawn(op, seed)

    def pulled(y_bar, x):
        return rg.vjp(lambda z: op(z, **params), x)[1](y_bar)[0]

    ball, tangent, cotangent = balls_of([x, x_dot, y_bar], "float64")
    expected, error = slopes(lambda x: pulled(y_bar.astype(np.longdouble), x), (x,), (x_dot,))
    second = rg.jvp(lambda x: pulled(cotangent, x), (ball,), (tangent,))[1]
    again = rg.vjp(lambda x: pulled(cotangent, x), ball)[1](tangent)[0]
    assert assert_within(expected, second, "forward over reverse", error) == x.size
    assert assert_within(expected, again, "reverse over reverse", error) == x.size


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_dtype_is_kept(op, dtype):
    for seed in range(12):
        x, params, _, y_bar = drawn(op, seed)
        x, y_bar = x.astype(dtype), y_bar.astype(dtype)
        ball, cotangent = balls_of([x, y_bar], np.dtype(dtype).name)
        y, pullback = rg.vjp(lambda z: op(z, **params), x)  # noqa: B023
        y_ball, pullback_ball = rg.vjp(lambda z: op(z, **params), ball)  # noqa: B023
        for got, expected in ((y, y_ball), (pullback(y_bar)[0], pullback_ball(cotangent)[0])):
            assert got.dtype == dtype
            assert assert_within(got, expected, op.name) == got.size


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_special_points(op):
    for special in op.special:
        x, params = np.asarray(special.at[0], float), dict(special.params)
        value, pullback = rg.vjp(lambda x: op(x, **params), x)  # noqa: B023
        np.testing.assert_allclose(value, special.value, rtol=1e-15)
        if special.allowed[0] is not None:
            low, high = (np.asarray(a, float) for a in special.allowed[0])
            forward = [np.sum(rg.jvp(lambda x: op(x, **params), (x,), (t,))[1]) for t in np.eye(x.size)]  # noqa: B023
            for g in (pullback(np.ones(np.shape(value)))[0], np.array(forward)):
                assert np.all((low - 1e-12 <= g) & (g <= high + 1e-12)), (op.name, special.why, g)


def test_log_softmax_of_one_element_with_a_masked_neighbour():
    gradient = rg.grad(lambda x: normalization.log_softmax(x)[0])(np.array([0.0, -np.inf]))
    np.testing.assert_array_equal(gradient, [0.0, 0.0])


def test_empty_and_single_axes():
    assert normalization.softmax(np.zeros((2, 0))).shape == (2, 0)
    assert rg.vjp(normalization.softmax, np.zeros((2, 0)))[1](np.zeros((2, 0)))[0].shape == (2, 0)
    np.testing.assert_array_equal(normalization.logsumexp(np.zeros((2, 0)), axis=1), [-np.inf, -np.inf])
    np.testing.assert_array_equal(normalization.softmax(np.array([[3.0], [1e300]])), [[1.0], [1.0]])
    np.testing.assert_array_equal(
        rg.grad(lambda x: np.sum(normalization.softmax(x)))(np.array([[3.0], [1e300]])), [[0.0], [0.0]]
    )


def test_logaddexp_reduces_to_logsumexp():
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    f = lambda x: np.sum(np.logaddexp.reduce(x, axis=1))  # noqa: E731
    value, gradient = rg.value_and_grad(f)(x)
    (wide, radius), (wide_gradient, gradient_radius) = map(
        parts, rg.value_and_grad(f)(exact(x, FORMATS["float64"]))
    )
    assert abs(value - wide) <= radius
    assert abs(np.sum(np.logaddexp.reduce(x, axis=1)) - wide) <= radius
    assert np.all(np.abs(gradient - wide_gradient) <= gradient_radius)
    assert np.all(np.abs(normalization.softmax(x) - wide_gradient) <= gradient_radius)


def test_cross_entropy_errors_name_shapes_and_labels():
    with pytest.raises(ArgumentError, match=r"\(2, 3\).*\(2,\)"):
        normalization.cross_entropy(np.zeros((2, 3)), labels=np.zeros(3, int))
    with pytest.raises(ArgumentError, match="between 0 and 2"):
        normalization.cross_entropy(np.zeros((2, 3)), labels=np.array([0, 3]))
    with pytest.raises(ArgumentError, match="integer"):
        normalization.cross_entropy(np.zeros((2, 3)), labels=np.zeros(2))


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_rows_in_which_one_element_alone_counts_are_exact(dtype: str) -> None:
    fmt = format_of(dtype)

    def radius(name: str, x: Any) -> Any:
        return parts(getattr(nn, name)(exact(np.asarray(x, float), fmt), axis=-1))[1]

    one, equal, several = [3.5, -np.inf, -np.inf], [2.0, 2.0, -np.inf], [1.0, 0.5, 0.0]
    for name in ("softmax", "log_softmax", "logsumexp"):
        assert not np.any(radius(name, one))
        assert not np.any(radius(name, [[7.25]]))
        assert np.all(radius(name, several) > 0)
    assert not np.any(radius("softmax", equal))
    assert radius("logsumexp", equal) > 0  # log 2 is rounded
    assert np.all(radius("softmax", [2.0, 2.0, 2.0]) > 0)  # so is 1/3
    far = radius("softmax", [0.0, -900.0])
    assert far[0] == 0


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_on_a_grid_differences_from_the_only_element_that_counts_are_exact(dtype: str) -> None:
    fmt = format_of(dtype, on_grid=True)
    row = np.array([[-4096.0, 0.0, -8192.0], [4096.0, 0.0, -4096.0]])
    value, e = parts(nn.log_softmax(exact(row, fmt)))
    assert not np.any(e)
    assert np.array_equal(value, row - np.max(row, axis=-1, keepdims=True))
    finer = parts(nn.log_softmax(exact(row + np.array([2.0**-13, 0.0, 0.0]), fmt)))[1]  # 26 digits
    assert np.any(finer) == (fmt.bits < 26)
    assert np.all(parts(nn.log_softmax(exact(row, format_of(dtype))))[1][row < 0])


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_on_a_grid_a_cross_entropy_of_rows_as_many_as_a_power_of_two_is_exact(dtype: str) -> None:
    fmt = format_of(dtype, on_grid=True)

    def found(rows: Any, labels: list[int]) -> Any:
        x = exact(np.asarray(rows, float), fmt)
        return parts(normalization.cross_entropy(x, labels=np.array(labels), axis=-1))

    row = [0.0, -4096.0, -8192.0]
    assert found([row, row], [1, 0]) == (2048.0, 0.0)
    assert found([row] * 3, [1, 0, 2])[1] > 0  # a third is rounded
    assert found([row, [0.0, 0.0, 0.0]], [1, 0])[1] > 0  # so is log 3


def test_the_weights_of_logsumexp_have_the_error_of_an_approximate_reciprocal() -> None:
    """One framework forms them by the reciprocal of the sum, and that of 1 is 1 - 2^-24 on its vector unit."""
    fmt = format_of("float32", on_grid=True)
    rough = replace(fmt, ulp_table={**fmt.ulp_table, "reciprocal": 1.0})
    for due, given in ((False, fmt), (True, rough)):
        _, pullback = rg.vjp(nn.logsumexp, exact(np.array([0.0, -4096.0]), given))
        (x_bar,) = pullback(exact(np.array(2.0), given))
        assert np.any(parts(x_bar)[1]) == due
