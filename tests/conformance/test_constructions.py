"""Explicit and implicit graphs: the cases, the comparison of two constructions, and the command on those frameworks that are installed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance import constructions
from conformance.constructions import (
    EXPLICIT,
    IMPLICIT,
    PAIRS,
    Framework,
    cases,
    compare,
    main,
    numbers,
    same,
)
from conformance.textbook import ITEMS
from conformance.textbook.cases import of_item
from refgrad import backends
from refgrad.backends.shipped import SHIPPED, version
from refgrad.testing.judging.observation import NoAnswer, Observation
from tests.backends import test_worker

DECLARED = next(item for item in ITEMS if item.id == "D1-graph-construction")
NAN = float("nan")


def test_every_construction_is_of_a_known_backend() -> None:
    assert {*EXPLICIT, *IMPLICIT} - {"torch"} >= {name for pair in PAIRS for name in pair}
    assert {name for pair in PAIRS for name in pair} <= {*EXPLICIT, *IMPLICIT}
    for one, other in PAIRS:
        assert one in EXPLICIT
        assert other in IMPLICIT


def test_the_items_of_the_lectures_are_cases() -> None:
    found = [name for name, _ in cases("float32", 3, 0)]
    items = {name.split()[0] for name in found if not name.startswith("graph ")}
    assert "D1-graph-construction" in items
    assert len(items) > len(ITEMS) - 5  # items of large arrays and of labels alone are left out
    assert sum(name.startswith("graph ") for name in found) == 3
    (case,) = of_item(DECLARED, "float32")
    assert list(case.inputs) == ["x0", "x1"]
    assert case.cotangent.shape == ()


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ([1.5, [0.0, 1.0]], [1.5, [0.0, 1.0]], True),
        ([1.5, [0.0, 1.0]], [1.5, [-0.0, 1.0]], False),
        ([1.5, [0.0, NAN]], [1.5, [0.0, NAN]], True),
        ([1.5, [0.0, 1.0]], [1.5, [0.0, np.nextafter(1.0, 2.0)]], False),
        ([1.5, None], [1.5, [0.0, 0.0]], True),
        ([1.5, None], [1.5, [0.0, 0.5]], False),
    ],
)
def test_numbers_are_compared_bit_for_bit(one: list[Any], other: list[Any], equal: bool) -> None:
    arrays = [[None if x is None else np.asarray(x) for x in xs] for xs in (one, other)]
    assert same(*arrays) is equal


def test_a_case_without_an_answer_has_no_numbers() -> None:
    (case,) = of_item(DECLARED, "float64")
    seen = backends.load("torch").judged(case)
    found = numbers(seen, case)
    assert found is not None
    assert [x.item() for x in found] == [2.75, *case.cotangent * [2.0, 1.0]]
    assert numbers(dataclasses.replace(seen, unavailable={"value": NoAnswer("no op")}), case) is None


class Twin:
    """A framework that answers as another one, but for one changed gradient."""

    def __init__(self, framework: Framework, name: str, factor: float) -> None:
        self.framework, self.factor = framework, factor
        self.backend = type("Named", (), {"name": name})()

    def judge(self, what: str, case: Any) -> Observation:
        seen = self.framework.judge(what, case)
        changed = [x if x is None else x * self.factor for x in seen.cotangents]
        return dataclasses.replace(seen, cotangents=changed)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_two_constructions_are_compared_case_by_case(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = Framework("torch")
    twins: Any = [Twin(torch, "mxnet-symbol", 1.0), Twin(torch, "mxnet", factor)]
    (pair,) = compare(twins, (case for case in cases("float32", 0, 0) if case[0].startswith("D1"))).values()
    assert pair.equal + len(pair.different) >= 7
    assert bool(pair.different) == (factor != 1.0)
    monkeypatch.setattr(constructions, "PAIRS", ())
    assert compare(twins, iter(())) == {}


def test_the_command_judges_a_worker_on_the_textbook(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", str(test_worker.TEMPLATE), "--programs", "0"]) == 0
    printed = capsys.readouterr().out
    assert "template" in printed
    assert "agree" in printed
    assert "unsupported" in printed


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0])
def test_two_constructions_of_a_framework_have_the_same_gradients(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in pair:
        if name not in SHIPPED or not version(name):
            pytest.skip(f"{name} is not installed in the Python of its worker")
    code = main([*(f"--backend={name}" for name in pair), "--programs", "30"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert f"{pair[0]} and {pair[1]}: equal numbers in" in printed


def test_a_worker_of_a_pair_runs_one_script() -> None:
    for pair in PAIRS:
        scripts = {SHIPPED[name].script[0] for name in pair if name in SHIPPED}
        assert len(scripts) <= 1, scripts
