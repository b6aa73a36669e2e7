"""Running extremes and the running logarithm of a sum: values, places, ties, and numbers far apart."""

from __future__ import annotations

import numpy as np

import refgrad as rg
from refgrad import nn
from refgrad.numeric import differences
from refgrad.ops.running_logsumexp import by_logarithms
from refgrad.tracing.ball import parts
from tests.within import assert_within, balls_of

X = np.array([[1.0, 3.0, 3.0, 2.0], [0.5, -1.0, 4.0, 4.0]])


def test_extremes_and_their_last_places() -> None:
    values, places = nn.cummax(X, 1)
    assert np.array_equal(values, np.maximum.accumulate(X, 1))
    assert np.array_equal(places, [[0, 1, 2, 2], [0, 0, 2, 3]])
    values, places = nn.cummin(X, -2)
    assert np.array_equal(values, np.minimum.accumulate(X, 0))
    assert np.array_equal(places, [[0, 0, 0, 0], [1, 1, 0, 0]])
    nothing = np.array([1.0, np.nan, 3.0])
    values, places = nn.cummax(nothing, 0)
    assert np.array_equal(values, [1.0, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(places, [0, 1, 1])
    values, places = nn.cummax(2, 0)
    assert values == 2.0
    assert places == 0


def test_the_derivative_of_a_tie_is_shared() -> None:
    x_bar = rg.grad(lambda x: np.sum(nn.cummax(x, 0)[0]))(X[0])
    assert x_bar[0] == 1.0
    assert x_bar[3] == 0.0
    assert x_bar[1] + x_bar[2] == 3.0
    assert x_bar[1] >= 1.0


def test_the_logarithm_of_running_sums() -> None:
    x = np.random.default_rng(0).uniform(-3, 3, (3, 5))
    [ball] = balls_of((x,), x.dtype)
    assert assert_within(nn.logcumsumexp(x, 1), np.log(np.cumsum(np.exp(ball), 1))) == x.size
    for dtype in (np.float16, np.float32, np.longdouble):
        assert nn.logcumsumexp(x.astype(dtype), 0).dtype == dtype
    assert nn.logcumsumexp(np.array(2.0), 0) == 2.0
    assert nn.logcumsumexp(np.zeros((2, 0)), 1).shape == (2, 0)
    tangent = np.random.default_rng(1).standard_normal(x.shape)
    expected, error = differences(lambda z: nn.logcumsumexp(z, 1), (x,), (tangent,))
    assert np.all(
        np.abs(rg.jvp(lambda z: nn.logcumsumexp(z, 1), (x,), (tangent,))[1] - expected) <= 4 * error + 1e-14
    )


def test_shares_keep_their_digits_far_from_zero() -> None:
    """Beside 1e9, exp(x - y) of a rounded y would have no digits: the shares are those of x - 1e9."""
    x = np.array([0.0, 1.0, -1.0, 0.5])
    ball, y_bar = balls_of((x, np.ones(4)), x.dtype)
    expected = rg.vjp(lambda z: nn.logcumsumexp(z, 0), ball)[1](y_bar)[0]
    for shift in (0.0, 1e9):  # no element of x + shift rounds
        found = rg.vjp(lambda z: nn.logcumsumexp(z, 0), x + shift)[1](np.ones(4))[0]
        assert assert_within(found, expected) == 4
    assert np.max(parts(expected)[1]) < 1e-12


def test_elements_far_apart_and_no_elements() -> None:
    y, pullback = rg.vjp(lambda x: nn.logcumsumexp(x, 0), np.array([-400.0, 300.0]))
    assert np.array_equal(y, [-400.0, 300.0])
    assert np.array_equal(pullback(np.ones(2))[0], [1.0, 1.0])
    y, pullback = rg.vjp(lambda x: nn.logcumsumexp(x, 0), np.array([-np.inf, -np.inf, 0.0]))
    assert np.array_equal(y, [-np.inf, -np.inf, 0.0])
    assert pullback(np.array([0.0, 0.0, 2.0]))[0][2] == 2.0


def test_the_formula_by_logarithms_has_a_derivative_at_cotangents_of_zero() -> None:
    """The gradient is linear in the cotangent: its derivative there is exp(x_j - y_k) for j up to k, for cotangents of 0 too."""
    x = np.random.default_rng(2).uniform(-2, 2, 5)
    y = nn.logcumsumexp(x, 0)
    shares = np.triu(np.exp(x[:, None] - y))
    for y_bar in (np.zeros(5), np.array([0.0, 1.5, 0.0, -0.5, 0.0])):
        jacobian = rg.jacfwd(lambda z: by_logarithms(z, x, y, 0))(y_bar)
        assert np.max(np.abs(jacobian - shares)) < 16 * np.finfo(float).eps
        assert np.max(np.abs(by_logarithms(y_bar, x, y, 0) - shares @ y_bar)) < 16 * np.finfo(float).eps
