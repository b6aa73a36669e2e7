"""What gradcheck's reports say and leave behind: each mistake is explained, and its script fails without refgrad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.testing.checks.report_json import array_of  # noqa: E402  torch decides whether this module runs at all
from refgrad.testing.checks.script_text import run  # noqa: E402
from refgrad.torch import gradcheck, gradgradcheck  # noqa: E402
from tests.within import assert_within, balls_of  # noqa: E402


class Linear(torch.autograd.Function):
    """x w, right."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @classmethod
    def backward(cls, ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g


class Downcast(Linear):
    @classmethod
    def backward(cls, ctx, g):
        return Linear.backward(ctx, g.to(torch.bfloat16).to(g.dtype))


class Averaged(Linear):
    @classmethod
    def backward(cls, ctx, g):
        x_bar, w_bar = Linear.backward(ctx, g)
        return x_bar, w_bar / len(g)


class StrideBlind(Linear):
    @classmethod
    def backward(cls, ctx, g):
        memory = g if g.is_contiguous() else torch.as_strided(g, g.shape, torch.empty(g.shape).stride())
        return Linear.backward(ctx, memory)


class Swapped(Linear):
    @classmethod
    def backward(cls, ctx, g):
        return tuple(reversed(Linear.backward(ctx, g)))


class RaggedTail(Linear):
    @classmethod
    def backward(cls, ctx, g):
        x_bar, w_bar = Linear.backward(ctx, g)
        return torch.cat([x_bar[:, :4], torch.zeros_like(x_bar[:, 4:])], 1), w_bar


RNG = np.random.default_rng(0)
INPUTS = torch.tensor(RNG.standard_normal((6, 6))), torch.tensor(RNG.standard_normal((6, 6)))


def checked(function, dtype="float64"):
    return gradcheck(
        function.apply, INPUTS, reference=lambda x, w: x @ w, dtypes=(dtype,), raise_exception=False
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (Downcast, "the answer is the expected array for the cotangent rounded to bfloat16"),
        (Averaged, "1/n for n = 6, the size of axis 0"),
        (StrideBlind, "cotangents permuted in memory"),
        (Swapped, "the answer is the expected gradient of input 1"),
        (RaggedTail, "wrong in the last 2 of the 6 indices of axis 1 only; every element is zero there"),
    ],
)
def test_a_mistake_is_explained_and_shown_again(function, words: str, dtype: str) -> None:
    report = checked(function, dtype)
    assert report.failed
    assert words in report.summary()
    text = report.repro()
    assert text.startswith("# gradcheck(")
    assert "refgrad" not in text.partition("from __future__")[2]
    assert run(text)[0] == 1


class Square(torch.autograd.Function):
    """Its double backward forgets the 2."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x + g * x.detach()


def test_a_wrong_second_derivative_is_shown_again() -> None:
    report = gradgradcheck(
        Square.apply, INPUTS[:1], reference=lambda x: x * x, dtypes=("float64",), raise_exception=False
    )
    assert "second gradient of input 0: disagree" in report.summary()
    assert "every element is 0.5 times the expected value" in report.summary()
    text = report.repro()
    assert text.startswith("# gradgradcheck(Square): second gradient of input 0 is wrong")
    assert run(text)[0] == 1


def test_the_saved_file_holds_the_numbers(tmp_path: Path) -> None:
    report = checked(Averaged)
    report.save(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    parts = [p for v in data["verdicts"] for p in v["parts"] if p["evidence"]]
    assert parts[0]["what"] == "gradient of input 1"
    evidence = parts[0]["evidence"]
    x, w = (array_of(a) for a in evidence["inputs"])
    np.testing.assert_array_equal(x, INPUTS[0].numpy())
    y_bar = array_of(evidence["seeds"][0])
    due = x.T @ y_bar
    left, right = balls_of((x.T, y_bar), "float64")
    assert assert_within(array_of(evidence["got"]), left @ right / 6) == due.size
    assert np.all(np.abs(array_of(evidence["expected"]) - due) <= array_of(evidence["bound"]))
    assert w.shape == (6, 6)
