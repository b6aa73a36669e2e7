"""torch.compile as a backend: what agrees, what the compiler refuses, what raises, and what a wrong function gives."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from conformance.families import family
from refgrad import backends
from refgrad.backends import Backend
from refgrad.bounds.profiles import CPU
from refgrad.errors import ArgumentError
from refgrad.modes import FORWARD_END_TO_END, REVERSE_END_TO_END, VALUE
from refgrad.testing.cases.source import Seeded
from refgrad.testing.deviations.file import all_of
from refgrad.testing.runs.item import examine
from refgrad.torch.compiled import CompiledTorch, _Compiled, inductor
from tests.recorded import CONFORMANCE
from tests.whole_runs import conformance

MODULE = "functions_to_compile"
LIBRARY = """
import torch


def wrong(x):
    return torch.tanh(x) * 1.001


def branching(x):
    return torch.tanh(x) if x.sum() > 0 else torch.tanh(x)


def failing(x):
    raise ValueError("no such kernel")
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module of functions."""
    (tmp_path / f"{MODULE}.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield MODULE
    sys.modules.pop(MODULE, None)
    backends.registry.load.cache_clear()


def statuses(backend: Backend, name: str, count: int, op: str = "") -> Counter[tuple[str, str]]:
    """How often each mode had each status, or was a recorded disagreement, over cases of a family."""
    entries = all_of(CONFORMANCE / "deviations.toml", (), backend.name)
    cases = [family(name, (op,) if op else ())(Seeded((1, k)), "float32") for k in range(count)]
    verdicts = [v for case in cases for v in examine(case, backend.judged, entries)]
    return Counter((v.mode, "known" if v.known else v.status) for v in verdicts)


def test_each_compiler_is_a_backend_of_its_own() -> None:
    found = backends.load("torch-compile-aot_eager")
    assert isinstance(found, CompiledTorch)
    assert found.name == found.address == "torch-compile-aot_eager"
    assert found.profile("cpu").fused
    assert found.profile("cpu").ulp == CPU.ulp
    assert found.time_limit > backends.load("torch").time_limit
    assert found.environment()["compiled"].startswith("torch.compile(backend='aot_eager', fullgraph=True")
    assert backends.installed(found.name)[0] == backends.installed("torch")[0]


@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
def test_graphs_agree_from_end_to_end(compiler: str) -> None:
    found = statuses(backends.load(f"torch-compile-{compiler}"), "graphs", 3)
    assert {mode for mode, _ in found} == {VALUE, REVERSE_END_TO_END, FORWARD_END_TO_END}
    assert not [key for key in found if key[1] in ("disagree", "error")]
    assert found[VALUE, "agree"] >= 2
    assert found[REVERSE_END_TO_END, "agree"] >= 1
    assert found[FORWARD_END_TO_END, "agree"] >= 1


def test_what_has_no_backward_has_a_value() -> None:
    found = statuses(backends.load("torch-compile-aot_eager"), "ops", 2, "heaviside")
    assert found[VALUE, "agree"] == 2
    assert found[REVERSE_END_TO_END, "unsupported"] == 2


def test_a_wrong_function_is_found_in_every_mode(library: str) -> None:
    found = statuses(backends.load(f"torch-compile-eager?replace=tanh={library}:wrong"), "ops", 4, "tanh")
    for mode in (VALUE, REVERSE_END_TO_END, FORWARD_END_TO_END):
        assert found[mode, "disagree"] >= 2, found


def test_what_the_compiler_does_not_trace_is_unsupported_in_its_words(library: str) -> None:
    backend = backends.load(f"torch-compile-eager?replace=tanh={library}:branching")
    [v] = examine(family("ops", ("tanh",))(Seeded((1, 2)), "float32"), backend.judged)
    assert (v.mode, v.status) == (VALUE, "unsupported")
    assert v.reason.startswith("Unsupported: Data-dependent branching")


def test_what_raises_is_an_error_in_its_words(library: str) -> None:
    backend = backends.load(f"torch-compile-eager?replace=tanh={library}:failing")
    [v] = examine(family("ops", ("tanh",))(Seeded((1, 2)), "float32"), backend.judged)
    assert (v.mode, v.status, v.reason) == (VALUE, "error", "ValueError: no such kernel")


def test_without_a_compiler_of_cpp_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cpp_builder, exc

    def none() -> str:
        raise exc.InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(
        ArgumentError,
        match=r"needs a C\+\+ compiler: install g\+\+, or name another one in the environment variable CXX",
    ):
        inductor()


@pytest.mark.long
def test_a_run_says_how_it_was_compiled(tmp_path: Path) -> None:
    found = conformance(
        tmp_path / "out",
        "--compile",
        "eager",
        "--family",
        "matmul",
        "--dtype",
        "float32",
        "--examples",
        "2",
        "--workers",
        "0",
    )
    [header] = found.lines("run")
    assert header["backend"] == header["address"] == "torch-compile-eager"
    assert header["environment"]["torch-compile-eager"] == torch.__version__
    assert "compiled" in header["environment"]
    assert (
        {*header["modes"]}
        == {r["mode"] for r in found.lines("result")}
        == {VALUE, REVERSE_END_TO_END, FORWARD_END_TO_END}
    )
    assert found.code in (0, 3), found.printed


def test_a_level_of_forward_mode_that_was_left_open_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception that left it open is the case's own. Later ones find forward mode as it was."""
    backend = backends.load("torch-compile-eager")
    case = family("ops", ("tanh",))(Seeded((1, 0)), "float32")
    made = _Compiled.compiled

    def leaving(self: _Compiled, function: Any) -> Any:
        def call(*given: Any) -> Any:
            if len(given) == 2 and isinstance(given[0], tuple):
                torch.autograd.forward_ad.enter_dual_level()
                torch.autograd.forward_ad._current_level = -1  # of Python alone, as the compiler leaves it
                raise RuntimeError("of the compiler")
            return made(self, function)(*given)

        return call

    monkeypatch.setattr(_Compiled, "compiled", leaving)
    [found] = [v for v in examine(case, backend.judged) if v.mode == FORWARD_END_TO_END]
    assert (found.status, found.reason) == ("error", "RuntimeError: of the compiler")
    with torch.autograd.forward_ad.dual_level():
        pass
