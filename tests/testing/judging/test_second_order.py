"""Second derivatives of the reference: the bound over all nestings, the elements that are not judged, and terms that are rounded apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.graph import Graph, Node
from refgrad.modes import FORWARD_OVER_REVERSE, REVERSE_OVER_FORWARD, REVERSE_OVER_REVERSE
from refgrad.numeric import differences
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.testing import Case, NodeByNode, judge
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.second_order import (
    second_derivatives,
    without_second,
    without_transposed,
)
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, IMPRECISE, UNDECIDED
from refgrad.torch.observe import observe
from refgrad.tracing.ball import parts

X, X_DOT, Y_BAR = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.5, -2.0]), np.array([1.0, -3.0, 0.25])


def node_judge(name: str, *xs: np.ndarray, y_bar: np.ndarray = Y_BAR, **params: object) -> NodeByNode:
    op = REGISTRY[name]
    graph = Graph.record(lambda *a: op(*a, **params), *xs)
    inputs = dict(zip(graph.inputs, xs, strict=True))
    case = Case(
        "ops",
        graph,
        inputs,
        {k: np.resize(X_DOT, x.shape) for k, x in inputs.items()},
        y_bar,
        "float64",
        order=2,
    )
    return NodeByNode(case, observe(case))


def test_the_second_derivative_is_that_of_the_gradient_along_the_tangents() -> None:
    judge = node_judge("sin", X)
    [ball] = second_derivatives(judge, list(judge.graph.inputs))
    expected, error = differences(lambda x: Y_BAR * np.cos(x), (X,), (X_DOT,))
    value, radius = parts(ball)
    assert np.all(np.abs(value - expected) <= radius + error)
    assert np.all(radius <= 1e-14)


def test_mixed_derivatives_of_two_operands() -> None:
    w = np.array([1.0, 3.0, -2.0])
    judge = node_judge("multiply", X, w)
    found = [parts(ball)[0].tolist() for ball in second_derivatives(judge, list(judge.graph.inputs))]
    assert found == [(Y_BAR * X_DOT).tolist()] * 2


def test_at_a_cusp_nothing_is_defined_and_beside_it_something_is() -> None:
    judge = node_judge("hypot", np.array([0.0, -1.0, 2.0]), np.array([0.0, 0.5, 0.0]))
    names = list(judge.graph.inputs)
    for name, ball in zip(names, second_derivatives(judge, names), strict=True):
        assert without_second(judge, name).tolist() == [True, False, False]
        assert np.isnan(parts(ball)[0]).tolist() == [True, False, False]


@pytest.mark.parametrize(("x", "asked"), [(1e70, True), (1e80, False), (1e-80, False), (0.0, True)])
def test_beyond_the_fourth_root_of_the_range_nothing_is_asked_of_an_element(x: float, asked: bool) -> None:
    judge = node_judge("square", np.array([x, 1.0, 2.0]))
    assert without_second(judge, *judge.graph.inputs).tolist() == [not asked, False, False]
    assert without_transposed(judge, list(judge.graph.inputs)).tolist() == [not asked, False, False]


def test_an_operand_takes_along_the_other_operands_of_its_element() -> None:
    judge = node_judge("multiply", np.array([1.0, 1e80, 2.0]), X)
    assert [without_second(judge, name).tolist() for name in judge.graph.inputs] == [[False, True, False]] * 2


@pytest.mark.parametrize("huge", [0, 1])
def test_of_a_broadcast_operand_whose_parts_are_added_up_all_are_taken_along(huge: int) -> None:
    xs = [np.array([1.0, 0.5, 2.0]), np.array(3.0)]
    xs[huge].flat[-1] = 1e80
    judge = node_judge("multiply", *xs)
    assert all(without_second(judge, name).all() for name in judge.graph.inputs)


def test_where_elements_mix_an_operand_takes_along_all() -> None:
    judge = node_judge("cumprod", np.array([1e80, 1.0, 2.0]), axis=0)
    assert without_second(judge, *judge.graph.inputs).all()
    assert without_transposed(judge, list(judge.graph.inputs)).all()


@pytest.mark.parametrize(("name", "params"), [("cumsum", {"axis": 0}), ("flip", {"axis": 0})])
def test_what_is_linear_multiplies_no_operand(name: str, params: dict[str, int]) -> None:
    judge = node_judge(name, np.array([1e80, 1e-300, 2.0]), **params)
    assert not without_second(judge, *judge.graph.inputs).any()
    [ball] = second_derivatives(judge, list(judge.graph.inputs))
    assert parts(ball)[0].tolist() == [0.0] * 3


def test_where_the_nestings_differ_there_is_no_second_derivative() -> None:
    """The rank changes along the tangent: beside this matrix the pseudoinverse is no function with this derivative."""
    a, y_bar = np.array([[0.0, 0.0], [-1.0, 0.0]]), np.array([[-0.75, 2.0], [-0.75, 0.0]])
    judge = node_judge("pinv", a, y_bar=y_bar, rcond=1e-6)
    judge.case.tangents["a"][...] = [[2.0, -1.5], [1.5, -1.5]]
    [ball] = second_derivatives(judge, list(judge.graph.inputs))
    assert np.isnan(parts(ball)[0]).tolist() == [[False, True], [False, True]]


# Second derivatives by products that are rounded each by itself: operands, tangents, cotangent of one element.
SECOND = {
    "an exponent lowered twice": ("power", "float32", (2.0**-24, -0.0907846987247467), (-0.5, 0.75), -0.25),
    "a sum of subnormal terms": ("power", "float16", (2.7421875, -2.841796875), (-2.0**-9, 0.0), 2.0**-6),
    "a product that underflows": ("xlogy", "float16", (-1.255859375, 0.06280517578125), (2.0**-14, 2.0**-12), 1.25 * 2.0**-14),
    "a quotient of such a product": ("xlogy", "float16", (-2.322265625, 0.277587890625), (-2.0**-12, 2.0**-12), 1.125 * 2.0**-13),
    "one of 1 + x": ("xlog1py", "float16", (-2.322265625, -0.75), (-2.0**-12, 2.0**-12), 1.125 * 2.0**-13),
}  # fmt: skip


def of_two(op: str, dtype: str, xs, xs_dot, y_bar) -> Case:
    graph = Graph()
    graph.nodes += [Node(name="a"), Node(name="b"), Node(op=REGISTRY[op], of=(0, 1))]
    graph.outputs = (2,)
    given = [{n: np.array([x], dtype) for n, x in zip("ab", of, strict=True)} for of in (xs, xs_dot)]
    return Case("ops", graph, *given, np.array([y_bar], dtype), dtype, order=2)


def statuses(case: Case, seen: Observation) -> dict[str, str]:
    return {v.mode: v.status for v in judge(case, seen)}


def made_wrong(seen: Observation, mode: str) -> Observation:
    """The same with other second derivatives in one mode."""
    answers = {m: [x * 4 + 0.25 for x in a] if m == mode else a for m, a in seen.modes.answers.items()}
    return replace(seen, modes=replace(seen.modes, answers=answers))


@pytest.mark.parametrize("name", SECOND)
def test_terms_of_a_second_derivative_are_rounded_each_by_itself(name: str) -> None:
    case = of_two(*SECOND[name])
    seen = observe(case)
    assert not {DISAGREE, ERROR} & {*statuses(case, seen).values()}
    for mode in (REVERSE_OVER_REVERSE, FORWARD_OVER_REVERSE, REVERSE_OVER_FORWARD):
        assert statuses(case, made_wrong(seen, mode))[mode] == DISAGREE


def test_a_product_with_an_exponent_underflows_before_the_quotient() -> None:
    """The slope of x^(a - 1) in the density of gammainc: a cotangent times a - 1 is below the least number, a quotient by x is not."""
    graph = Graph()
    function = FUNCTIONS["special.gammainc"]
    graph.nodes += [
        Node(value=np.array([1.0068359375], "float16")),
        Node(name="x"),
        Node(op=function, of=(0, 1)),
    ]
    graph.outputs = (2,)
    x, small = {"x": np.array([0.146728515625], "float16")}, np.array([2.0**-9], "float16")
    case = Case("functions", graph, x, {"x": small}, small, "float16", order=2)
    seen = observe(case)
    assert statuses(case, seen)[REVERSE_OVER_REVERSE] == IMPRECISE
    assert statuses(case, made_wrong(seen, REVERSE_OVER_REVERSE))[REVERSE_OVER_REVERSE] == DISAGREE


@pytest.mark.parametrize(
    ("function", "dtype", "a", "x", "y_bar", "x_dot"),
    [
        ("gammaincc", "bfloat16", 2.75, 1.7265625, 1.0, 2.0),
        ("gammainc", "bfloat16", 1.9921875, 1.0, -1.25, 1.75),
        ("gammainc", "float16", 2.001953125, 1.0, -1.0, -1.75),
        ("gammainc", "float32", 2.2288424968719482, 1.2290291786193848, -0.25, -1.5),
    ],
)
def test_a_product_with_an_exponent_is_rounded_before_the_quotient(
    function: str, dtype: str, a: float, x: float, y_bar: float, x_dot: float
) -> None:
    """Near x = a - 1 the slope of the density of gammainc, d (a - 1)/x - d, is the rounding of the first term."""
    name = "float16" if dtype == "float16" else "float32"
    graph = Graph()
    graph.nodes += [
        Node(value=np.array([a], name)),
        Node(name="x"),
        Node(op=FUNCTIONS[f"special.{function}"], of=(0, 1)),
    ]
    graph.outputs = (2,)
    moved, sent = np.array([x_dot], name), np.array([y_bar], name)
    case = Case("functions", graph, {"x": np.array([x], name)}, {"x": moved}, sent, dtype, order=2)
    seen = observe(case)
    # Undecided where the bound exceeds the number.
    assert statuses(case, seen)[REVERSE_OVER_REVERSE] in (AGREE, UNDECIDED)
    assert statuses(case, made_wrong(seen, REVERSE_OVER_REVERSE))[REVERSE_OVER_REVERSE] == DISAGREE


@pytest.mark.parametrize("name", ["logsumexp", "log_softmax", "cross_entropy"])
def test_what_was_rounded_along_a_long_axis_is_not_wrong_at_the_largest_element(name: str) -> None:
    rng = np.random.default_rng(35)
    x = (rng.integers(-39, 40, (512, 2)) / 128).astype("float32")
    params = {"axis": 0, **({"labels": np.array([448, 315])} if name == "cross_entropy" else {})}
    graph = Graph.record(lambda x: REGISTRY[name](x, **params), x)
    inputs = {next(iter(graph.inputs)): x}
    moved = {k: (rng.integers(-7, 9, x.shape) / 4).astype("float32") for k in inputs}
    y_bar = np.ones(np.shape(REGISTRY[name].forward(x, **params)), "float32")
    case = Case("ops", graph, inputs, moved, y_bar, "bfloat16", order=2)
    seen = observe(case)
    found = {v.mode: v.status for v in judge(case, seen)}
    assert DISAGREE not in found.values()
    assert statuses(case, made_wrong(seen, REVERSE_OVER_FORWARD))[REVERSE_OVER_FORWARD] == DISAGREE


@pytest.mark.parametrize(
    ("name", "dtype", "x", "y_bar", "x_dot"),
    [
        ("silu", "bfloat16", 6.5625, 0.75, 1.0),
        ("silu", "bfloat16", 86.0, 1.0, -1.5),
        ("silu", "float16", 9.625, -1.75, 2.0),
        ("tanhshrink", "bfloat16", 3.421875, 2.0, 2.0),
        ("tanhshrink", "bfloat16", -3.453125, -2.0, 0.75),
        ("tanhshrink", "float16", 4.51171875, 1.0, 1.0),
    ],
)
def test_a_second_derivative_from_one_rounded_value_loses_its_digits_far_out(
    name: str, dtype: str, x: float, y_bar: float, x_dot: float
) -> None:
    """1 - s and 1 - t^2, of which nothing is left where the sigmoid or the tangent comes near 1."""
    graph = Graph()
    graph.nodes += [Node(name="x"), Node(op=REGISTRY[name], of=(0,))]
    graph.outputs = (1,)
    at, moved, sent = [
        np.array([a], "float16" if dtype == "float16" else "float32") for a in (x, x_dot, y_bar)
    ]
    case = Case("ops", graph, {"x": at}, {"x": moved}, sent, dtype, order=2)
    seen = observe(case)
    assert DISAGREE not in statuses(case, seen).values()
    for mode in (REVERSE_OVER_REVERSE, FORWARD_OVER_REVERSE, REVERSE_OVER_FORWARD):
        assert statuses(case, made_wrong(seen, mode))[mode] == DISAGREE
