"""gradgradcheck: wrong second derivatives of right first ones are caught, right ones accepted, in each order that torch offers."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402, N812

from refgrad import nn  # noqa: E402
from refgrad.bounds.formats import computed_on  # noqa: E402
from refgrad.errors import ArgumentError, DtypeError, GradientMismatch, GradientUndecided  # noqa: E402
from refgrad.torch import gradcheck, gradgradcheck  # noqa: E402
from tests.torch_functions import (  # noqa: E402
    BackwardOnly,
    Cube,
    Failing,
    HalvedSecond,
    LostSquare,
    LostSquareForward,
    NoGraph,
    Once,
    Overwriting,
)

FOUR = tuple(computed_on("cpu"))
REVERSE_OVER_REVERSE, FORWARD_OVER_REVERSE, REVERSE_OVER_FORWARD, FORWARD_OVER_FORWARD = ORDERS = (
    "reverse over reverse", "forward over reverse", "reverse over forward", "forward over forward",
)  # fmt: skip


def drawn(*shape: int, seed: int = 0):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def cube(x):
    return x**3


def modes(report) -> dict[str, str]:
    """The status of each order in the first dtype."""
    first = report.verdicts[0][0]
    return {v.mode: v.status for dtype, v in report.verdicts if dtype == first}


def reason(report, mode: str) -> str:
    return next(v.reason for _, v in report.verdicts if v.mode == mode)


class Multiply(torch.autograd.Function):
    """x y, and an index of the larger one, which has no gradient."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        ctx.save_for_forward(x, y)
        larger = (x > y).to(torch.int64)
        ctx.mark_non_differentiable(larger)
        return x * y, larger

    @staticmethod
    def backward(ctx, z_bar, _):
        x, y = ctx.saved_tensors
        return z_bar * y, z_bar * x

    @staticmethod
    def jvp(ctx, x_dot, y_dot):
        x, y = ctx.saved_tensors
        return x_dot * y + x * y_dot, None


class Swish(torch.autograd.Function):
    """x sigmoid(x)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, y_bar):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return y_bar * (s + x * s * (1 - s))


RIGHT = {
    "tanh": (torch.tanh, (drawn(4, 3),), np.tanh),
    "silu": (F.silu, (drawn(4, 3),), lambda x: x / (1 + np.exp(-x))),
    "sigmoid": (torch.sigmoid, (drawn(4, 3),), lambda x: 1 / (1 + np.exp(-x))),
    "softmax": (lambda x: torch.softmax(x, -1), (drawn(4, 5),), lambda x: nn.softmax(x, axis=-1)),
    "log-softmax": (lambda x: torch.log_softmax(x, -1), (drawn(4, 5),),
                    lambda x: x - np.log(np.sum(np.exp(x), -1, keepdims=True))),
    "rms norm": (lambda x, w: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * w, (drawn(4, 6), drawn(6)),
                 lambda x, w: x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6) * w),
    "two layers": (lambda x, a, b: torch.tanh(x @ a) @ b, (drawn(4, 3), drawn(3, 5, seed=1), drawn(5, 2, seed=2)),
                   lambda x, a, b: np.tanh(x @ a) @ b),
    "quotient": (torch.div, (drawn(5), drawn(5, seed=1)), np.divide),
    "two outputs": (lambda x, y: (x * y, torch.sin(x) + y), (drawn(5), drawn(5, seed=1)), lambda x, y: (x * y, np.sin(x) + y)),
    "linear": (lambda x: 3 * x, (drawn(4, 3),), lambda x: 3 * x),
    "sum": (lambda x: x.sum(0), (drawn(4, 3),), lambda x: x.sum(0)),
    "relu": (F.relu, (drawn(4, 3),), lambda x: np.maximum(x, 0)),
    "rows": (lambda x, i: x[i] ** 2, (drawn(5), torch.tensor([0, 2, 2])), lambda x, i: x[i] ** 2),
    "a number": (torch.exp, (drawn(1)[0],), np.exp),
    "images": (lambda x: x.square().mean((0, 2, 3)), (drawn(2, 3, 2, 2),), lambda x: np.mean(x * x, (0, 2, 3))),
    "Cube": (Cube.apply, (drawn(4, 3),), cube),
    "Cube by vmap": (torch.func.vmap(Cube.apply), (drawn(4, 3),), cube),
    "BackwardOnly": (BackwardOnly.apply, (drawn(4, 3),), cube),
    "Multiply": (Multiply.apply, (drawn(4), drawn(4, seed=1)), lambda x, y: (x * y, (x > y).astype(int))),
    "Swish": (Swish.apply, (drawn(4, 3),), lambda x: x / (1 + np.exp(-x))),
}  # fmt: skip
NO_FORWARD_MODE = {"BackwardOnly", "Swish"}
NO_NESTED_FORWARD = NO_FORWARD_MODE | {"Cube", "Cube by vmap", "Multiply"}


@pytest.mark.parametrize("name", list(RIGHT))
def test_right_second_derivatives_pass_in_each_order_and_dtype(name: str) -> None:
    func, inputs, reference = RIGHT[name]
    report = gradgradcheck(func, inputs, reference=reference, dtypes=FOUR)
    assert report
    assert len(report.verdicts) == 4 * 4
    for _, v in report.verdicts:
        refused = name in NO_FORWARD_MODE if v.mode != REVERSE_OVER_REVERSE else False
        refused = refused or (name in NO_NESTED_FORWARD and v.mode == FORWARD_OVER_FORWARD)
        assert v.status in (("unsupported",) if refused else ("agree", "imprecise")), (
            f"{v.mode}: {v.reason} {v.message}"
        )
        assert refused or v.elements > 0


@pytest.mark.parametrize("dtype", FOUR)
@pytest.mark.parametrize(
    ("wrong", "caught"),
    [
        (LostSquare, {REVERSE_OVER_REVERSE, FORWARD_OVER_REVERSE}),
        (HalvedSecond, {REVERSE_OVER_REVERSE}),
        (LostSquareForward, {REVERSE_OVER_FORWARD}),
        (NoGraph, {REVERSE_OVER_REVERSE}),
    ],
)
def test_a_wrong_second_derivative_of_a_right_first_one_is_caught(
    wrong, caught: set[str], dtype: str
) -> None:
    x = drawn(4, 3)
    assert gradcheck(wrong.apply, (x,), reference=cube, dtypes=(dtype,))
    with pytest.raises(GradientMismatch, match="gradient of input 0") as raised:
        gradgradcheck(wrong.apply, (x,), reference=cube, dtypes=(dtype,))
    found = modes(raised.value.report)
    assert {mode for mode, status in found.items() if status == "disagree"} == caught
    assert set(found.values()) <= {"disagree", "agree", "imprecise", "unsupported"}


def test_a_wrong_factor_is_told_of_the_input_and_not_of_the_cotangent() -> None:
    report = gradgradcheck(HalvedSecond.apply, (drawn(4, 3),), reference=cube, raise_exception=False)
    parts = {p.what: p for p in report.verdicts[0][1].parts}
    wrong = parts["second gradient of input 0"]
    assert wrong.status == "disagree"
    assert wrong.worst.got == pytest.approx(wrong.worst.expected / 2)
    assert wrong.evidence.question.mode == REVERSE_OVER_REVERSE
    assert wrong.evidence.got.shape == wrong.evidence.expected.shape == (4, 3)
    assert parts["gradient of cotangent 0"].status == "agree"


def test_what_torch_refuses_is_recorded_in_its_words_and_ends_nothing_else() -> None:
    report = gradgradcheck(BackwardOnly.apply, (drawn(3),), reference=cube)
    assert modes(report)[REVERSE_OVER_REVERSE] == "agree"
    for mode in (FORWARD_OVER_REVERSE, REVERSE_OVER_FORWARD):
        assert "You must implement the jvp function" in reason(report, mode)
    assert "functorch" in reason(report, FORWARD_OVER_FORWARD)
    assert report.status == "agree"


def test_where_torch_refuses_every_order_nothing_was_judged() -> None:
    with pytest.raises(GradientUndecided, match="once_differentiable") as raised:
        gradgradcheck(Once.apply, (drawn(3),), reference=cube)
    assert set(modes(raised.value.report).values()) == {"unsupported"}
    assert (
        gradgradcheck(Once.apply, (drawn(3),), reference=cube, allow_undecided=True).status == "unsupported"
    )


def test_an_exception_of_the_function_is_an_error_of_its_order() -> None:
    with pytest.raises(GradientMismatch, match="ValueError: no such shape") as raised:
        gradgradcheck(Failing.apply, (drawn(3),), reference=cube)
    assert modes(raised.value.report)[REVERSE_OVER_REVERSE] == "error"


def test_a_dtype_that_torch_lacks_ends_no_other() -> None:
    def inverse(x):
        return torch.linalg.inv(x + 4 * torch.eye(3, dtype=x.dtype))

    report = gradgradcheck(inverse, (drawn(3, 3),), reference=lambda x: np.linalg.inv(x + 4 * np.eye(3)),
                           dtypes=("bfloat16", "float64"), orders=(REVERSE_OVER_REVERSE,), allow_undecided=True)  # fmt: skip
    assert [v.status for _, v in report.verdicts] == ["unsupported", "agree"]
    assert "BFloat16" in report.verdicts[0][1].reason


def test_what_is_written_into_is_named() -> None:
    report = gradgradcheck(Overwriting.apply, (drawn(3),), reference=cube, raise_exception=False)
    assert modes(report)[REVERSE_OVER_REVERSE] == "disagree"
    assert "func wrote into the tangent of input 0" in report.summary()


def test_a_detached_function_has_no_second_derivative() -> None:
    report = gradgradcheck(
        lambda x: (x**2).detach(), (drawn(3),), reference=lambda x: x**2, raise_exception=False
    )
    assert set(modes(report).values()) == {"disagree"}
    constant = gradgradcheck(torch.ones_like, (drawn(3),), reference=np.ones_like, raise_exception=False)
    assert "disagree" not in modes(constant).values()


@pytest.mark.parametrize("name", ["layer norm", "determinant"])
def test_wrong_second_derivatives_of_torch_itself(name: str) -> None:
    # pytorch 196700 and 192540: the derivative of the forward formula is wrong, that of the backward formula right.
    def centred(x):
        return x - np.mean(x, -1, keepdims=True)

    func, x, reference = {
        "layer norm": (lambda x: F.layer_norm(x, (6,)), drawn(4, 6),
                       lambda x: centred(x) / np.sqrt(np.mean(centred(x) ** 2, -1, keepdims=True) + 1e-5)),
        "determinant": (torch.linalg.det, drawn(3, 3), np.linalg.det),
    }[name]  # fmt: skip
    found = modes(gradgradcheck(func, (x,), reference=reference, raise_exception=False))
    assert {found[REVERSE_OVER_REVERSE], found[FORWARD_OVER_REVERSE]} <= {"agree", "imprecise"}
    if torch.__version__.startswith(("2.6.", "2.13.", "2.14.")):
        assert found[REVERSE_OVER_FORWARD] == found[FORWARD_OVER_FORWARD] == "disagree"


def test_cotangents_can_be_given() -> None:
    def powers(x):
        return x**3, x**2

    report = gradgradcheck(
        powers, (drawn(3),), (torch.ones(3), None), reference=powers, orders=(REVERSE_OVER_REVERSE,)
    )
    assert {p.what for p in report.verdicts[0][1].parts} == {
        "second gradient of input 0",
        "gradient of cotangent 0",
    }
    with pytest.raises(ArgumentError, match="grad_outputs has shape"):
        gradgradcheck(torch.sin, (drawn(3),), torch.ones(4), reference=np.sin)
    with pytest.raises(ArgumentError, match="grad_outputs holds no tensor"):
        gradgradcheck(torch.sin, (drawn(3),), (None,), reference=np.sin)
    with pytest.raises(ArgumentError, match=r"grad_outputs holds torch\.int64 at position 0"):
        gradgradcheck(torch.sin, (drawn(3),), torch.ones(3, dtype=torch.int64), reference=np.sin)


def test_torchs_keywords() -> None:
    report = gradgradcheck(
        torch.sin, (drawn(3),), reference=np.sin, dtypes=(torch.float32,), atol=1e-3, check_fwd_over_rev=False
    )
    assert FORWARD_OVER_REVERSE not in modes(report)
    assert "atol means nothing here" in report.summary()
    fast = gradgradcheck(torch.sin, (drawn(3),), reference=np.sin, fast_mode=True)
    assert fast.verdicts[0][1].elements < report.verdicts[0][1].elements
    batched = gradgradcheck(torch.sin, (drawn(3),), reference=np.sin, check_batched_grad=True)
    assert modes(batched)["batched reverse over reverse"] == "agree"
    with pytest.raises(ArgumentError, match="no order is left"):
        gradgradcheck(
            torch.sin, (drawn(3),), reference=np.sin, orders=(REVERSE_OVER_REVERSE,), check_rev_over_rev=False
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"reference": None}, "needs reference="),
        ({"orders": "reverse over reverse"}, "a tuple of names is expected"),
        ({"orders": ("backwards",)}, "a tuple of names is expected"),
        ({"orders": ()}, "a tuple of names is expected"),
        ({"repeats": 0}, "repeats is 0"),
        ({"dtypes": "float64"}, "a tuple is expected"),
        ({"reference": lambda x: (x, x)}, "func returns 1 tensor"),
        ({"reference": np.sum}, "output 0 of reference has shape"),
        ({"reference": np.argsort}, "output 0 of reference has dtype int64"),
    ],
)
def test_wrong_calls(arguments: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        gradgradcheck(torch.sin, (drawn(3),), **{"reference": np.sin, **arguments})


def test_more_wrong_calls() -> None:
    with pytest.raises(ArgumentError, match=r"Pass Cube\.apply"):
        gradgradcheck(Cube, (drawn(3),), reference=cube)
    with pytest.raises(DtypeError, match="no input can be differentiated"):
        gradgradcheck(torch.sin, (torch.arange(3),), reference=np.sin)
    with pytest.raises(DtypeError, match="is not judged"):
        gradgradcheck(torch.sin, (drawn(3),), reference=np.sin, dtypes=(torch.int32,))
    with pytest.raises(ArgumentError, match="at least one of a floating-point dtype"):
        gradgradcheck(torch.argsort, (drawn(3),), reference=np.argsort)
    with pytest.raises(ZeroDivisionError):  # what a reference raises comes through
        gradgradcheck(torch.sin, (drawn(3),), reference=lambda x: x / 0 * (1 // 0))


def test_a_setting_of_torch_that_func_changes_is_set_again_and_noted() -> None:
    def func(x):
        torch.set_default_dtype(torch.float64)
        return x**3

    report = gradgradcheck(func, (torch.randn(3),), reference=lambda x: x**3)
    assert torch.get_default_dtype() == torch.float32
    assert any(note.startswith("torch's default dtype is torch.float64") for note in report.notes)
