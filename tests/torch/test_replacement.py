"""A library's function in the place of torch's: how it is called, what is judged of it, and what cannot be replaced."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from conformance.families import NAMES, family
from refgrad import backends
from refgrad.cli import _parser
from refgrad.errors import ArgumentError
from refgrad.op import REGISTRY
from refgrad.suite.scope import scope
from refgrad.testing.cases.source import Seeded
from refgrad.testing.runs.item import examine
from refgrad.torch.backend import TorchBackend
from refgrad.torch.observe import observe
from refgrad.torch.replacement import counterpart, replacements
from tests.whole_runs import conformance

MODULE = "functions_of_a_library"
LIBRARY = """
import torch


class Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dim):
        y = torch.softmax(x, dim)
        ctx.save_for_backward(y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx, y_bar):
        (y,) = ctx.saved_tensors
        return y * (y_bar - (y * y_bar).sum(ctx.dim, keepdim=True)), None


class Wrong(Softmax):
    @staticmethod
    def backward(ctx, y_bar):
        (y,) = ctx.saved_tensors
        return y * (y_bar - (y * y_bar).mean(ctx.dim, keepdim=True)), None


class FromMemory(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        row_by_row = x.contiguous().stride()
        return torch.cos(x) * y_bar.as_strided(y_bar.shape, row_by_row, y_bar.storage_offset())


class OfALinearFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return -x

    @staticmethod
    def backward(ctx, y_bar):
        return -y_bar.detach()


def from_memory(x):
    return FromMemory.apply(x)


def of_a_linear_function(x):
    return OfALinearFunction.apply(x)


def softmax(x, dim):
    return Softmax.apply(x, dim)


def wrong(x, dim):
    return Wrong.apply(x, dim)


def composed(x, dim):
    return torch.exp(torch.log_softmax(x, dim))


def by_axis(x, axis):
    return torch.softmax(x, axis)


def alone(x):
    return x


def slogdet(a):
    return torch.linalg.slogdet(a)


number = 3
"""


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of Python, with a module of functions."""
    (tmp_path / f"{MODULE}.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop(MODULE, None)
    backends.registry.load.cache_clear()


def replaced(function: str, op: str = "softmax") -> TorchBackend:
    found = backends.load(f"torch?replace={op}={MODULE}:{function}")
    assert isinstance(found, TorchBackend)
    return found


def statuses(
    backend: TorchBackend, op: str, count: int = 30, dtype: str = "float32"
) -> Counter[tuple[str, str]]:
    """How often each mode had each status, over cases of one op."""
    cases = [family("ops", (op,))(Seeded((k,)), dtype) for k in range(count)]
    return Counter((v.mode, v.status) for case in cases for v in examine(case, backend.judged))


def test_every_op_that_is_drawn_has_one_counterpart() -> None:
    found = {name: counterpart(REGISTRY[name])[0] for name in NAMES}
    # A view of several strides, which no function gives.
    assert {name for name, path in found.items() if not path} == {"windows"}
    assert {name: found[name] for name in ("softmax", "cross_entropy", "solve", "max", "var", "gelu_tanh", "softplus", "divide")} == {
        "softmax": "softmax", "cross_entropy": "nn.functional.cross_entropy", "solve": "linalg.solve", "max": "amax", "var": "var",
        "gelu_tanh": "nn.functional.gelu", "softplus": "nn.functional.softplus", "divide": "div",
    }  # fmt: skip


def test_the_function_is_called_and_torch_stays_as_it_is() -> None:
    import functions_of_a_library as library

    backend, calls = replaced("composed"), []

    one = backend.replacements["softmax"]
    assert (one.function, one.path) == (library.composed, "softmax")
    assert one.namespace.softmax is library.composed
    assert one.namespace.tanh is torch.tanh
    assert torch.softmax is not library.composed
    other = one.calling(lambda *args: calls.append(args) or torch.softmax(*args))
    case = family("ops", ("softmax",))(Seeded((3,)), "float32")
    observe(case, {"softmax": other})
    assert calls


def test_a_backward_that_takes_the_cotangent_for_contiguous_is_wrong() -> None:
    found = statuses(replaced("from_memory", "sin"), "sin", 60)
    assert found["reverse", "disagree"] > 10
    assert found["reverse", "agree"] > 10
    assert not found["value", "disagree"]


def test_a_backward_that_loses_the_derivative_in_its_cotangent_is_wrong() -> None:
    found = statuses(replaced("of_a_linear_function", "negative"), "negative")
    assert found["transposed reverse", "disagree"] > 10
    assert {mode for mode, status in found if status == "disagree"} == {"transposed reverse"}


def test_a_right_function_agrees_in_every_mode_that_it_has() -> None:
    found = statuses(replaced("softmax"), "softmax")
    assert not [key for key in found if key[1] in ("disagree", "error")]
    assert found["value", "agree"] > 10
    assert found["reverse", "agree"] > 10
    assert found["forward", "unsupported"] > 10  # the Function has no jvp
    assert ("forward", "agree") not in found
    assert statuses(replaced("composed"), "softmax")["forward", "agree"] > 10


def test_a_wrong_function_is_found_in_half_formats_too() -> None:
    for dtype in ("float32", "bfloat16"):
        found = statuses(replaced("wrong"), "softmax", dtype=dtype)
        assert found["reverse", "disagree"] > 10
        assert not found["value", "disagree"]


def test_a_pair_is_returned_as_torch_returns_it() -> None:
    found = statuses(replaced("slogdet", "logabsdet"), "logabsdet", 10)
    assert found["value", "agree"] > 3


def test_a_script_calls_the_function_by_its_name(library: Path) -> None:
    backend = replaced("wrong")
    cases = (family("ops", ("softmax",))(Seeded((k,)), "float32") for k in range(30))
    case, v = next((c, v) for c in cases for v in examine(c, backend.judged) if v.status == "disagree")
    text = backend.script(case, v)
    assert f"from {MODULE} import wrong" in text
    assert "wrong(a, " in text
    (library / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=library, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "WRONG" in done.stdout) == (1, True), done.stderr


@pytest.mark.parametrize(("text", "words"), [
    ("softmax", "OP=MODULE:FUNCTION is expected"),
    ("softmax=functions_of_a_library", "OP=MODULE:FUNCTION is expected"),
    ("softmx=functions_of_a_library:softmax", "'softmx' is no op with a counterpart in torch; did you mean softmax"),
    ("astype=functions_of_a_library:alone", "torch computes astype by a method or an operator of tensors"),
    ("softmax=nowhere_at_all:f", "there is no module 'nowhere_at_all'"),
    ("softmax=functions_of_a_library:nothing", "has no 'nothing'"),
    ("softmax=functions_of_a_library:number", "a function is expected, got int"),
    ("softmax=functions_of_a_library:alone", "it is called as torch.softmax is, for example softmax(<tensor ("),
])  # fmt: skip
def test_what_cannot_be_replaced_is_said_before_the_run(text: str, words: str) -> None:
    with pytest.raises(ArgumentError) as found:
        replacements([text])
    assert words in str(found.value)


def test_an_op_that_is_not_replaced_is_no_part_of_the_run() -> None:
    """Its cases have no replaced op in them, so that none would be judged."""
    asked = ["--op", "tanh", "--op", "softmax", "--replace", f"softmax={MODULE}:softmax", "--examples", "1"]
    with pytest.raises(
        ArgumentError, match="--op tanh: the run judges the ops that --replace names, softmax"
    ):
        scope(_parser().parse_args(["conformance", *asked]), replaced("softmax"))


def test_an_op_has_one_replacement() -> None:
    with pytest.raises(
        ArgumentError,
        match=r"softmax by functions_of_a_library:wrong in place of torch\.softmax was given before",
    ):
        replacements([f"softmax={MODULE}:wrong", f"softmax={MODULE}:softmax"])


def test_arguments_by_position_may_have_other_names() -> None:
    assert replacements([f"softmax={MODULE}:by_axis"])["softmax"].name == "by_axis"


@pytest.mark.long
def test_a_run_judges_the_families_that_call_it(tmp_path: Path) -> None:
    found = conformance(
        tmp_path / "out",
        "--replace",
        f"softmax={MODULE}:wrong",
        "--dtype",
        "float32",
        "--examples",
        "6",
        "--workers",
        "0",
    )
    [header] = found.lines("run")
    assert found.code == 1
    assert (header["families"], header["ops"]) == (["graphs", "softmax", "ops"], ["softmax"])
    assert header["address"] == f"torch?replace=softmax={MODULE}:wrong"
    assert (
        header["environment"]["replaced functions"] == f"softmax by {MODULE}:wrong in place of torch.softmax"
    )
    wrong = [r for r in found.lines("result") if r["status"] == "disagree"]
    assert {r["first_wrong"]["op"] for r in wrong if r["mode"] == "reverse"} == {"softmax"}
    assert "first wrong at softmax" in found.printed
