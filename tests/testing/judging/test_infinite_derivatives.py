"""Where an infinite derivative arrives, NaN is accepted for an expected infinity, and no other number is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad import nn
from refgrad.bounds.formats import FORMATS, computed_on
from refgrad.graph import Graph
from refgrad.testing import Case, NodeByNode, Observation
from refgrad.testing.judging.infinite_derivatives import in_numbers, undecidable, without
from refgrad.testing.judging.verdict import Verdict
from refgrad.torch.observe import observe
from refgrad.tracing.ball import exact, parts

inf, nan = np.inf, np.nan


def told(
    mode: str, f: Callable, x: list[float], arriving: list[float], answer: list[float], dtype: str = "float32"
) -> Verdict:
    """The verdict on a program of one op that answers this to such a tangent or cotangent."""
    given, seed = np.array(x), np.array(arriving)
    graph = Graph.record(f, given)
    case = Case("graphs", graph, {"x": given}, {"x": np.ones(len(x))}, np.ones(np.shape(f(given))), dtype)
    seen = observe(case)
    k = graph.outputs[0]
    part, before, after = (seen.tangents, 0, k) if mode == "forward" else (seen.cotangents, k, 0)
    part[before], part[after] = seed, np.array(answer)
    seen.parts.clear()
    return getattr(NodeByNode(case, seen), mode)()


both_modes = pytest.mark.parametrize("mode", ["forward", "reverse"])
SLOPE = float(nn.sigmoid(np.float64(0.5)) * nn.sigmoid(np.float64(-0.5)))  # of the sigmoid at 0.5


@both_modes
@pytest.mark.parametrize(
    ("answer", "status"),
    [(inf, "agree"), (nan, "agree"), (-inf, "disagree"), (0.0, "disagree"), (3e38, "disagree")],
)
def test_a_product_with_infinity_may_be_nan_and_never_a_number(mode: str, answer: float, status: str) -> None:
    v = told(mode, nn.sigmoid, [0.5, 0.5], [inf, 1.0], [answer, SLOPE])
    assert v.status == status
    assert v.elements == 1  # the other one: an infinity counts for nothing


@both_modes
def test_beside_an_infinite_derivative_the_others_are_judged(mode: str) -> None:
    for wrong in (nan, inf, 1.001 * SLOPE):
        v = told(mode, nn.sigmoid, [0.5, 0.5], [inf, 1.0], [nan, wrong])
        assert v.status == "disagree"
        assert [e.element for e in v.wrong] == [(1,)]


@both_modes
def test_where_nothing_else_is_asked_nothing_is_decided(mode: str) -> None:
    v = told(mode, nn.sigmoid, [0.5], [inf], [nan])
    assert (v.status, v.reason, v.elements) == ("undecided", "non-finite", 0)


@both_modes
def test_either_infinity_where_the_slope_may_have_either_sign(mode: str) -> None:
    turning = 1.4302966531242027  # where the slope of sinc is zero, up to rounding
    for answer in (inf, -inf, nan):
        assert told(mode, np.sinc, [turning], [inf], [answer]).status == "undecided"
    assert told(mode, np.sinc, [turning], [inf], [0.0]).status == "disagree"


@both_modes
def test_nan_where_the_slope_of_a_kernel_rounds_to_zero(mode: str) -> None:
    for answer in (inf, nan):
        assert told(mode, nn.sigmoid, [40.0], [inf], [answer]).status == "undecided"  # 1 - s rounds to 0
    for answer in (-inf, 0.0):
        assert told(mode, nn.sigmoid, [40.0], [inf], [answer]).status == "disagree"


@both_modes
@pytest.mark.parametrize("f", [np.negative, lambda x: x[::-1], lambda x: np.where(x > 0, x, 1)])
def test_what_is_copied_is_copied_when_infinite(mode: str, f: Callable) -> None:
    right = parts(exact(f(np.array([inf, inf])), FORMATS["float32"]))[0].tolist()
    assert not told(mode, f, [0.5, 0.5], [inf, inf], right).failed
    assert told(mode, f, [0.5, 0.5], [inf, inf], [right[0], nan]).status == "disagree"


@both_modes
@pytest.mark.parametrize("arriving", [1.0, inf])
def test_an_infinity_of_the_slope_is_due_whatever_arrives(mode: str, arriving: float) -> None:
    assert not told(mode, np.sqrt, [0.0], [arriving], [inf]).failed
    assert told(mode, np.sqrt, [0.0], [arriving], [nan]).status == "disagree"


@both_modes
def test_a_number_that_is_due_is_due_from_infinity_too(mode: str) -> None:
    v = told(mode, nn.relu, [-1.0, 1.0], [inf, inf], [nan, inf])
    assert v.status == "disagree"
    assert [e.element for e in v.wrong] == [(0,)]


def twice() -> tuple[Case, Observation]:
    """exp(x) * sin(x), whose node 1 sends infinity to x."""
    x = np.array([0.5])
    graph = Graph.record(lambda x: np.exp(x) * np.sin(x), x)
    case = Case("graphs", graph, {"x": x}, {"x": x}, np.ones(1), "float32")
    seen = observe(case)
    (exp,) = (k for k, n in enumerate(graph.nodes) if str(n) == "exp")
    seen.cotangents[exp] = np.array([inf])
    seen.parts[exp, 0] = np.array([inf])
    seen.cotangents[0] = np.array([nan])
    return case, seen


def wrong_gradients(case: Case, seen: Observation) -> list[str]:
    return [e.what for e in NodeByNode(case, seen).reverse().wrong if e.what.startswith("gradient of input")]


def test_the_sum_of_known_parts_has_one_infinity_and_is_infinite() -> None:
    case, seen = twice()
    assert wrong_gradients(case, seen)
    seen.cotangents[0] = np.array([inf])
    assert not wrong_gradients(case, seen)


def test_the_sum_of_parts_that_nobody_told_is_as_open_as_they_are() -> None:
    case, seen = twice()
    seen.parts.clear()
    assert not wrong_gradients(case, seen)
    seen.cotangents[0] = np.array([1.0])
    assert wrong_gradients(case, seen)


@pytest.mark.parametrize("dtype", computed_on())
def test_the_number_for_infinity_is_one_of_the_format_with_all_its_digits(dtype: str) -> None:
    fmt = FORMATS[dtype]
    x = np.array([inf, -inf, 3.0, nan])
    for sign in (1.0, -1.0):
        numbers = in_numbers(x, sign, fmt)
        assert numbers[0] == sign * (2 - 2 * fmt.u) == -numbers[1]
        assert numbers[2] == 3.0
        assert np.isnan(numbers[3])
        significand = np.frexp(abs(numbers[0]))[0] * 2.0**fmt.bits
        assert significand == 2.0**fmt.bits - 1


def test_an_answer_of_another_shape_is_left_to_the_comparison() -> None:
    expected = exact(np.array([inf]), FORMATS["float32"])
    assert not undecidable(np.full((2, 2), nan), expected, lambda sign: expected).any()
    assert np.isnan(parts(without(expected, np.array([True]), FORMATS["float32"]))[0]).all()
