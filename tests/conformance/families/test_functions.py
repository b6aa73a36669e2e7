"""The family of functions: its cases, the judgement of twins that are wrong, and the power of its bounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import refgrad as rg
from conformance.families import FAMILIES, SINGLE, can_draw, family
from conformance.families.functions import KINDS, functions_in
from refgrad.bounds.formats import DTYPES, format_of, judged_on
from refgrad.modes import REVERSE, VALUE
from refgrad.nn.layer_draws import on_axes, read
from refgrad.op import FUNCTIONS
from refgrad.op.function import Function
from refgrad.quiet import quiet
from refgrad.records.audit import EXACT_CASES
from refgrad.records.audit import FUNCTIONS as AUDITED
from refgrad.testing.cases.case import CHANNELS_LAST, Case
from refgrad.testing.cases.sequence import CaseSequence
from refgrad.testing.cases.source import Seeded
from refgrad.testing.cases.vocabulary import Vocabulary
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.verdict import AGREE, DISAGREE, ERROR, UNDECIDED
from refgrad.testing.power import audit as audits
from refgrad.testing.power.audit import Audit
from refgrad.testing.power.graph_mutations import CATALOGUE
from refgrad.testing.runs.item import examine
from refgrad.torch.observe import observe
from refgrad.tracing.ball import exact, parts
from tests.whole_runs import conformance
from tests.within import assert_within

NAMES = functions_in("float32", family="functions")
FORMATS = [dtype for dtype in DTYPES if judged_on("cpu", dtype)]


def drawn(name: str, seed: int, dtype: str = "float32") -> Case:
    return family("functions", (name,))(Seeded((seed,)), dtype)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_one_call_that_is_written_and_read_exactly(name: str) -> None:
    plain, constants = FUNCTIONS[name].plain, 0
    formats = [dtype for dtype in FORMATS if not FUNCTIONS[name].formats or dtype in FUNCTIONS[name].formats]
    for seed in range(30):
        case = drawn(name, seed, formats[seed % len(formats)])
        assert [str(node) for node in case.graph.nodes if node.op is not None] == [name]
        assert not plain & case.inputs.keys()
        assert case.order == (2 if case.inputs else 1)  # without an input there is no derivative to ask for
        again = Case.from_json(case.to_json())
        assert again.id == case.id
        assert again.content == case.content
        constants += sum(node.op is None and not node.name for node in case.graph.nodes)
        assert all(np.issubdtype(x.dtype, np.floating) for x in case.inputs.values())
    assert constants or name != "nn.cross_entropy"


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_of_a_call_are_those_of_the_composition(name: str) -> None:
    case = drawn(name, 3, "float64")
    if not case.inputs:
        pytest.skip("the framework has the value alone")
    operands = {n.name: case.inputs[n.name] if n.name else n.value for n in case.graph.nodes[:-1]}
    node = case.graph.nodes[-1]
    assert list(operands) == list(node.op.operands(node.params)) or "" in operands
    graph = rg.Graph.record(case.graph, *case.inputs.values())
    assert not any(isinstance(n.op, Function) for n in graph.nodes)
    assert any(n.op is not None for n in graph.nodes)
    y, pullback = rg.vjp(graph, *case.inputs.values())
    # NumPy computes a norm of plain arrays by a formula of its own.
    balls = case.graph.run({k: exact(x, format_of("float64", "cpu")) for k, x in case.inputs.items()})
    assert assert_within(y, balls[-1]) == np.size(y)
    values = case.graph.run(case.inputs)
    bars = case.graph.reverse_accumulation(values, [(case.graph.outputs[0], case.cotangent)])
    dots = case.graph.forward_accumulation(values, case.tangents)
    for (_, k), x_bar in zip(case.graph.inputs.items(), pullback(case.cotangent), strict=True):
        assert np.array_equal(bars[k], x_bar)
    expected = rg.jvp(graph, tuple(case.inputs.values()), tuple(case.tangents.values()))[1]
    assert np.array_equal(dots[case.graph.outputs[0]], expected)


@pytest.mark.parametrize("name", [name for name in NAMES if FUNCTIONS[name].of_whole])
def test_other_formulas_of_a_function_compute_the_same(name: str) -> None:
    """Both lie within their bounds of the exact value, so they are no further apart than the two bounds together."""
    function, compared = FUNCTIONS[name], 0
    for seed in range(6):
        case = drawn(name, seed, "float64")
        node = case.graph.nodes[-1]
        given = [case.inputs[n.name] if n.name else n.value for n in case.graph.nodes[:-1]]
        fmt = format_of("float64", "cpu")
        balls = [exact(x, fmt) if x.dtype.kind == "f" else x for x in given]
        with quiet():
            own = parts(function.forward(*balls, **node.params))
            for formula in function.of_whole:
                other = parts(formula.of(function)(*balls, **node.params))
                apart, room = np.abs(own[0] - other[0]), own[1] + other[1]
                known = np.isfinite(apart) & np.isfinite(room)
                assert other[0].shape == own[0].shape
                assert np.all(apart[known] <= room[known]), formula.why
                compared += np.count_nonzero(known)
    assert compared


def test_all_functions_and_all_kinds_of_numbers_are_drawn() -> None:
    sequence = CaseSequence(FAMILIES["functions"], "functions", "float32", "cpu", 0)
    cases = [sequence.case(k) for k in range(20 * len(NAMES))]
    assert (
        {str(case.graph.nodes[-1]) for case in cases}
        == {*NAMES}
        == {f for f, of in SINGLE.items() if of == "functions"}
    )
    numbers = np.concatenate([np.abs(np.ravel(x)) for case in cases for x in case.inputs.values()])
    assert 0.0 in numbers
    assert numbers[numbers > 0].min() < 1e-37
    assert numbers.max() > 1e9
    assert max(x.size for case in cases for x in case.inputs.values()) > 500
    assert len({*KINDS}) > 5


def test_a_backend_without_functions_draws_none() -> None:
    few = Vocabulary(frozenset({"exp", "nn.linear"}))
    assert can_draw("functions", few, "float32")
    assert not can_draw("functions", Vocabulary(frozenset({"exp"})), "float32")
    draw = family("functions", (), few)
    assert {str(draw(Seeded((k,)), "float32").graph.nodes[-1]) for k in range(20)} == {"nn.linear"}


def _without_mean(torch: Any, x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    return torch.nn.functional.rms_norm(x, shape, weight, eps) + (0 if bias is None else bias)


def _twice_eps(torch: Any, x: Any, shape: Any, weight: Any, eps: float | None) -> Any:
    return torch.nn.functional.rms_norm(x, shape, weight, 2 * (eps or 1e-6))


def _half_a_gradient(torch: Any, x: Any, target: Any, reduction: str) -> Any:
    held = (target + target.detach()) / 2
    return torch.nn.functional.mse_loss(x, held, reduction=reduction)


def _sum_for_mean(
    torch: Any, x: Any, target: Any, reduction: str, weight: Any, ignored: int, smoothing: float, axis: int
) -> Any:
    place = min(1, x.ndim - 1)
    target = torch.movedim(target, axis, place) if target.is_floating_point() else target
    x = torch.movedim(x, axis, place)
    reduction = "sum" if reduction == "mean" else reduction
    return torch.nn.functional.cross_entropy(
        x, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=smoothing
    )


WRONG: dict[str, tuple[str, Any]] = {
    "a forgotten mean": ("nn.layer_norm", _without_mean),
    "another eps": ("nn.rms_norm", _twice_eps),
    "half a gradient": ("nn.mean_squared_error", _half_a_gradient),
    "another reduction": ("nn.cross_entropy", _sum_for_mean),
}


@pytest.mark.long
@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_twin_disagrees_and_is_named(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong = WRONG[mistake]
    right = FUNCTIONS[name]

    def called(module: Any, *operands: Any, **params: Any) -> Any:
        given = dict(zip(right.operands(params), operands, strict=True)) | params
        return wrong(module, *[given[n] for n in right.names])

    monkeypatch.setitem(FUNCTIONS, name, replace(right, torch=called))
    count: Counter[str] = Counter()
    for seed in range(25):
        for verdict in examine(drawn(name, seed), observe):
            count[verdict.status] += 1
            if verdict.status == DISAGREE:
                assert verdict.first_wrong is not None
                assert verdict.first_wrong[1] == name
    assert count[DISAGREE] > 10
    assert not count[ERROR]


GROSS = (
    "sign",
    "factor 2",
    "dropped path",
    "roll",
    "misread memory order",
    "stale saved tensor",
    "uninitialised element",
)


@pytest.mark.long
def test_planted_errors_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, reverse and forward mode: nothing is planted in further modes, so none is asked for."""
    audit, every_kind = Audit(), dict(CATALOGUE)
    for seed in range(3):
        if seed:  # those of which enough are needed to tell a share
            monkeypatch.setattr(audits, "CATALOGUE", {kind: every_kind[kind] for kind in GROSS})
        for name in NAMES:
            case = drawn(name, seed)
            node_judge = NodeByNode(case, observe(replace(case, order=1)))
            with quiet():
                for mode in (node_judge.value, node_judge.reverse, node_judge.forward):
                    mode()
            audit.plant(node_judge, single=True)
    assert not audit.broken
    planted: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for (check, kind, _), (made, equivalent, seen, _) in audit.counts.items():
        if check == EXACT_CASES:  # which are counted apart as well
            continue
        assert check == AUDITED
        planted[kind] += made - equivalent
        caught[kind] += seen
    for kind in GROSS:
        assert caught[kind] >= 0.95 * planted[kind] > 100, kind


@pytest.mark.long
def test_a_run_of_chosen_functions_names_a_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = FUNCTIONS["nn.selu"]
    monkeypatch.setitem(
        FUNCTIONS, "nn.selu", replace(right, torch=lambda torch, x, **_: torch.nn.functional.elu(x))
    )
    scope = [
        "--op",
        "nn.selu",
        "--op",
        "nn.linear",
        "--op",
        "tanh",
        "--dtype",
        "float64",
        "--examples",
        "40",
        "--workers",
        "0",
        "--device",
        "cpu",
    ]
    done = conformance(tmp_path, *scope)
    assert done.code == 1, done.stdout + done.stderr
    results = done.lines("result")
    assert {r["first_wrong"]["op"] for r in results if r["status"] == "disagree"} == {"nn.selu"}
    assert {r["family"] for r in results} == {"functions", "ops"}
    assert {op for r in results for op in r["ops"]} == {"nn.selu", "nn.linear", "tanh"}
    assert min(len(line["case"]["graph"]["nodes"]) for line in done.lines("case")) == 2
    from refgrad.cli import main

    wrong = next(r for r in results if r["status"] == "disagree" and r.get("shrunk"))
    assert main(["repro", str(done.results), "--id", wrong["id"]]) == 1
    monkeypatch.setitem(FUNCTIONS, "nn.selu", right)
    assert main(["repro", str(done.results), "--id", wrong["id"]]) == 0
    assert "elu(" in wrong["script"]
    assert "refgrad" not in wrong["script"].partition("\n")[2]


def unequal(given: Any) -> bool:
    return isinstance(given, tuple) and len(set(given)) > 1


# A function, one of its arguments, and what has to be drawn for it: a backward may be wrong there alone.
REACHED: dict[tuple[str, str], Any] = {
    ("nn.scaled_dot_product_attention", "enable_gqa"): True,
    ("nn.interpolate", "antialias"): True,
    ("nn.max_pool2d", "return_indices"): True,
    ("nn.adaptive_max_pool3d", "return_indices"): True,
    ("nn.batch_norm", "momentum"): 0.5,
    ("nn.instance_norm", "momentum"): 0.5,
    ("nn.multi_head_attention_forward", "is_causal"): True,
    ("nn.multi_head_attention_forward", "training"): False,
    ("nn.multi_head_attention_forward", "average_attn_weights"): False,
    **{
        (f"nn.{name}", argument): unequal
        for name in ("conv2d", "conv3d", "conv_transpose2d")
        for argument in ("stride", "padding", "dilation")
    },
    **{
        (f"nn.{name}", "stride"): unequal
        for name in ("avg_pool2d", "max_pool3d", "lp_pool2d", "max_unpool3d")
    },
    **{(f"nn.{name}", "kernel_size"): unequal for name in ("avg_pool3d", "max_pool2d", "lp_pool3d")},
    ("nn.conv1d", "padding"): "valid",
    ("nn.adaptive_avg_pool2d", "output_size"): lambda given: isinstance(given, tuple) and None in given,
}


@pytest.mark.parametrize(("name", "argument"), REACHED)
def test_arguments_beside_which_a_backward_may_be_wrong_are_drawn(name: str, argument: str) -> None:
    wanted = REACHED[name, argument]
    seen = [drawn(name, seed).graph.nodes[-1].params[argument] for seed in range(60)]
    met = [wanted(given) if callable(wanted) else given == wanted for given in seen]
    assert any(met)
    assert not all(met)


@pytest.mark.parametrize("name", ["nn.batch_norm", "nn.instance_norm"])
def test_statistics_are_carried_on_in_training(name: str) -> None:
    """Both are operands, and are not differentiated."""
    own = "training" if name == "nn.batch_norm" else "use_input_stats"
    cases = [drawn(name, seed) for seed in range(80)]
    kept = [
        case
        for case in cases
        if case.graph.nodes[-1].params[own] and "running_mean" not in case.graph.nodes[-1].params
    ]
    assert 0 < len(kept) < 80
    for case in kept[:4]:
        before = [np.array(node.value) for node in case.graph.nodes if node.op is None and not node.name]
        assert {v.status for v in examine(case, observe) if v.mode in (VALUE, REVERSE)} <= {AGREE, UNDECIDED}
        after = [node.value for node in case.graph.nodes if node.op is None and not node.name]
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_images_and_weights_lie_with_channels_last_in_memory() -> None:
    cases = [drawn("nn.conv2d", seed) for seed in range(40)]
    for name in ("input", "weight"):
        met = [case.layouts.get(name) == CHANNELS_LAST for case in cases]
        assert 0 < sum(met) < 30


def test_an_output_of_a_convolution_reads_more_than_padding() -> None:
    """Elsewhere torch may end the process."""
    assert read(1, kernel=1, stride=2, padding=1, dilation=1) == 2
    assert read(2, kernel=1, stride=3, padding=1, dilation=2) == 3
    for size, padding in ((1, 0), (1, 2), (3, 1)):
        assert read(size, kernel=1, stride=2, padding=padding, dilation=1) == size


@pytest.mark.parametrize("name", ["nn.conv_transpose1d", "nn.conv_transpose2d", "nn.conv_transpose3d"])
def test_what_a_transposed_convolution_pads_is_as_long_as_its_kernel(name: str) -> None:
    """Elsewhere torch leaves gradients of weights in bfloat16 unwritten."""
    padded = 0
    for case in [drawn(name, seed) for seed in range(60)]:
        node = case.graph.nodes[-1]
        kernel = case.inputs["weight"].shape[2:]
        axes = len(kernel)
        padding = on_axes(node.params["padding"], axes)
        padded += any(padding)
        sizes = zip(
            case.cotangent.shape[-axes:], kernel, on_axes(node.params["dilation"], axes), padding, strict=True
        )
        assert all(size >= d * (k - 1) + 1 for size, k, d, p in sizes if p)
    assert padded > 5


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_antialias_is_not_drawn_where_torch_has_no_kernel(dtype: str) -> None:
    assert not any(
        drawn("nn.interpolate", seed, dtype).graph.nodes[-1].params["antialias"] for seed in range(60)
    )
