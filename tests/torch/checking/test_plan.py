"""The plan: each kind of question once."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.testing.checks.seeds import DRAWS, EQUAL_FIRST, EQUAL_LAST, EQUAL_SECOND, WHOLE  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking.plan import MOST_SUBSETS, forward, reverse, subsets  # noqa: E402

X, W, Y = torch.zeros(2, 3, 4, 4), torch.zeros(3, 1, 1), torch.zeros(2, 3, 4, 4)
OPTIONS = {"repeats": 3, "fast": False, "undefined": True}


def test_an_ordinary_question_comes_first_and_alone_where_it_is_to_be_fast() -> None:
    (only,) = reverse((X, W), (0, 1), (Y,), (0,), **{**OPTIONS, "fast": True})
    assert only.question.draw == WHOLE
    assert only.question.active == (0, 1)
    assert next(reverse((X, W), (0, 1), (Y,), (0,), **OPTIONS)) == only
    assert len(list(forward((X, W), (0, 1), fast=True))) == 1


def test_every_draw_layout_subset_and_output_is_met() -> None:
    asks = list(reverse((X, W), (0, 1), (Y, Y), (0, 1), **OPTIONS))
    questions = [a.question for a in asks]
    assert {q.draw for q in questions} == set(DRAWS) | {EQUAL_FIRST, EQUAL_SECOND, EQUAL_LAST}
    assert {q.seed_layout for q in questions} >= {
        "permuted",
        "with gaps",
        "channels_last",
        "with an offset",
        "expanded",
        "with transposed matrices",
        "with axes 1 and 2 exchanged",
    }
    assert {q.layout for q in questions} >= {"permuted", "with gaps", "channels_last", "with an offset"}
    assert {q.layout for q in questions} >= {"contiguous, input 0 permuted", "contiguous, input 1 with gaps"}
    assert {q.active for q in questions} == {(0, 1), (0,), (1,)}
    assert {(a.seeded, a.zeros) for a in asks} == {
        ((0, 1), False), ((0,), False), ((0,), True), ((1,), False), ((1,), True)
    }  # fmt: skip
    assert {a.draw for a in asks} == {0, 1, 2}


def test_undefined_cotangents_are_left_out_on_request() -> None:
    asks = list(reverse((X,), (0,), (Y, Y), (0, 1), **{**OPTIONS, "undefined": False}))
    assert {(a.seeded, a.zeros) for a in asks} == {((0, 1), False), ((0,), True), ((1,), True)}


def test_of_three_outputs_each_is_left_out() -> None:
    asks = list(reverse((X,), (0,), (Y, Y, Y), (0, 1, 2), **OPTIONS))
    without = {a.seeded for a in asks if len(a.seeded) == 2}
    assert without == {(0, 1), (0, 2), (1, 2)}
    assert all(a.question.used == a.seeded and not a.zeros for a in asks if len(a.seeded) == 2)
    defined = reverse((X,), (0,), (Y, Y, Y), (0, 1, 2), **{**OPTIONS, "undefined": False})
    assert all(len(a.seeded) != 2 for a in defined)


def test_a_strided_input_is_asked_about_contiguously_as_well() -> None:
    layouts = {a.question.layout for a in reverse((X[..., ::2],), (0,), (Y,), (0,), **OPTIONS)}
    assert "contiguous" in layouts


def test_subsets_are_all_of_them_up_to_a_number() -> None:
    assert subsets((0,)) == []
    assert len(subsets((0, 1, 2))) == 6
    assert len(subsets((0, 1, 2, 3))) == 14
    many = subsets(tuple(range(6)))
    assert len(many) == 12
    assert {len(s) for s in many} == {1, 5}
    assert len(subsets(tuple(range(40)))) == MOST_SUBSETS


def test_forward_mode_asks_for_each_input_alone() -> None:
    asks = list(forward((X, W), (0, 1), fast=False))
    assert {a.seeded for a in asks} == {(0, 1), (0,), (1,)}
    assert {a.question.seed_layout for a in asks} >= {"permuted", "with gaps"}
    assert {a.question.draw for a in asks} == set(DRAWS)


def test_inputs_and_cotangents_have_orders_of_the_axes_at_once() -> None:
    def pairs(x):
        return {
            (q.layout, q.seed_layout)
            for q in (a.question for a in reverse((x,), (0,), (x,), (0,), **OPTIONS))
            if q.layout not in ("", "contiguous") and q.seed_layout not in ("", "contiguous")
        }

    assert pairs(torch.zeros(5)) == set()
    assert pairs(torch.zeros(3, 4)) == {("permuted", "permuted")}
    assert pairs(torch.zeros(2, 3, 4)) == {
        ("permuted", "permuted"),
        ("permuted", "permuted, rows whole"),
        ("permuted, rows whole", "with transposed matrices"),
        ("with transposed matrices", "permuted"),
    }
    assert len(pairs(Y)) == 4


def test_cotangents_are_expanded_along_single_axes() -> None:
    def expanded(y):
        questions = [a.question for a in reverse((y,), (0,), (y,), (0,), **OPTIONS)]
        return [(q.draw, q.seed_layout) for q in questions if "along" in q.seed_layout]

    assert expanded(torch.zeros(5)) == []
    assert expanded(torch.zeros(3, 4)) == [
        (EQUAL_FIRST, "expanded along the first axis"),
        (EQUAL_LAST, "expanded along the last axis"),
    ]
    assert (EQUAL_SECOND, "expanded along axis 1") in expanded(torch.zeros(2, 3, 4))


class SquareOfAnIdleLoss(torch.autograd.Function):
    """Multiplies by the cotangent where it is not 1, and forgets the factor 2 where it is."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x * x).sum()

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        return x if y_bar == 1 else 2 * x * y_bar


def test_a_backward_that_is_wrong_for_a_cotangent_of_one_is_caught() -> None:
    """The backward of a loss begins with 1, and many kernels leave the product out there."""
    x = torch.randn(5, requires_grad=True)
    report = gradcheck(
        SquareOfAnIdleLoss.apply, (x,), reference=lambda x: np.sum(x * x), raise_exception=False
    )
    assert report.status == "disagree"
    assert "cotangents of ones" in report.summary()
