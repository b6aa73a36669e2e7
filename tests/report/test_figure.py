import numpy as np
import pytest

import refgrad as rg
from refgrad.report import load, render
from refgrad.report.figure import BACKWARD, FORWARD, figure
from refgrad.testing import MODES, Case


@pytest.fixture
def failing(make, save):
    """A failing result of a case: f(x, k) = sin(x)^2 over the elements that k chooses, at x = [0.5, 2]."""

    def build(mode, **changes):
        x, k = np.array([0.5, 2.0]), np.array([1, 0])
        graph = rg.Graph.record(lambda x, k: np.square(np.sin(x))[k], x, k)
        data = Case(
            "graphs",
            graph,
            {"x": x, "k": k},
            {"x": np.array([1.0, 3.0]), "k": np.zeros(2)},
            np.array([1.0, 10.0]),
            "float64",
        ).to_dict()
        line = make.wrong("a" * 16, mode=mode, case=data | changes, first_wrong={"node": 2, "op": "sin"})
        [result] = load(save([make.header(), line])).results
        return result

    return build


def test_every_mode_is_known():
    assert set(BACKWARD) | set(FORWARD) < set(MODES)


@pytest.mark.parametrize("mode", BACKWARD)
def test_what_asks_for_the_gradient_shows_it_at_every_node(failing, mode):
    found = figure(failing(mode))
    assert (found.gradients, found.tangents) == (True, False)
    sine = found.nodes[2]
    assert sine.first_wrong
    assert sine.value == "[0.4794, 0.9093]"
    assert sine.gradient == "[9.589, 1.819]"  # 2 sin x times what arrives: 10 at 0.5, 1 at 2


@pytest.mark.parametrize("mode", FORWARD)
def test_what_asks_for_the_tangent_shows_it_at_every_node(failing, mode):
    found = figure(failing(mode))
    assert (found.gradients, found.tangents) == (False, True)
    assert found.nodes[2].tangent == "[0.8776, −1.248]"  # cos x times [1, 3]
    assert found.nodes[1].tangent == ""  # an index has none


def test_further_modes_show_values_alone(failing):
    found = figure(failing("double backward"))
    assert found.numbers
    assert not found.gradients
    assert not found.tangents


def test_without_directions_the_values_are_left(failing):
    found = figure(failing("forward", tangents={}))
    assert found.numbers
    assert not found.tangents
    assert found.nodes[2].value


def test_the_page_says_what_stands_below_a_value(make, save, failing):
    x = make.wrong(
        "a" * 16, mode="forward", case=failing("forward").case, first_wrong={"node": 2, "op": "sin"}
    )
    page = render(load(save([make.header(), x])))
    assert "below it (ẋ) the tangent" in page
    assert ">ẋ [0.8776, −1.248]<" in page
    assert "; tangent [0.8776, −1.248]" in page
