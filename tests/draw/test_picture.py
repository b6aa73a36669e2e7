"""Gates and wires carry what refgrad computes."""

import numpy as np
import pytest

import refgrad as rg
from refgrad.draw.picture import find_node, picture
from refgrad.errors import GraphError


def of(f, *args, **options):
    g = rg.Graph.record(f, *args)
    y = g.forward(*args)
    g.backward(*([] if np.ndim(y) == 0 else [np.ones_like(y)]))
    return picture(g, "f", **options)


def wire(p, source, target):
    names = [" ".join(g.text) for g in p.gates]
    (found,) = [w for w in p.wires if (names[w.source], names[w.target]) == (source, target)]
    return found


def test_the_first_example_of_every_lecture():
    p = of(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0, local=True)
    assert [g.text[0] for g in p.gates] == ["x", "y", "z", "+", "×", "f"]
    assert [(w.above[0], w.below[0]) for w in p.wires] == [
        ("−2", "−4"), ("5", "−4"), ("3", "−4"), ("−4", "3"), ("−12", "1"),
    ]  # fmt: skip
    assert [w.notes[0].split("\N{NO-BREAK SPACE}")[1] for w in p.wires[:4]] == ["1", "1", "−4", "3"]
    assert "Result: −12." in p.about
    assert "x −4; y −4; z 3." in p.about


def test_copies_add_up():
    p = of(lambda x: x * x + np.sin(x), 2.0)
    (x,) = [g for g in p.gates if g.text == ("x",)]
    parts = [w.gradients[0] for w in p.wires if p.gates[w.source] is x]
    assert parts[:2] == [2, 2]
    assert sum(parts) == pytest.approx(rg.grad(lambda x: x * x + np.sin(x))(2.0))
    assert x.total == ("Σ 3.58",)


def test_a_chosen_node_is_written_out():
    p = of(lambda x, y: (x + y) * y, 3.0, 4.0, node=3)
    assert wire(p, "+", "×").product == ("1 × 4 = 4",)
    chosen = of(lambda x: x * 3 + x * 4, 1.0, node=0)
    assert chosen.gates[0].total == ("3 + 4 = 7",)


@pytest.mark.parametrize(
    ("f", "gate"),
    [
        (lambda x: x + 1, "+1"), (lambda x: 1 + x, "+1"), (lambda x: x - 2, "−2"), (lambda x: 2 - x, "2−x"), (lambda x: x * -1, "×−1"),
        (lambda x: 1 / x, "1/x"), (lambda x: x / 4, "÷4"), (lambda x: x**3.0, "x³"), (lambda x: 2.0**x, "2ˣ"),
        (lambda x: x**-1.5, "x^−1.5"), (lambda x: np.maximum(x, 0), "max 0"), (lambda x: x + -2, "−2"), (lambda x: x - -2, "+2"),
    ],
)  # fmt: skip
def test_numbers_are_built_into_gates(f, gate):
    p = of(f, 1.5)
    assert [g.text[0] for g in p.gates] == ["x", gate, "f"]


def test_a_gate_says_what_it_is_in_full():
    p = of(lambda x: np.sum(x[np.arange(3)] * np.pi, axis=-1), np.ones(3))
    assert [g.about for g in p.gates[1:4]] == [
        "node 1: getitem of node 0, key=array([0, 1, 2])",
        "node 3: multiply of node 1, 3.141592653589793",
        "node 4: sum of node 3, axis=-1",
    ]


def test_other_constants_are_gates_without_a_gradient():
    p = of(lambda x: np.sum(x @ np.eye(2)), np.ones(2))
    assert [g.kind for g in p.gates] == ["input", "constant", "op", "op", "output"]
    assert wire(p, "constant", "@").below == ()
    assert wire(p, "constant", "@").above != ()


def test_several_outputs_each_have_their_seed():
    g = rg.Graph.record(lambda x: (x, x * 2, x), 3.0)
    g.forward(3.0)
    g.backward(1.0, 1.0, 1.0)
    p = picture(g, "f")
    assert [w.below[0] for w in p.wires if p.gates[w.target].kind == "output"] == ["1", "1", "1"]
    assert p.gates[0].total == ("Σ 4",)


def test_a_graph_without_numbers_has_none():
    g = rg.Graph()
    a = g.input("a")
    g.output(np.sin(a) + 1)
    p = picture(g, "f")
    assert [g.text[0] for g in p.gates] == ["a", "sin", "+1", "f"]
    assert all(w.above == w.below == () for w in p.wires)


def test_branches_that_lead_nowhere_are_left_out():
    g = rg.Graph()
    a, b = g.input("a"), g.input("b")
    np.exp(b)
    g.output(a * 2)
    assert [gate.text[0] for gate in picture(g, "f").gates] == ["a", "×2", "f"]


def test_nodes_are_found_by_number_and_by_a_name_that_is_theirs_alone():
    g = rg.Graph.record(lambda x: np.exp(np.sin(np.sin(x))), 1.0)
    assert find_node(g, "exp") == 3
    assert find_node(g, "x") == 0
    with pytest.raises(GraphError, match=r"'sin' is not one node .* 1 sin, 2 sin"):
        find_node(g, "sin")
    with pytest.raises(GraphError, match="'cos' is none of this graph"):
        find_node(g, "cos")
    with pytest.raises(GraphError, match="node 9 is none"):
        find_node(g, 9)
