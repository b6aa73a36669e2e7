import numpy as np
import pytest

import refgrad as rg
from refgrad.modes import NAMES as MODES
from refgrad.report import render
from refgrad.report.page.figure import BACKWARD, FORWARD, figure
from refgrad.report.storage.details import in_full
from refgrad.report.storage.load import load
from refgrad.testing.cases.case import Case


@pytest.fixture
def failing(make, save):
    """A failing result of a case: f(x, k) = sin(x)^2 over the elements that k chooses, at x = [0.5, 2]."""

    def build(mode, *, first_wrong=None, observed=None, **changes):
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
        first = first_wrong or {"node": 2, "op": "sin"}
        told = {} if observed is None else {"observed": observed}
        line = make.wrong("a" * 16, mode=mode, case=data | changes, first_wrong=first, **told)
        run = load(save([make.header(), line]))
        [result] = in_full(run, run.results)
        return result

    return build


def test_every_mode_is_known():
    assert set(BACKWARD) | set(FORWARD) < set(MODES)


@pytest.mark.parametrize("mode", BACKWARD)
def test_what_asks_for_the_gradient_shows_it_at_every_node(failing, mode):
    found = figure(failing(mode))
    assert found.kinds == ("value", "gradient")
    assert not found.observed
    sine = found.nodes[2]
    # 2 sin x times what arrives: 10 at 0.5, 1 at 2.
    assert sine.numbers == ("value [0.4794, 0.9093]", "gradient [9.589, 1.819]")


@pytest.mark.parametrize("mode", FORWARD)
def test_what_asks_for_the_tangent_shows_it_at_every_node(failing, mode):
    found = figure(failing(mode))
    assert found.kinds == ("value", "tangent")
    sine = found.nodes[2]
    assert sine.suspect
    assert sine.numbers[1] == "tangent [0.8776, −1.248]"  # cos x times [1, 3]
    assert len(found.nodes[1].numbers) == 1  # an index has none


def test_further_modes_show_values_alone(failing):
    assert figure(failing("reverse over reverse")).kinds == ("value",)


def test_without_directions_the_values_are_left(failing):
    found = figure(failing("forward", tangents={}))
    assert found.kinds == ("value",)
    assert found.nodes[2].numbers


def test_the_page_says_what_stands_below_a_value(make, save, failing):
    lines = [
        make.header(),
        make.wrong(
            "a" * 16, mode="forward", case=failing("forward").case, first_wrong={"node": 2, "op": "sin"}
        ),
    ]
    page = render(load(save(lines)))
    assert "the tangent (ẋ)" in page
    assert ">[0.8776, −1.248]<" in page
    assert "; tangent [0.8776, −1.248]" in page


def test_a_gradient_is_the_fault_of_the_user_that_sent_it(failing):
    found = figure(failing("reverse", first_wrong={"node": 0, "op": "sin"}))
    assert [n.number for n in found.nodes if n.suspect] == [2]
    assert [
        t.text for b in found.part.boxes if "suspect" in b.kind for t in b.texts if t.kind == "badge"
    ] == ["✗ first wrong"]
    two = figure(failing("reverse", first_wrong={"node": 3, "op": "getitem or sin"}))
    assert [n.number for n in two.nodes if n.suspect] == [4]


OBSERVED = {
    "nodes": {
        "0": [{"part": "value", "shape": [2], "got": [0.5, 2.0]}],
        "2": [
            {"part": "value", "shape": [2], "got": [0.4794, 0.9093], "expected": [0.4794, 0.9093]},
            {
                "part": "tangent",
                "shape": [2],
                "got": [0.75, -1.248],
                "expected": [0.8776, -1.248],
                "wrong": True,
            },
        ],
    },
    "suspects": [2],
}


def test_what_the_framework_said_stands_beside_what_was_expected(failing):
    found = figure(failing("forward", observed=OBSERVED))
    assert found.observed
    assert found.kinds == ("value", "tangent")
    [box] = [b for b in found.part.boxes if "suspect" in b.kind]
    texts = [(t.kind, t.text) for t in box.texts]
    assert texts[:4] == [
        ("badge", "✗ first wrong"),
        ("name", "2 sin(0)"),
        ("head", "got"),
        ("head", "expected"),
    ]
    wrong = texts.index(("label", "ẋ"))
    assert texts[wrong + 1 :] == [
        ("number out", "[0.75, −1.248]"),
        ("number", "[0.8776, −1.248]"),
        ("cross", "✗"),
    ]
    assert all(box.x <= t.x <= box.x + box.width for t in box.texts)
    assert found.nodes[2].numbers[1] == "tangent [0.75, −1.248], expected [0.8776, −1.248] ✗"
    assert found.nodes[0].numbers == ("value [0.5, 2]",)


@pytest.fixture
def chain(make):
    """The line of a failing result of a chain of so many nodes, with the wrong one in the middle."""

    def build(n):
        case = make.case("tanh", 3)
        ops = ["tanh" if k == n // 2 else "sin" for k in range(1, n)]
        nodes = [{"op": op, "of": [k], "with": {}} for k, op in enumerate(ops)]
        case["graph"] |= {"nodes": [{"input": "x"}, *nodes], "outputs": [n - 1]}
        first = {"node": n // 2, "op": "tanh"}
        return make.wrong("a" * 16, mode="forward", case=case, first_wrong=first)

    return build


@pytest.mark.parametrize("n", [29, 100, 1000])
def test_a_large_graph_opens_around_the_first_wrong_node(make, save, chain, n):
    run = load(save([make.header(), chain(n)]))
    found = figure(in_full(run, run.results)[0])
    shown = len(found.around.shown)
    assert shown == 7
    first, *boxes, last = found.part.boxes
    assert [b.texts[0].text for b in (first, last)] == [
        f"{n // 2 - 3} nodes before",
        f"{n - 7 - (n // 2 - 3)} nodes after",
    ]
    assert [b.texts[0].text for b in boxes if "suspect" in b.kind] == ["✗ first wrong"]
    assert found.part.height < 1000
    assert (found.whole is None) == (n > 100)
    if found.whole:
        assert len(found.whole.boxes) == n
        assert not any(t.kind == "number" for b in found.whole.boxes for t in b.texts)
    assert n // 2 in [v.number for v in found.nodes]
    assert found.more == n - len(found.nodes)
    assert found.length < 80_000


def test_the_page_of_a_large_graph_names_what_is_left_out(make, save, chain):
    page = render(load(save([make.header(), chain(1000)])))
    assert "7 nodes of 1\u202f000, those around the first wrong one" in page
    assert ">497 nodes before<" in page
    assert "and 880 more nodes" in page
    assert len(page) < 150_000
