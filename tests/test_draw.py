"""rg.draw and Graph.draw: what they take, and what they leave alone."""

import re

import numpy as np
import pytest

import refgrad as rg
from refgrad.draw.numbers import number
from refgrad.draw.rendering import MOST
from refgrad.errors import GraphError


def neuron(w, x, b):
    return 1 / (1 + np.exp(-(w @ x + b)))


ARGS = (np.array([2.0, -3.0]), np.array([-1.0, -2.0]), -3.0)


def test_a_function_and_its_graph_are_drawn_alike():
    def f(w, x, b):  # a graph does not know what its function was called
        return neuron(w, x, b)

    assert rg.draw(f, *ARGS) == rg.Graph.record(neuron, *ARGS).draw(*ARGS)
    assert ">neuron<" in rg.draw(neuron, *ARGS)


def test_drawing_with_arguments_leaves_the_graphs_numbers_alone():
    g = rg.Graph.record(lambda x: x * 3, 1.0)
    g.forward(7.0)
    g.backward(5.0)
    g.draw(2.0)
    assert g.values[-1] == 21
    assert ">15<" in g.draw()
    assert ">6<" in g.draw(2.0)


def test_arguments_may_be_nested():
    svg = rg.draw(lambda p: p["a"] * p["b"][0], {"a": 2.0, "b": [3.0]})
    assert ">6<" in svg
    assert ">p[&#x27;a&#x27;]<" in svg
    assert ">p[&#x27;b&#x27;][0]<" in svg


def test_integers_carry_no_gradient():
    svg = rg.draw(lambda x, n: x[n] * 2, np.array([1.0, 2.0]), 1)
    assert 'class="gradient"' in svg
    only_forward = rg.draw(lambda n: n + n, 3)
    assert 'class="value"' in only_forward
    assert 'class="gradient"' not in only_forward


def test_a_notebook_shows_the_drawing_or_else_words():
    g = rg.Graph.record(np.sin, 1.0)
    assert g._repr_svg_() == g.draw()
    assert rg.Graph()._repr_svg_() is None


def test_what_does_not_fit_is_refused():
    def wild(x):
        v = [x]
        rng = np.random.default_rng(0)
        for _ in range(600):
            a, b = v[-1], v[-1 - int(rng.integers(0, min(5, len(v))))]
            v.append([np.sin, np.cos, np.tanh, np.arctan, np.exp, np.square][int(rng.integers(0, 6))](a - b))
        return v[-1]

    nodes = len(rg.Graph.record(wild, 0.5).nodes)
    with pytest.raises(
        GraphError, match=rf"has \d+ nodes that do not fold into repeated layers; {MOST} can be drawn"
    ) as raised:
        rg.draw(wild, 0.5)
    assert MOST < int(re.findall(r"\d+", str(raised.value))[0]) <= nodes + 1  # with the result


def test_a_long_graph_folds_into_one_block_with_the_numbers_at_its_ends():
    def deep(x):
        for _ in range(500):
            x = np.sin(x) * 1.1
        return x

    shown = re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", rg.draw(deep, 0.3))
    value, gradient = (number(x) for x in rg.value_and_grad(deep)(0.3))
    assert shown == ["x", "× 500", "sin → ×1.1", "deep", "0.3", gradient, value, "1"]
