"""A mode of the processor that code under test leaves behind does not reach the reference."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from conformance.families import FAMILIES  # noqa: E402
from refgrad import backends  # noqa: E402
from refgrad.bounds.formats import FORMATS  # noqa: E402
from refgrad.graph import Graph  # noqa: E402
from refgrad.testing import judge  # noqa: E402
from refgrad.testing.cases.case import Case  # noqa: E402
from refgrad.testing.cases.source import Seeded  # noqa: E402
from refgrad.testing.judging.observation import Observation  # noqa: E402
from refgrad.torch import gradcheck, gradgradcheck  # noqa: E402
from refgrad.torch.processor import keep_subnormals  # noqa: E402
from refgrad.torch.program import as_array  # noqa: E402

LEAST = sys.float_info.min


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot take subnormal numbers as zero")
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)


def test_the_mode_is_ended() -> None:
    torch.set_flush_denormal(True)
    assert LEAST / 2 == 0
    keep_subnormals()
    assert LEAST / 2 > 0


def test_an_answer_keeps_its_subnormal_numbers() -> None:
    x = torch.tensor([FORMATS["float32"].least_normal / 4])
    torch.set_flush_denormal(True)
    assert as_array(x)[0] == FORMATS["float32"].least_normal / 4


def flushing(x: torch.Tensor) -> torch.Tensor:
    torch.set_flush_denormal(True)
    return x * 0.5


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_a_check_ends_the_mode_that_its_func_sets(check: Callable[..., Any]) -> None:
    given = torch.tensor([1.0, 3.0], requires_grad=True)
    found = check(lambda x: flushing(x) * x, (given,), reference=lambda x: x * x * 0.5, dtypes=("float32",))
    assert found.status == "agree"
    assert LEAST / 2 > 0


def test_a_case_that_sets_it_is_judged_by_a_reference_with_subnormal_numbers(
    plant: Callable[..., None],
) -> None:
    plant("multiply", torch=lambda _, x1, x2: flushing(x1) * 2 * x2)
    graph = Graph.record(lambda x: x * 2.0, np.ones(2, np.float32))
    x = {"x": np.array([1e-39, 1.0], np.float32)}  # which the conversion to float64 would lose, too
    case = Case("ops", graph, x, {"x": np.ones(2, np.float32)}, np.ones(2, np.float32), "float32")
    value, *_ = judge(case, backends.load("torch").judged(case))
    assert value.status == "disagree"


def test_what_a_kernel_sets_by_seterr_is_not_left_behind() -> None:
    class Setting(type(backends.load("torch"))):  # type: ignore[misc]  # the class of the backend is found by name
        def observe(self, case: Case) -> Observation:
            np.seterr(all="raise")
            return super().observe(case)

    before = np.geterr()
    Setting().judged(FAMILIES["matmul"](Seeded(1), "float32"))
    assert np.geterr() == before
