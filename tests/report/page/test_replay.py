"""Graphs of a results file run again: values, gradients and tangents as text, and refusal of what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad.encode import encode_array
from refgrad.report.page.replay import MOST_ELEMENTS, MOST_NODES, replay, textbook_drawing

X = np.array([0.5, -1.25])


def case(f=lambda x: np.sum(np.sin(x) * x), x=X, y_bar=2.0):
    graph = rg.Graph.record(f, x)
    return {
        "graph": graph.to_dict(), "inputs": {"x": encode_array(x)}, "tangents": {"x": encode_array(np.ones_like(x))},
        "cotangent": encode_array(np.asarray(y_bar)),
    }  # fmt: skip


def test_values_gradients_and_tangents_of_every_node() -> None:
    found = replay(case(), backward=True, forward=True)
    assert found is not None
    assert found.values == ("[0.5, −1.25]", "[0.4794, −0.949]", "[0.2397, 1.186]", "1.426")
    assert (
        found.gradients[0]
        == f"[{2 * (np.sin(0.5) + 0.5 * np.cos(0.5)):.4g}, {2 * (np.sin(-1.25) - 1.25 * np.cos(1.25)):.4g}]".replace(
            "-", "−"
        )
    )
    assert found.gradients[-1] == "2"
    assert found.tangents[1] == "[0.8776, 0.3153]"


def test_what_is_not_asked_for_is_empty() -> None:
    found = replay(case())
    assert found is not None
    assert set(found.gradients) == set(found.tangents) == {""}


def test_long_arrays_are_cut_and_show_their_shape() -> None:
    found = replay(case(np.exp, np.zeros((2, 3)), np.ones((2, 3))))
    assert found is not None
    assert found.values[-1] == "2×3: 1, 1, 1, …"


def test_float32_runs_in_float64() -> None:
    found = replay(case(lambda x: x * 16777217.0, np.ones(1, np.float32), np.ones(1)))
    assert found is not None
    assert found.values[-1] == "[1.678e7]"
    assert "float32" not in textbook_drawing(case(np.sin, np.ones(1, np.float32), np.ones(1)))


@pytest.mark.parametrize(
    "broken",
    [{}, {"graph": {"schema": 99}}, case() | {"inputs": {}}, case() | {"graph": case()["graph"] | {"outputs": [99]}},
     case(np.sum, np.zeros(MOST_ELEMENTS + 1), 1.0)],
)  # fmt: skip
def test_what_cannot_be_run_gives_no_numbers_and_no_drawing(broken) -> None:
    assert replay(broken, backward=True, forward=True) is None
    assert textbook_drawing(broken) == ""


def test_a_graph_of_many_nodes_is_not_run() -> None:
    def deep(x):
        for _ in range(MOST_NODES):
            x = np.sin(x)
        return x

    assert replay(case(deep, np.ones(1), np.ones(1))) is None


def test_tangents_that_cannot_be_leave_the_values() -> None:
    found = replay(case() | {"tangents": {}}, forward=True)
    assert found is not None
    assert found.values[-1] == "1.426"
    assert set(found.tangents) == {""}


def test_a_drawing_is_svg_without_the_shared_style() -> None:
    svg = textbook_drawing(case())
    assert svg.startswith("<svg")
    assert "<style>" not in svg
    assert "1.43" in svg
