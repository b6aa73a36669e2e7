"""Constants among the operands of a call: how many there are, that nothing else changes, and that a backward wrong for them is seen."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from conformance.families import family
from conformance.families.fixed import partly_constant
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Recorded, Replayed, Seeded
from tests.whole_runs import conformance

KERNELS = """
import torch

class Multiply(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a, b):
        return a * b

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, y_bar):
        a, b = ctx.saved_tensors
        first, second = ctx.needs_input_grad
        return y_bar * b if first else None, y_bar * a if second else None

    @staticmethod
    def jvp(ctx, a_dot, b_dot):
        a, b = ctx.saved_tensors
        return a_dot * b + a * b_dot


class Wrong(Multiply):
    @staticmethod
    def backward(ctx, y_bar):
        a_bar, b_bar = Multiply.backward(ctx, y_bar)
        return a_bar, b_bar if a_bar is not None or b_bar is None else 1.5 * b_bar


def right(a, b):
    return Multiply.apply(*torch.broadcast_tensors(a, b))


def wrong(a, b):
    return Wrong.apply(*torch.broadcast_tensors(a, b))
"""


def drawn(op: str, seed: int) -> tuple[Case, Case]:
    """A case of an op, and what became of it."""
    draw = family("ops", (op,))
    return draw(Seeded((seed,)), "float32"), partly_constant(draw)(Seeded((seed,)), "float32")


def test_a_share_of_cases_has_constants_and_is_the_same_elsewhere() -> None:
    changed = 0
    for seed in range(200):
        plain, case = drawn("where", seed)
        if case.id != plain.id:
            changed += 1
            (name,) = case.inputs  # of two operands and a condition
            assert case.graph.inputs.keys() == case.tangents.keys() == {name}
            assert np.array_equal(case.inputs[name], plain.inputs[name])
            (constant,) = plain.inputs.keys() - {name}
            k = plain.graph.inputs[constant]
            assert np.array_equal(case.graph.nodes[k].value, plain.inputs[constant])
            assert set(case.layouts) <= {name}
            assert Case.from_json(case.to_json()).id == case.id
    assert 10 <= changed <= 45


def test_one_operand_and_what_is_not_finite_stay() -> None:
    assert all(plain.id == case.id for plain, case in (drawn("tanh", seed) for seed in range(100)))
    for seed in range(200):
        plain, case = drawn("multiply", seed)
        if not all(np.isfinite(x).all() for x in plain.inputs.values()):
            assert plain.id == case.id


def test_a_case_with_constants_becomes_one_without_by_one_choice() -> None:
    draw = partly_constant(family("ops", ("multiply",)))
    for seed in range(200):
        source = Recorded((seed,))
        if len(draw(source, "float32").inputs) == 1:
            made = [*source.made[:-3], 0, *source.made[-2:]]
            assert len(draw(Replayed(made, (seed,)), "float32").inputs) == 2
            return
    pytest.fail("no case had a constant")


@pytest.mark.parametrize(("kernel", "code"), [("right", 0), ("wrong", 1)])
def test_a_backward_that_is_wrong_where_one_gradient_is_needed_is_seen(
    kernel: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "partial_kernels.py").write_text(KERNELS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    scope = ["--family", "ops", "--examples", "40", "--dtype", "float32", "--workers", "0"]
    try:
        done = conformance(tmp_path / "out", "--replace", f"multiply=partial_kernels:{kernel}", *scope)
    finally:
        sys.modules.pop("partial_kernels", None)
    assert done.code == code, done.stdout + done.stderr
