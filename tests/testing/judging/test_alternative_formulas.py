"""Other formulas named by a record: an error within their bound is imprecise in every mode, and other wrong numbers stay wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import refgrad as rg
import refgrad.complex
from refgrad.bounds.formats import FORMATS
from refgrad.errors import RegistrationError
from refgrad.formula import Formula
from refgrad.graph import Graph, Node
from refgrad.modes import (
    FORWARD,
    FORWARD_END_TO_END,
    FORWARD_OVER_REVERSE,
    REVERSE,
    REVERSE_END_TO_END,
    REVERSE_OVER_FORWARD,
    TRANSPOSED_REVERSE,
    VALUE,
)
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.testing import judge
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.alternative_formulas import (
    Reach,
    each,
    of_tangent,
    widened,
    zero_among_others,
)
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, IMPRECISE, UNDECIDED
from refgrad.testing.runs.item import examine
from refgrad.tracing.ball import exact, nearest, parts
from refgrad.transforms import jvp, vjp

pytest.importorskip("torch")

from refgrad.torch.observe import observe

WITH_FORMULAS = sorted(name for name, op in REGISTRY.items() if op.usual)
# Where each formula loses digits: dtype, operand, cotangent and tangent, an error that it explains.
AT = {
    "softsign": ("float32", 3000.0, 1.25, 1 + 2**-12),
    "tanhshrink": ("float32", 1e-3, 1.25, 1 + 2**-12),
    "sinc": ("float32", 1e-3, 1.25, 1 + 2**-12),
    "tanh": ("float32", 4.0, 1.25, 1 + 2**-12),
    "expm1": ("float32", -7.0, 1.25, 1 + 2**-13),
    "arctanh": ("float32", 0.999, 1.25, 1 + 2**-16),
    "arcsin": ("float32", 0.999, 1.25, 1 + 2**-17),
    "arccos": ("float32", -0.999, 1.25, 1 + 2**-17),
    "arccosh": ("float32", 1.001, 1.25, 1 + 2**-17),
    "sigmoid": ("float32", 8.0, 1.25, 1 + 2**-14),
    "silu": ("float32", 14.0, 1.25, 1 + 2**-21),
    "mish": ("float32", 14.0, 1.25, 1 + 2**-20),
    "gelu_tanh": ("float32", -4.0, 1.25, 1 + 2**-14),
    "log10": ("float16", 1.2e-7, 2.0**-10, 1 + 2**-4),  # subnormal: the product x log 10 has two digits
}


def one_op(name, at=None):
    dtype, usual, weight, _ = AT[name]
    at = usual if at is None else at
    op, x = REGISTRY[name], np.array([at], dtype)
    graph = Graph()
    graph.nodes += [Node(name="x"), Node(op=op, of=(0,), params=dict(op.signature.defaults))]
    graph.outputs = (1,)
    ones = np.full(x.shape, weight, dtype)
    return Case("ops", graph, {"x": x}, {"x": ones}, ones, dtype)


def right(case):
    """What a framework says that rounds each result once."""
    values = [case.inputs["x"].astype(float), None]
    blank = Observation(values, [None] * 2, [None] * 2, {}, {})
    node_judge = NodeByNode(case, replace(blank, values=[values[0], np.zeros_like(values[0])]))
    y = nearest(parts(node_judge.recomputed_value(1))[0], node_judge.fmt)
    tangents, cotangents = [case.tangents["x"].astype(float), y], [None, case.cotangent.astype(float)]
    seen = Observation([values[0], y], cotangents, tangents, {}, {})
    node_judge = NodeByNode(case, seen)
    ((_, _, x_bar),) = node_judge._sent(1, cotangents[1])
    y_dot = node_judge._tangent(1, case.graph.nodes[1], [exact(tangents[0], node_judge.fmt), None])
    rounded = [nearest(parts(a)[0], node_judge.fmt) for a in (x_bar, y_dot)]
    return replace(seen, cotangents=[rounded[0], cotangents[1]], tangents=[tangents[0], rounded[1]])


def status(case, seen):
    return {v.mode: v.status for v in judge(case, seen, end_to_end=False)}


def test_there_are_some() -> None:
    assert {*AT} <= {*WITH_FORMULAS}


@pytest.mark.parametrize("name", sorted(AT))
def test_lost_digits_are_imprecise_and_an_ordinary_wrong_number_is_wrong(name) -> None:
    case = one_op(name)
    seen = right(case)
    assert status(case, seen)[REVERSE] == status(case, seen)[FORWARD] == AGREE
    for mode, part, k in ((REVERSE, "cotangents", 0), (FORWARD, "tangents", 1)):
        for factor, due in ((AT[name][3], IMPRECISE), (-3.0, DISAGREE), (7.0, DISAGREE)):
            arrays = list(getattr(seen, part))
            arrays[k] = arrays[k] * factor
            found = status(case, replace(seen, **{part: arrays}))
            assert found[mode] == due, (mode, factor)


def scaled(case, factor, places=(0,)):
    """What a framework says whose derivatives are off by a factor."""
    seen = right(case)
    cotangents, tangents = list(seen.cotangents), list(seen.tangents)
    for k in places:
        cotangents[k] = nearest(cotangents[k] * factor, FORMATS[case.dtype])
    tangents[-1] = nearest(tangents[-1] * factor, FORMATS[case.dtype])
    return replace(seen, cotangents=cotangents, tangents=tangents)


def from_end_to_end(case, seen):
    return {v.mode: v.status for v in judge(case, seen) if v.mode in (REVERSE_END_TO_END, FORWARD_END_TO_END)}


@pytest.mark.parametrize("name", sorted(AT))
def test_from_end_to_end_too(name) -> None:
    case = one_op(name)
    assert {*from_end_to_end(case, right(case)).values()} == {AGREE}
    for factor, due in ((AT[name][3], IMPRECISE), (-3.0, DISAGREE), (7.0, DISAGREE)):
        assert {*from_end_to_end(case, scaled(case, factor)).values()} == {due}, factor


@pytest.mark.parametrize(("name", "at"), [("tanh", 9.0), ("expm1", -17.0), ("sigmoid", 17.0)])
def test_of_an_element_of_which_the_formula_leaves_no_bit_nothing_is_said(name, at) -> None:
    """It is as if its bound were that of the formula; what is further off than that is wrong."""
    case = one_op(name, at)
    near, far = 1.55, 100.0
    assert {*status(case, scaled(case, near)).values()} <= {AGREE, UNDECIDED}
    assert status(case, scaled(case, far)) == {VALUE: AGREE, REVERSE: DISAGREE, FORWARD: DISAGREE}
    assert {*from_end_to_end(case, scaled(case, near)).values()} <= {AGREE, UNDECIDED}
    assert {*from_end_to_end(case, scaled(case, far)).values()} == {DISAGREE}


def test_a_formula_that_may_come_to_anything_decides_nothing() -> None:
    """exp(x - y) with y rounded to bfloat16: 23808 +- 93. Of two equal operands each has the weight 1 then, not 1/2."""
    expected = exact(np.array([0.875]), FORMATS["bfloat16"])
    endless, narrow = np.array([np.inf]), np.array([0.01])
    for got in (np.array([1.75]), np.array([-1e30])):
        assert np.isinf(parts(widened(expected, got, [Reach(endless, True), Reach(narrow, False)]))[1])
        assert parts(widened(expected, got, [Reach(endless, False), Reach(narrow, True)]))[1] == 0
    assert parts(widened(expected, np.array([0.0]), [Reach(endless, True)]))[1] == 0
    x = np.array([23808.0, 23808.0, -50.0], "float32")
    case = replace(logsumexp(x), dtype="bfloat16")
    values, tangents = [x.astype(float), np.array(23808.0)], [np.ones(3), np.array(1.0)]
    seen = Observation(values, [np.array([1.0, 1.0, 0.0]), np.array(1.0)], tangents, {}, {})
    assert status(case, seen)[REVERSE] in (AGREE, UNDECIDED)


def logsumexp(x):
    graph = Graph.record(rg.nn.logsumexp, x)
    return Case("ops", graph, {"x": x}, {"x": np.ones(3, x.dtype)}, np.ones((), x.dtype), "float32")


def test_where_a_record_does_not_say_so_such_an_element_is_wrong() -> None:
    assert not any(f.blind for name in ("softsign", "sinc") for f in REGISTRY[name].usual)
    case = one_op("tanhshrink", 1e-4)
    assert status(case, scaled(case, 1.55))[REVERSE] == DISAGREE


def test_tanhshrink_by_the_factors_of_tanhs_slope_is_imprecise() -> None:
    """(1 + t)(1 - t), as JAX differentiates tanh, rounds by more than 1 - t^2: some of these numbers are beyond that formula's bound."""
    x = np.linspace(0.004, 0.2, 400, dtype=np.float32)
    weight = np.full_like(x, 0.5)  # by which 1 - t^2 is multiplied without rounding
    case = Case("ops", Graph.record(rg.nn.tanhshrink, x), {"x": x}, {"x": weight}, weight, "float32")
    seen, t = right(case), np.tanh(x)
    pushed = weight - (weight + weight * t) * (1 - t)
    sent = weight - (weight * (1 - t) + weight * (1 - t) * t)

    def said(pushed, sent):
        tangents, cotangents = (
            [seen.tangents[0], pushed.astype(float)],
            [sent.astype(float), seen.cotangents[1]],
        )
        return status(case, replace(seen, tangents=tangents, cotangents=cotangents))

    assert said(pushed, sent) == {VALUE: AGREE, REVERSE: IMPRECISE, FORWARD: IMPRECISE}
    ball, weights = (exact(a.astype(float), FORMATS["float32"]) for a in (x, weight))
    square, factors, _ = of_tangent(case.graph.nodes[1], [ball], [weights])
    error = np.abs(pushed - 0.5 * np.tanh(x.astype(float)) ** 2)
    assert np.any(error > square.bound)
    assert np.all(error <= factors.bound)
    for wrong in (lambda a: np.where(x > 0.1, 1.01 * a, a), np.negative):  # a slope of two digits, a sign
        assert said(wrong(pushed), wrong(sent)) == {VALUE: AGREE, REVERSE: DISAGREE, FORWARD: DISAGREE}


@pytest.mark.parametrize(("factor", "due"), [(1.0, AGREE), (1 + 2**-12, IMPRECISE), (-3.0, DISAGREE)])
def test_the_sum_of_what_several_users_send(factor, due) -> None:
    """The framework does not tell what each of them sent."""
    tanh, add, x = REGISTRY["tanh"], REGISTRY["add"], np.array([4.0], np.float32)
    graph = Graph()
    graph.nodes += [Node(name="x"), Node(op=tanh, of=(0,)), Node(op=tanh, of=(0,)), Node(op=add, of=(1, 2))]
    graph.outputs = (3,)
    ones, fmt = np.ones(1), FORMATS["float32"]
    case = Case("graphs", graph, {"x": x}, {"x": np.ones_like(x)}, np.ones_like(x), "float32")
    y = nearest(np.tanh(x.astype(float)), fmt)
    slope = nearest(1 / np.cosh(x.astype(float)) ** 2, fmt)
    sent = nearest(2 * slope * factor, fmt)
    seen = Observation(
        [x.astype(float), y, y, 2 * y], [sent, ones, ones, ones], [x * 1.0, slope, slope, 2 * slope], {}, {}
    )
    assert status(case, seen)[REVERSE] == due


@pytest.mark.parametrize("fields", [{}, {"jvp": abs}, {"function": abs, "jvp": abs, "vjp": abs}])
def test_a_formula_is_a_composition_or_a_pair_of_rules(fields) -> None:
    with pytest.raises(RegistrationError, match="either function, or jvp and vjp"):
        Formula("incomplete", **fields)


@pytest.mark.parametrize("name", WITH_FORMULAS)
def test_a_formula_is_the_same_function(name) -> None:
    """At ordinary points, value and derivative of each formula are those of the record. Constants in them are numbers of float64."""
    op = REGISTRY[name]
    count = len(op.signature.operands)
    xs = tuple(np.array([0.3, 0.9, 1.7, 2.6], np.longdouble) * (1 + k) for k in range(count))
    if not op.domain.contains(xs):
        xs = tuple(op.domain.interval(k).draw(np.random.default_rng(k), (4,)) for k in range(count))
        xs = tuple(x.astype(np.longdouble) for x in xs)
    if op.domain.sampler is not None and "axis" not in op.signature.defaults:  # matrices
        xs = tuple(np.asarray(x, np.longdouble) for x in op.domain.sample(np.random.default_rng(1), count)[0])
    ones = tuple(np.ones_like(x) for x in xs)
    labels = {"labels": np.array(2)} if "labels" in op.signature.defaults else {}
    params = {**op.signature.defaults, **labels}
    for formula in op.usual:
        f = partial(formula.of(op), **params)
        g = partial(op, **params)
        own, other = (jvp(h, xs, ones) for h in (g, f))
        sent, back = (vjp(h, *xs)[1](np.ones_like(own[0])) for h in (g, f))
        room = 64 * np.finfo(np.float64).eps
        for a, b in zip((*own, *sent), (*other, *back), strict=True):
            assert np.all(np.abs(a - b) <= room * (1 + np.abs(a)))


def test_std_in_half_precision_by_subnormal_factors_is_imprecise() -> None:
    """Met with torch 2.14.1: y_bar/(2 y) and its product with 2/n are subnormal in float16, what they send back is not."""
    rng = np.random.default_rng(0)
    x, y_bar = (25 * rng.standard_normal(17)).astype(np.float16), np.float16(0.0006)
    graph = Graph()
    op = REGISTRY["std"]
    graph.nodes += [Node(name="x"), Node(op=op, of=(0,), params=dict(op.signature.defaults))]
    graph.outputs = (1,)
    case = Case("graphs", graph, {"x": x}, {"x": np.ones_like(x)}, np.array(y_bar), "float16")
    seen = right(case)
    assert status(case, seen)[REVERSE] == AGREE
    share = np.float16(y_bar / np.float16(2 * np.float16(seen.values[1]))) * np.float16(2 / 17)
    centred = (x.astype(np.float32) - x.astype(np.float32).mean()).astype(np.float16)
    sent = (share * centred).astype(float)
    assert status(case, replace(seen, cotangents=[sent, seen.cotangents[1]]))[REVERSE] == IMPRECISE
    assert status(case, replace(seen, cotangents=[-sent, seen.cotangents[1]]))[REVERSE] == DISAGREE


def test_a_zero_among_others_is_that_of_a_cancellation_where_a_kernel_s_formula_is_hidden() -> None:
    """cdist by squares less twice the product: at near rows the difference may come to 0 or below."""
    expected, endless = exact(np.array([0.25, 1.0, 0.25, np.inf]), FORMATS["float16"]), np.full(4, np.inf)
    got = np.array([0.0, 0.0, 0.125, 0.0])
    bounds = zero_among_others(Reach(endless, True), got, expected)
    assert bounds.tolist() == [0.25, np.inf, np.inf, np.inf]  # the second is the largest, the third no zero
    assert zero_among_others(Reach(endless, False), got, expected) is endless
    near = np.array([0.01, np.inf, 0.01, 0.01])
    assert zero_among_others(Reach(near, True), got, expected).tolist() == near.tolist()


def test_cdist_of_near_rows_may_be_zero_and_not_that_of_distant_ones() -> None:
    near, far = np.float16(0.6259765625), np.float16(0.634765625)
    rows = np.array([near, *np.linspace(-2, 2, 27)], "float16").reshape(-1, 1)
    graph, few = Graph(), np.array([[far], [-1.0]], "float16")
    graph.nodes += [
        Node(name="x1"),
        Node(name="x2"),
        Node(op=FUNCTIONS["nn.cdist"], of=(0, 1), params={"p": 2.0}),
    ]
    graph.outputs = (2,)
    inputs = {"x1": rows, "x2": few}
    ones = {name: np.ones_like(x) for name, x in inputs.items()}
    case = Case("functions", graph, inputs, ones, np.ones((28, 2), "float16"), "float16")
    right = observe(case)
    for at, due in (((0, 0), IMPRECISE), ((5, 1), DISAGREE)):
        values = [*right.values[:2], right.values[2].copy()]
        values[2][at] = 0.0
        assert status(case, replace(right, values=values))[VALUE] == due


def test_exact_zeros_are_not_widened() -> None:
    """No derivative arrives at an input that only a sign uses: its gradient is a plain zero, whatever formulas were met on other ways."""
    zeros = np.zeros(3)
    assert widened(zeros, np.array([0.0, 1.0, -1.0]), [Reach(np.full(3, 10.0), True)]) is zeros


# --- functions, computed by the other formulas of the ops in them -----------------------------------------------------------


def by_parts(name, z, t, y_bar, dtype):
    """A case of a function of one complex number, of second order."""
    graph, fmt = Graph(), np.dtype(dtype)
    graph.nodes += [Node(name="z"), Node(name="z_imag"), Node(op=FUNCTIONS[name], of=(0, 1))]
    graph.outputs = (2,)
    inputs, tangents = (
        {"z": np.array(x.real, fmt), "z_imag": np.array(x.imag, fmt)} for x in (complex(z), complex(t))
    )
    y_bar = np.array([complex(y_bar).real, complex(y_bar).imag], fmt)
    return Case("complex", graph, inputs, tangents, y_bar, dtype, order=2)


def examined(case, monkeypatch, name, slope=lambda y, z: y):
    """The statuses by mode of torch's own function, with its slope changed and its value kept."""
    right = FUNCTIONS[name].torch

    def spoiled(torch, z, z_imag):
        y = right(torch, z, z_imag)
        changed = slope(y, torch.stack([z, z_imag], -1))
        return y.detach() + (changed - changed.detach())

    with monkeypatch.context() as patch:
        patch.setitem(FUNCTIONS, name, replace(FUNCTIONS[name], torch=spoiled))
        spoilt = replace(FUNCTIONS[name], torch=spoiled)
        nodes = [replace(n, op=spoilt) if n.op is not None else n for n in case.graph.nodes]
        graph = Graph()
        graph.nodes += nodes
        graph.outputs = case.graph.outputs
        return {v.mode: v.status for v in examine(replace(case, graph=graph), observe)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "z"), [("complex.tanh", -30 + 30j), ("complex.tan", 30 - 30j)])
def test_a_part_that_the_formula_loses_is_not_wrong_in_any_mode(name, z, dtype, monkeypatch) -> None:
    """1 - y^2 keeps the imaginary part of the slope of tanh and loses the real part; both are in each part of the tangent."""
    case = by_parts(name, z, 0.75 - 1.25j, 0.75j, dtype)
    right = examined(case, monkeypatch, name)
    assert not {DISAGREE, ERROR} & {*right.values()}, right
    assert {right[FORWARD], right[REVERSE_OVER_FORWARD]} <= {IMPRECISE, UNDECIDED}
    # What is beyond the rounding of 1 is wrong.
    far = 1e-3 if dtype == "float32" else 1e-12
    wrong = examined(case, monkeypatch, name, lambda y, x: y + far * x * x)
    assert {wrong[m] for m in (FORWARD, REVERSE, TRANSPOSED_REVERSE, FORWARD_OVER_REVERSE)} == {DISAGREE}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_part_that_the_formula_keeps_is_judged_beside_a_lost_one(dtype, monkeypatch) -> None:
    """Of a real tangent only one part of the slope is in each part of the result. A slope that is 1 % too large is wrong there."""
    for t, y_bar in ((1.0, 0.75), (-0.5j, 0.75j)):
        case = by_parts("complex.tanh", -30 + 30j, t, y_bar, dtype)
        assert not {DISAGREE, ERROR} & {*examined(case, monkeypatch, "complex.tanh").values()}
        wrong = examined(case, monkeypatch, "complex.tanh", lambda y, x: 1.01 * y)
        assert {wrong[m] for m in (FORWARD, REVERSE, TRANSPOSED_REVERSE)} == {DISAGREE}


def test_each_formula_of_the_ops_in_a_function_and_then_those_of_the_whole() -> None:
    """tan has two formulas, of which the first is blind: it comes once more by itself. An op has those of its record."""
    whole = Formula("of the whole", function=refgrad.complex.tan)
    tan = replace(FUNCTIONS["complex.tan"], usual=(*FUNCTIONS["complex.tan"].usual, whole))
    x = np.array(0.5, np.longdouble)
    found = each(Node(op=tan, of=(0, 1)), lambda f: jvp(f, (x, x), (x, x))[1])
    assert [blind for _, blind in found] == [True, False, True, False]
    for value, _ in found:
        np.testing.assert_allclose(np.asarray(value, float), np.asarray(found[0][0], float), rtol=1e-12)
    assert len(each(Node(op=REGISTRY["tan"], of=(0,)), lambda f: f)) == len(REGISTRY["tan"].usual)
    assert each(Node(name="x"), lambda f: f) == []
