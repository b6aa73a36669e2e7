"""Several seeds at once: each answer is compared with that of its own seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch.checking.batched import (  # noqa: E402
    BATCHED_FORWARD,
    BATCHED_REVERSE,
    BATCHED_REVERSE_OVER_REVERSE,
    MAPPED_REVERSE,
)
from refgrad.torch.checking.nested import verdicts  # noqa: E402
from refgrad.torch.checking.subject import Subject  # noqa: E402
from tests.torch_functions import BackwardOnly, Cube  # noqa: E402

X = torch.tensor(np.random.default_rng(0).standard_normal((4, 3)))
ALL = (BATCHED_REVERSE, BATCHED_FORWARD, BATCHED_REVERSE_OVER_REVERSE, MAPPED_REVERSE)


def judged(func, orders=ALL, reference=lambda x: x**3, x=X, dtype: str = "float64"):
    found = verdicts(Subject(func, reference, (x,), (0,), dtype), orders)
    return {v.mode: v for v in found}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_right_answers_for_several_seeds(dtype: str) -> None:
    found = judged(torch.func.vmap(Cube.apply), dtype=dtype)
    assert {mode: v.status for mode, v in found.items()} == {order.name: "agree" for order in ALL}
    assert found["batched reverse"].elements == found["batched forward"].elements == 3 * X.numel()
    assert found["batched reverse"].parts[0].what == "gradients of input 0"


@pytest.mark.parametrize("order", ALL)
def test_an_answer_to_other_seeds_is_caught(order) -> None:
    def evaluate(f, xs, many):
        return [replace(a, got=a.got.flip(0)) for a in order.evaluate(f, xs, many)]

    found = judged(torch.sin, (replace(order, evaluate=evaluate),), reference=np.sin)[order.name]
    assert found.status == "disagree"
    assert len(found.wrong[0].element) == 3  # which of the seeds, then the place in the input


def test_a_function_without_a_rule_for_vmap_is_refused_in_torchs_words() -> None:
    found = judged(BackwardOnly.apply)
    assert found["batched reverse"].status == "agree"  # its backward is made of torch's own operations
    assert found["batched forward"].status == "unsupported"
    assert "functorch" in found["batched forward"].reason


def test_a_backward_that_looks_at_its_numbers_is_refused_in_torchs_words() -> None:
    class Branching(BackwardOnly):
        @staticmethod
        def backward(ctx, y_bar):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * y_bar if y_bar.sum() > 0 else y_bar * x**2 * 3

    found = judged(Branching.apply, (BATCHED_REVERSE,))["batched reverse"]
    assert found.status == "unsupported"
    assert "Batching rule not implemented" in found.reason


class Spread(torch.autograd.Function):
    """x to the rows of an array, the backward of a sum of rows."""

    @staticmethod
    def forward(x, n):
        return x.expand(n, *x.shape).clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def vmap(info, in_dims, x, n):
        x = x.movedim(in_dims[0], 0)
        return x[:, None].expand(len(x), n, *x.shape[1:]).clone(), 0


class SpreadFromTheEnd(Spread):
    """Its rule for vmap takes the batch from the end."""

    @staticmethod
    def vmap(info, in_dims, x, n):
        return Spread.vmap(info, in_dims, x.flip(in_dims[0]), n)


def sum_of_rows(spread):
    class Rows(BackwardOnly):
        @staticmethod
        def forward(ctx, x):
            ctx.rows = len(x)
            return x.sum(0)

        @staticmethod
        def backward(ctx, y_bar):
            return spread.apply(y_bar, ctx.rows)

    return Rows.apply


def test_a_rule_for_vmap_is_asked() -> None:
    orders, reference = (BATCHED_REVERSE, MAPPED_REVERSE), lambda x: np.sum(x, 0)
    right = judged(sum_of_rows(Spread), orders, reference)
    assert [v.status for v in right.values()] == ["agree", "agree"]
    wrong = judged(sum_of_rows(SpreadFromTheEnd), orders, reference)
    assert wrong["vmap of reverse"].status == "disagree"
    assert wrong["batched reverse"].status == "agree", "torch's is_grads_batched does not ask for the rule"


def test_a_function_inside_of_a_backward_may_have_no_rule_for_vmap() -> None:
    class Without(Spread):
        vmap = torch.autograd.Function.vmap

    found = judged(sum_of_rows(Without), (MAPPED_REVERSE,), lambda x: np.sum(x, 0))["vmap of reverse"]
    assert found.status == "unsupported"
    assert "does not have vmap support" in found.reason


def test_several_outputs_and_inputs() -> None:
    def func(x, y):
        return x * y, torch.sin(x) + y

    y = torch.tensor(np.random.default_rng(1).standard_normal((4, 3)))
    subject = Subject(func, lambda x, y: (x * y, np.sin(x) + y), (X, y), (0, 1), "float64")
    found = verdicts(subject, ALL)
    assert [v.status for v in found] == ["agree"] * 4
    assert [p.what for p in found[0].parts] == ["gradients of input 0", "gradients of input 1"]
    assert [p.what for p in found[1].parts] == ["tangents of output 0", "tangents of output 1"]
