"""Nodes: written and read exactly, and what each sends back to its operands."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from refgrad.errors import CaseFileError
from refgrad.node import Node
from refgrad.op import REGISTRY, Op
from refgrad.ops import arithmetic, reduction, selection, shape


def applied(op: Op, *of: int, **params: Any) -> Node:
    return Node(op=op, of=of, params={**op.signature.defaults, **params})


NODES = {
    "an input": Node(name="x"),
    "a number": Node(value=0.1),
    "a truth": Node(value=True),
    "a constant": Node(value=np.array([0.1, -0.0], np.float32)),
    "a NumPy number": Node(value=np.float32(0.1)),
    "an op": applied(reduction.sum, 0, axis=(0, 1), keepdims=True),
    "an op of many": applied(shape.concatenate, 0, 1, 1, axis=-1),
}


@pytest.mark.parametrize("name", NODES)
def test_a_node_is_written_and_read_exactly(name: str) -> None:
    node = NODES[name]
    data = json.loads(json.dumps(node.to_dict(), allow_nan=False))
    again = Node.from_dict(data, 2)
    assert again.to_dict() == node.to_dict()
    assert (again.op, again.of, again.params, str(again)) == (node.op, node.of, node.params, str(node))
    assert np.asarray(again.value).tobytes() == np.asarray(node.value).tobytes()
    assert isinstance(again.value, float) == isinstance(node.value, float)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"input": ""}, "an input has a name, got ''"),
        ({"number": "two"}, "a number is expected, got 'two'"),
        ({"op": "sinus", "of": [0]}, "op 'sinus' is not known"),
        ({"op": "sin", "of": [2]}, "not numbers of earlier nodes"),
        ({"op": "sin", "of": [0, 1]}, r"takes operands \('x',\), got 2"),
        ({"op": "sin", "of": [0], "with": {"axis": 0}}, r"has parameters \[\], got \['axis'\]"),
    ],
)
def test_what_is_no_node_is_refused(entry: Any, message: str) -> None:
    with pytest.raises(CaseFileError, match=message):
        Node.from_dict(entry, 2)


def test_a_parameter_left_out_has_its_default() -> None:
    read = Node.from_dict({"op": "sum", "of": [0]}, 1)
    assert read.params == REGISTRY["sum"].signature.defaults


X, Y = np.array([2.0, 3.0]), np.array([5.0, 7.0])


def sent(node: Node, *values: Any, y_bar: Any) -> list[tuple[int, int, list[float]]]:
    operands = [values[j] for j in node.of]
    found = node.contributions(operands, node.applied(operands), np.asarray(y_bar))
    return [(position, j, x_bar.tolist()) for position, j, x_bar in found]


def test_each_operand_gets_its_share() -> None:
    product = applied(arithmetic.multiply, 0, 1)
    assert sent(product, X, Y, y_bar=[1.0, 10.0]) == [(0, 0, [5.0, 70.0]), (1, 1, [2.0, 30.0])]
    # The share of the number is a sum.
    assert sent(product, X, np.float64(4), y_bar=[1.0, 10.0]) == [(0, 0, [4.0, 40.0]), (1, 1, 32.0)]
    joined = applied(shape.concatenate, 1, 0, 1)
    assert sent(joined, X, Y, y_bar=np.arange(6.0)) == [
        (0, 1, [0.0, 1.0]),
        (1, 0, [2.0, 3.0]),
        (2, 1, [4.0, 5.0]),
    ]


def test_constants_and_steps_send_nothing() -> None:
    assert sent(applied(arithmetic.multiply, 0, 1), X, 4.0, y_bar=[1.0, 10.0]) == [(0, 0, [4.0, 40.0])]
    assert sent(applied(arithmetic.multiply, 0, 1), X, np.array([1, 2]), y_bar=[1.0, 10.0]) == [
        (0, 0, [1.0, 20.0])
    ]
    assert sent(applied(selection.sign, 0), X, y_bar=[1.0, 1.0]) == []
