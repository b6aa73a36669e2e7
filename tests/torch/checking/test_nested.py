"""The verdict on an order: two answers to one question, lost digits, what a call without a graph comes to, layouts that func refuses."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import NoRuleError  # noqa: E402
from refgrad.torch import gradgradcheck  # noqa: E402
from refgrad.torch.checking.nested import verdicts  # noqa: E402
from refgrad.torch.checking.orders import (  # noqa: E402
    FORWARD_OVER_REVERSE,
    ORDERS,
    REVERSE_OVER_FORWARD,
    REVERSE_OVER_REVERSE,
)
from refgrad.torch.checking.subject import Subject  # noqa: E402
from refgrad.tracing.ball import Ball  # noqa: E402
from refgrad.tracing.forward import Dual  # noqa: E402
from refgrad.tracing.reverse import Var  # noqa: E402
from tests.torch_functions import (  # noqa: E402
    BackwardOnly,
    Failing,
    HalvedSecond,
    NoGraph,
    twice_differentiated_by,
)

X = torch.tensor(np.random.default_rng(0).standard_normal((4, 3)))


def cube(x):
    return x**3


def judged(
    func, *, order=REVERSE_OVER_REVERSE, reference=cube, inputs=(X,), dtype: str = "float64", **options
):
    subject = Subject(func, reference, inputs, tuple(range(len(inputs))), dtype)
    (verdict,) = verdicts(subject, [order], **options)
    return verdict, subject


CALLS = itertools.count(1)


def wavering(x, y_bar, g):
    """Another last bit at each second call."""
    return 6 * x * y_bar * g * (1 + next(CALLS) % 2 * 2.0**-52), 3 * x**2 * g


def test_two_answers_to_one_question_are_equal() -> None:
    verdict, _ = judged(twice_differentiated_by(wavering).apply)
    assert verdict.status == "disagree"
    assert "asked twice, the answers differ by up to" in verdict.message
    assert judged(twice_differentiated_by(wavering).apply, nondet_tol=1e-9)[0].status == "agree"


def test_a_missing_graph_is_wrong_where_one_is_due() -> None:
    assert judged(NoGraph.apply)[0].status == "disagree"
    verdict, _ = judged(NoGraph.apply, demanded=False)
    assert (verdict.status, verdict.elements) == ("unsupported", 0)
    assert "carry no graph" in verdict.reason


def test_where_nobody_asked_only_a_wrong_number_is_wrong() -> None:
    assert judged(Failing.apply)[0].status == "error"
    assert judged(Failing.apply, demanded=False)[0].status == "unsupported"
    assert judged(HalvedSecond.apply, demanded=False)[0].status == "disagree"
    tie = {"inputs": (torch.tensor([1.0, 2.0, 2.0]),), "reference": lambda x: np.max(x) ** 2}
    assert judged(lambda x: torch.amax(x) ** 2, **tie)[0].status == "undecided"
    assert judged(lambda x: torch.amax(x) ** 2, demanded=False, **tie)[0].status == "unsupported"


def test_a_reference_that_has_no_second_derivative() -> None:
    def reference(x):
        if isinstance(getattr(x, "_value", None), Dual | Var):
            raise NoRuleError("once is enough")
        return x**3

    with pytest.raises(NoRuleError):
        judged(BackwardOnly.apply, reference=reference)
    verdict, _ = judged(BackwardOnly.apply, reference=reference, demanded=False)
    assert verdict.status == "unsupported"
    assert verdict.reason == "the reference raised NoRuleError: once is enough"


class Zero(torch.autograd.Function):
    """0 for each element; its gradient is a new tensor of zeros, which needs no graph."""

    @staticmethod
    def forward(ctx, x):
        return torch.zeros_like(x)

    @staticmethod
    def backward(ctx, y_bar):
        return torch.zeros_like(y_bar)


def test_no_graph_is_missed_where_zero_is_due() -> None:
    verdict, _ = judged(Zero.apply, reference=lambda x: 0 * x)
    assert verdict.status == "agree"
    assert verdict.elements == 2 * X.numel()


class ContiguousAlone(torch.autograd.Function):
    """x^3 for inputs that are contiguous; others are refused."""

    @staticmethod
    def forward(ctx, x):
        if not x.is_contiguous():
            raise ValueError("contiguous, please")
        ctx.save_for_backward(x)
        return x**3

    backward = staticmethod(BackwardOnly.backward)


def test_a_layout_that_func_refuses_is_noted_and_not_wrong() -> None:
    verdict, subject = judged(ContiguousAlone.apply, repeats=2)
    assert verdict.status == "agree"
    (note,) = subject.notes
    assert note.startswith(
        "reverse over reverse is not judged with cotangents of the whole significand, inputs permuted"
    )
    assert note.endswith("func raised ValueError: contiguous, please")


def stride_blind(x, y_bar, g):
    """The tangent is read as if it were contiguous."""
    if not g.is_contiguous() and 0 not in g.stride():
        g = torch.as_strided(g, g.shape, torch.empty(g.shape).stride())
    return 6 * x * y_bar * g, 3 * x**2 * g


def test_seeds_in_another_layout_show_what_contiguous_ones_hide() -> None:
    func = twice_differentiated_by(stride_blind).apply
    assert judged(func, repeats=1)[0].status == "agree"
    verdict, _ = judged(func, repeats=2)
    assert verdict.status == "disagree"
    assert verdict.parts[0].wrong_in[0].seed_layout == "permuted"


class Shared(torch.autograd.Function):
    """x y; where one gradient alone is differentiated further, it forgets the other input."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, z_bar):
        return _SharedBackward.apply(*ctx.saved_tensors, z_bar)


class _SharedBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, z_bar):
        ctx.save_for_backward(x, y, z_bar)
        ctx.set_materialize_grads(False)
        return z_bar * y, z_bar * x

    @staticmethod
    def backward(ctx, x_dot, y_dot):
        x, y, z_bar = ctx.saved_tensors
        if x_dot is None or y_dot is None:
            return torch.zeros_like(x), torch.zeros_like(y), torch.zeros_like(z_bar)
        return z_bar * y_dot, z_bar * x_dot, x_dot * y + x * y_dot


def test_seeds_that_come_alone_show_what_all_together_hide() -> None:
    two = {"reference": lambda x, y: x * y, "inputs": (X, X + 1)}
    assert judged(Shared.apply, **two)[0].status == "agree"
    assert judged(Shared.apply, alone=True, **two)[0].status == "disagree"


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("order", [REVERSE_OVER_REVERSE, FORWARD_OVER_REVERSE, REVERSE_OVER_FORWARD])
def test_another_formula_is_at_worst_imprecise(order, dtype: str) -> None:
    spread = 3 * torch.tensor(np.random.default_rng(1).standard_normal((16, 16)))
    for seed in range(3):
        verdict, _ = judged(torch.nn.functional.softplus, order=order, dtype=dtype, inputs=(spread,), repeats=3, seed=seed,
                            reference=lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))  # fmt: skip
        assert verdict.status in ("agree", "imprecise")


def test_seeds_do_not_repeat_the_numbers_of_an_input_that_was_drawn_with_the_same_seed() -> None:
    # Else y_bar is x, and a derivative that takes one for the other passes.
    verdict, _ = judged(HalvedSecond.apply, inputs=(X,), seed=0)
    for seeds in verdict.parts[0].evidence.seeds:
        assert not np.isin(seeds, X.numpy()).any()


def log_softmax(x):
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def gelu(x):
    return x / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(
    ("func", "reference", "dtype", "seed", "shape"),
    [
        # Along equal tangents the second derivative is zero, and the largest element says nothing.
        (lambda x: torch.log_softmax(x, -1), log_softmax, "float16", 6, (5, 5)),
        # No large seed meets a large slope.
        (torch.nn.functional.softplus, softplus, "float64", 34, (5, 5)),
        # In the tails more than half of the bounds are as large as the numbers.
        (lambda x: torch.nn.functional.gelu(x, approximate="tanh"), gelu, "bfloat16", 9, (8, 8)),
    ],
)
def test_where_one_draw_says_little_of_the_scale_the_others_do(func, reference, dtype, seed, shape) -> None:
    spread = 3 * torch.tensor(np.random.default_rng(seed).standard_normal(shape))
    same_seed = seed if shape == (5, 5) else 0
    verdict, _ = judged(func, reference=reference, dtype=dtype, inputs=(spread,), repeats=3, seed=same_seed)
    assert verdict.status == "imprecise"


def force(x):
    """Minus the gradient of an energy, by torch.autograd.grad inside of the function."""
    x = x if x.requires_grad else x.requires_grad_()
    return -torch.autograd.grad((x**4).sum(), x, create_graph=True)[0]


def test_what_torch_cannot_nest_is_no_error_of_a_function_made_of_its_operations() -> None:
    found = {
        name: judged(force, order=order, reference=lambda x: -4 * x**3)[0] for name, order in ORDERS.items()
    }
    assert [v.status for v in found.values()] == ["agree"] * 3 + ["unsupported"]
    assert "inside of a function being transformed" in found["forward over forward"].reason


@pytest.mark.parametrize("missing", ["radius", "value"])
def test_the_other_orders_are_asked_where_one_alone_is_not_enough(missing: str) -> None:
    def expected(many, every):
        balls = REVERSE_OVER_REVERSE.expected(many, every)
        if every:
            return balls
        if missing == "radius":
            return [Ball(x.value * (1 + 1e-12), np.zeros(x.shape), x.fmt) for x in balls]
        return [Ball(np.where(X.numpy() > 0, np.nan, x.value), x.radius, x.fmt) for x in balls]

    verdict, _ = judged(BackwardOnly.apply, order=replace(REVERSE_OVER_REVERSE, expected=expected))
    assert (verdict.status, verdict.elements, verdict.skipped) == ("agree", 2 * X.numel(), 0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_small_factor_is_no_rounding(dtype: str) -> None:
    too_large = twice_differentiated_by(lambda x, y_bar, g: (6.06 * x * y_bar * g, 3 * x**2 * g))
    assert judged(too_large.apply, dtype=dtype)[0].status == "disagree"


def test_an_assertion_that_fails_inside_torch_is_no_error_of_the_function() -> None:
    class Generated(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        backward = staticmethod(BackwardOnly.backward)

    for order in ORDERS.values():
        verdict, _ = judged(torch.func.vmap(Generated.apply), order=order)
        assert verdict.status == ("agree" if order is REVERSE_OVER_REVERSE else "unsupported"), verdict.reason


class CubeSlope(torch.autograd.Function):
    """3 g x² with a derivative of its own, for which ``wrong`` says where it is wrong."""

    wrong = staticmethod(lambda ctx, x_dot, x, g: False)

    @staticmethod
    def forward(ctx, x, g):
        ctx.save_for_backward(x, g)
        return 3 * g * x * x

    @classmethod
    def backward(cls, ctx, x_dot):
        x, g = ctx.saved_tensors
        factor = 0.5 if cls.wrong(ctx, x_dot, x, g) else 1.0
        return factor * 6 * x_dot * g * x, 3 * x_dot * x * x


def asked_before(ctx, x_dot, x, g):
    ctx.times = getattr(ctx, "times", 0) + 1
    return ctx.times > 1


def cube_wrong(where):
    slope = type("Slope", (CubeSlope,), {"wrong": staticmethod(where)})

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, y_bar):
            return slope.apply(ctx.saved_tensors[0], y_bar)

    return Cube.apply


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (
            lambda ctx, x_dot, x, g: not ctx.needs_input_grad[1],
            "seeds of the whole significand, the cotangents without requires_grad",
        ),
        (lambda ctx, x_dot, x, g: bool((g == 1).all()), "seeds of ones"),
        (lambda ctx, x_dot, x, g: int(torch.count_nonzero(x_dot)) == 1, "seeds with a single element"),
        (lambda ctx, x_dot, x, g: bool((x_dot.abs() > 1e4).any()), "seeds very large"),
        (lambda ctx, x_dot, x, g: bool((x_dot.abs() < 1e-4).all()), "seeds very small"),
        (asked_before, "seeds of the whole significand, after their negative was asked of the same graph"),
    ],
)
def test_a_double_backward_that_is_wrong_for_some_seeds_alone_is_caught(where, words) -> None:
    x = torch.randn(6, generator=torch.Generator().manual_seed(0))
    report = gradgradcheck(cube_wrong(where), (x,), reference=lambda x: x * x * x, raise_exception=False)
    assert report.status == "disagree"
    assert words in report.summary()
    right = gradgradcheck(cube_wrong(CubeSlope.wrong), (x,), reference=lambda x: x * x * x)
    assert right.status == "agree"


class Halved(torch.autograd.Function):
    """The gradient of w x^2 in x, whose own backward spoils something where w is frozen, or where its tangent is zero."""

    @staticmethod
    def forward(ctx, x, w, g):
        ctx.save_for_backward(x, w, g)
        return 2 * g * w * x

    @classmethod
    def backward(cls, ctx, x_dot):
        x, w, g = ctx.saved_tensors
        factor = cls.factor(ctx, x_dot)
        return factor * 2 * x_dot * g * w, 2 * x_dot * g * x, 2 * x_dot * w * x


def scaled_square(factor):
    slope = type("Slope", (Halved,), {"factor": staticmethod(factor)})

    class ScaledSquare(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return w * x * x

        @staticmethod
        def backward(ctx, y_bar):
            x, w = ctx.saved_tensors
            return slope.apply(x, w, y_bar), y_bar * x * x

    return ScaledSquare.apply


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (lambda ctx, x_dot: 1.0 if ctx.needs_input_grad[1] else 0.5, "a gradient required of input 0 alone"),
        (lambda ctx, x_dot: x_dot.norm() / x_dot.norm(), "seeds of zeros"),
        (lambda ctx, x_dot: 1.0, ""),
    ],
)
def test_a_double_backward_is_asked_with_frozen_inputs_and_for_zeros(factor, words, dtype: str) -> None:
    x, w = (torch.randn(2, 6, generator=torch.Generator().manual_seed(0))).unbind(0)
    report = gradgradcheck(
        scaled_square(factor),
        (x, w),
        reference=lambda x, w: w * x * x,
        dtypes=(dtype,),
        raise_exception=False,
    )
    assert report.status == ("disagree" if words else "agree")
    assert words in report.summary()
