"""Longer operands of single ops: which axes are long, what stays, and that wrong kernels of long operands are seen."""

from __future__ import annotations

import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from conformance.families import FAMILIES, MANY, MOST_LARGE, SINGLE, family, large
from conformance.families.lengthened import LONG, long_arrays, long_axis
from refgrad.op import REGISTRY
from refgrad.testing.cases.case import EXPANDED, Case
from refgrad.testing.cases.sequence import CaseSequence
from refgrad.testing.cases.source import Recorded, Replayed, Seeded
from refgrad.testing.runs.item import examine
from refgrad.torch.backend import TorchBackend
from tests.whole_runs import conformance

COLUMNS = np.ones((2, 3))


class Last:
    """The last option of every choice, so that everything rare is drawn."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def integer(self, _low: int, high: int) -> int:
        return high

    def choice(self, options):
        return options[-1]


def cases(name: str, count: int, dtype: str = "float32") -> list[Case]:
    return [family("ops", (name,))(Seeded((seed,)), dtype) for seed in range(count)]


def test_most_cases_are_not_longer() -> None:
    source = Seeded(1)
    many = [long_arrays(source, [np.ones(5)]) for _ in range(2000)]
    assert 5 <= sum(x is not None for x in many) <= 40
    some = [long_axis(source, REGISTRY["sum"], [COLUMNS], {"axis": 1}) for _ in range(400)]
    assert 25 <= sum(x is not None for x in some) <= 80


def test_operands_of_elementwise_ops_are_repeated_along_an_axis_that_they_have() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.array([[10.0], [20.0]])
    x, y = long_arrays(Last(), [a, b])
    assert y is b
    assert x.shape[0] == 2
    assert LONG <= x.size < LONG + 2
    assert x.size > 32_768
    np.testing.assert_array_equal(x[:, :6], np.tile(a, 2))
    assert long_arrays(Last(), [np.array(1.0)]) is None
    assert long_arrays(Last(), [np.ones((0, 3))]) is None


def test_an_axis_is_long_where_the_op_takes_it() -> None:
    (x,) = long_axis(Last(), REGISTRY["softmax"], [COLUMNS], {"axis": 1})
    assert sorted(x.shape) == [2, 512]
    assert np.unique(x).size > 500  # numbers of their own, not repeated
    where, a, b = long_axis(Last(), REGISTRY["where"], [np.array([True, False]), np.ones(2), np.ones(())], {})
    assert (where.shape, a.shape, b.shape) == ((512,), (512,), ())
    assert np.array_equal(where[:4], [True, False, True, False])
    assert long_axis(Last(), REGISTRY["sum"], [np.array(1.0)], {"axis": None}) is None
    assert long_axis(Last(), REGISTRY["reshape"], [COLUMNS], {"shape": (3, 2)}) is None


def test_the_axes_of_a_factorised_matrix_stay() -> None:
    square = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert long_axis(Last(), REGISTRY["cholesky"], [square], {}) is None
    (stack,) = long_axis(Last(), REGISTRY["cholesky"], [square[None]], {})
    assert stack.shape == (512, 2, 2)
    assert np.array_equal(stack[7], square)


def test_a_longer_case_becomes_the_short_one_by_one_choice() -> None:
    draw = family("ops", ("sum",))
    for seed in range(200):
        source = Recorded((seed,))
        if _longest(draw(source, "float32")) >= 64:
            changed = [[*source.made[:k], 0, *source.made[k + 1 :]] for k in range(len(source.made))]
            assert any(_longest(draw(Replayed(made, (seed,)), "float32")) < 64 for made in changed[4:])
            return
    pytest.fail("no case had a long axis")


def _longest(case: Case) -> int:
    return max((n for x in case.inputs.values() for n in x.shape), default=0)


@pytest.mark.parametrize("name", ["softmax", "logsumexp", "sum", "norm", "cumsum", "max", "where"])
def test_a_default_number_of_cases_has_long_axes(name: str) -> None:
    sizes = Counter(n for case in cases(name, 200) for n in (16, 64, 256) if _longest(case) > n)
    assert min(sizes[n] for n in (16, 64, 256)) >= 3, sizes


def test_a_share_has_arrays_of_tens_of_thousands() -> None:
    assert 1 <= sum(case.inputs["a"].size >= LONG for case in cases("tanh", 500)) <= 12


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_second_derivatives_along_long_axes_are_asked_for(dtype: str) -> None:
    assert {case.order for case in cases("softmax", 60, dtype) if _longest(case) >= 64} == {2}


def test_a_share_of_cotangents_is_one_number_in_memory() -> None:
    for name in ("tanh", "nn.softplus"):
        drawn = [family(SINGLE[name], (name,))(Seeded((seed,)), "float32") for seed in range(300)]
        expanded = [case.cotangent for case in drawn if case.cotangent_layout == EXPANDED]
        assert 4 <= len(expanded) <= 40
        assert all(np.all(x == x.flat[0]) and x.size > 1 for x in expanded)


def _beyond(function, size: int):
    """The function, whose last gradient is wrong for more elements than ``size``."""

    class Tail(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.clone()

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(_, y_bar):
            wrong = torch.ones_like(y_bar)
            wrong[..., -1] = 1.5
            return wrong * y_bar

        @staticmethod
        def jvp(_, x_dot):
            return x_dot.clone()

    return lambda x, *args, **kwargs: (Tail.apply if x.numel() > size else torch.clone)(
        function(x, *args, **kwargs)
    )


@pytest.mark.parametrize(("name", "size"), [("softmax", 256), ("tanh", 32_768)])
def test_a_kernel_that_is_wrong_for_long_operands_is_seen(name: str, size: int) -> None:
    backend = TorchBackend()
    wrong_torch = types.ModuleType("torch")
    wrong_torch.__dict__.update({**vars(torch), name: _beyond(getattr(torch, name), size)})
    backend.namespaces = {name: wrong_torch}
    wrong = 0
    for case in cases(name, 300):
        if max(x.size for x in case.inputs.values()) > size:
            wrong += any(v.failed for v in examine(case, backend.observe))
    assert wrong >= 1


def first_cases(ops: tuple[str, ...], dtype: str = "float32") -> list[Case]:
    name = SINGLE[ops[0]]
    wanted = large(name, ops, dtype)
    sequence = CaseSequence(family(name, ops), name, dtype, "cpu", 0, wanted)
    return [sequence.case(k + 1) for k in range(len(wanted))]


@pytest.mark.parametrize(("name", "least"), [("tanh", LONG), ("softmax", MANY), ("nn.softplus", MANY)])
def test_an_op_that_is_asked_for_has_a_large_case_for_certain(name: str, least: int) -> None:
    for dtype in ("float32", "float16"):
        (case,) = first_cases((name,), dtype)
        (x,) = case.inputs.values()
        assert x.size >= least
        assert np.unique(x).size >= 8


def test_each_of_a_few_ops_has_a_large_case_in_the_formats_that_it_has() -> None:
    cases = first_cases(("tanh", "multiply", "det"))
    assert [case.graph.nodes[-1].op.name for case in cases] == ["det", "multiply", "tanh"]
    assert len(first_cases(("tanh", "multiply", "det"), "bfloat16")) == 2
    assert len(large("ops", [op for op, name in SINGLE.items() if name == "ops"], "float32")) == MOST_LARGE
    assert large("ops", (), "float32") == large("functions", ("tanh",), "float32") == []


TAIL = """
import torch

def tanh(x):
    y = torch.tanh(x)
    return y + 0.125 * (y - y.detach()) if x.numel() > 32_768 else y
"""


def test_three_cases_show_a_kernel_that_is_wrong_beyond_what_one_thread_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tail_kernels.py").write_text(TAIL, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    scope = ["--family", "ops", "--examples", "3", "--dtype", "float32", "--workers", "0"]
    done = conformance(tmp_path / "out", "--replace", "tanh=tail_kernels:tanh", *scope)
    assert done.code == 1, done.stdout + done.stderr
    assert any(line["status"] == "disagree" and line["mode"] == "reverse" for line in done.lines("result"))


def test_graphs_are_not_lengthened() -> None:
    assert all(
        x.size <= 4096
        for seed in range(50)
        for x in FAMILIES["graphs"](Seeded(seed), "float32").inputs.values()
    )
