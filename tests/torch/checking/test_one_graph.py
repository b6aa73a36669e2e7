"""Two cotangents for one graph: a backward that keeps its answer, or spends what it needs, is caught."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402

X = torch.randn(6, generator=torch.Generator().manual_seed(0))


class Sine(torch.autograd.Function):
    """Computes its gradient anew."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx, y_bar):
        return y_bar * torch.cos(ctx.saved_tensors[0])


class Remembering(Sine):
    """Computes it once."""

    @staticmethod
    def backward(ctx, y_bar):
        if not hasattr(ctx, "answer"):
            ctx.answer = Sine.backward(ctx, y_bar)
        return ctx.answer


class Adding(Sine):
    """Adds each answer to the former ones where the cotangent is another one."""

    @staticmethod
    def backward(ctx, y_bar):
        former = getattr(ctx, "former", y_bar)
        ctx.former = y_bar
        return Sine.backward(ctx, y_bar if torch.equal(former, y_bar) else y_bar + former)


def judged(func, **options):
    return gradcheck(func.apply, (X,), reference=np.sin, raise_exception=False, **options)


@pytest.mark.parametrize("wrong", [Remembering, Adding])
def test_an_answer_of_another_cotangent_is_caught(wrong) -> None:
    report = judged(wrong)
    assert report.status == "disagree"
    assert "after the negative of the cotangent was asked of the same graph got" in report.summary()


def test_an_answer_anew_agrees() -> None:
    assert judged(Sine).status == "agree"


def test_fast_mode_leaves_it_out() -> None:
    assert judged(Remembering, fast_mode=True).status == "agree"


def test_a_compiled_backward_that_runs_once_is_not_asked() -> None:
    func = torch.compile(lambda x: torch.sin(x) * x, backend="aot_eager")
    report = gradcheck(func, (X,), reference=lambda x: np.sin(x) * x, dtypes=("float64",))
    assert report.status == "agree"


class Spending(Sine):
    """Has answers for one cotangent alone, and says so."""

    @staticmethod
    def backward(ctx, y_bar):
        if not torch.equal(getattr(ctx, "former", y_bar), y_bar):
            raise RuntimeError("this graph has been used")
        ctx.former = y_bar
        return Sine.backward(ctx, y_bar)


def test_a_backward_that_refuses_another_cotangent_is_noted() -> None:
    report = judged(Spending, dtypes=("float64",))
    assert report.status == "agree"
    why = "backward raised RuntimeError: this graph has been used"
    assert (
        f"not judged after the negative of the cotangent was asked of the same graph: {why}"
        in report.summary()
    )
