"""Reductions against the third judge, at ties, zeros and masks, and with error radii."""

import numpy as np
import pytest

from refgrad import grad, hessian, jacrev, jvp, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY
from refgrad.tracing.ball import Ball, exact
from tests.ops import array_checks as checks

NAMES = ["sum", "mean", "prod", "max", "min", "var", "std"]
FLOAT32 = FORMATS["float32"]


@pytest.mark.parametrize("name", NAMES)
def test_third_judge(name):
    checks.confirm(name)


@pytest.mark.parametrize("name", NAMES)
def test_special_points(name):
    checks.confirm_special(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_dtype_is_kept(name, dtype):
    x = np.array([[1.0, 2.5, 4.0], [3.0, 0.5, 2.0]], dtype)
    op = REGISTRY[name]
    y, pullback = vjp(lambda a: op(a, axis=1), x)
    (x_bar,) = pullback(np.ones(2, dtype))
    _, y_dot = jvp(lambda a: op(a, axis=1), (x,), (np.ones_like(x),))
    assert y.dtype == x_bar.dtype == y_dot.dtype == dtype


def test_gradient_of_a_sum_may_be_written_to():
    g = grad(np.sum)(np.ones(3))
    g -= 1.0
    assert np.array_equal(g, np.zeros(3))


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_prod_hessian_at_zeros(zeros):
    x = np.array([2.0, 3.0, 5.0, 7.0])
    x[1 : 1 + zeros] = 0.0
    others = [[0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(4)] for i in range(4)]
    assert np.array_equal(hessian(np.prod)(x), others)


def test_prod_third_derivative_at_two_zeros():
    x = np.array([2.0, 0.0, 0.0])
    third = grad(lambda a: hessian(np.prod)(a)[1, 2])(x)
    assert np.array_equal(third, [1.0, 0.0, 0.0])


def test_prod_neither_overflows_nor_underflows_where_the_others_do_not():
    assert np.array_equal(grad(np.prod)(np.array([1e-200, 1e-200])), [1e-200, 1e-200])
    with np.errstate(over="ignore"):
        assert np.array_equal(grad(np.prod)(np.array([1e200, 1e200])), [1e200, 1e200])


@pytest.mark.parametrize(("f", "at"), [(np.max, [1.0, 5.0, 5.0, 5.0]), (np.min, [7.0, 5.0, 5.0, 5.0])])
def test_ties_share_equally(f, at):
    assert np.allclose(grad(f)(np.array(at)), [0, 1 / 3, 1 / 3, 1 / 3], rtol=1e-15)


def test_initial_takes_its_share_of_a_tie():
    assert np.array_equal(grad(lambda x: np.max(x, initial=5.0))(np.array([1.0, 5.0])), [0.0, 0.5])
    assert np.array_equal(grad(lambda x: np.max(x, initial=9.0))(np.array([1.0, 5.0])), [0.0, 0.0])


def test_infinite_cotangents_do_not_reach_the_others():
    _, pullback = vjp(np.max, np.array([1.0, 2.0]))
    assert np.array_equal(pullback(np.asarray(np.inf))[0], [0.0, np.inf])


def test_max_of_nan_leaves_nothing_defined():
    y, pullback = vjp(lambda x: np.max(x, axis=1), np.array([[1.0, np.nan], [1.0, 2.0]]))
    x_bar = pullback(np.ones(2))[0]
    assert np.isnan(y[0])
    assert np.all(np.isnan(x_bar[0]))
    assert np.array_equal(x_bar[1], [0.0, 1.0])


def _weights(x, fmt=FLOAT32):
    _, pullback = vjp(np.max, x)
    (x_bar,) = pullback(exact(np.ones(()), fmt))
    return x_bar.value, np.zeros(x_bar.shape) if x_bar.radius is None else x_bar.radius


def test_a_unique_maximum_is_certain():
    value, radius = _weights(exact(np.array([1.0, 4.0, 2.0]), FLOAT32))
    assert np.array_equal(value, [0.0, 1.0, 0.0])
    assert np.max(radius) <= 2**-20


def test_exact_ties_may_get_any_share():
    value, radius = _weights(exact(np.array([1.0, 4.0, 4.0]), FLOAT32))
    assert value[0] == radius[0] == 0
    assert np.all(value[1:] - radius[1:] <= 0)
    assert np.all(value[1:] + radius[1:] >= 1)


def test_runners_up_within_the_radius_may_be_the_maximum():
    x = Ball(np.array([1.0, 3.95, 4.0]), np.array([0.0, 0.1, 0.0]), FLOAT32)
    value, radius = _weights(x)
    assert value[0] == radius[0] == 0
    assert np.all(value[1:] - radius[1:] <= 0)
    assert np.all(value[1:] + radius[1:] >= 1)


def test_std_of_equal_elements_has_a_zero_derivative():
    assert np.array_equal(grad(np.std)(np.full(3, 3.0)), np.zeros(3))
    assert np.array_equal(grad(lambda x: np.std(x, ddof=1))(np.full(3, 3.0)), np.zeros(3))
    assert np.array_equal(hessian(lambda x: np.std(x) ** 2)(np.full(2, 3.0)).shape, (2, 2))


def test_var_with_correction():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert np.allclose(grad(lambda a: np.var(a, correction=1))(x), 2 * (x - x.mean()) / 3, rtol=1e-14)
    with pytest.raises(ValueError, match="simultaneously"):
        grad(lambda a: np.var(a, correction=1, ddof=1))(x)


def test_empty_reductions():
    assert np.array_equal(jacrev(lambda x: np.prod(x, axis=1))(np.zeros((2, 0))), np.zeros((2, 2, 0)))
    assert grad(np.sum)(np.zeros((0, 3))).shape == (0, 3)


def test_a_sum_beyond_the_range_in_some_order_is_not_promised():
    x = exact(np.array([3e38, 3e38, -3e38], np.float32), FLOAT32)
    assert np.isinf(np.sum(x).radius)


def test_masked_elements_do_not_count():
    x = np.array([1.0, np.nan, 3.0])
    g = grad(lambda a: np.mean(a, where=np.array([True, False, True])))(x)
    assert np.array_equal(g, [0.5, 0.0, 0.5])


def test_radius_covers_every_order_of_a_sum():
    rng = np.random.default_rng(3)
    x = (1000 + rng.standard_normal(3000)).astype(np.float32)
    ball = np.sum(exact(x, FLOAT32))
    for order in (x, x[::-1], np.sort(x), rng.permutation(x)):
        assert abs(np.add.accumulate(order)[-1] - ball.value) <= ball.radius
