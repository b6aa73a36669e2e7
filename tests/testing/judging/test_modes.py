"""Further modes: an error planted in one mode is found in that mode and in no other."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.graph import Graph, Node
from refgrad.modes import (
    AGREEMENT,
    FORWARD,
    FUNCTIONAL_FORWARD,
    FUNCTIONAL_REVERSE,
    FURTHER,
    PLAIN_REVERSE,
    RECORDED_REVERSE,
    REPEATED_REVERSE,
    REVERSE_OVER_REVERSE,
    SECOND,
    TRANSPOSED_REVERSE,
)
from refgrad.op import REGISTRY
from refgrad.testing import Case, NoAnswer, Observation, judge
from refgrad.testing.judging.modes import judge_modes
from refgrad.testing.judging.second_order import OUT_OF_REACH
from refgrad.torch.further_modes import observe_modes
from refgrad.torch.observe import observe


def asked(op: str, *xs: object, dtype: str = "float64", **params: object) -> Case:
    """The question about one op, in all modes."""
    graph, inputs = Graph(), {}
    for name, x in zip("abc", xs, strict=False):
        inputs[name] = np.asarray(x, dtype)
        graph.nodes.append(Node(name=name))
    graph.nodes.append(
        Node(op=REGISTRY[op], of=tuple(range(len(xs))), params={**REGISTRY[op].signature.defaults, **params})
    )
    graph.outputs = (len(xs),)
    with np.errstate(all="ignore"):
        shape = np.shape(graph(inputs))
    tangents = {
        name: (np.arange(1.0, x.size + 1).reshape(x.shape) / 2).astype(dtype) for name, x in inputs.items()
    }
    return Case("ops", graph, inputs, tangents, (np.ones(shape) * 1.25).astype(dtype), dtype, order=2)


def statuses(case: Case, seen: Observation) -> dict[str, str]:
    return {v.mode: v.status for v in judge(case, seen)}


CURVED = asked("sin", [0.3, -1.2, 2.0])


def test_torch_agrees_in_every_mode() -> None:
    found = statuses(CURVED, observe(CURVED))
    assert set(FURTHER) <= found.keys()
    assert set(found.values()) == {"agree"}


@pytest.mark.parametrize(
    ("planted", "where"),
    [
        (RECORDED_REVERSE, {RECORDED_REVERSE, AGREEMENT}),
        (FUNCTIONAL_REVERSE, {FUNCTIONAL_REVERSE, AGREEMENT}),
        *[(mode, {mode}) for mode in (FUNCTIONAL_FORWARD, TRANSPOSED_REVERSE, *SECOND)],
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        lambda a: -a,
        lambda a: a * (1 + 1e-12),
        np.zeros_like,
        lambda a: np.where(np.arange(3) == 1, np.nan, a),
    ],
)
def test_a_wrong_answer_is_found_in_its_mode(planted: str, where: set[str], change) -> None:
    seen = observe(CURVED)
    seen.modes.answers[planted] = [change(np.array(a)) for a in seen.modes.answers[planted]]
    assert {mode for mode, status in statuses(CURVED, seen).items() if status == "disagree"} == where


def test_a_missing_second_derivative_counts_as_zero() -> None:
    seen = observe(CURVED)
    seen.modes.answers[REVERSE_OVER_REVERSE] = [None]
    assert statuses(CURVED, seen)[REVERSE_OVER_REVERSE] == "disagree"
    straight = asked("negative", [0.3, 1.0])
    assert "disagree" not in statuses(straight, observe(straight)).values()


def test_two_runs_that_differ_in_the_last_bit_are_a_finding_of_their_own() -> None:
    seen = observe(CURVED)
    seen.modes.again = [np.nextafter(a, np.inf) for a in seen.modes.again]
    assert {mode for mode, status in statuses(CURVED, seen).items() if status == "disagree"} == {
        REPEATED_REVERSE
    }
    seen.modes.again = [np.full_like(a, np.nan) for a in seen.modes.again]
    assert {mode for mode, status in statuses(CURVED, seen).items() if status == "disagree"} == {
        REPEATED_REVERSE
    }


def test_at_a_tie_any_member_will_do_but_the_same_in_all_modes() -> None:
    tie = asked("maximum", 2.0, 2.0)
    seen = observe(tie)
    assert "disagree" not in statuses(tie, seen).values()
    first = [np.asarray(1.25), np.asarray(0.0)]  # all to the first operand: acceptable alone
    seen.modes.answers[RECORDED_REVERSE] = first
    assert {mode for mode, status in statuses(tie, seen).items() if status == "disagree"} == {AGREEMENT}
    seen = observe(tie)
    seen.modes.answers |= {PLAIN_REVERSE: first, RECORDED_REVERSE: first, FUNCTIONAL_REVERSE: first}
    seen.modes.again = first
    found = statuses(asked("maximum", 2.0, 2.0), seen)
    assert found[AGREEMENT] == "agree"  # the tangents given are equal, so that forward mode cannot tell


@pytest.mark.parametrize("share", [0.0, 0.75, 1.0])
def test_shares_at_a_tie_that_do_not_add_up_to_one_are_found_in_reverse_and_in_forward_mode(
    share: float,
) -> None:
    for tie, count in ((asked("maximum", 2.0, 2.0), 2), (asked("max", [3.0, 3.0, 1.0, 3.0]), 3)):
        seen, output = observe(tie), tie.graph.outputs[0]
        top = [(x == 3.0) | (x == 2.0) for x in tie.inputs.values()]
        wrong = [np.where(t, 1.25 * share, 0.0) for t in top]
        seen.modes.answers |= {PLAIN_REVERSE: wrong, RECORDED_REVERSE: wrong, FUNCTIONAL_REVERSE: wrong}
        seen.modes.again = wrong
        assert statuses(tie, seen)[AGREEMENT] == "disagree"
        tangents = [np.where(t, 0.75, 0.0) for t in top]
        tie.tangents.update(zip(tie.graph.inputs, tangents, strict=True))
        seen = observe(tie)
        assert statuses(tie, seen)["forward"] == "agree"
        seen.tangents[output] = np.asarray(0.75 * share * count)
        assert statuses(tie, seen)["forward"] == "disagree"


def test_forward_and_reverse_mode_at_a_kink_choose_the_same_slope() -> None:
    kink = asked("abs", 0.0)
    seen = observe(kink)
    assert "disagree" not in statuses(kink, seen).values()
    seen.tangents[1] = np.asarray(0.25)  # slope 1/2: in the set, but reverse mode took 0
    found = statuses(kink, seen)
    assert found["forward"] != "disagree"
    assert found[AGREEMENT] == "disagree"


def test_what_has_no_derivative_is_not_judged() -> None:
    for case in (
        asked("logsumexp", [-np.inf, -np.inf]),
        asked("logsumexp", [-np.inf] * 3),
        asked("arctan2", 0.0, 0.0),
        asked("log", -1.0),
    ):
        seen = observe(case)
        seen.cotangents = [None if c is None else np.full_like(c, 7.0) for c in seen.cotangents]
        found = statuses(case, seen)
        assert found["reverse"] == "undecided", case.graph.nodes[-1].op


def test_sets_at_special_points_are_honoured_and_no_more() -> None:
    tip = asked("hypot", 0.0, 0.0)
    seen = observe(tip)
    for slope, status in ((0.5, "agree"), (1.5, "disagree"), (np.nan, "disagree")):
        seen.cotangents[0] = seen.cotangents[1] = np.asarray(1.25 * slope)
        # A bound as wide as the set is blind: no agreement to boast of.
        found = statuses(tip, seen)["reverse"]
        assert (found == "disagree") == (status == "disagree"), slope


def test_a_value_that_should_be_nan_is_one() -> None:
    case = asked("exp", [np.nan, 1.0])
    seen = observe(case)
    assert statuses(case, seen)["value"] == "agree"
    seen.values[1] = np.array([0.0, seen.values[1][1]])
    assert statuses(case, seen)["value"] == "disagree"


def test_a_mode_that_fails_is_unsupported_with_its_words() -> None:
    case = asked("heaviside", 1.0, 0.5)
    verdicts = {v.mode: v for v in judge(case, observe(case))}
    assert verdicts[REVERSE_OVER_REVERSE].status == "unsupported"
    assert "heaviside" in verdicts[FUNCTIONAL_REVERSE].reason


def test_a_transpose_of_a_transpose_may_round_before_it_adds() -> None:
    # Forward mode adds to exactly 0 and divides; the gradient of the gradient divides, stores in bfloat16, and adds.
    graph = Graph()
    graph.output(np.mean(graph.input("a")))
    tangent = np.array([-1.25, 1.0, 0.25], np.float32)
    case = Case(
        "ops", graph, {"a": np.ones(3, np.float32)}, {"a": tangent}, np.float32(1.0), "bfloat16", order=2
    )
    seen, modes = observe(case), observe_modes(case)
    assert modes.answers[TRANSPOSED_REVERSE][0] != 0
    (verdict,) = [v for v in judge_modes(case, seen, modes) if v.mode == TRANSPOSED_REVERSE]
    assert not verdict.wrong, verdict.message
    modes.answers[TRANSPOSED_REVERSE] = [np.asarray(0.25)]
    (verdict,) = [v for v in judge_modes(case, seen, modes) if v.mode == TRANSPOSED_REVERSE]
    assert verdict.wrong


def test_a_lost_derivative_in_the_cotangent_is_a_wrong_one() -> None:
    """A backward whose result does not depend on its cotangent, as far as torch knows, gives None for it."""
    case = asked("multiply", [0.5, -1.0], [2.0, 3.0])
    seen = observe(case)
    assert statuses(case, seen)[TRANSPOSED_REVERSE] == "agree"
    assert seen.modes is not None
    seen.modes.answers[TRANSPOSED_REVERSE] = [None]
    assert statuses(case, seen)[TRANSPOSED_REVERSE] == "disagree"
    constant = asked("floor", [0.5, -1.25])
    seen = observe(constant)
    assert seen.modes is not None
    seen.modes.answers[TRANSPOSED_REVERSE] = [None]
    assert statuses(constant, seen)[TRANSPOSED_REVERSE] == "agree"


def test_a_tangent_by_reverse_mode_is_judged_where_forward_mode_has_no_answer() -> None:
    case = asked("multiply", [0.5, -1.0], [2.0, 3.0])
    seen = observe(case)
    seen.unavailable[FORWARD] = NoAnswer("there is no forward mode", refused=True)
    seen.tangents = [None] * len(seen.tangents)
    assert statuses(case, seen)[TRANSPOSED_REVERSE] == "agree"
    assert seen.modes is not None
    seen.modes.answers[TRANSPOSED_REVERSE] = [-x for x in seen.modes.answers[TRANSPOSED_REVERSE]]
    found = statuses(case, seen)
    assert (found[FORWARD], found[TRANSPOSED_REVERSE]) == ("unsupported", "disagree")


@pytest.mark.parametrize(
    ("dtype", "x"), [("float64", [1e307, -0.75, 1e307]), ("float16", [1e4, 1e4])], ids=["endless", "wide"]
)
def test_modes_may_use_formulas_of_which_one_loses_every_bit(dtype: str, x: list[float]) -> None:
    """Reverse mode of logsumexp takes exp(x - y) for the weights; y is rounded to x, and both largest elements get the weight 1."""
    case = asked("logsumexp", np.array(x), dtype=dtype, axis=None, keepdims=False)
    assert statuses(case, observe(case))[AGREEMENT] in {"agree", "undecided"}
    ordinary = asked("logsumexp", np.array([0.5, -0.75, 0.25]), dtype=dtype, axis=None, keepdims=False)
    seen = observe(ordinary)
    seen.tangents[1] = seen.tangents[1] * 1.5
    assert statuses(ordinary, seen)[AGREEMENT] == "disagree"


@pytest.mark.parametrize("mode", [TRANSPOSED_REVERSE, *SECOND])
def test_beside_an_operand_near_the_end_of_the_range_an_error_is_seen(mode: str) -> None:
    """Tanh computes each element by itself: the element of 1e100 is left out, and no other one."""
    case = asked("tanh", np.array([1e100, 0.5, -0.75]))
    seen = observe(case)
    assert statuses(case, seen)[mode] == "agree"
    seen.modes.answers[mode] = [x * np.array([1.0, 1.0, 1.5]) for x in seen.modes.answers[mode]]
    assert statuses(case, seen)[mode] == "disagree"


def test_operands_near_the_ends_of_the_range_are_named_where_nothing_was_compared() -> None:
    case = asked("cumprod", np.array([1e100, 0.5]), axis=0)
    verdicts = {v.mode: v for v in judge(case, observe(case))}
    for mode in (TRANSPOSED_REVERSE, *SECOND):
        assert (verdicts[mode].status, verdicts[mode].reason) == ("undecided", OUT_OF_REACH)
