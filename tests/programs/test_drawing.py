"""Programs are drawn again from their seeds, run as plain NumPy, and use every idiom."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest

from tests.programs.drawing import MOST_RESULTS, draw
from tests.programs.idioms import IDIOMS
from tests.programs.program import HEADER, as_traced, function
from tests.programs.scope import LIMIT, Refused, Scope

SEEDS = range(200)


def test_a_seed_gives_one_program() -> None:
    assert [draw(k) for k in range(20)] == [draw(k) for k in range(20)]
    assert len({draw(k).source() for k in range(20)}) == 20


def test_a_program_is_legal_numpy_of_moderate_values() -> None:
    for seed in SEEDS:
        program = draw(seed)
        with np.errstate(all="ignore"):
            results = function(program)(*map(as_traced, program.values()))
        assert 1 <= len(results) <= MOST_RESULTS + 1
        assert all(np.all(np.abs(y) <= LIMIT) and y.dtype.kind == "f" for y in results), program.script()


def test_a_script_runs_on_its_own() -> None:
    for seed in range(10):
        program = draw(seed)
        space: dict[str, Any] = {}
        call = f"y = f({', '.join(name for name, _ in program.arguments)})"
        with np.errstate(all="ignore"):
            exec(compile(program.script(call), "script", "exec", dont_inherit=True), space)  # noqa: S102 - the point of it
        assert len(space["y"]) == len(program.results)
        assert program.script().count(HEADER) == 1


def test_every_idiom_is_drawn_and_most_draws_are_legal(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: collections.Counter[str] = collections.Counter()
    legal: collections.Counter[str] = collections.Counter()
    add, current = Scope.add, [""]

    def counting(name):
        def call(scope):
            current[0] = name
            drawn[name] += 1
            return IDIOMS_[name][0](scope)

        return call

    IDIOMS_ = dict(IDIOMS)
    monkeypatch.setattr(
        "tests.programs.drawing.IDIOMS",
        {name: (counting(name), weight) for name, (_, weight) in IDIOMS.items()},
    )

    def added(scope: Scope, statements: list[str]) -> bool:
        done = add(scope, statements)
        legal[current[0]] += done
        return done

    monkeypatch.setattr(Scope, "add", added)
    for seed in range(600):
        draw(seed)
    assert not {name for name in IDIOMS if legal[name] < 3}, legal
    assert sum(legal.values()) > 0.5 * sum(drawn.values())


def test_a_scope_without_a_fitting_variable_refuses() -> None:
    scope = Scope(0)
    scope.begin([("x", "np.float64(0.5)")])
    with pytest.raises(Refused):
        scope.pick(lambda value: np.ndim(value) > 0)
    assert not scope.add(["v1 = x * 1e9"])
    assert scope.variables() == ["x"]
    assert scope.add(["v1 = x * 2"])
    assert scope.variables() == ["x", "v1"]
