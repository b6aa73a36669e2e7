"""Numbered cases: functions of family, dtype, seed and number, and of nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import SIMPLEST, TRIES, CaseSequence, Choices
from refgrad.testing.cases.source import Source, rarely


def family(source: Source, dtype: str) -> Case:
    """A number of ops on a number of numbers."""
    names = [source.choice(("exp", "sin", "tanh", "cos")) for _ in range(source.integer(1, 4))]
    x = source.rng.standard_normal(source.integer(1, 5)).astype("float32").astype("float64")

    def f(x: Any) -> Any:
        for name in names:
            x = getattr(np, name)(x)
        return x

    return Case("family", Graph.record(f, x), {"x": x}, {"x": x}, x, dtype)


def sequence(
    name: str = "family", dtype: str = "float64", device: str = "cpu", seed: int = 3
) -> CaseSequence:
    return CaseSequence(family, name, dtype, device, seed)


def ids(of: CaseSequence, numbers: range = range(1, 20)) -> list[str]:
    return [of.case(k).on("cpu").id for k in numbers]


def test_a_case_depends_on_family_dtype_seed_and_number_alone() -> None:
    own = ids(sequence())
    assert len(set(own)) == len(own)
    assert ids(sequence(), range(10, 20)) == own[9:]
    assert ids(sequence(device="cuda")) == own
    assert sequence(device="cuda").case(1).device == "cuda"
    graphs = [str(sequence().case(k).inputs) for k in range(1, 20)]
    for other in (sequence("others"), sequence(dtype="float32"), sequence(seed=4), sequence(seed=-3)):
        assert not set(ids(other)) & set(own)
        assert not set(graphs) & {str(other.case(k).inputs) for k in range(1, 20)}


def test_the_first_case_is_the_simplest_whatever_the_seed() -> None:
    case = sequence().case(0)
    assert case.id == sequence(seed=9).case(0).id == sequence().replay(SIMPLEST)[0].id
    assert [n.op.name for n in case.graph.nodes if n.op] == ["exp"]
    assert case.inputs["x"].shape == (1,)
    assert sequence().choices(0) == Choices((0,) * 3, SIMPLEST.seed)


def test_choices_draw_their_case_again() -> None:
    for k in range(20):
        choices = sequence().choices(k)
        case, taken = sequence().replay(choices)
        assert case.id == sequence().case(k).id
        assert taken.made[: len(choices.made)] == choices.made
        assert taken.seed == choices.seed
    case, taken = sequence().replay(Choices((99, 2), (0,)))  # the others take their first option
    assert taken.made == (3, 2, 0, 0, 0, 0)
    assert [n.op.name for n in case.graph.nodes if n.op] == ["tanh", "exp", "exp", "exp"]


def test_another_process_draws_the_same_cases() -> None:
    code = "import tests.testing.cases.test_sequence as t; print(*t.ids(t.sequence(seed=11)))"
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], env=env, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.split() == ids(sequence(seed=11))


def often_short(source: Source, dtype: str) -> Case:
    """A case of one number, rarely of more: from one to eight."""
    count = source.integer(1, 8)
    x = source.rng.standard_normal(count if rarely(source, 1000) else 1)
    return Case("family", Graph.record(np.exp, x), {"x": x}, {"x": x}, x, dtype)


def test_the_first_cases_are_as_wanted_and_the_others_as_ever() -> None:
    plain = CaseSequence(often_short, "family", "float64", "cpu", 3)
    asked: list[int] = []

    def seven(case: Case) -> bool:
        return len(case.cotangent) == 7

    def nothing(case: Case) -> bool:
        asked.append(len(case.cotangent))
        return False

    wanting = CaseSequence(often_short, "family", "float64", "cpu", 3, (seven, nothing))
    assert seven(wanting.case(1))
    wanting.case(2)  # the last try, where none is as wanted
    assert len(asked) == TRIES
    assert max(asked) > 1
    for number in (0, 3, 4, 5):
        assert wanting.case(number).id == plain.case(number).id
    for number in range(4):
        case, taken = wanting.replay(wanting.choices(number))
        assert case.id == wanting.case(number).id
        assert taken.seed == wanting.choices(number).seed
