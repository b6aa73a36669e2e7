"""Families restricted to a vocabulary: its ops alone occur, and compositions compute the function of the op that they replace."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.families import DRAWN, FAMILIES, can_draw, family
from conformance.families.restricted import COMPOSED, expressed, restricted
from refgrad.op import REGISTRY
from refgrad.quiet import quiet
from refgrad.testing.cases.sequence import CaseSequence
from refgrad.testing.cases.source import Seeded
from refgrad.testing.cases.vocabulary import Vocabulary
from refgrad.tracing.ball import parts
from tests.within import assert_within, balls_of

FEW = Vocabulary(
    DRAWN
    - {*COMPOSED, "fan_in", "clip", "einsum", "tensordot", "roll", "flip", "sort", "norm", "sin", "arctan2"},
    frozenset({"where", "initial"}),
)
SEVEN = Vocabulary(frozenset({"add", "multiply", "negative", "exp", "sin", "tanh", "square"}))


@pytest.mark.parametrize("name", ["graphs", "mlp", "softmax", "matmul", "ops"])
def test_cases_have_the_ops_of_the_vocabulary_alone(name: str) -> None:
    assert can_draw(name, FEW, "float32")
    seen: set[str] = set()
    sequence = CaseSequence(family(name, (), FEW), name, "float32", "cpu", 5)
    for k in range(60):
        case = sequence.case(k)
        assert FEW.expresses(case.graph), (k, [str(n) for n in case.graph.nodes])
        seen |= {n.op.name for n in case.graph.nodes if n.op is not None}
    assert len(seen) > (5 if name != "matmul" else 3)


def test_without_a_vocabulary_the_families_are_as_they_were() -> None:
    for name, draw in FAMILIES.items():
        assert family(name) is draw
        assert can_draw(name, None, "float64")
        assert draw(Seeded((3,)), "float64").id == family(name)(Seeded((3,)), "float64").id


def test_a_full_vocabulary_draws_the_same_cases() -> None:
    full = Vocabulary(DRAWN)
    for name, draw in FAMILIES.items():
        for k in range(5):
            assert family(name, (), full)(Seeded((k,)), "float64").id == draw(Seeded((k,)), "float64").id, (
                name
            )


def test_a_family_that_cannot_be_expressed_is_known() -> None:
    assert [name for name in FAMILIES if can_draw(name, SEVEN, "float32")] == ["graphs", "ops"]
    assert not can_draw("ops", Vocabulary(frozenset({"greater"})), "float32")


def test_an_op_that_no_operands_fit_leaves_an_input() -> None:
    draw = restricted(lambda source, dtype: FAMILIES["graphs"](source, dtype, among=("arccosh",)), SEVEN)
    with quiet():
        assert draw(Seeded((0,)), "float32").graph.nodes


@pytest.mark.parametrize("name", sorted(COMPOSED))
def test_a_composition_computes_the_function(name: str) -> None:
    words, draw, compared = Vocabulary(frozenset(REGISTRY) - {name}), family("ops", (name,)), 0
    for k in range(40):
        case = draw(Seeded((k,)), "float64")
        if not all(x.size for x in case.inputs.values()):
            continue  # a maximum of nothing
        other = expressed(case, words)
        assert words.expresses(other.graph)
        balls = balls_of(case.inputs.values(), "float64")
        if not all(np.all(np.isfinite(x)) for x in case.inputs.values()):
            continue  # a composition need not have the limits of the function
        with np.errstate(all="ignore"):
            own = parts(case.graph(*balls))
            compared += assert_within(own[0], other.graph(*balls), name, np.nan_to_num(own[1]))
    assert compared > 30
