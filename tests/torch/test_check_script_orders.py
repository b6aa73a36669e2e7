"""The script of a wrong second derivative asks in the order of the check, and gets the second derivative."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.testing.checks.array_verdict import ArrayVerdict, Evidence, Question  # noqa: E402  torch decides whether this module runs at all
from refgrad.testing.checks.script_text import run  # noqa: E402
from refgrad.testing.checks.seeds import AFTER_NEGATED, WITHOUT_GRADIENT  # noqa: E402
from refgrad.testing.judging.verdict import DISAGREE  # noqa: E402
from refgrad.torch import gradgradcheck  # noqa: E402
from refgrad.torch.check_script import rerun  # noqa: E402

RNG = np.random.default_rng(0)


def odd(*shape: int) -> np.ndarray:
    """Small odd integers: the derivatives of a polynomial are integers, too, and no operation rounds them."""
    return 2.0 * RNG.integers(-3, 3, shape) + 1


X, W = odd(2, 3), odd(3)
SEEDS = [odd(*s) for s in ((2, 3), (3,), (2, 3), (3,), (2, 3), (3,), (2, 3), (3,))]


def func(x, n, w):
    return x**n * w, (x * w**3).sum(0)


def smooth(x, w):
    return func(x, 2, w)


def phi(x, w, *cotangents):
    return sum((c * y).sum() for c, y in zip(cotangents, smooth(x, w), strict=True))


def gradient(*at):
    return torch.func.grad(phi, argnums=(0, 1))(*at)


def due(mode: str, what: str, seeds) -> np.ndarray:
    c, x_dots, c_dots, again = (tuple(torch.tensor(s) for s in seeds[k : k + 2]) for k in (0, 2, 4, 6))
    at = (torch.tensor(X), torch.tensor(W))

    def along(*every):
        return sum((g * t).sum() for g, t in zip(gradient(*every), x_dots, strict=True))

    def tangent(*xs):
        return torch.func.jvp(smooth, xs, x_dots)[1]

    found = {
        "second gradient of input 0": lambda: torch.func.grad(along, 0)(*at, *c),
        "second gradient of input 2": lambda: torch.func.grad(along, 1)(*at, *c),
        "gradient of cotangent 0": lambda: torch.func.grad(along, 2)(*at, *c),
        "gradient of cotangent 1": lambda: torch.func.grad(along, 3)(*at, *c),
        "gradient of the tangent of input 0": lambda: gradient(*at, *c)[0],
        "gradient of the tangent of input 2": lambda: gradient(*at, *c)[1],
        "tangent of the gradient of input 0": lambda: torch.func.jvp(gradient, (*at, *c), (*x_dots, *c_dots))[1][0],
        "tangent of the gradient of input 2": lambda: torch.func.jvp(gradient, (*at, *c), (*x_dots, *c_dots))[1][1],
        "second tangent of output 0": lambda: torch.func.jvp(tangent, at, again)[1][0],
        "second tangent of output 1": lambda: torch.func.jvp(tangent, at, again)[1][1],
    }[what]()  # fmt: skip
    return found.numpy()


SECOND = ("second gradient of input 0", "second gradient of input 2")
ARRAYS = {
    "reverse over reverse": (*SECOND, "gradient of cotangent 0", "gradient of cotangent 1"),
    "forward over reverse": ("tangent of the gradient of input 0", "tangent of the gradient of input 2"),
    "reverse over forward": (
        *SECOND,
        "gradient of the tangent of input 0",
        "gradient of the tangent of input 2",
    ),
    "forward over forward": ("second tangent of output 0", "second tangent of output 1"),
}
EVERY = [(mode, what) for mode, arrays in ARRAYS.items() for what in arrays]


def code(mode: str, what: str, seeds, expected, used=(0, 1)) -> int | None:
    question = Question(mode, "of the whole significand", (0, 2), used)
    expected = np.asarray(expected, np.longdouble)
    held = Evidence(
        question,
        (X, 2, W),
        tuple(seeds),
        int(what[-1]),
        np.zeros_like(X),
        expected,
        np.zeros(expected.shape),
    )
    held.got = np.zeros(expected.shape)
    text = rerun(func, "gradgradcheck(func)")("float64", mode, ArrayVerdict(what, DISAGREE, evidence=held))
    return run(text)[0]


@pytest.mark.parametrize(("mode", "what"), EVERY)
def test_the_second_derivative_is_asked_for(mode: str, what: str) -> None:
    right = due(mode, what, SEEDS)
    assert code(mode, what, SEEDS, right) == 0
    assert code(mode, what, SEEDS, 2 * right) == 1


@pytest.mark.parametrize(
    ("mode", "what"),
    [e for e in EVERY if e[1] not in {"gradient of cotangent 1", "gradient of the tangent of input 2"}],
)
def test_seeds_that_were_not_given_are_zero(mode: str, what: str) -> None:
    missing = {1, 5} if "over reverse" in mode else {3, 7} if mode == "forward over forward" else {1, 3}
    zeros = [0 * s if k in missing else s for k, s in enumerate(SEEDS)]
    left_out = [None if k in missing else s for k, s in enumerate(SEEDS)]
    right = due(mode, what, zeros)
    used = (0,) if 1 in missing else (0, 1)
    assert code(mode, what, left_out, right, used) == 0
    assert code(mode, what, left_out, right + 1, used) == 1


class Stepped(torch.autograd.Function):
    """The square, whose second derivative is forgotten: the gradient is computed apart from the graph."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x.detach()


@pytest.mark.parametrize(
    ("draw", "asked"), [("of the whole significand", "c.requires_grad_()"), (WITHOUT_GRADIENT, "c")]
)
def test_a_cotangent_requires_a_gradient_where_it_did(draw: str, asked: str) -> None:
    question = Question("reverse over reverse", draw, (0,), (0,))
    ones = np.ones_like(X)
    held = Evidence(question, (X,), (ones,) * 4, 0, np.zeros_like(X), np.asarray(2 * X, np.longdouble), 0 * X)
    text = rerun(Stepped.apply, "gradgradcheck(Stepped)")(
        "float64", "reverse over reverse", ArrayVerdict("second gradient of input 0", DISAGREE, evidence=held)
    )
    assert f"cotangents = {{k: {asked} for k, c in" in text
    assert run(text)[0] == 1


def test_a_wrong_double_backward_is_shown() -> None:
    question = Question("reverse over reverse", active=(0,), used=(0,))
    expected = np.asarray(2 * X, np.longdouble)
    ones = np.ones_like(X)
    held = Evidence(question, (X,), (ones, ones, ones, ones), 0, np.zeros_like(X), expected, 0 * X)
    text = rerun(Stepped.apply, "gradgradcheck(Stepped)")(
        "float64", "reverse over reverse", ArrayVerdict("second gradient of input 0", DISAGREE, evidence=held)
    )
    assert run(text)[0] == 1
    assert text.startswith("# gradgradcheck(Stepped): second gradient of input 0 is wrong")


def test_seeds_of_another_number_are_refused() -> None:
    question = Question("reverse over reverse", active=(0,), used=(0,))
    held = Evidence(question, (X,), (X,), 0, X, X, X)
    text = rerun(Stepped.apply, "it")(
        "float64", "reverse over reverse", ArrayVerdict("second gradient of input 0", DISAGREE, evidence=held)
    )
    assert "the seeds of the mode reverse over reverse are not known" in text


class Spent(torch.autograd.Function):
    """The square, whose gradient has a second derivative that is right once for each graph."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        kept = []
        twice = 2 * x
        twice.register_hook(lambda h: kept.append(h) or kept[0])
        return g * twice


def test_a_second_derivative_after_another_of_the_same_graph_is_asked_so() -> None:
    ones, due = np.ones_like(X), np.asarray(2 * np.ones_like(X), np.longdouble)
    for draw, code in (("of the whole significand", 0), (AFTER_NEGATED, 1)):
        question = Question("reverse over reverse", draw, (0,), (0,))
        held = Evidence(question, (X,), (ones,) * 4, 0, -due, due, 0 * X)
        text = rerun(Spent.apply, "gradgradcheck(Spent)")(
            "float64",
            "reverse over reverse",
            ArrayVerdict("second gradient of input 0", DISAGREE, evidence=held),
        )
        assert ("[-w for _, w in pairs]" in text) is bool(code)
        assert run(text)[0] == code


class OfFrozen(torch.autograd.Function):
    """The gradient of w x^2 in x. Its own backward is wrong where w requires no gradient."""

    @staticmethod
    def forward(ctx, x, w, g):
        ctx.save_for_backward(x, w, g)
        return 2 * g * w * x

    @staticmethod
    def backward(ctx, x_dot):
        x, w, g = ctx.saved_tensors
        return (2 if ctx.needs_input_grad[1] else 1) * x_dot * g * w, 2 * x_dot * g * x, 2 * x_dot * w * x


class ScaledSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return w * x * x

    @staticmethod
    def backward(ctx, y_bar):
        x, w = ctx.saved_tensors
        return OfFrozen.apply(x, w, y_bar), y_bar * x * x


def test_a_frozen_input_requires_no_gradient_in_the_script() -> None:
    x, w = torch.linspace(1, 2, 4), torch.linspace(-1, 3, 4)
    report = gradgradcheck(
        ScaledSquare.apply,
        (x, w),
        reference=lambda x, w: w * x * x,
        dtypes=("float32",),
        raise_exception=False,
    )
    text = report.repro()
    assert "active, index, of_input, of_tangent = [0], 0, True, False" in text
    assert run(text)[0] == 1
    assert run(text.replace("else 1)", "else 2)"))[0] == 0
