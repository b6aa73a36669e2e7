"""Whatever a kernel raises, and in whichever mode, the op it belongs to is named, and the other modes are judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import CaseTimeout  # noqa: E402
from refgrad.graph import Graph, Node  # noqa: E402
from refgrad.modes import (  # noqa: E402
    FUNCTIONAL_FORWARD,
    FUNCTIONAL_REVERSE,
    RECORDED_REVERSE,
    REPEATED_REVERSE,
    REVERSE_OVER_REVERSE,
)
from refgrad.testing import Case, judge  # noqa: E402
from refgrad.torch.observe import observe  # noqa: E402
from refgrad.torch.program import Program  # noqa: E402

CLASSES = (RuntimeError, IndexError, TypeError, AssertionError, KeyError, ZeroDivisionError, MemoryError)
ACCELERATOR = getattr(torch, "AcceleratorError", None)


class Broken(torch.autograd.Function):
    """tanh whose backward raises what it is told to."""

    error: Any = RuntimeError

    @staticmethod
    def forward(x: Any) -> Any:
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        raise Broken.error("an illegal memory access was encountered")

    @staticmethod
    def jvp(ctx: Any, x_dot: Any) -> Any:
        (y,) = ctx.saved_tensors
        return x_dot * (1 - y * y)


def with_twin(graph: Graph, name: str, twin: Any) -> Graph:
    """The graph with another function of torch behind one of its ops."""
    for k, node in enumerate(graph.nodes):
        if node.op is not None and node.op.name == name:
            graph.nodes[k] = Node(op=dataclasses.replace(node.op, torch=twin), of=node.of, params=node.params)
    return graph


def network(twin: Any, dtype: str = "float64") -> Case:
    """A hidden layer with two uses of a value: nodes x, w, matmul, tanh, exp, multiply, ..., mean."""
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((3, 4)).astype(dtype), rng.standard_normal((4, 2)).astype(dtype)

    def program(x: Any, w: Any) -> Any:
        h = np.tanh(x @ w)
        return np.mean(np.exp(h) * h + np.sin(x @ w))

    graph = with_twin(Graph.record(program, x, w), "tanh", twin)
    return Case("mlp", graph, {"x": x, "w": w}, {"x": x, "w": w}, np.asarray(1.25, dtype), dtype)


@pytest.mark.parametrize("error", CLASSES)
def test_a_backward_that_raises_in_a_network_is_named(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "error", error)
    case = network(lambda torch, x: Broken.apply(x))
    found = {v.mode: v for v in judge(case, observe(case))}
    for mode in ("reverse", "reverse end to end"):
        v = found.pop(mode)
        assert v.status == "error"
        assert v.failed
        assert v.first_wrong is not None
        assert v.first_wrong[1] == "tanh"
        assert error.__name__ in v.reason
    assert {v.status for v in found.values()} <= {"agree", "imprecise"}  # torch's slope of tanh loses digits


class Odd(BaseException):
    """Of a framework that derives from the wrong class."""


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, Odd, pytest.skip.Exception])
def test_a_kernel_that_would_end_the_process_is_named(error: Any) -> None:
    def twin(torch: Any, x: Any) -> Any:
        if torch.autograd.forward_ad._current_level >= 0:
            raise error("that is all")
        return torch.tanh(x)

    case = dataclasses.replace(network(twin), order=2)
    found = {v.mode: v for v in judge(case, observe(case))}
    assert found["forward"].status == "error"
    assert found["forward"].first_wrong == (3, "tanh")
    assert found[FUNCTIONAL_FORWARD].status == "error"
    assert found["reverse"].status in ("agree", "imprecise")


@pytest.mark.parametrize("error", [KeyboardInterrupt, CaseTimeout])
def test_what_comes_from_outside_is_no_answer(error: Any) -> None:
    def twin(torch: Any, x: Any) -> Any:
        raise error

    with pytest.raises(error):
        observe(network(twin))


@pytest.mark.skipif(ACCELERATOR is None, reason="this torch has no class of its own for a device's errors")
def test_a_device_s_own_exception_is_one_too() -> None:
    def twin(torch: Any, x: Any) -> Any:
        raise ACCELERATOR("CUDA error: an illegal memory access was encountered")

    case = network(twin)
    (v,) = judge(case, observe(case))
    assert (v.mode, v.status) == ("value", "error")
    assert v.first_wrong == (3, "tanh")


def test_a_forward_that_raises_in_forward_mode_alone_is_named() -> None:
    def twin(torch: Any, x: Any) -> Any:
        if torch.autograd.forward_ad._current_level >= 0:
            raise IndexError("out of reach")
        return torch.tanh(x)

    case = network(twin)
    found = {v.mode: v for v in judge(case, observe(case))}
    assert {mode for mode, v in found.items() if v.status == "error"} == {"forward", "forward end to end"}
    assert found["forward"].first_wrong == (3, "tanh")
    assert found["reverse"].status in ("agree", "imprecise")


def test_gradients_that_do_not_fit_each_other_name_the_op_that_sent_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broken backward may return another shape or device. The sum with what the other users send raises then."""
    from refgrad.torch import raising_node as module

    program = Program(network(lambda torch, x: torch.tanh(x)), torch.device("cpu"), torch.float64)
    program.run(program.leaves)
    program.at = -1
    monkeypatch.setattr(
        module, "_sent", lambda program, k, *_: [(j, torch.zeros(k + 2)) for j in program.graph.nodes[k].of]
    )
    found = module.raising_node(program)
    assert found >= 0
    assert program.graph.nodes[found].op is not None


def test_what_no_single_op_raises_names_none() -> None:
    calls = []

    class Second(Broken):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            calls.append(1)
            if len(calls) == 1:
                raise RuntimeError("once")
            (y,) = ctx.saved_tensors
            return g * (1 - y * y)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(output)
            ctx.save_for_forward(output)

    case = network(lambda torch, x: Second.apply(x))
    v = next(v for v in judge(case, observe(case)) if v.mode == "reverse")
    assert (v.status, v.first_wrong) == ("error", None)
    assert "no single op raises it" in v.message


def single(twin: Any) -> Case:
    x = np.array([0.3, -1.2, 2.0])
    graph = with_twin(Graph.record(np.tanh, x), "tanh", twin)
    return Case("ops", graph, {"x": x}, {"x": x}, np.array([1.0, 0.5, -2.0]), "float64", order=2)


@pytest.mark.parametrize("error", [IndexError, TypeError, AssertionError])
def test_one_way_of_asking_that_raises_leaves_the_others(error: Any) -> None:
    def twin(torch: Any, x: Any) -> Any:
        if torch._C._functorch.peek_interpreter_stack() is not None:
            raise error("under a transform")
        return torch.tanh(x)

    case = single(twin)
    found = {v.mode: v for v in judge(case, observe(case))}
    broken = {mode for mode, v in found.items() if v.status == "error"}
    assert broken == {FUNCTIONAL_REVERSE, FUNCTIONAL_FORWARD, "forward over reverse", "reverse over forward"}
    assert {found[mode].first_wrong for mode in broken} == {(1, "tanh")}
    assert {
        found[m].status
        for m in ("value", "reverse", "forward", RECORDED_REVERSE, REVERSE_OVER_REVERSE, REPEATED_REVERSE)
    } <= {"agree", "imprecise"}


def test_a_second_run_that_raises_is_an_error_of_the_second_run() -> None:
    runs = []

    def twin(torch: Any, x: Any) -> Any:
        runs.append(1)
        if len(runs) == fails:
            raise RuntimeError("the second time")
        return torch.tanh(x)

    fails = 0
    case = single(twin)
    observe(case)
    fails, runs[:] = len(runs), []
    found = {v.mode: v for v in judge(case, observe(case))}
    assert {mode for mode, v in found.items() if v.status == "error"} == {REPEATED_REVERSE}
    assert "the second time" in found[REPEATED_REVERSE].reason
