"""Asking: what func raises, what it writes into, and what it is given."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.testing.checks.array_verdict import Question  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking.evaluation import Evaluator, Raised  # noqa: E402
from refgrad.torch.checking.layouts import Arranged  # noqa: E402
from refgrad.torch.checking.plan import Request  # noqa: E402


def request(layout="as given", seed_layout="contiguous", active=(0,), seeded=(0,), zeros=False):
    question = Question("reverse", "of the whole significand", active, seeded, layout, seed_layout)
    return Request(question, 0, (layout,), seeded, zeros)


class Clobbering(torch.autograd.Function):
    """Doubles its cotangent in place."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, y_bar):
        return y_bar.mul_(2)


def test_a_write_into_the_cotangent_is_named() -> None:
    answer = Evaluator(Clobbering.apply, (torch.ones(3),)).reverse(request(), [np.ones(3)])
    assert answer.written == ["the cotangent of output 0"]


def test_a_write_into_an_input_is_named_and_so_is_one_beside_it() -> None:
    def careless(x):
        x.detach().mul_(2)
        return x * 1

    def beyond(x):
        x.detach().as_strided((1,), (1,), 1).fill_(7.0)  # the gap behind the first element
        return x * 1

    for func, layout in ((careless, "as given"), (beyond, "with gaps")):
        answer = Evaluator(func, (torch.arange(4.0),)).reverse(request(layout), [np.ones(4)])
        assert answer.written == ["input 0"]
    right = Evaluator(lambda x: x * 2, (torch.arange(4.0),)).reverse(request("with gaps"), [np.ones(4)])
    assert right.written == []


def test_what_is_raised_says_where() -> None:
    class Raising(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, y_bar):
            raise ValueError("no")

    with pytest.raises(Raised) as caught:
        Evaluator(Raising.apply, (torch.ones(3),)).reverse(request(), [np.ones(3)])
    assert caught.value.where == "backward"
    with pytest.raises(Raised) as caught:
        Evaluator(lambda x: x.view(99), (torch.ones(3),)).outputs(request())
    assert (caught.value.where, type(caught.value.error)) == ("call", RuntimeError)
    with pytest.raises(Raised) as caught:
        Evaluator(Raising.apply, (torch.ones(3),)).forward(request(active=()), [np.ones(3)])
    assert caught.value.where == "forward mode"


def test_unused_outputs_get_nothing_or_zeros() -> None:
    seen = []

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a, b))
            return a

    for zeros in (False, True):
        Evaluator(Two.apply, (torch.ones(3),)).reverse(request(zeros=zeros), [np.ones(3), None])
    assert seen[0][1] is None
    assert seen[1][1].tolist() == [0, 0, 0]


def test_the_cotangent_lies_as_asked() -> None:
    strides = []

    class Looking(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, y_bar):
            strides.append(y_bar.stride())
            return y_bar

    evaluator = Evaluator(Looking.apply, (torch.ones(2, 3),))
    for layout in ("contiguous", "permuted", "with gaps", "expanded"):
        evaluator.reverse(request(seed_layout=layout), [np.ones((2, 3))])
    assert strides == [(3, 1), (1, 2), (6, 2), (0, 0)]


def test_the_same_question_is_asked_twice() -> None:
    class Wearing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.times = 0
            return x * 1

        @staticmethod
        def backward(ctx, y_bar):
            ctx.times += 1
            return y_bar * ctx.times

    answer = Evaluator(Wearing.apply, (torch.ones(3),)).reverse(request(), [np.ones(3)], twice=True)
    assert (answer.found[0].tolist(), answer.again[0].tolist()) == ([1, 1, 1], [2, 2, 2])


def test_a_second_backward_that_raises_is_named_as_one() -> None:
    class Spent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x.detach()
            return x * x

        @staticmethod
        def backward(ctx, y_bar):
            x = ctx.x
            del ctx.x
            return 2 * x * y_bar

    report = gradcheck(Spent.apply, (torch.randn(3),), reference=np.square, raise_exception=False)
    assert report.status == "error"
    assert "a second backward of one graph, with retain_graph=True, raised AttributeError" in report.summary()


def test_an_answer_that_came_again_is_not_kept_twice() -> None:
    answer = Evaluator(torch.sin, (torch.arange(3.0),)).reverse(request(), [np.ones(3)], twice=True)
    assert answer.again is None


def raising_under_create_graph(error):
    class Raising(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, y_bar):
            if torch.is_grad_enabled():
                raise error("of the recorded backward")
            return y_bar * 2

    return Evaluator(Raising.apply, (torch.ones(3),))


def test_a_backward_need_not_be_differentiable() -> None:
    answer = raising_under_create_graph(RuntimeError).reverse(request(), [np.ones(3)], recorded=True)
    assert answer.found[0].tolist() == [2.0] * 3
    assert answer.recorded == ()


def test_any_other_exception_with_create_graph_is_told() -> None:
    with pytest.raises(Raised, match="of the recorded backward"):
        raising_under_create_graph(TypeError).reverse(request(), [np.ones(3)], recorded=True)


def test_an_op_that_drops_tangents_without_a_word_has_no_forward_mode() -> None:
    """An op of torch.library.custom_op does so where no input requires a gradient: it has a rule for reverse mode alone."""

    @torch.library.custom_op("refgrad_tests::doubled", mutates_args=())
    def doubled(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    doubled.register_autograd(lambda ctx, g: g * 2)
    with pytest.raises(Raised, match="jvp"):
        Evaluator(doubled, (torch.ones(3),)).forward(request(), [np.ones(3)])


def test_an_output_without_a_tangent_stays_one() -> None:
    answer = Evaluator(lambda x: x.detach() * 2, (torch.ones(3),)).forward(request(), [np.ones(3)])
    assert answer.found == (None,)


class Donating(torch.autograd.Function):
    """Gives the buffers of its forward away in its backward, as torch.compile does."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, y_bar):
        if torch._C._autograd._get_current_graph_task_keep_graph():
            raise RuntimeError(
                "This backward function was compiled with non-empty donated buffers which requires retain_graph=False."
            )
        return 2 * y_bar * ctx.saved_tensors[0]


def test_a_backward_that_runs_once_is_asked_once_for_each_call() -> None:
    evaluator = Evaluator(Donating.apply, (torch.arange(3.0),))
    answer = evaluator.reverse(request(), [np.ones(3)], twice=True, recorded=True)
    assert evaluator.single_backward
    assert answer.again is None
    assert answer.recorded == ()
    assert answer.found[0].tolist() == [0.0, 2.0, 4.0]
    report = gradcheck(Donating.apply, (torch.randn(3),), reference=np.square, check_batched_grad=True)
    assert {v.status for _, v in report.verdicts if v.mode in ("value", "reverse")} == {"agree"}
    assert any("retain_graph=False" in note for note in report.notes)
    assert {v.status for _, v in report.verdicts if v.mode == "vmap of reverse"} == {"unsupported"}


@pytest.mark.long
def test_a_compiled_function_is_judged() -> None:
    compiled = torch.compile(lambda x: torch.tanh(x) * x, backend="aot_eager")
    report = gradcheck(
        compiled,
        (torch.randn(7, requires_grad=True),),
        reference=lambda x: np.tanh(x) * x,
        dtypes=("float64",),
    )
    assert [v.status for _, v in report.verdicts] == ["agree"] * 3
    torch.compiler.reset()


class Clamping(torch.autograd.Function):
    """Takes rows, and clamps the indices where they lie."""

    @staticmethod
    def forward(ctx, x, index):
        ctx.save_for_backward(index.clamp_(max=2))
        ctx.shape = x.shape
        return x[index]

    @staticmethod
    def backward(ctx, y_bar):
        (index,) = ctx.saved_tensors
        return torch.zeros(ctx.shape, dtype=y_bar.dtype).index_add(0, index, y_bar), None


def test_a_write_into_integers_is_named_with_what_to_do_where_it_is_meant() -> None:
    report = gradcheck(
        Clamping.apply,
        (torch.randn(4, 3, requires_grad=True), torch.tensor([0, 2, 3, 1])),
        reference=lambda x, index: x[np.minimum(index, 2)],
        dtypes=("float64",),
        raise_exception=False,
    )
    assert report.status == "disagree"
    assert "func wrote into input 1. Where that is meant, as for running statistics" in report.summary()


@pytest.mark.parametrize(("factor", "status"), [(1.0, "agree"), (1.01, "disagree")])
def test_a_reentrant_checkpoint_is_judged_by_backward(factor, status) -> None:
    """torch refuses torch.autograd.grad there."""

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, y_bar):
            (x,) = ctx.saved_tensors
            return factor * y_bar * torch.cos(x)

    def func(x, w):
        return torch.utils.checkpoint.checkpoint(Sine.apply, x * w, use_reentrant=True)

    report = gradcheck(
        func,
        (torch.randn(3, 4), torch.randn(4)),
        reference=lambda x, w: np.sin(x * w),
        dtypes=("float64",),
        raise_exception=False,
    )
    assert report.status == status


def test_overwriting_takes_tensors_that_no_call_had_before(monkeypatch) -> None:
    a, b = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    used_again, seen = iter([a, a, b]), []
    monkeypatch.setattr(
        "refgrad.torch.checking.evaluation.arranged",
        lambda x, _: Arranged(y := next(used_again).detach_().copy_(x), y),
    )

    def func(x):
        seen.append(x)
        return 2 * x

    evaluator, ask = Evaluator(func, (torch.ones(3),)), request(seeded=())
    evaluator.outputs(ask)
    evaluator.overwriting(ask, [], (torch.zeros(3),))
    assert [x is a for x in seen] == [True, False, False]
    assert b.tolist() == [1, 1, 1]


def test_a_write_into_the_grad_of_an_input_is_named() -> None:
    """torch adds what the backward returns to it, and so the gradient counts twice."""

    class Adding(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.inputs = x, w
            return x * w

        @staticmethod
        def backward(ctx, y_bar):
            x, w = ctx.inputs
            if w.requires_grad:
                w.grad = y_bar * x.detach()
            return y_bar * w, y_bar * x

    report = gradcheck(
        Adding.apply, (torch.randn(3), torch.randn(3)), reference=lambda x, w: x * w, raise_exception=False
    )
    assert report.status == "disagree"
    assert (
        "func wrote into the .grad of input 1, to which torch adds what the backward returns"
        in report.summary()
    )


def test_a_parameter_remains_one() -> None:
    seen = []

    def func(x, w):
        seen.append((isinstance(x, torch.nn.Parameter), isinstance(w, torch.nn.Parameter), w.requires_grad))
        return x * w

    evaluator = Evaluator(func, (torch.ones(3), torch.nn.Parameter(torch.ones(3))))
    for active in ((0, 1), (0,)):
        question = Question("reverse", "of the whole significand", active, (0,), "", "contiguous")
        evaluator.reverse(Request(question, 0, ("contiguous", "with gaps"), (0,)), [np.ones(3)])
    assert seen == [(False, True, True), (False, True, False)]


@pytest.mark.parametrize(("factor", "status"), [(1.0, "agree"), (0.5, "disagree")])
def test_the_path_of_a_parameter_is_judged(factor, status) -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.factor = factor if isinstance(w, torch.nn.Parameter) else 1.0
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, y_bar):
            x, w = ctx.saved_tensors
            return y_bar * w, ctx.factor * y_bar * x

    inputs = torch.randn(3), torch.nn.Parameter(torch.randn(3))
    report = gradcheck(Product.apply, inputs, reference=lambda x, w: x * w, raise_exception=False)
    assert report.status == status
