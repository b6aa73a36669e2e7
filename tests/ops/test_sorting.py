"""Sorting against the third judge, and its hulls where the order is open."""

import numpy as np
import pytest

from refgrad import grad, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import Ball, exact
from tests.ops import array_checks as checks

FMT = FORMATS["float32"]


@pytest.mark.parametrize("name", ["sort", "in_order", "out_of_order"])
def test_third_judge(name):
    checks.confirm(name)


def test_special_points():
    checks.confirm_special("sort")


def test_gradient_follows_the_order():
    g = grad(lambda x: np.sum(np.sort(x) * np.array([1.0, 10.0, 100.0])))(np.array([3.0, 1.0, 2.0]))
    assert np.array_equal(g, [100.0, 1.0, 10.0])


def _pulled(x, y_bar):
    (x_bar,) = vjp(np.sort, x)[1](exact(y_bar, FMT))
    return x_bar.value, np.zeros(x_bar.shape) if x_bar.radius is None else x_bar.radius


def test_distinct_elements_are_certain():
    value, radius = _pulled(exact(np.array([3.0, 1.0, 2.0]), FMT), np.array([1.0, 10.0, 100.0]))
    assert np.array_equal(value, [100.0, 1.0, 10.0])
    assert not radius.any()


def test_ties_may_be_sorted_either_way():
    value, radius = _pulled(exact(np.array([2.0, 2.0, 1.0]), FMT), np.array([1.0, 10.0, 100.0]))
    assert value[2] == 1
    assert radius[2] == 0
    assert np.all(value[:2] - radius[:2] <= 10)
    assert np.all(value[:2] + radius[:2] >= 100)


def test_order_open_within_the_radius():
    x = Ball(np.array([[1.0, 1.1, 5.0], [1.0, 2.0, 3.0]]), np.array([[0.2, 0.0, 0.0], [0.0, 0.0, 0.0]]), FMT)
    value, radius = _pulled(x, np.array([[1.0, 10.0, 100.0]] * 2))
    assert np.array_equal(value[1], [1.0, 10.0, 100.0])
    assert not radius[1].any()
    assert np.array_equal(value[0] - radius[0], [1.0, 1.0, 100.0])
    assert np.array_equal(value[0] + radius[0], [10.0, 10.0, 100.0])
    y = np.sort(x)
    assert np.allclose(y.radius[0], [0.2, 0.1, 0.0])
