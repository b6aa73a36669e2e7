"""The textbook: nothing is left out, every item agrees, and the check of every item can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from conformance import textbook  # noqa: E402 - after the skip, where torch is missing
from conformance.textbook import (  # noqa: E402
    ITEMS,
    MODES,
    Item,
    chain,
    gates,
    graphs,
    implicit,
    layers,
    polynomial,
    regression,
    training,
    tutorial,
    vectors,
)
from conformance.textbook.judge import Trial, examine  # noqa: E402
from conformance.textbook.outcome import CLOSED, FORWARD, REVERSE, TORCH, Outcome  # noqa: E402
from refgrad.cli import main  # noqa: E402
from refgrad.testing.judging.verdict import AGREE  # noqa: E402
from tests.whole_runs import WholeRun, conformance  # noqa: E402

BOTH = ("float64", "float32")
LECTURES = """
D0-constant-multiple D0-power D0-sum D0-difference D0-product D0-quotient D0-reciprocal D0-chain-composition
D0-chain-differentials D0-softmax D0-two-linear-maps D0-perceptron-single D0-perceptron-multiple
D0-mlp-depth-1 D0-mlp-depth-2 D0-mlp-depth-3 D0-mlp-depth-4 D0-mlp-depth-5 D0-mlp-depth-6
D1-polynomial D1-vector-chain-rule D1-squared-residual D1-squared-residual-factors D1-least-squares
D1-least-squares-factors D1-graph-construction D1-pruning D1-cost
D2-two-layer-network D2-rule-0 D2-rule-1 D2-rule-2-column D2-rule-2-batch D2-conventions D2-sum-of-terms
D2-product-in-sum D2-log-det D2-linear-model
D3-sigmoid D3-tanh D3-relu D3-leaky-relu D3-elu D3-maxout D3-two-layers D3-three-layers D3-sigmoid-layers D3-svm
D3-gates-sum-times D3-neuron-eight-gates D3-neuron-one-gate D3-sigmoid-gate D3-add-distributes D3-multiply-swaps
D3-copy-adds D3-max-routes D3-graph-object D3-custom-multiply D3-relu-vector D3-matrix-product D3-implicit-jacobian
D3-training
D4-linear-model D4-exercise-1 D4-exercise-2 D4-exercise-3 D4-exercise-4 D4-uncleared
""".split()  # noqa: SIM905 - a list of names is easier to read this way
BY_ID = {i.id: i for i in ITEMS}
A_FEW_STEPS = partial(training.train, steps=12)  # a run of the suite takes more


def quick(item: Item) -> Item:
    return replace(item, more=A_FEW_STEPS) if item.id == "D3-training" else item


def each(items: Any = ITEMS) -> Any:
    return pytest.mark.parametrize("item", items, ids=lambda i: i.id)


def test_nothing_is_left_out() -> None:
    assert [i.id for i in ITEMS] == LECTURES
    assert len(BY_ID) == len(ITEMS) == 68
    assert {i.deck for i in ITEMS} == {"D0", "D1", "D2", "D3", "D4"}
    assert len({i.title for i in ITEMS}) == len(ITEMS)
    assert all(i.text and i.problems for i in ITEMS)


@each()
def test_all_ways_agree_and_every_planted_error_is_caught(item: Item) -> None:
    outcome = examine(quick(item), BOTH)
    assert outcome.failures() == ([], [])
    judged = {(v.mode, dtype) for dtype, _, v in outcome.verdicts() if v.status == AGREE and v.elements}
    assert {(way, dtype) for way in (FORWARD, REVERSE, CLOSED, TORCH) for dtype in item.dtypes} <= judged
    planted, equivalent, caught = (sum(c[k] for c in outcome.planted.values()) for k in range(3))
    assert caught == planted - equivalent > 0


@each()
def test_a_wrong_formula_is_caught(item: Item) -> None:
    for problem in item.problems:

        def wrong(*args: Any, right: Any = problem.closed) -> Any:
            found = right(*args)
            found = found if isinstance(found, tuple) else (found,)
            return tuple(1.001 * g for g in found)

        assert _caught_by(CLOSED, item, replace(problem, closed=wrong))


@each()
def test_a_wrong_gradient_of_torch_is_caught_although_its_value_is_right(item: Item) -> None:
    for problem in item.problems:

        def wrong(*tensors: Any, right: Any = problem.torch, k: int = problem.differentiated()[0]) -> Any:
            y = right(*tensors)
            y, asked = y if isinstance(y, tuple) else (y, [tensors[j] for j in problem.differentiated()])  # noqa: B023
            return y + 0.001 * (tensors[k] - tensors[k].detach()).sum(), asked

        assert _caught_by(TORCH, item, replace(problem, torch=wrong))


@each()
def test_a_wrong_program_is_caught_by_formula_and_torch_alike(item: Item) -> None:
    for problem in item.problems:
        wrong = replace(problem, f=lambda *args, right=problem.f: 1.001 * right(*args))
        assert _caught_by(CLOSED, item, wrong)
        assert _caught_by(TORCH, item, wrong)


@each([i for i in ITEMS if any(p.also for p in i.problems)])
def test_a_wrong_further_formula_is_caught(item: Item) -> None:
    for problem in item.problems:
        for name, right in problem.also.items():
            also = {name: lambda *args, right=right: 1.001 * right(*args)}
            assert _caught_by(name, item, replace(problem, also=also))


def _caught_by(mode: str, item: Item, problem: Any) -> bool:
    outcome = examine(replace(item, problems=(problem,), more=None), item.dtypes[:1])
    wrong, _ = outcome.failures()
    return any(mode in message for message in wrong)


def test_a_missing_gradient_and_a_wrong_shape_are_caught() -> None:
    problem = BY_ID["D3-multiply-swaps"].problems[0]
    for closed in (lambda up, x, y: up * y, lambda up, x, y: (np.ones(1) * up * y, up * x)):
        outcome = Outcome("D3-multiply-swaps")
        Trial(replace(problem, closed=closed), "float64").judge(outcome)
        assert outcome.failures()[0]


def test_an_element_that_nothing_bounds_is_not_passed_over() -> None:
    # Right as numbers, but e^5100 overflows: how far that may lead nobody knows.
    def hides(up: Any, z: Any) -> Any:
        return up * np.where(z > 0, 1.0, 0.0) + np.where(z == 1.7, 1 / (1 + np.exp(3000 * z)), 0.0)

    problem = replace(BY_ID["D3-relu"].problems[0], closed=hides)
    with np.errstate(over="ignore"):
        outcome = examine(replace(BY_ID["D3-relu"], problems=(problem,)), ("float64",))
    wrong, left = outcome.failures()
    assert wrong == []
    assert left == ["closed form, float64 on cpu: 1 elements could not be compared"]


# --- what is more than a gradient -----------------------------------------------------------------------------------------


class Forgets(torch.autograd.Function):
    """A multiply whose backward forgets to swap."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx: Any, up: Any) -> Any:
        x, y = ctx.saved_tensors
        return up * x, up * y


def _column_forgets_a_factor(dz: Any, a: Any, w: Any, b: Any) -> Any:
    return np.transpose(w) @ dz, dz[:, None] + 0 * a[None, :], dz


def _declared_wrong() -> Any:
    graph = graphs.rg.Graph()
    a, b = graph.input("a"), graph.input("b")
    return graph.output(2 * a + 2 * b)


PLANTS = {  # item: what is planted in the check of what is more than its gradient
    "intermediate": ("D0-two-linear-maps", chain, "MAPS", (1.0, 2.0, 1.0, 3.0, 1.0, 0.0)),
    "symbolic derivative": ("D1-polynomial", polynomial, "derivative", lambda x: 12 * x**2 + x),
    "step sizes too large to rise": ("D1-polynomial", polynomial, "STEPS", (0, 4, 8)),
    "step sizes too small to fall": ("D1-polynomial", polynomial, "STEPS", (44, 48, 52)),
    "shape": ("D1-vector-chain-rule", vectors, "A", np.ones((2, 4))),
    "another graph": ("D1-graph-construction", graphs, "declared", _declared_wrong),
    "pruning of nothing": ("D1-pruning", graphs, "with_dead_branch", lambda x, y: (np.sin(x * y) + x,) * 2),
    "forward mode that keeps a tape": ("D1-cost", graphs, "forward_sweep", graphs.reverse_sweep),
    "reverse mode that keeps nothing": ("D1-cost", graphs, "reverse_sweep", graphs.forward_sweep),
    "convention": ("D2-conventions", layers, "column_closed", _column_forgets_a_factor),
    "loss curve by hand": ("D2-linear-model", regression, "by_hand", lambda b, x, y: x.T @ (x @ b - y)),
    "loss curve of torch": ("D2-linear-model", regression, "with_module", lambda: (np.zeros(500), np.zeros(2))),
    "f = -12": ("D3-gates-sum-times", gates, "POINT", (-2.0, 5.0, -4.5, 0.0)),
    "seven gates": ("D3-neuron-eight-gates", gates, "eight_gates", lambda a, b, c, d, e: 1 / (np.exp(-(a * b + c * d)) + e)),
    "one gate": ("D3-neuron-one-gate", gates, "one_gate", lambda w0, x0, w1, x1, w2: np.tanh(w0 * x0 + w1 * x1 + w2)),
    "0.73": ("D3-sigmoid-gate", gates, "sigmoid", np.tanh),
    "custom multiply": ("D3-custom-multiply", gates, "Multiply", Forgets),
    "ReLU": ("D3-relu-vector", implicit, "relu", np.abs),
    "a misprint mended": ("D3-matrix-product", implicit, "PRINTED", implicit.TRUE),
    "true product misprinted": ("D3-matrix-product", implicit, "TRUE", implicit.PRINTED),
    "training": ("D3-training", training, "RATE", -1e-5),
    "training by hand": ("D3-training", training, "hand_step", lambda w1, w2, x, y: (training.squared_error(w1, w2, x, y), 0 * w1, 0 * w2)),
    "training in torch": ("D3-training", training, "in_torch", lambda w1, w2, x, y: 1.001 * ((torch.sigmoid(x @ w1) @ w2 - y) ** 2).sum()),
    "last digit": ("D4-linear-model", tutorial, "RUN", ((-2.0, -7.840000152587891, -16.22880172729492, 7.315943241119385),)),
    "tutorial in torch": ("D4-linear-model", tutorial, "loss_torch", lambda w, x, y: 2 * (x * w - y) ** 2),
    "exercise 4-1": ("D4-exercise-1", tutorial, "FIRST", (1.0, 2.0, 5.0, 0.0)),
    "exercise 4-3": ("D4-exercise-3", tutorial, "quadratic_loss", lambda w1, w2, b, x, y: (w1 * x + w2 * x + b - y) ** 2),
    "always cleared": ("D4-uncleared", tutorial, "accumulated", lambda clear, right=tutorial.accumulated: right(True)),
    "never cleared": ("D4-uncleared", tutorial, "accumulated", lambda clear, right=tutorial.accumulated: right(False)),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_more_than_a_gradient_can_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    id_, module, attribute, planted = PLANTS[name]
    more = quick(BY_ID[id_]).more
    assert more is not None
    right = Outcome(id_)
    more(right)
    assert right.failures() == ([], [])
    monkeypatch.setattr(module, attribute, planted)
    wrong = Outcome(id_)
    more(wrong)
    assert wrong.failures()[0]


def test_every_check_of_more_has_a_plant() -> None:
    without = {i.id for i in ITEMS if i.more is not None} - {id_ for id_, *_ in PLANTS.values()}
    assert without == {"D2-rule-0", "D2-log-det", "D3-graph-object", "D3-implicit-jacobian", "D4-exercise-4"}


def test_a_gradient_of_another_shape_breaks_rule_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        layers.rg, "jacfwd", lambda f, k: lambda *args: tuple(np.zeros((1, *x.shape)) for x in args)
    )
    outcome = Outcome("D2-rule-0")
    layers.shapes_of_parameters(outcome)
    assert outcome.failures()[0]


def test_a_negative_determinant_is_no_case_of_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression, "SQUARE", -regression.SQUARE)
    outcome = Outcome("D2-log-det")
    regression.positive(outcome)
    assert outcome.failures()[0]


def test_a_graph_object_that_is_wrong_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = gates.rg.Graph.backward
    monkeypatch.setattr(gates.rg.Graph, "backward", lambda self: {k: -v for k, v in right(self).items()})
    outcome = Outcome("D3-graph-object")
    gates.modular(outcome)
    assert outcome.failures()[0]


@pytest.mark.parametrize("side", [0, 1])
def test_one_wrong_element_of_the_large_product_is_caught(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implicit, "SIDE", 512)

    def wrong(up: Any, x: Any, w: Any) -> Any:
        found = (up @ w.T, x.T @ up)
        found[side][7, 300] *= 1.01
        return found

    monkeypatch.setattr(implicit, "product_closed", wrong)
    outcome = Outcome("D3-implicit-jacobian", full=True)
    implicit.large(outcome)
    assert [m for m in outcome.failures()[0] if "closed form" in m and "[7, 44]" in m]
    sample = Outcome("D3-implicit-jacobian")
    implicit.large(sample)
    # An ordinary run judges a sample of the columns, and 300 is not among them.
    assert not sample.failures()[0]


def test_a_jacobian_that_is_formed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implicit, "SIDE", 512)
    right = implicit.rg.vjp

    def wasteful(f: Any, *args: Any) -> Any:
        y, pullback = right(f, *args)
        return y, lambda up: (np.zeros((8, *args[-1].shape)), pullback(up))[1]

    monkeypatch.setattr(implicit.rg, "vjp", wasteful)
    outcome = Outcome("D3-implicit-jacobian")
    implicit.large(outcome)
    assert "more than" in outcome.failures()[0][0]


def test_a_wrong_step_of_sgd_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.SGD, "zero_grad", lambda self: None)
    outcome = Outcome("D4-exercise-4")
    tutorial.by_pytorch(outcome)
    assert outcome.failures()[0]


# --- graphs and the run -------------------------------------------------------------------------------------------------


@each()
def test_each_item_has_its_graph_with_values_and_gradients(item: Item) -> None:
    graph = item.graph()
    assert graph.values is not None
    assert graph.cotangents is not None
    assert all(graph.values[k] is not None for k in graph.order())
    trial = Trial(item.problems[0], "float64")
    names = list(graph.inputs)
    if trial.upstream is not None or np.shape(item.problems[0].f(*trial.args)) == ():
        for k, (centre, radius) in zip(trial.wrt, trial.centres, strict=True):
            if k >= len(names):  # a shift of an intermediate value: drawn graphs have none
                continue
            found = graph.cotangents[graph.inputs[names[k]]]
            assert np.all(np.abs((0 if found is None else found) - centre) <= radius)


@pytest.fixture
def three_items(monkeypatch: pytest.MonkeyPatch, read_anew: Callable[[str], None]) -> tuple[Item, ...]:
    chosen = (BY_ID["D0-power"], BY_ID["D3-matrix-product"], BY_ID["D4-exercise-2"])
    monkeypatch.setattr(textbook, "ITEMS", chosen)
    read_anew("conformance.test_textbook")
    return chosen


def run(out: Path, *more: str) -> WholeRun:
    """A run of the textbook and of generated cases."""
    return conformance(out, "--device", "cpu", "--workers", "0", *more, items="-k 'test_item or test_family'")


def test_the_family_alone_lists_every_item_by_name(three_items: tuple[Item, ...], tmp_path: Path) -> None:
    done = run(tmp_path, "--family", "textbook")
    assert done.code == 0
    assert done.lines()[0]["modes"] == list(MODES)
    assert {line["family"] for line in done.lines("result")} == {"textbook"}
    assert [line["id"] for line in done.lines("textbook")] == [i.id for i in three_items]
    page = (tmp_path / "report.html").read_text()
    assert all(i.title in page for i in three_items)
    assert "textbook  2 items agree, 1 with a remark: D3-matrix-product" in done.stdout


def test_a_wrong_item_fails_the_run_by_name(
    three_items: tuple[Item, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    power = three_items[0]
    wrong = replace(power.problems[0], closed=lambda x: 4 * x**4)
    monkeypatch.setattr(textbook, "ITEMS", (replace(power, problems=(wrong,)), *three_items[1:]))
    done = run(tmp_path, "--family", "textbook")
    assert done.code == 1
    assert done.lines()[-1]["exit"] == 1
    assert "1 wrong: D0-power" in done.stdout
    assert "closed form: gradient" in done.stdout
    assert not done.lines("crash")
    assert "refgrad conformance --family textbook" in (tmp_path / "report.html").read_text()


def test_an_item_that_decides_nothing_fails_the_run(
    three_items: tuple[Item, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = replace(three_items[0].problems[0], args=(np.nan,))
    monkeypatch.setattr(textbook, "ITEMS", (replace(three_items[0], problems=(blind,)),))
    done = run(tmp_path, "--family", "textbook")
    assert done.code == 1
    assert [line["item"] for line in done.lines("crash")] == ["test_item[D0-power]"]


def test_it_does_not_run_with_another_family_alone(three_items: tuple[Item, ...], tmp_path: Path) -> None:
    few = ["--family", "matmul", "--dtype", "float64", "--examples", "5"]
    alone = run(tmp_path, *few)
    assert alone.code == 0
    assert not [x for x in alone.lines() if x["type"] == "textbook" or x.get("family") == "textbook"]
    both = run(tmp_path / "both", *few, "--family", "textbook")
    assert {line["family"] for line in both.lines("result")} >= {"matmul", "textbook"}


def test_a_format_that_no_item_is_for_is_said(
    three_items: tuple[Item, ...], tmp_path: Path, capsys: Any
) -> None:
    assert main(["conformance", "--family", "textbook", "--dtype", "float16", "--out", str(tmp_path)]) == 2
    assert "the family textbook is for float64 and float32, not for ['float16']" in capsys.readouterr().err
