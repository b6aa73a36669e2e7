"""Inputs that keep a finer dtype than the judged one: a kernel with float32 weights beside bfloat16 activations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402  torch decides whether this module runs at all

from refgrad.bounds.formats import FORMATS  # noqa: E402
from refgrad.errors import ArgumentError, GradientMismatch  # noqa: E402
from refgrad.testing.judging.verdict import AGREE, DISAGREE  # noqa: E402
from refgrad.torch import gradcheck, gradgradcheck  # noqa: E402
from refgrad.torch.checking.mixed_dtypes import enclosed, in_dtype  # noqa: E402
from refgrad.tracing.ball import Ball  # noqa: E402
from tests import forked  # noqa: E402

HALVES = ("bfloat16", "float16")
EPS = 1e-5


class RmsNorm(torch.autograd.Function):
    """x / rms(x) w, where w must be float32. It computes in float32 and returns the dtype of x."""

    @staticmethod
    def forward(ctx, x, w):
        if w.dtype != torch.float32:
            raise TypeError(f"w has dtype {w.dtype}, torch.float32 is expected")
        r = torch.rsqrt((x.float() ** 2).mean(-1, keepdim=True) + EPS)
        ctx.save_for_backward(x, w, r)
        return (x.float() * r * w).to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, y_bar):
        x, w, r = ctx.saved_tensors
        x_hat, g = x.float() * r, y_bar.float()
        x_bar = r * (g * w - x_hat * (g * w * x_hat).mean(-1, keepdim=True))
        return x_bar.to(x.dtype), (g * x_hat).sum(0)


class Wrong(RmsNorm):
    """The gradient of w is too large by an eighth."""

    @staticmethod
    def backward(ctx, y_bar):
        x, w, r = ctx.saved_tensors
        x_hat, g = x.float() * r, y_bar.float()
        x_bar = r * (g * w - x_hat * (g * w * x_hat).mean(-1, keepdim=True))
        return x_bar.to(x.dtype), 1.125 * (g * x_hat).sum(0)


def rms_norm(x, w):
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + EPS) * w


def operands():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4, 8, generator=draw).bfloat16()
    return x.requires_grad_(), torch.randn(8, generator=draw, requires_grad=True)


def test_a_kernel_with_float32_weights_agrees() -> None:
    report = gradcheck(
        RmsNorm.apply, operands(), reference=rms_norm, dtypes=(*HALVES, "float32"), keep_dtype=(1,)
    )
    assert report.status == AGREE
    kept = [note for note in report.notes if "input 1 keeps dtype torch.float32" in note]
    assert [note.partition(":")[0] for note in kept] == list(HALVES)  # in float32 nothing is kept


def test_without_the_keyword_the_error_names_it() -> None:
    with pytest.raises(TypeError, match=r"float32 is expected") as raised:
        gradcheck(RmsNorm.apply, operands(), reference=rms_norm, dtypes=HALVES)
    assert any("keep_dtype=" in note for note in raised.value.__notes__)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_wrong_gradient_of_the_weights_is_found_and_written_out(dtype: str, tmp_path: Path) -> None:
    report = gradcheck(
        Wrong.apply, operands(), reference=rms_norm, dtypes=(dtype,), keep_dtype=(1,), raise_exception=False
    )
    assert report.status == DISAGREE
    assert [p.what for _, _, p in report.parts() if p.status == DISAGREE] == ["gradient of input 1"]
    script, right = tmp_path / "wrong.py", tmp_path / "right.py"
    script.write_text(report.repro(), encoding="utf-8")
    right.write_text(report.repro().replace("1.125 *", "1.0 *"), encoding="utf-8")
    done = forked.run(script, folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "dtype torch.float32" in done.stdout
    done = forked.run(right, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_weights_may_be_rounded_to_the_judged_format_first() -> None:
    """Products that round nothing else: only the rounding of w is left to be seen."""
    x, w = (
        torch.tensor([1.0, 2.0, -4.0], requires_grad=True),
        torch.tensor([1.001, 0.3, 7.77], requires_grad=True),
    )
    for func in (
        lambda x, w: x * w.to(x.dtype),
        lambda x, w: (x.float() * w).to(x.dtype),
        lambda x, w: x.float() * w,
    ):
        report = gradcheck(
            func, (x, w), reference=lambda x, w: x * w, dtypes=("bfloat16",), keep_dtype=(1,), fast_mode=True
        )
        assert report.status == AGREE


def test_the_reference_holds_the_number_and_its_rounding() -> None:
    w = torch.tensor([1.001, 0.5, np.inf, 1e-8, 1e6], dtype=torch.float32)
    (ball,) = enclosed((w,), (w.numpy(),), FORMATS["float16"])
    assert isinstance(ball, Ball)
    assert ball.radius is not None
    np.testing.assert_array_equal(ball.value, w.numpy())
    rounded = w.half().double().numpy()
    finite = [0, 1, 3]
    np.testing.assert_array_equal(ball.radius[finite], np.abs(rounded[finite] - ball.value[finite]))
    assert ball.radius[0] > 0
    assert ball.radius[2] == 0
    assert ball.radius[4] == np.inf  # the rounded number is infinite
    (same,) = enclosed((w[1:3],), (w[1:3].numpy(),), FORMATS["float16"])
    assert same.radius is None


def test_other_inputs_are_cast() -> None:
    x, w = operands()
    cast = in_dtype((x, w, 3, torch.arange(2)), torch.float16, {1})
    assert [getattr(a, "dtype", None) for a in cast] == [torch.float16, torch.float32, None, torch.int64]


def promoted(x, w):
    return torch.tanh(x * w)


def test_second_derivatives_and_outputs_in_the_finer_dtype() -> None:
    """torch's own promotion: the output has the dtype of the weights."""
    checked = {"reference": lambda x, w: np.tanh(x * w), "dtypes": HALVES, "keep_dtype": (1,)}
    assert gradcheck(promoted, operands(), **checked).status == AGREE
    report = gradgradcheck(promoted, operands(), **checked)
    assert report.status == AGREE
    assert any("input 1 keeps dtype" in note for note in report.notes)


def half_held(x, w):
    """Its second derivative lacks what comes through w; a tangent in another dtype than its input is refused, as kernels do."""
    moving = forward_ad.unpack_dual(w).tangent
    if moving is not None and moving.dtype != w.dtype:
        raise TypeError(f"a tangent of {moving.dtype} for an input of {w.dtype}")
    return torch.tanh(x * w) + (x * w.detach()) ** 2


@pytest.mark.parametrize(
    "order", ["reverse over reverse", "forward over reverse", "reverse over forward", "forward over forward"]
)
def test_the_script_of_a_second_derivative_gives_each_input_and_tangent_its_dtype(
    order: str, tmp_path: Path
) -> None:
    report = gradgradcheck(
        half_held,
        operands(),
        reference=lambda x, w: np.tanh(x * w) + (x * w) ** 2,
        dtypes=("bfloat16",),
        keep_dtype=(1,),
        orders=(order,),
        raise_exception=False,
    )
    assert report.status == DISAGREE
    for text, code in ((report.repro(), 1), (report.repro().replace("w.detach()", "w"), 0)):
        assert "dtype=torch.float32" in text
        script = tmp_path / f"{code}.py"
        script.write_text(text, encoding="utf-8")
        done = forked.run(script, folder=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr


class Largest(torch.autograd.Function):
    """max(x) w of rows; the backward gives the whole gradient to each of the tied elements."""

    @staticmethod
    def forward(ctx, x, w):
        y = x.float().amax(-1)
        ctx.save_for_backward(x, w, y)
        return (y * w).to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, y_bar):
        x, w, y = ctx.saved_tensors
        each = (y_bar.float() * w)[..., None] * (x == y[..., None])
        return each.to(x.dtype), y_bar.float() * y


def test_ties_counted_twice_are_found_beside_weights_that_are_kept() -> None:
    x = torch.tensor([[1.0, 2.0, 2.0], [3.0, 1.0, 3.0]], requires_grad=True)
    w = torch.tensor([0.7, -1.3], requires_grad=True)
    with pytest.raises(GradientMismatch, match="gradient of input 0"):
        gradcheck(
            Largest.apply,
            (x, w),
            reference=lambda x, w: np.max(x, -1) * w,
            dtypes=("bfloat16",),
            keep_dtype=(1,),
        )


def test_a_function_under_autocast_is_judged_by_the_dtype_of_the_region() -> None:
    def linear(x, w):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return torch.nn.functional.linear(x, w)

    def doubled(x, w):
        return linear(x, w) + linear(x, w).detach()

    draw = torch.Generator().manual_seed(1)
    given = [torch.randn(shape, generator=draw, requires_grad=True) for shape in ((3, 8), (5, 8))]
    checked = {"dtypes": ("bfloat16",), "keep_dtype": (0, 1)}
    assert gradcheck(linear, given, reference=lambda x, w: x @ w.T, **checked).status == AGREE
    with pytest.raises(GradientMismatch, match="gradient of input 0"):
        gradcheck(doubled, given, reference=lambda x, w: 2 * (x @ w.T), **checked)


def test_complex_weights_keep_theirs_too() -> None:
    x, w = torch.randn(5, dtype=torch.float32), torch.randn(5, dtype=torch.complex128)
    report = gradcheck(
        lambda x, w: (x * w).abs(),
        (x, w.requires_grad_()),
        reference=lambda x, w: np.abs(x * w),
        dtypes=("float32",),
        keep_dtype=(1,),
    )
    assert report.status == AGREE


def test_an_output_may_have_the_dtype_of_an_input_that_is_kept_and_no_other() -> None:
    x, w = operands()
    checked: dict[str, Any] = {"reference": lambda x, w: x * w, "keep_dtype": (1,), "raise_exception": False}
    for dtype in ("bfloat16", "float32"):
        report = gradcheck(lambda x, w: x.double() * w, (x, w), dtypes=(dtype,), **checked)
        assert report.status == DISAGREE
        assert "output 0 has dtype torch.float64" in report.summary()


@pytest.mark.parametrize("given", [(2,), "1", 1, (None,), (-1,), ([1],), (True,), (1.0,)])
def test_what_is_no_position_is_named(given: object) -> None:
    with pytest.raises(ArgumentError, match=r"keep_dtype is .*some of \[0, 1\]"):
        gradcheck(RmsNorm.apply, operands(), reference=rms_norm, keep_dtype=given)


def test_a_coarser_input_cannot_be_kept() -> None:
    with pytest.raises(
        ArgumentError, match=r"input 0 of torch.bfloat16, which is coarser than the judged float32"
    ):
        gradcheck(RmsNorm.apply, operands(), reference=rms_norm, dtypes=("float32",), keep_dtype=(0,))


class Statistics(torch.autograd.Function):
    """A logarithm of sums in float32 beside an output in the dtype of x, too large by a tenth."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x + x, 1.1 * torch.logsumexp(x.float(), -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, y_bar, s_bar):
        (x,) = ctx.saved_tensors
        return (2 * y_bar.float() + s_bar[..., None] * torch.softmax(x.float(), -1)).to(x.dtype)


def test_the_script_of_an_output_in_a_finer_dtype_passes_once_it_is_right(tmp_path: Path) -> None:
    from refgrad.nn import logsumexp

    report = gradcheck(
        Statistics.apply,
        (operands()[0],),
        reference=lambda x: (x + x, logsumexp(x, -1)),
        dtypes=("bfloat16",),
        raise_exception=False,
    )
    assert [p.what for _, _, p in report.parts() if p.status == DISAGREE] == ["output 1"]
    for factor, code in (("1.1", 1), ("1.0", 0)):
        script = tmp_path / f"{code}.py"
        script.write_text(report.repro().replace("1.1 *", f"{factor} *"), encoding="utf-8")
        done = forked.run(script, folder=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
