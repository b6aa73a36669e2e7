"""Indexing against the third judge; duplicates, lists, and the clear refusals."""

import numpy as np
import pytest

from refgrad import grad, hessian, jvp, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.ops import indexing
from refgrad.tracing.ball import exact
from tests.ops import array_checks as checks


@pytest.mark.parametrize("name", ["getitem", "put_add", "setitem", "add_at"])
def test_third_judge(name):
    checks.confirm(name, range(150))


def test_duplicates_add():
    assert np.array_equal(grad(lambda x: np.sum(x[[0, 0, 2, -1]]))(np.ones(3)), [2.0, 0.0, 2.0])


def test_lists_are_index_arrays():
    x = np.arange(6.0).reshape(2, 3)
    for key in ([0, 1], ([0, 1], [2, 0]), (slice(None), [1, 1]), [True, False], []):
        y, _ = jvp(lambda a, key=key: a[key], (x,), (x,))
        assert np.array_equal(y, x[key])
    kept = indexing.clean((slice(None), [0, 1]))
    assert isinstance(kept[1], np.ndarray)


def test_a_traced_comparison_is_a_mask():
    x = np.array([-1.0, 2.0, 3.0])
    assert np.array_equal(grad(lambda a: np.sum(a[a > 0] ** 2))(x), [0.0, 4.0, 6.0])


def test_second_derivative_through_duplicates():
    h = hessian(lambda x: np.prod(x[[0, 0, 1]]))(np.array([2.0, 3.0]))
    assert np.array_equal(h, [[6.0, 4.0], [4.0, 0.0]])


def test_a_key_that_may_name_an_element_twice_is_told():
    assert indexing.repeats(np.array([0, 0]))
    assert indexing.repeats((0, [1, 1]))
    assert not indexing.repeats((slice(None), 1, None, ...))
    assert not indexing.repeats(np.array([True, False]))


def test_duplicate_accumulation_rounds():
    fmt = FORMATS["float32"]
    _, pullback = vjp(lambda x: x[np.zeros(1000, int)], exact(np.ones(2), fmt))
    v = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    (x_bar,) = pullback(exact(v, fmt))
    assert 0 < abs(np.add.accumulate(v)[-1] - x_bar.value[0]) <= x_bar.radius[0]
    assert x_bar.radius[1] == 0


def test_the_last_number_written_to_an_element_counts():
    def f(x):
        x[[0, 0, 2]] = x[1] * np.arange(3.0)
        return np.sum(x**2)

    assert np.array_equal(grad(f)(np.array([1.0, 3.0, 5.0])), [0.0, 6.0 + 2 * 3.0 + 2 * 6.0 * 2, 0.0])


def test_numbers_added_at_an_index_round():
    """A run in float32 lies inside the bound, of a sum in any order; elements that get nothing are exact."""
    fmt, rng = FORMATS["float32"], np.random.default_rng(3)
    x, v = rng.standard_normal((2, 400)).astype(np.float32)
    key = rng.integers(0, 7, 400)
    key[key == 5] = 6
    ball = indexing.add_at(exact(x[:8], fmt), exact(v, fmt), key=key)
    for order in (np.arange(400), rng.permutation(400), np.argsort(np.abs(v))):
        y = x[:8].copy()
        np.add.at(y, key[order], v[order])
        assert np.all(np.abs(y - ball.value) <= ball.radius)
    assert np.any(y != ball.value)
    assert ball.radius[5] == ball.radius[7] == 0
    terms = np.bincount(key, minlength=8)
    size = np.abs(x[:8]) + np.bincount(key, np.abs(v), minlength=8)
    assert np.all(ball.radius <= 1.01 * terms * fmt.u * size)


def test_radii_of_both_operands_reach_the_sum():
    fmt = FORMATS["float32"]
    third = exact(np.ones(2, np.float32), fmt) / 3.0
    ball = indexing.add_at(third, third, key=np.array([0, 0]))
    assert ball.radius[0] >= 3 * third.radius[0]
    assert ball.radius[1] == third.radius[1]
