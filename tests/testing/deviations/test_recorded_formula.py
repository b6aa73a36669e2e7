"""What a formula of a recorded disagreement is given and gives, and whether a wrong number is its result."""

from __future__ import annotations

import numpy as np

from refgrad import grad
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.op import FUNCTIONS
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    VALUE,
    Inputs,
    composed,
    moving,
    slope,
    within,
)
from refgrad.tracing.ball import Ball, exact, parts

FMT = FORMATS["float64"]
X, Y_BAR = np.array([-2.0, -0.5, 0.75]), np.array([1.0, -3.0, 2.0])


def asked(y_bar=None, x_dot=None, second=False) -> Inputs:
    """A node of the operand X."""

    def ball(x):
        return None if x is None else exact(np.asarray(x, float), FMT)

    return Inputs(second, (ball(X),), {}, ball(y_bar), (ball(x_dot),), FMT)


def near(ball, due) -> bool:
    value, radius = parts(ball)
    return bool(np.all(np.abs(value - due) <= radius + 4 * FMT.u * np.abs(due)))


def test_a_composition_gives_value_gradient_and_tangent() -> None:
    found = composed(lambda x: x * x * x)(asked(Y_BAR, np.ones(3)))
    assert set(found) == {VALUE, 0, TANGENT}
    assert near(found[VALUE][0], X**3)
    assert near(found[0][0], 3 * X**2 * Y_BAR)
    assert near(found[TANGENT][0], 3 * X**2)
    assert set(composed(np.tanh)(asked())) == {VALUE}  # no cotangent and no tangent arrive


def test_a_slope_gives_no_value() -> None:
    found = slope(np.cos)(asked(Y_BAR, Y_BAR))
    assert set(found) == {0, TANGENT}
    assert near(found[0][0], np.cos(X) * Y_BAR)


def test_second_derivatives_of_a_formula_are_those_of_its_slope() -> None:
    found = composed(lambda x: x / (1 + np.abs(x)))(asked(Y_BAR, np.ones(3), second=True))
    due = grad(lambda x: np.sum(Y_BAR / (1 + np.abs(x)) ** 2))(X)
    assert len(found[0]) == 2  # forward over reverse, reverse over reverse
    for ball in found[0]:
        assert near(ball, due)


def test_a_number_belongs_to_a_formula_within_its_bound_and_not_beside_it() -> None:
    # The value lies half-way between two numbers of float64, and either is what it may come to: rounded to one, it would lose the other.
    centre = np.longdouble(1) + np.longdouble(2) ** -53
    radius = np.longdouble(2) ** -53
    ball = Ball(np.array([centre]), np.array([radius]), FMT)
    if np.finfo(np.longdouble).nmant > 52:
        assert within(1.0, ball, (0,), 1.0)
        assert within(1.0 + 2.0**-52, ball, (0,), 1.0)
    assert not within(1.0 + 2.0**-51, ball, (0,), 1.0)
    assert not within(1.0 - 2.0**-52, ball, (0,), 1.0)
    assert not within(1.0, ball, (1,), 1.0)
    assert not within(1.0, ball, (), 1.0)
    blind = Ball(np.array([0.0]), np.array([np.inf]), FMT)
    assert within(123.0, blind, (0,), 1.0)  # the formula says nothing there
    assert within(np.inf, Ball(np.array([np.inf]), None, FMT), (0,), 1.0)


def test_an_operand_of_an_op_without_a_tangent_has_zeros_beside_one_that_has() -> None:
    """The sign of x, whose derivative is zero, beside x in logaddexp(sign(x), x)."""
    x, x_dot = exact(X, FMT), exact(Y_BAR, FMT)
    graph = Graph.record(lambda a: np.logaddexp(np.sign(a), a), X)
    node = graph.nodes[graph.outputs[0]]
    first, second = moving(graph, node, (x, x), (None, x_dot), FMT)
    assert np.array_equal(parts(first)[0], np.zeros(3))
    assert second is x_dot
    assert moving(graph, node, (x, x), (None, None), FMT) == (None, None)
    graph.nodes[-1] = Node(op=FUNCTIONS["nn.batch_norm"], of=node.of)
    assert moving(graph, graph.nodes[-1], (x, x), (None, x_dot), FMT) == (None, x_dot)


def test_a_number_of_the_program_has_no_tangent_beside_an_operand_that_has() -> None:
    """A formula tells it from an operand that does not move by that."""
    x, x_dot = exact(X, FMT), exact(Y_BAR, FMT)
    graph = Graph.record(lambda a: 0.01 * a, X)
    node = graph.nodes[graph.outputs[0]]
    number = exact(np.asarray(0.01), FMT)
    xs, dots = (
        ((number, x), (None, x_dot)) if not graph.nodes[node.of[0]].name else ((x, number), (x_dot, None))
    )
    assert moving(graph, node, xs, dots, FMT) == dots


def test_a_constant_has_a_tangent_of_zeros_in_second_derivatives() -> None:
    """x w along x alone: the gradient in w moves by y_bar x_dot, and that in x stays."""
    x, w, y_bar, x_dot = (exact(v, FMT) for v in (X, Y_BAR, X, Y_BAR))
    asks = Inputs(True, (x, w), {}, y_bar, (x_dot, None), FMT)
    assert asks.xs_dot[1] is None
    assert np.array_equal(parts(asks.dots[1])[0], np.zeros(3))
    found = composed(lambda x, w: x * w)(asks)
    assert all(near(ball, 0 * X) for ball in found[0])
    assert near(found[1][0], X * Y_BAR)  # forward over reverse


def test_labels_have_no_tangent() -> None:
    asks = Inputs(True, (exact(X, FMT), np.arange(3)), {}, None, (None, None), FMT)
    assert asks.dots[1] is None
