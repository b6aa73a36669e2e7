"""The shares of tied elements in a framework's gradients have to add up, whether or not the framework has forward mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.modes import AGREEMENT, FORWARD, FUNCTIONAL_REVERSE, PLAIN_REVERSE, RECORDED_REVERSE
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.testing import Case, NoAnswer, judge
from refgrad.testing.judging.mode_agreement import judge_agreement
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.tied_shares import shares
from refgrad.testing.judging.verdict import AGREE, Verdict
from refgrad.torch.observe import observe

Array = Any
FOUR = [3.0, 3.0, 1.0, 3.0]


def asked(name: str, *xs: Array, dtype: str = "float64", **params: Any) -> Case:
    """The question about one op or function, for cotangents of 1.5."""
    op = REGISTRY[name] if name in REGISTRY else FUNCTIONS[name]
    carrier = FORMATS[dtype].carrier
    inputs = {letter: np.asarray(x, carrier) for letter, x in zip("ab", xs, strict=False)}
    graph = Graph()
    graph.nodes += [Node(name=letter) for letter in inputs]
    defaults = {} if name in FUNCTIONS else REGISTRY[name].signature.defaults
    graph.nodes.append(Node(op=op, of=tuple(range(len(xs))), params={**defaults, **params}))
    graph.outputs = (len(xs),)
    cotangent = np.full(np.shape(graph(inputs)), 1.5, carrier)
    tangents = {letter: np.ones_like(x) for letter, x in inputs.items()}
    return Case("ops", graph, inputs, tangents, cotangent, dtype, order=2)


def agreement(case: Case, gradients: list[Array] | None = None) -> Verdict:
    """The verdict on the agreement of modes of a kernel without forward mode, with these gradients in all reverse modes."""
    seen = observe(case)
    seen.tangents = [None] * len(seen.tangents)
    seen.unavailable[FORWARD] = NoAnswer("no jvp", refused=True)
    if gradients is not None:
        seen.modes.answers |= dict.fromkeys((PLAIN_REVERSE, RECORDED_REVERSE, FUNCTIONAL_REVERSE), gradients)
        seen.modes.again = gradients
        seen.cotangents[: len(gradients)] = gradients
    return next(v for v in judge(case, seen) if v.mode == AGREEMENT)


# Op, operands, parameters, masks of tied elements.
QUESTIONS: dict[str, tuple[str, list[Array], dict[str, Any], list[Array]]] = {
    "maximum": ("maximum", [[2.0, 1.0], [2.0, 3.0]], {}, [[True, False], [True, False]]),
    "max": ("max", [FOUR], {}, [np.equal(FOUR, 3.0)]),
    "a pool": (
        "nn.max_pool1d",
        [[[FOUR]]],
        {
            "kernel_size": 4,
            "stride": None,
            "padding": 0,
            "dilation": 1,
            "ceil_mode": False,
            "return_indices": False,
        },
        [np.equal([[FOUR]], 3.0)],
    ),
}


def question(name: str, dtype: str = "float64") -> Case:
    op, xs, params, _ = QUESTIONS[name]
    return asked(op, *xs, dtype=dtype, **params)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", QUESTIONS)
def test_shares_that_do_not_add_up_are_found(name: str, share: float) -> None:
    case, masks = question(name), QUESTIONS[name][3]
    right = observe(case).cotangents
    wrong = [np.where(t, 1.5 * share, x_bar) for t, x_bar in zip(masks, right, strict=False)]
    found = agreement(case, wrong)
    if name == "maximum" and share == 0.5:
        assert found.status in {"agree", "undecided"}
        return
    assert found.status == "disagree"
    assert "summed over tied elements" in found.message
    assert found.wrong_nodes[0][2].along is not None


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", QUESTIONS)
def test_what_torch_gives_is_right(name: str, dtype: str) -> None:
    assert agreement(question(name, dtype)).status in {"agree", "undecided"}


def test_an_element_out_of_bounds_is_no_matter_of_sums() -> None:
    case = question("max")
    seen = observe(case)
    seen.cotangents[0] = np.array([1.5, 1.5, 4.0, 1.5])
    judge_ = NodeByNode(case, seen)
    assert judge_.reverse().status == "disagree"
    assert shares(judge_, ["a"], [seen.cotangents[0]]) == []


def test_without_a_tie_there_is_no_sum() -> None:
    case = asked("max", [3.0, 2.0, 1.0])
    seen = observe(case)
    judge_ = NodeByNode(case, seen)
    judge_.reverse()
    assert shares(judge_, ["a"], [seen.cotangents[0]]) == []
    assert judge_agreement(judge_, seen.modes).status == "agree"


def test_a_square_that_leaves_the_range_is_no_tie() -> None:
    """The gradient divides by a^2 + b^2, which is subnormal and has few digits."""
    verdict = agreement(asked("complex.angle", [5e-324], [-1.4916681462400413e-154]))
    assert verdict.status == AGREE, verdict.message
