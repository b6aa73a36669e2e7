"""What the judge grants the kernel of a function: digits that another formula loses, and intermediate results in a wider range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.node import Node
from refgrad.op import FUNCTIONS
from refgrad.testing.judging.compare import compare
from refgrad.testing.judging.function_kernels import hidden_formula, undecided_where_lost
from refgrad.tracing.ball import Ball, exact, parts, remembering

FMT = FORMATS["float32"]


def test_the_formula_rounds_as_often_as_the_reference() -> None:
    found = []
    for name, params in (
        ("nn.selu", {}),
        ("nn.rms_norm", {"normalized_shape": (3,), "weight": None, "eps": 1e-5}),
    ):
        node = Node(op=FUNCTIONS[name], of=(0,), params=params)
        found.append(hidden_formula(node, [exact(np.array([[0.3, -1.0, 2.0]]), FMT)], FMT))
    assert all(not hidden.finite for hidden in found)
    few, many = [hidden.loss / FMT.u for hidden in found]
    assert 3 <= few < many < 100


def test_operations_that_move_or_select_elements_do_not_round() -> None:
    x, row = exact(np.arange(1.0, 9.0).reshape(1, 4, 2), FMT), exact(np.arange(8.0), FMT)
    for name, operand, params, rounded in (
        ("nn.pixel_unshuffle", exact(np.ones((1, 2, 2)), FMT), {"downscale_factor": 2}, 0),
        ("nn.channel_shuffle", x, {"groups": 2}, 0),
        ("nn.threshold", row, {"threshold": 2.0, "value": 1.0}, 0),
        ("nn.glu", x, {"dim": 1}, 10),  # sigmoid and product, and their derivatives
        ("nn.selu", row, {}, 7),  # elu and product
    ):
        node = Node(op=FUNCTIONS[name], of=(0,), params=params)
        assert hidden_formula(node, [operand], FMT).loss == rounded * FMT.u, name


def test_one_percent_of_a_moved_number_is_wrong_in_every_format() -> None:
    node = Node(op=FUNCTIONS["nn.pixel_unshuffle"], of=(0,), params={"downscale_factor": 2})
    for dtype in ("bfloat16", "float16", "float32"):
        fmt = FORMATS[dtype]
        x = exact(np.array([[[1.0, 64.0], [2.0, 3.0]]]), fmt)
        expected = node.applied([x])
        got = parts(expected)[0].astype(float)
        got[0] *= 1.0078125
        found = compare(got, expected, fmt, hidden=hidden_formula(node, [x], fmt))
        assert [e.element for e in found.wrong] == [(0, 0, 0)]


def test_operations_that_a_ball_remembers_count_again() -> None:
    node, x = (
        Node(op=FUNCTIONS["nn.selu"], of=(0,), params={}),
        remembering(exact(np.array([0.3, -1.0]), FMT)),
    )
    assert hidden_formula(node, [x], FMT) == hidden_formula(node, [x], FMT)


def test_a_value_that_left_the_range_is_not_decided() -> None:
    y = Ball(np.array([1.0, np.nan, 3.0]), np.array([0.1, np.nan, 0.2]), FMT)
    value, radius = parts(undecided_where_lost(y, lambda: y))
    assert value.tolist() == [1.0, 0.0, 3.0]
    assert radius.tolist() == [0.1, np.inf, 0.2]
    overflowed = Ball(np.array([np.inf, -np.inf, np.inf]), np.array([np.inf, np.inf, 0.0]), FMT)
    of_unknown_sign = Ball(np.array([np.inf, np.nan, np.inf]), np.array([np.inf, np.inf, 0.0]), FMT)
    value, radius = parts(undecided_where_lost(overflowed, lambda: of_unknown_sign))
    assert value.tolist() == [np.inf, 0.0, np.inf]
    assert radius.tolist() == [np.inf, np.inf, 0.0]
    ordinary = exact(np.ones(2), FMT)
    assert undecided_where_lost(ordinary, lambda: ordinary) is ordinary


def test_elements_are_computed_alone_where_every_op_is_elementwise() -> None:
    x, row = (exact(a, FMT) for a in (np.array([[0.3, 1.0, 2.0]]), np.ones((1, 3))))
    for name, operands, params, alone in (
        ("special.bessel_y1", [x], {}, True),
        ("nn.selu", [x], {}, True),
        ("nn.l1_loss", [x, row], {"reduction": "none"}, True),
        ("nn.l1_loss", [x, row], {"reduction": "sum"}, False),
        ("nn.rms_norm", [x], {"normalized_shape": (3,), "weight": None, "eps": 1e-5}, False),
    ):
        node = Node(op=FUNCTIONS[name], of=tuple(range(len(operands))), params=params)
        assert hidden_formula(node, operands, FMT).alone is alone, (name, params)


def test_a_doubled_number_beside_a_pole_is_wrong() -> None:
    """Y_1 is -6e15 at 1e-16. The rounding of that number is larger than Y_1 elsewhere, and belongs to no other element."""
    x = np.array([1e-16, 1.5, 3.0])
    node = Node(op=FUNCTIONS["special.bessel_y1"], of=(0,), params={})
    fmt = FORMATS["float64"]
    expected = node.applied([exact(x, fmt)])
    got = parts(expected)[0].astype(float)
    got[1] *= 2
    hidden = hidden_formula(node, [exact(x, fmt)], fmt)
    found = compare(got, expected, fmt, hidden=hidden)
    assert [e.element for e in found.wrong] == [(1,)]
    assert not compare(got, expected, fmt, hidden=replace(hidden, alone=False)).wrong
