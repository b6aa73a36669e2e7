"""The standalone script: it needs torch alone, runs the very program, and exits with 1 exactly while torch disagrees."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance.families import FAMILIES
from refgrad.graph import Graph, Node
from refgrad.op import REGISTRY
from refgrad.testing.case import Case
from refgrad.testing.deviations import Deviation
from refgrad.testing.session import examine
from refgrad.testing.source import Seeded
from refgrad.testing.verdict import Comparison, Element, Verdict
from refgrad.torch.observe import observe, plain_arithmetic
from refgrad.torch.script import script
from tests.recorded import ENTRIES, any_fault, shows


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
            right, told = outcome(script(case, claim((part, node), node, got, 0.0, mode)))
            assert right == 0, told  # the same bits
            wrong, told = outcome(script(case, claim((part, node), node, got + 1.0, 0.5, mode)))
            assert wrong == (0 if np.all(np.isnan(got) | np.isinf(got)) else 1), told
    assert met or not REGISTRY[name].signature.differentiable


@pytest.mark.parametrize("deviation", ENTRIES, ids=lambda d: d.id)
def test_every_known_deviation_shows_without_refgrad(deviation: Deviation) -> None:
    plain_arithmetic()
    case = Case.load(deviation.case)
    seen = [v for v in examine(case, observe) if v.status == "disagree"]
    assert bool(seen) == shows(deviation)  # what this torch has mended has no script
    for v in seen:
        code, told = outcome(script(case, v))
        assert code == 1, f"{v.mode}: {told}"
        assert "WRONG" in told


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
            code, told = outcome(script(case, claim((part, key), 0, got, 0.0, mode)))
            assert code == 0, f"seed {seed}, {part} {key}: {told}"
    assert all(met[part] > 30 for part in ("values", "tangents", "cotangents", "parts")), met


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_formats_keep_their_bits(dtype: str) -> None:
    for seed in range(12):
        case = FAMILIES["mlp"](Seeded(seed), dtype)
        seen, k = observe(case), case.graph.outputs[0]
        for part, mode in (("values", "value"), ("tangents", "forward")):
            code, told = outcome(script(case, claim((part, k), k, getattr(seen, part)[k], 0.0, mode)))
            assert code == 0, told


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
    code, told = outcome(script(case, note))
    assert code == 1
    assert "missing" in told


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
        code, told = outcome(script(case, v))
        assert code == 1
        assert "WRONG" in told


def test_agreement_has_no_script() -> None:
    assert script(one_op("tanh", 0), Verdict("value")) == ""
