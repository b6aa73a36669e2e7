"""Upstream × local is the gradient: for numbers, elementwise functions and small Jacobians."""

import numpy as np
import pytest

import refgrad as rg
from refgrad.draw.local_gradients import local, local_lines, product, sent_back
from refgrad.draw.numbers import SPACE

EPS = np.finfo(float).eps


def done(f, *args):
    g = rg.Graph.record(f, *args)
    y = g.forward(*args)
    g.backward(np.arange(2.0, 2 + np.size(y)).reshape(np.shape(y)))
    return g


def test_of_a_number():
    g = done(lambda x, y: x * y, 3.0, -4.0)
    assert local(g, 2, 0) == -4
    assert product(g, 2, 0, sent_back(g, 2)[0]) == ("2 × −4 = −8",)


def test_of_an_elementwise_function():
    x = np.array([[1.0, -2.0], [3.0, -1.0]])
    np.testing.assert_array_equal(local(done(rg.nn.relu, x), 1, 0), x > 0)


def test_of_a_sum_it_has_the_operands_shape():
    g = done(np.sum, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(local(g, 1, 0), [1, 1, 1])
    assert product(g, 1, 0, sent_back(g, 1)[0])[1] == f"×{SPACE}[1, 1, 1]"


def test_otherwise_it_is_the_jacobian():
    x = np.array([1.0, 2.0, 3.0])
    g = done(np.cumsum, x)
    np.testing.assert_array_equal(local(g, 1, 0), rg.jacrev(np.cumsum)(x))
    np.testing.assert_array_equal(g.cotangents[1] @ local(g, 1, 0), sent_back(g, 1)[0])
    assert product(g, 1, 0, sent_back(g, 1)[0])[1].startswith(f"·{SPACE}[")


def test_a_large_one_is_named_by_its_size():
    g = done(lambda x: x @ x, np.ones((5, 5)))
    assert local(g, 1, 0) is None
    assert [t.replace(SPACE, " ") for t in local_lines(g, 1, 0)] == ["local Jacobian 25 × 25"]
    assert product(g, 1, 0, sent_back(g, 1)[0])[-1] == "= upstream · Jacobian 25 × 25"


@pytest.mark.parametrize("f", [np.sin, rg.nn.softmax, lambda x: np.outer(x, x)])
def test_upstream_times_local_is_what_is_sent(f):
    g = done(f, np.array([0.3, -0.2]))
    for k, node in enumerate(g.nodes):
        for position, x_bar in sent_back(g, k).items():
            d, y_bar = local(g, k, position), g.cotangents[k]
            if d is not None:
                expected = y_bar * d if np.shape(d) == np.shape(x_bar) else np.ravel(y_bar) @ d
                # Both sum up to 4 products of a y_bar and a slope; softmax's slopes add a sum and two products.
                largest = np.sum(np.abs(y_bar)) * max(1.0, np.max(np.abs(d)))
                assert np.all(np.abs(np.ravel(expected) - np.ravel(x_bar)) <= 8 * EPS * largest), node


def test_of_nothing_there_is_nothing():
    g = done(np.exp, np.ones((0, 3)))
    assert local(g, 1, 0) is None
    assert local_lines(g, 1, 0)[0].endswith("Jacobian 0 × 0")
