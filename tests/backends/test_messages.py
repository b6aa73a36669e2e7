"""Messages of workers: what an answer may leave out, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from refgrad.backends.messages import observation
from refgrad.errors import WorkerError
from refgrad.graph import Graph
from refgrad.modes import FORWARD, VALUE
from refgrad.testing import Case, judge

X = np.array([0.5, 1.25, -2.0])


def sent(x: Any) -> dict[str, Any]:
    x = np.asarray(x, "<f8")
    return {"dtype": "float64", "shape": list(x.shape), "base64": base64.b64encode(x.tobytes()).decode()}


def case() -> Case:
    graph = Graph.record(lambda x: np.exp(x + x), X)
    return Case("made", graph, {"x": X}, {"x": np.ones(3)}, np.ones(3), "float64")


def answer(y: Any, primals: Any = None, inner: Any = 2 * X) -> dict[str, Any]:
    """Values x, 2 x and y, and tangents of a run with the values ``primals``."""
    inner_of_tangents = inner if primals is None else primals[1]
    tangents = [sent(np.ones(3)), sent(np.full(3, 2.0)), sent(2 * np.exp(inner_of_tangents))]
    found = {"id": 1, "values": [sent(X), sent(inner), sent(y)], "tangents": tangents}
    return found if primals is None else {**found, "primals": [sent(x) for x in primals]}


def statuses(message: dict[str, Any]) -> dict[str, str]:
    return {v.mode: v.status for v in judge(case(), observation(message, case(), "toy"), end_to_end=False)}


def test_tangents_are_judged_by_the_values_of_their_run() -> None:
    """A function whose tangent computes the value by another formula has another last digit there; here they are eight digits apart."""
    other = 2 * X + 8 * np.spacing(2 * X)
    message = answer(np.exp(2 * X), (X, other, np.exp(other)))
    assert statuses({**message, "primals": [None, None, None]})[FORWARD] == "disagree"
    found = observation(message, case(), "toy")
    assert found.primals is not None
    np.testing.assert_array_equal(found.primals[1], other)
    verdicts = {v.mode: v for v in judge(case(), found, end_to_end=False)}
    assert verdicts[VALUE].status == "agree"
    assert verdicts[FORWARD].status == "disagree", "these values are judged as well: 2 x is exact"
    assert "forward mode's value of add" in verdicts[FORWARD].message


def test_equal_values_and_left_out_ones_change_nothing() -> None:
    y = np.exp(2 * X)
    assert observation(answer(y, (X, 2 * X, y)), case(), "toy").primals is None
    assert observation(answer(y), case(), "toy").primals is None
    for message in (answer(y), answer(y, (X, 2 * X, y))):
        assert statuses(message)[FORWARD] == "agree"


def test_a_value_that_is_left_out_is_that_of_the_other_run() -> None:
    near = np.nextafter(np.exp(2 * X), np.inf)
    message = answer(np.exp(2 * X), (X, 2 * X, near))
    message["primals"][:2] = None, None
    found = observation(message, case(), "toy")
    np.testing.assert_array_equal(found.primals[0], X)
    np.testing.assert_array_equal(found.primals[2], near)
    assert statuses(message)[FORWARD] == "agree"


def test_primals_of_another_number_of_nodes_are_refused() -> None:
    message = {**answer(np.exp(2 * X)), "primals": [sent(X)]}
    with pytest.raises(WorkerError, match="primals has 1 entries; the graph has 3 nodes"):
        observation(message, case(), "toy")
