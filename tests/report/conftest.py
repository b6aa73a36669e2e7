"""A generator of results files: any number of cases, some failures of every kind, and text that would like to be markup.

By hand: python tests/report/conftest.py 100000 results.jsonl
"""

import io
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from refgrad.report.analysis.run import Run
from refgrad.report.storage.files import compress_results

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e\"'&amp;{{ 7*7 }}"
NAMES = (
    "add multiply divide subtract power sqrt exp log log1p expm1 tanh sin cos tan arctan2 hypot sigmoid relu gelu softplus "
    "softmax log_softmax logsumexp sum mean var std prod cumsum max min where clip sort take matmul einsum dot outer svd "
    "eigh cholesky solve inv det slogdet qr norm conv2d layer_norm batch_norm cross_entropy fft rfft erf lgamma digamma"
)
OPS = NAMES.split()
FAMILIES = ("graphs", "mlp", "softmax", "ops", "training")
MODES = ("value", "reverse", "forward")


def header(**changes: Any) -> dict[str, Any]:
    """The line a run begins with."""
    return {
        "type": "run", "schema": 2, "refgrad": "0.1.0", "started": "2026-11-21T05:00:00Z", "seed": 0, "profile": "ci",
        "command": ["refgrad", "conformance", "--dtype", "float64", "float32"], "families": list(FAMILIES),
        "dtypes": ["float64", "float32"], "devices": ["cpu"], "modes": list(MODES),
        "environment": {
            "python": "3.11.7", "numpy": "2.4.6", "torch": "2.13.0", "hypothesis": "6.170", "platform": "Linux-x86_64",
            "processor": "x86_64", "devices": {"cpu": "x86_64, 2 cores", "cuda": "not present: CUDA was not judged"},
        },
    } | changes  # fmt: skip


def result(case_id: str, **changes: Any) -> dict[str, Any]:
    """An agreeing result, or another one by changes."""
    line = {
        "type": "result", "id": case_id, "family": "graphs", "dtype": "float32", "device": "cpu", "mode": "reverse",
        "status": "agree", "reason": "", "elements": 24, "loose": 0, "blind": 0, "sensitivity": 1.2e-7,
        "worst": {"ratio": 0.41, "ulp": 0.5, "got": 1.25, "expected": 1.2500001, "bound": 3e-7, "node": 2, "op": "tanh", "element": [0]},
        "ops": {"tanh": [2, 24, 0.41]}, "first_wrong": None, "message": "",
    }  # fmt: skip
    return line | changes


def wrong(case_id: str, op: str = "tanh", nodes: int = 3, **changes: Any) -> dict[str, Any]:
    """A disagreement at one op, with its case."""
    elements = [
        {
            "node": 2,
            "op": op,
            "what": "gradient of x",
            "element": [0, k],
            "got": 1.25 + k,
            "expected": 1.5,
            "bound": 3e-7,
            "ratio": 8e5 / (k + 1),
        }
        for k in range(3)
    ]
    line = result(
        case_id, status="disagree", ops={op: [1, 24, 8e5]}, worst=elements[0] | {"ulp": 2e6}, worst_elements=elements,
        first_wrong={"node": 2, "op": op}, case=case(op, nodes), script=f"import torch\n\nx = torch.tensor([0.5])\nprint(torch.{op}(x))\n",
        message=f"reverse: first wrong at op {op} (node 2), float32 on cpu: gradient of x[0, 0]: got 1.25, expected 1.5 ± 3e-07",
    )  # fmt: skip
    return line | changes


def apart(line: Any) -> list[Any]:
    """A result whose case is given with it, as the two lines of a results file; anything else as it is."""
    if not isinstance(line, dict) or line.get("type") != "result" or "case" not in line:
        return [line]
    held = [{"type": "case", "id": line["id"], "case": line["case"]}] if line["case"] is not None else []
    return [*held, {key: value for key, value in line.items() if key != "case"}]


def case(op: str = "tanh", nodes: int = 3) -> dict[str, Any]:
    """A case whose graph multiplies, applies an op and goes on multiplying."""
    x = {"dtype": "float32", "shape": [2], "data": [0.5, -1.25]}
    listed: list[dict[str, Any]] = [
        {"input": "x"},
        {"constant": x},
        {"op": op, "of": [0] if op != "multiply" else [0, 1], "with": {}},
    ]
    listed += [{"op": "multiply", "of": [k - 1, (k * 7) % (k - 1)], "with": {}} for k in range(3, nodes)]
    return {
        "schema": 1, "family": "graphs", "dtype": "float32", "device": "cpu", "inputs": {"x": x}, "tangents": {"x": x},
        "cotangent": x, "graph": {"schema": 1, "nodes": listed, "outputs": [len(listed) - 1]},
    }  # fmt: skip


def synthetic(
    cases: int, seed: int = 0, *, failing: float = 0.004, modes: tuple[str, ...] = MODES
) -> Iterator[dict[str, Any]]:
    """A whole run: header, results of every status, an audit, the end."""
    draw = random.Random(seed)
    yield header()
    for _ in range(cases):
        name, dtype = f"{draw.getrandbits(64):016x}", draw.choice(("float64", "float32"))
        family, op = draw.choice(FAMILIES), draw.choice(OPS)
        for mode in modes:
            yield _drawn(draw, name, family, op, dtype, mode, failing)
    for mutation in ("sign", "scale", "transpose", "drop a term"):
        for dtype in ("float64", "float32"):
            caught = 98 if mutation != "transpose" else 95
            yield {
                "type": "audit",
                "mutation": mutation,
                "dtype": dtype,
                "planted": 100,
                "equivalent": 2,
                "caught": caught,
            }
    yield {"type": "end", "exit": 1 if failing else 0, "finished": "2026-11-21T05:02:00Z", "seconds": 63.2}


def _drawn(
    draw: random.Random, name: str, family: str, op: str, dtype: str, mode: str, failing: float
) -> dict[str, Any]:
    elements, ratio = draw.randint(1, 400), min(0.97, draw.lognormvariate(-2.6, 1.1))
    place = {"family": family, "dtype": dtype, "mode": mode}
    luck = draw.random()
    if luck < failing:
        guilty = draw.choice(("tanh", "svd", "gelu", HOSTILE))
        return wrong(name, guilty, draw.randint(3, 9), **place, elements=elements)
    if luck < 1.1 * failing:
        return result(
            name, **place, status="error", elements=0, worst=None, ops={}, sensitivity=None, case=case(op),
            reason=f"RuntimeError: {op} failed at 0x{draw.getrandbits(40):x}", message="Traceback (most recent call last):\n  ...",
        )  # fmt: skip
    if luck > 0.985:
        reason = draw.choice(
            ("blind bound", "kink", "non-finite", "nothing to compare (no differentiable elements)")
        )
        return result(
            name,
            **place,
            status="undecided",
            reason=reason,
            elements=0,
            worst=None,
            ops={op: [1, 0, 0.0]},
            sensitivity=None,
        )
    if luck > 0.975 and mode == "forward":
        return result(
            name, **place, status="unsupported", elements=0, worst=None, ops={op: [1, 0, 0.0]}, sensitivity=None,
            reason=f"no forward-mode formula for {op}",
        )  # fmt: skip
    other = draw.choice(OPS)
    worst = {
        "ratio": ratio,
        "ulp": ratio * 3,
        "got": 1.25,
        "expected": 1.5,
        "bound": 1e-7,
        "node": 3,
        "op": op,
        "element": [1],
    }
    return result(
        name, **place, elements=elements, loose=elements // 40, worst=worst, sensitivity=draw.lognormvariate(-15, 1),
        ops={op: [1, elements, ratio], other: [2, 3 * elements, ratio / 2]},
    )  # fmt: skip


def compressed_results(run: Run) -> bytes:
    """The results of a run as gzip."""
    out = io.BytesIO()
    compress_results(run, out)
    return out.getvalue()


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write lines (objects, or text as it stands) to a file and name it; the case of a result goes into a line of its own."""

    def write(lines: Any, name: str = "results.jsonl") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8") as file:
            for line in (part for given in lines for part in apart(given)):
                file.write(line if isinstance(line, str) else json.dumps(line, allow_nan=False) + "\n")
        return path

    return write


@pytest.fixture
def make() -> Any:
    """This module, for tests that build lines."""
    return sys.modules[__name__]


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", encoding="utf-8") as out:
        drawn = (part for line in synthetic(int(sys.argv[1])) for part in apart(line))
        out.writelines(json.dumps(line) + "\n" for line in drawn)
