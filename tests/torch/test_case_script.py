"""The standalone script: it needs torch alone, runs the very program, and exits with 1 exactly while torch disagrees."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from conformance.families import FAMILIES
from refgrad.graph import Graph, Node
from refgrad.op import REGISTRY
from refgrad.testing.cases.case import EXPANDED, Case, layouts_of
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.deviation import Deviation
from refgrad.testing.judging.verdict import ERROR, Comparison, Element, Verdict
from refgrad.testing.runs.item import examine
from refgrad.torch.case_script import script, written
from refgrad.torch.devices import plain_arithmetic
from refgrad.torch.observe import observe
from tests.recorded import ENTRIES, any_fault, shows, verdicts


def outcome(text: str) -> tuple[int, str]:
    """Exit code and output of a script, run here."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as stop:
        exec(compile(text, "script", "exec"), {"__name__": "__main__"})  # noqa: S102  the point of the test
    return int(str(stop.value.code)), out.getvalue()


def claim(place: tuple[str, object], node: int, expected: np.ndarray, bound: float, mode: str) -> Verdict:
    """A verdict that says torch should have given this."""
    elements = [
        Element(0.0, float(expected[i]), bound, 2.0, 2.0, tuple(map(int, i)), "what", node)
        for i in np.ndindex(expected.shape)
    ]
    return Verdict(mode, "disagree", wrong=elements, evidence=Comparison(wrong=elements[:10], place=place))


def one_op(name: str, draw: int) -> Case:
    op = REGISTRY[name]
    xs, params = op.domain.sample(np.random.default_rng(draw), len(op.signature.operands))
    graph = Graph()
    graph.nodes = [Node(name=f"x{k}") for k in range(len(xs))]
    graph.nodes.append(Node(op=op, of=tuple(range(len(xs))), params={**op.signature.defaults, **params}))
    graph.outputs = (len(xs),)
    inputs = {f"x{k}": np.asarray(x) for k, x in enumerate(xs)}
    rng = np.random.default_rng(draw)
    tangents = {name: rng.standard_normal(np.shape(x)) for name, x in inputs.items()}
    return Case("ops", graph, inputs, tangents, rng.standard_normal(np.shape(graph(inputs))), "float64")


@pytest.mark.parametrize("name", [name for name, op in REGISTRY.items() if op.torch is not None])
def test_the_script_of_every_op_runs_the_very_program(name: str) -> None:
    met = 0
    for draw in range(4):
        case = one_op(name, draw)
        seen, k = observe(case), len(case.inputs)
        for part, mode in (("values", "value"), ("tangents", "forward"), ("cotangents", "reverse")):
            node = 0 if part == "cotangents" else k
            got = getattr(seen, part)[node]
            if got is None or got.dtype.kind != "f" or not got.size:
                continue
            met += 1
            right, description = outcome(written(case, claim((part, node), node, got, 0.0, mode)))
            assert right == 0, description  # the same bits
            wrong, description = outcome(written(case, claim((part, node), node, got + 1.0, 0.5, mode)))
            assert wrong == (0 if np.all(np.isnan(got) | np.isinf(got)) else 1), description
    assert met or not REGISTRY[name].signature.differentiable


@pytest.mark.parametrize("deviation", ENTRIES, ids=lambda d: d.id)
def test_every_known_deviation_shows_without_refgrad(deviation: Deviation) -> None:
    plain_arithmetic()
    case = Case.load(deviation.case)
    status = "error" if deviation.narrow.error else "disagree"
    seen = [v for v in verdicts(deviation) if v.status == status]
    assert bool(seen) == shows(deviation)  # what this torch has mended has no script
    for v in seen:
        text = script(case, v)
        assert "from refgrad" not in text, f"{v.mode}: {text}"
        code, description = outcome(text)
        assert code == 1, f"{v.mode}: {description}"
        assert ("Error: " if deviation.narrow.error else "WRONG") in description


def test_whole_programs_with_every_place_of_an_observation() -> None:
    """Values, tangents, gradients and what each user sends back: the same bits, in graphs with fan-out and odd layouts."""
    met: Counter[str] = Counter()
    for seed in range(25):
        case = FAMILIES["graphs"](Seeded(seed), "float32")
        seen = observe(case)
        places = [(part, k) for part in ("values", "tangents", "cotangents") for k in case.graph.order()]
        for part, key in [*places, *(("parts", key) for key in seen.parts)]:
            got = getattr(seen, part)[key]
            if got is None or got.dtype.kind != "f" or not got.size:
                continue
            mode = {"values": "value", "tangents": "forward"}.get(part, "reverse")
            met[part] += 1
            met[case.cotangent_layout] += mode == "reverse"
            code, description = outcome(written(case, claim((part, key), 0, got, 0.0, mode)))
            assert code == 0, f"seed {seed}, {part} {key}: {description}"
    assert all(met[part] > 30 for part in ("values", "tangents", "cotangents", "parts")), met
    assert all(met[layout] > 10 for layout in layouts_of(2)), met


def test_a_cotangent_that_is_one_number_in_memory() -> None:
    x = np.array([[0.5, -1.0, 2.0]])
    graph = Graph.record(np.sin, x)
    case = Case("ops", graph, {"x": x}, {"x": x}, np.full((1, 3), 1.5), "float64", cotangent_layout=EXPANDED)
    script = written(case, claim(("cotangents", 0), 0, observe(case).cotangents[0], 0.0, "reverse"))
    assert ".expand((1, 3))" in script
    code, description = outcome(script)
    assert code == 0, description


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_formats_keep_their_bits(dtype: str) -> None:
    for seed in range(12):
        case = FAMILIES["mlp"](Seeded(seed), dtype)
        seen, k = observe(case), case.graph.outputs[0]
        for part, mode in (("values", "value"), ("tangents", "forward")):
            code, description = outcome(written(case, claim((part, k), k, getattr(seen, part)[k], 0.0, mode)))
            assert code == 0, description


def test_a_plain_interpreter_with_torch_runs_it(tmp_path: Path) -> None:
    case = Case.load(any_fault().case)
    [verdict, *_] = [v for v in examine(case, observe) if v.status == "disagree"]
    path = tmp_path / "script.py"
    path.write_text(script(case, verdict), encoding="utf-8")
    assert "refgrad" not in "".join(
        line for line in path.read_text().splitlines() if not line.startswith("#")
    )
    done = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG" in done.stdout


def test_a_missing_gradient_is_said() -> None:
    x = np.array([1.0, 2.0])
    graph = Graph.record(lambda a, b: np.sin(a), x, x)
    names = list(graph.inputs)
    case = Case("graphs", graph, dict.fromkeys(names, x), dict.fromkeys(names, x), x, "float64")
    told_of = Comparison(
        note="gradient: the framework gave none,\nraise one is due",
        place=("cotangents", graph.inputs[names[1]]),
    )
    note = Verdict("reverse", "disagree", evidence=told_of)
    code, description = outcome(script(case, note))
    assert code == 1
    assert "missing" in description


def test_hostile_names_stay_names() -> None:
    x = np.array([0.5])
    for name in (
        "torch",
        "a b",
        "import",
        'x"); raise SystemExit(0) #',
        "x\nraise SystemExit(0)",
        "v1",
        "é",
    ):
        graph = Graph.record(np.sin, x)
        graph.nodes[0] = Node(name=name)
        case = Case("graphs", graph, {name: x}, {name: x}, x, "float64")
        v = claim(("values", 1), 1, np.array([2.0]), 0.5, "value")
        v.evidence.wrong[0].what = f"value {name}\n'''\"\"\""
        code, description = outcome(script(case, v))
        assert code == 1
        assert "WRONG" in description


class Raising(torch.autograd.Function):
    """A kernel that works forward and raises in the backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, _: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("an illegal memory access was encountered")


@pytest.mark.parametrize(
    "mode",
    ["reverse", "reverse end to end", "recorded reverse", "reverse over reverse", "agreement of modes"],
)
def test_an_exception_is_shown_by_the_question_that_raises_it(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "tanh", Raising.apply)
    text = script(one_op("tanh", 0), Verdict(mode, ERROR, reason="RuntimeError"))
    assert "from refgrad" not in text
    assert "Raising.apply(" in text
    code, description = outcome(text)
    assert code == 1
    assert description == "RuntimeError: an illegal memory access was encountered\n"
    monkeypatch.setattr(Raising, "backward", staticmethod(lambda ctx, g: g))
    assert outcome(text) == (0, "nothing was raised\n")


def test_an_exception_that_no_mode_is_to_blame_for_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "tanh", Raising.apply)
    code, description = outcome(script(one_op("tanh", 0), Verdict("value", ERROR, reason="RuntimeError")))
    assert (code, description.partition(":")[0]) == (1, "RuntimeError")


def test_an_error_that_is_not_of_torch_has_a_script_that_asks_refgrad() -> None:
    case = one_op("tanh", 0)
    text = script(case, Verdict("value", ERROR, reason="KeyError: of the judge"))
    assert "torch does not raise when it is asked again" in text
    assert "from refgrad.cli import main" in text
    assert case.id in text


def test_what_hangs_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("torch was asked again")

    monkeypatch.setattr("refgrad.torch.case_script.Program", asked)
    text = script(one_op("tanh", 0), Verdict("value", ERROR, reason="time limit", repeatable=False))
    assert "torch gave no answer in the time that a case has" in text
    assert "from refgrad.cli import main" in text


def test_a_script_that_does_not_show_the_failure_is_not_handed_out() -> None:
    case = one_op("tanh", 0)
    right = observe(case).values[1]
    text = script(case, claim(("values", 1), 1, right, 0.0, "value"))
    assert outcome(written(case, claim(("values", 1), 1, right, 0.0, "value")))[0] == 0
    assert "the calls of torch that were recorded do not show it" in text
    assert "from refgrad.cli import main" in text


def test_agreement_has_no_script() -> None:
    assert script(one_op("tanh", 0), Verdict("value")) == ""
