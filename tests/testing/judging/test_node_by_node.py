"""Node-by-node judgement: wrong numbers planted at a node are found there, in every mode, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad import nn
from refgrad.graph import Graph
from refgrad.testing import Case, NodeByNode, Observation, judge
from refgrad.testing.judging.end_to_end import judge_end_to_end
from refgrad.testing.judging.observation import NoAnswer
from refgrad.torch.observe import observe

MODES = ("value", "reverse", "forward")


def example() -> Case:
    """exp(sin(x) * x) . w: nodes 2 sin, 3 multiply, 4 exp, 5 matmul."""
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal(5), rng.standard_normal(5)
    graph = Graph.record(lambda x, w: np.exp(np.sin(x) * x) @ w, x, w)
    return Case(
        "graphs", graph, {"x": x, "w": w}, {"x": np.ones(5), "w": np.arange(5.0)}, np.float64(1.5), "float64"
    )


def test_torch_agrees_and_every_node_is_judged() -> None:
    case = example()
    verdicts = judge(case, observe(case))
    assert [v.status for v in verdicts] == ["agree"] * 5
    value, reverse, forward, *_ = verdicts
    assert set(value.ops) == set(forward.ops) == {"sin", "multiply", "exp", "matmul"}
    assert (value.elements, forward.elements) == (16, 16)
    # x (its two uses, their sum), w, sin, multiply, exp; the output's own cotangent is given, not judged.
    assert reverse.elements == 7 * 5


def test_the_verdicts_node_by_node_can_be_asked_for_alone() -> None:
    case = example()
    seen = observe(case)
    alone = judge(case, seen, end_to_end=False)
    assert [v.mode for v in alone] == list(MODES)
    # In Python 3.13 NaN equals no NaN.
    assert [repr(v) for v in alone] == [repr(v) for v in judge(case, seen)[:3]]


def planted(part: str, node: int, change) -> Observation:
    seen = observe(example())
    arrays = getattr(seen, part)
    arrays[node] = change(np.array(arrays[node]))
    return seen


@pytest.mark.parametrize(
    "change",
    [lambda a: -a, lambda a: 2 * a, lambda a: a * (1 + 1e-12), np.zeros_like, lambda a: np.roll(a, 1)],
)
@pytest.mark.parametrize(
    ("mode", "part", "node", "op"),
    [
        ("value", "values", 3, "multiply"),
        ("reverse", "cotangents", 3, "exp"),
        ("reverse", "cotangents", 0, "fan_in"),
        ("forward", "tangents", 4, "exp"),
    ],
)
def test_a_wrong_number_is_found_where_it_is(mode: str, part: str, node: int, op: str, change) -> None:
    case = example()
    v = getattr(NodeByNode(case, planted(part, node, change)), mode)()
    assert v.status == "disagree"
    assert v.first_wrong == (node, op)
    assert v.wrong[0].ratio > 1
    assert op in v.message


@pytest.mark.parametrize(("part", "mode", "node"), [("cotangents", "reverse", 0), ("tangents", "forward", 5)])
def test_the_end_to_end_check_sees_it_too(part: str, mode: str, node: int) -> None:
    case = example()
    verdicts = {v.mode: v for v in judge_end_to_end(case, planted(part, node, lambda a: a * (1 + 1e-12)))}
    assert verdicts[f"{mode} end to end"].status == "disagree"


def test_a_missing_gradient_is_a_disagreement() -> None:
    case, seen = example(), observe(example())
    seen.cotangents[2] = None
    v = NodeByNode(case, seen).reverse()
    assert v.status == "disagree"
    assert any(e == ["multiply"] for e in v.suspects)


def test_a_wrong_dtype_or_device_is_a_disagreement_though_the_numbers_are_right() -> None:
    case = example()
    seen = observe(case)
    seen.dtypes["cotangents"][0] = "float32"
    assert "has dtype float32, expected float64" in NodeByNode(case, seen).reverse().message
    seen = observe(case)
    seen.devices["tangents"][5] = "cuda"
    assert "is on device cuda, expected cpu" in NodeByNode(case, seen).forward().message


def test_a_wrong_number_shows_beside_a_wrong_dtype_and_a_wrong_shape_before_it() -> None:
    case = example()
    seen = planted("tangents", 3, lambda a: a * 1.01)
    seen.dtypes["tangents"][3] = "float32"
    verdict = NodeByNode(case, seen).forward()
    [(node, _, found)] = [at for at in verdict.wrong_nodes if at[0] == 3]
    assert (node, found.count) == (3, 5)
    assert "has dtype float32" in found.note
    assert "times the bound" in verdict.message
    seen = planted("tangents", 3, lambda a: a[:2])
    seen.dtypes["tangents"][3] = "float32"
    [found] = [c for k, _, c in NodeByNode(case, seen).forward().wrong_nodes if k == 3]
    assert "has shape (2,), expected (5,)" in found.note
    assert "dtype" not in found.note


def test_nothing_compared_is_never_agreement() -> None:
    x = np.zeros((0, 3))
    case = Case("graphs", Graph.record(np.sin, x), {"x": x}, {"x": x}, x, "float64")
    assert {v.status for v in judge(case, observe(case))} == {"undecided"}


def test_the_user_that_sends_a_wrong_part_is_to_blame() -> None:
    case, seen = example(), observe(example())
    place = next(place for place in seen.parts if case.graph.nodes[place[0]].op.name == "sin")
    seen.parts[place] = -seen.parts[place]
    v = NodeByNode(case, seen).reverse()
    assert v.first_wrong == (0, "sin")
    assert v.suspects == [["sin"], ["fan_in"]]  # the sum does not match its parts either


def test_what_the_framework_cannot_do_is_unsupported() -> None:
    case, seen = example(), observe(example())
    seen.unavailable["forward"] = NoAnswer("RuntimeError: no forward AD formula", node=2)
    v = NodeByNode(case, seen).forward()
    assert (v.status, v.reason) == ("unsupported", "RuntimeError: no forward AD formula")
    assert v.first_wrong == (2, "sin")
    assert (v.elements, v.worst, v.failed) == (0, None, False)


@pytest.mark.parametrize("mode", ["value", "reverse", "forward"])
def test_what_breaks_is_an_error_of_its_mode_alone(mode: str) -> None:
    case, seen = example(), observe(example())
    seen.unavailable[mode] = NoAnswer("IndexError: out of reach", refused=False, node=2, details="Traceback")
    verdicts = judge(case, seen)
    op = str(case.graph.nodes[2])
    ways = (
        [] if mode == "value" else ["value", "reverse", "forward", "reverse end to end", "forward end to end"]
    )
    # Without values nothing is judged.
    due = {way: "error" if way.startswith(mode) else "agree" for way in ways or [mode]}
    assert {v.mode: v.status for v in verdicts} == due
    first = next(v for v in verdicts if v.mode == mode)
    assert first.failed
    assert first.first_wrong == (2, op)
    assert first.message.startswith(f"{mode}: raised at op {op} (node 2), float64 on cpu: IndexError")


def test_ties_and_kinks_are_judged_by_sets() -> None:
    x = np.array([0.0, -0.0, 1.0, 1.0])
    graph = Graph.record(lambda x: np.maximum(np.abs(x), x) + np.max(x), x)
    case = Case("graphs", graph, {"x": x}, {"x": np.ones(4)}, np.array([1.0, 2.0, -1.0, 0.5]), "float64")
    seen = observe(case)
    by_node, end_to_end = judge(case, seen)[:3], judge(case, seen)[3:]
    assert [v.status for v in by_node] == ["agree"] * 3
    assert [(v.status, v.reason) for v in end_to_end] == [("undecided", "blind bound"), ("agree", "")]
    # torch gives each of two tied maxima half. Anything between nothing and all of it is admissible, element by element.
    tie = next(k for k, node in enumerate(graph.nodes) if str(node) == "max")
    sent = seen.parts[tie, 0]
    for change, status in (
        (sent * [0, 0, 2, 0], "agree"),
        (3 * sent, "disagree"),
        (-sent, "disagree"),
        (sent + np.array([1e-12, 0, 0, 0]), "disagree"),
    ):
        again = observe(case)
        again.parts[tie, 0] = change
        again.cotangents[0] = again.cotangents[0] + (change - sent)
        assert NodeByNode(case, again).reverse().status == status, change


def test_layouts_do_not_change_the_answer() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4))
    graph = Graph.record(lambda x: np.sum(np.tanh(x) @ x.T, axis=0), x)
    for layout in ("contiguous", "transposed", "strided"):
        case = Case("graphs", graph, {"x": x}, {"x": x}, np.ones(3), "float64", layouts={"x": layout})
        assert {v.status for v in judge(case, observe(case))} == {"agree"}


def test_a_gradient_is_judged_where_only_a_step_hands_it_on() -> None:
    """sign has no derivative but zero; torch keeps a gradient of its result, and that is judged like any other."""
    x = np.array([0.5, -1.0, 2.0])
    graph = Graph.record(lambda x: np.exp(np.sign(x)) * x, x)
    case = Case("graphs", graph, {"x": x}, {"x": np.ones(3)}, np.array([1.0, 2.0, -1.0]), "float64")
    step = next(k for k, n in enumerate(case.graph.nodes) if str(n) == "sign")
    assert {v.status for v in judge(case, observe(case))} == {"agree"}
    for part, key, mode in (
        ("cotangents", step, "reverse"),
        ("parts", (step, 0), "reverse"),
        ("tangents", step, "forward"),
    ):
        seen = observe(case)
        arrays = getattr(seen, part)
        arrays[key] = arrays[key] + np.array([0.0, 0.5, 0.0])
        assert getattr(NodeByNode(case, seen), mode)().status == "disagree", (part, key)


def test_the_tangent_of_logsumexp_is_judged_beside_a_logit_of_minus_infinity() -> None:
    x = np.array([0.5, -np.inf, 1.0])
    case = Case(
        "softmax",
        Graph.record(nn.logsumexp, x),
        {"x": x},
        {"x": np.array([1.0, 2.0, -1.0])},
        np.float64(1.5),
        "float64",
    )
    seen = observe(case)
    assert NodeByNode(case, seen).forward().status == "agree"
    seen.tangents[case.graph.outputs[0]] = seen.tangents[case.graph.outputs[0]] * 1.001
    assert NodeByNode(case, seen).forward().status == "disagree"


def test_tangents_belong_to_the_values_of_their_own_run() -> None:
    """As if the product x @ w of nodes 0 and 1, of which node 3 is the sine, had been rounded otherwise in forward mode."""
    x, w = np.array([0.785, 0.784]), np.ones(2)
    graph = Graph.record(lambda x, w: np.sin(x @ w), x, w)
    case = Case("graphs", graph, {"x": x, "w": w}, {"x": np.ones(2), "w": w}, np.float64(1.5), "float64")
    seen = observe(case)
    assert seen.primals is None  # both runs round alike here
    z = np.nextafter(seen.values[2], 2)
    seen.tangents[3] = np.asarray(seen.tangents[2] * np.cos(z))  # near pi/2 a neighbour has another cosine
    assert NodeByNode(case, seen).forward().status == "disagree"
    seen.primals = [*seen.values[:2], z, np.sin(z)]
    assert NodeByNode(case, seen).forward().status == "agree"
    seen.primals[2:] = [z * (1 + 1e-12), np.sin(z * (1 + 1e-12))]  # which is no rounding
    assert "forward mode's value of matmul (node 2)" in NodeByNode(case, seen).forward().message


def test_a_derivative_of_another_shape_is_wrong_and_no_later_node_is_judged_by_it() -> None:
    def doubled(x: np.ndarray) -> np.ndarray:
        return np.stack([x, x])

    forward = judge(example(), planted("tangents", 3, doubled), end_to_end=False)[2]
    assert (forward.status, forward.first_wrong) == ("disagree", (3, "multiply"))
    assert "has shape (2, 5), expected (5,)" in forward.message
    assert set(forward.ops) == {"sin", "multiply", "matmul"}
    reverse = judge(example(), planted("cotangents", 4, doubled), end_to_end=False)[1]
    assert (reverse.status, reverse.first_wrong) == ("disagree", (4, "matmul"))
    assert "has shape (2, 5), expected (5,)" in reverse.message
