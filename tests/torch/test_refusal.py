"""torch's words for "I have no such derivative or kernel", as it really says them; what else it raises is no refusal."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402
from torch.autograd.function import once_differentiable  # noqa: E402

from refgrad.torch.refusal import described, no_answer, refuses  # noqa: E402


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * 2 * ctx.saved_tensors[0]


class NoBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * x


class Modern(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)


def one() -> torch.Tensor:
    return torch.tensor(1.0, requires_grad=True)


def forward_mode(f: Callable) -> None:
    x = one().detach()
    with forward_ad.dual_level():
        f(forward_ad.make_dual(x, x))


def twice(f: Callable) -> None:
    x, g = one(), one()
    (first,) = torch.autograd.grad(f(x), x, g, create_graph=True)
    first.backward()


def no_formula(x: torch.Tensor) -> torch.Tensor:
    op = torch.library.custom_op(
        "refgrad_test::cube", lambda x: x**3, mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    return op(x)


def of_another_device() -> None:
    library = torch.library.Library("refgrad_test_cuda", "FRAGMENT")
    library.define("only(Tensor x) -> Tensor")
    library.impl("only", lambda x: x + 1, "CUDA")
    torch.ops.refgrad_test_cuda.only(torch.ones(1))


REFUSALS: dict[str, Callable[[], object]] = {
    "no forward mode": lambda: forward_mode(lambda x: torch.heaviside(x, x)),
    "no reverse mode": lambda: torch.autograd.grad(torch.heaviside(x := one(), one()), x),
    "no second derivative": lambda: twice(torch.nn.functional.hardsigmoid),
    "no kernel of the dtype": lambda: torch.eye(2, dtype=torch.uint16).inverse(),
    "no addition of the dtype": lambda: (
        torch.ones(2).to(torch.float8_e5m2) + torch.ones(2).to(torch.float8_e5m2)
    ),
    "no factorisation of the dtype": lambda: torch.linalg.inv(torch.eye(2, dtype=torch.half)),
    "no kernel of the device": of_another_device,
    "a Function without jvp": lambda: forward_mode(Square.apply),
    "a Function without backward": lambda: torch.autograd.grad(NoBackward.apply(x := one()), x),
    "a Function without setup_context": lambda: torch.func.grad(Square.apply)(one()),
    "a Function differentiable once": lambda: twice(Square.apply),
    "a Function without a rule for vmap": lambda: torch.func.vmap(Modern.apply)(torch.ones(2)),
    "a number under vmap": lambda: torch.func.vmap(lambda x: x * x.item())(torch.ones(2)),
    "an op without a formula": lambda: torch.autograd.grad(no_formula(x := one()), x),
}


def raised(f: Callable[[], object]) -> Exception:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what is asked
            f()
    return caught.value


@pytest.mark.parametrize("what", REFUSALS)
def test_torch_s_own_words_are_a_refusal(what: str) -> None:
    error = raised(REFUSALS[what])
    assert refuses(error), described(error)
    assert no_answer(error, 3).refused
    assert no_answer(error, 3).node == 3
    assert not no_answer(error).details


BREAKS: dict[str, Callable[[], object]] = {
    "a shape": lambda: torch.ones(2) + torch.ones(3),
    "a dtype": lambda: torch.ones(2, 2) @ torch.ones(2, 2, dtype=torch.float64),
    "a singular matrix": lambda: torch.linalg.inv(torch.zeros(2, 2)),
    "an argument": lambda: torch.ones(2).sum(dim=5),
    "no graph": lambda: torch.autograd.grad(torch.ones(1), torch.ones(1)),
    "a graph that is gone": lambda: [
        torch.autograd.grad(y, x) for x in [one()] for y in [x * x] for _ in range(2)
    ],
    "in place": lambda: one().add_(1),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_else_torch_raises_is_none(what: str) -> None:
    error = raised(BREAKS[what])
    assert not refuses(error), described(error)
    assert "Traceback" in no_answer(error).details


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered (tanh_backward)"),
        RuntimeError("CUDA error: derivative for x is not implemented"),
        RuntimeError("first\nderivative for aten::tanh is not implemented"),
        RuntimeError(),
        AssertionError("derivative for aten::tanh is not implemented"),
        TypeError("\"add\" not implemented for 'Half'"),
        NotImplementedError("not yet"),
        torch.OutOfMemoryError("derivative for aten::tanh is not implemented"),
    ],
)
def test_the_class_and_the_beginning_belong_to_the_words(error: Exception) -> None:
    assert not refuses(error)
    assert described(error).startswith(type(error).__name__ + ": ")
