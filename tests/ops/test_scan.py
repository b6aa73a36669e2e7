"""Scans against the third judge and at zeros."""

import numpy as np
import pytest

from refgrad import hessian, jacfwd, jacrev
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import exact
from tests.ops import array_checks as checks

NAMES = ["cumsum", "cumprod", "linear_recurrence"]


@pytest.mark.parametrize("name", NAMES)
def test_third_judge(name):
    checks.confirm(name)


@pytest.mark.parametrize("name", NAMES)
def test_special_points(name):
    checks.confirm_special(name)


def _cumprod_jacobian(x):
    return [
        [0.0 if j > k else np.prod(np.delete(x[: k + 1], j)) for j in range(len(x))] for k in range(len(x))
    ]


@pytest.mark.parametrize(
    "x", [[2.0, 3.0, 5.0, 7.0], [2.0, 0.0, 5.0, 7.0], [2.0, 0.0, 0.0, 7.0], [0.0, 0.0, 0.0, 0.0]]
)
def test_cumprod_at_zeros(x):
    x = np.array(x)
    assert np.array_equal(jacrev(np.cumprod)(x), _cumprod_jacobian(x))
    assert np.array_equal(jacfwd(np.cumprod)(x), _cumprod_jacobian(x))


def test_second_derivative_of_cumprod_at_two_zeros():
    h = hessian(np.cumprod)(np.array([2.0, 0.0, 0.0, 7.0]))
    assert h[2, 1, 2] == 2.0
    assert h[3, 1, 2] == 14.0
    assert h[2, 1, 1] == 0.0


def test_ufunc_accumulate_is_the_same():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    assert np.array_equal(jacrev(np.multiply.accumulate)(x), jacrev(lambda a: np.cumprod(a, axis=0))(x))
    assert np.array_equal(jacrev(np.add.accumulate)(x), jacrev(lambda a: np.cumsum(a, axis=0))(x))


def test_radius_covers_sequential_rounding():
    x = np.random.default_rng(5).standard_normal(3000).astype(np.float32) + 3
    for f in (np.cumsum, lambda a: np.cumprod(a / np.float32(3))):
        ball, got = f(exact(x, FORMATS["float32"])), f(x)
        finite = np.isfinite(ball.radius.astype(float))
        assert np.all(np.abs(got - ball.value)[finite] <= ball.radius[finite])
