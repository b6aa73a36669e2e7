"""Repeated layers become one gate; the rest of the graph stays as it is."""

import numpy as np

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.draw.fold import fold
from refgrad.draw.picture import picture
from refgrad.tracing.ball import exact, parts


def of(f, *args):
    g = rg.Graph.record(f, *args)
    g.forward(*rg.tree.flatten(args)[0])
    g.backward()
    return picture(g, "f")


def deep(n):
    rng = np.random.default_rng(0)
    ws = [rng.normal(size=(3, 3)) for _ in range(n)]

    def f(x, ws):
        for w in ws:
            x = np.tanh(x @ w + 1)
        return np.sum(x)

    return of(f, np.ones(3), ws)


def test_a_deep_chain_is_one_block():
    long = deep(30)
    p = fold(long, 60)
    assert [g.text for g in p.gates] == [
        ("x",), ("ws[0]", "… ws[29]"), ("× 30", "@ → +1 → tanh"), ("Σ",), ("f",),
    ]  # fmt: skip
    # What enters the block, leaves it, and what all its layers send to their weights.
    assert p.wires[0].above == long.wires[0].above
    assert p.wires[0].below == long.wires[0].below
    assert len(p.wires[1].gradients) == 30
    assert p.wires[-1] == long.wires[-1].__class__(3, 4, long.wires[-1].values, long.wires[-1].gradients)


def test_short_graphs_are_left_alone():
    p = deep(5)
    assert fold(p, 60) is p


def test_operands_come_before_users():
    p = fold(deep(40), 60)
    assert all(w.source < w.target for w in p.wires)
    assert [w.target for w in p.wires] == sorted(w.target for w in p.wires)


def test_what_is_shared_by_all_layers_receives_the_sum():
    def f(x, w):
        for _ in range(40):
            x = np.sin(x * w)
        return x

    p = fold(of(f, 0.5, 1.1), 60)
    (wire,) = [w for w in p.wires if p.gates[w.source].text == ("w",)]
    value, radius = parts(rg.grad(f, 1)(exact(0.5, FORMATS["float64"]), exact(1.1, FORMATS["float64"])))
    assert abs(wire.gradients[0] - value) <= radius


def test_two_kinds_of_layers_are_two_blocks():
    def f(x):
        for _ in range(30):
            x = np.sin(x) * 2
        for _ in range(30):
            x = np.cos(x) + 1
        return x

    p = fold(of(f, 0.5), 60)
    assert [g.text for g in p.gates] == [("x",), ("× 30", "sin → ×2"), ("× 30", "cos → +1"), ("f",)]


def test_what_does_not_repeat_does_not_fold():
    ops = [np.sin, np.cos, np.tanh, np.exp, np.arctan, np.square]
    choice = [0, 1, 0, 2, 3, 0, 4, 1, 5, 2, 0, 3, 1, 4, 5, 0, 2, 4, 3, 5, 1, 2, 5, 0, 4]

    def f(x):
        for c in choice:
            x = ops[c](x)
        return x

    p = of(f, 0.5)
    assert fold(p, 10) is p
