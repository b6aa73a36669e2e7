"""Runs in forward mode: along one direction after another, and along many at once. Jacobians of them: tracing/test_many_tangents.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.errors import TracingError
from refgrad.pushforward import jvps_of, many_jvps

X, OTHER = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 3.0])
DIRECTIONS = np.array([[1.0, 0.0, 0.0], [0.5, -2.0, 1.0]])


def both(f: Any) -> Any:
    return list(jvps_of(f, [X], tuple, ["x"], [[d.copy()] for d in DIRECTIONS], "here"))


def test_a_run_for_each_direction() -> None:
    found = both(lambda x: (np.sin(x), OTHER))
    assert len(found) == 2
    for (values, y_dots, rebuild), d in zip(found, DIRECTIONS, strict=True):
        assert np.array_equal(rebuild(values)[0], np.sin(X))
        assert np.array_equal(y_dots[0], np.cos(X) * d)
        assert np.array_equal(y_dots[1], np.zeros(3))


def test_many_directions_in_one_run() -> None:
    values, y_dots, _ = many_jvps(lambda x: (np.sin(x), OTHER), [X], tuple, ["x"], [DIRECTIONS], 6, "here")
    assert np.array_equal(values[0], np.sin(X))
    assert np.array_equal(y_dots[0], np.cos(X) * DIRECTIONS)
    assert np.array_equal(y_dots[1], np.zeros((2, 3)))


def test_tangents_of_too_many_numbers_are_pushed_singly() -> None:
    assert many_jvps(np.sin, [X], tuple, ["x"], [DIRECTIONS], 5, "here") is None


@pytest.mark.parametrize("many", [False, True])
def test_results_belong_to_nobody_else(many: bool) -> None:
    given = DIRECTIONS.copy()
    values, y_dots, _ = (
        many_jvps(lambda x: x, [X], tuple, ["x"], [given], 6, "here") if many else both(lambda x: x)[0]
    )
    for a in (*values, *y_dots):
        assert a.flags.owndata
        assert a.flags.writeable
        assert not np.shares_memory(a, X)
        assert not np.shares_memory(a, given)


@pytest.mark.parametrize("many", [False, True])
def test_an_argument_that_is_changed_by_another_name_is_refused(many: bool) -> None:
    mine = X.copy()

    def f(x: Any) -> Any:
        mine[0] += 1.0
        return np.sin(x)

    def run() -> Any:
        if many:
            return many_jvps(f, [mine], tuple, ["x"], [DIRECTIONS], 6, "here")
        return next(jvps_of(f, [mine], tuple, ["x"], [[DIRECTIONS[0].copy()]], "here"))

    with pytest.raises(TracingError, match="here: x was changed while f ran, through another name"):
        run()
