"""A check of one dtype: what it blames, and what it takes of memory, in processes of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402
from tests import forked  # noqa: E402

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[3]
N = 1_000_000
# Bytes an element, beside what is there before: ten million take 1.5 GB with the import of torch.
BUDGET = 130
_PEAK = """
import ctypes
import torch
from benchmarks.gradcheck import Swish, _peak, _swish
from refgrad.torch import gradcheck
from refgrad.torch.checking.check import Check, Settings

torch.set_num_threads(1)
ctypes.CDLL(None).mallopt(-3, 1_000_000)  # M_MMAP_THRESHOLD: the memory of an array goes back with it
before = _peak()
x = torch.randn({}, requires_grad=True)
{}
print((_peak() - before) * 2**30)
"""


def peak(program: str, n: int, folder: Path) -> float:
    """The peak memory of a program about n elements x beyond that of its imports, in bytes."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak memory of a process is read from /proc")
    script = folder / "peak.py"
    script.write_text(_PEAK.format(n, program), encoding="utf-8")
    done = forked.run(script, folder=folder, path=[str(ROOT)])
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_value_reverse_and_forward_mode_of_a_large_array_stay_within_their_budget(tmp_path: Path) -> None:
    call = "gradcheck(Swish.apply, (x,), reference=_swish, dtypes=('float32',), fast_mode=True)"
    few, many = N // 10, 3 * N
    assert peak(call, many, tmp_path) - peak(call, few, tmp_path) < BUDGET * (many - few)


def test_the_peak_does_not_grow_with_the_number_of_questions(tmp_path: Path) -> None:
    call = "Check(Swish.apply, _swish, (x,), (0,), 'float32', Settings(repeats={}, forward=False)).verdicts()"
    few, many = (peak(call.format(repeats), N, tmp_path) for repeats in (3, 6))
    assert many < few + 4 * N  # less than one array more


def test_create_graph_is_blamed_only_where_the_gradient_is_right_without_it() -> None:
    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, y_bar):
            return y_bar * ctx.saved_tensors[0]

    report = gradcheck(
        Halved.apply, (torch.randn(3),), reference=lambda x: x * x, dtypes=("float64",), raise_exception=False
    )
    assert report.status == "disagree"
    assert "create_graph" not in report.summary()


def test_none_stands_for_zeros_and_is_compared() -> None:
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.sign(x)

        @staticmethod
        def backward(ctx, y_bar):
            return None

    x = torch.randn(3)
    report = gradcheck(Sign.apply, (x,), reference=np.sign, dtypes=("float64", "bfloat16"))
    assert [v.status for _, v in report.verdicts if v.mode == "reverse"] == ["agree", "agree"]
    assert all(v.elements for _, v in report.verdicts if v.mode == "reverse")
    wrong = gradcheck(
        Sign.apply, (x,), reference=lambda x: np.sign(x) + 0 * x * x + x * 1e-9, raise_exception=False
    )
    assert wrong.status == "disagree"


def test_a_wrong_gradient_beside_buffers_is_judged_in_a_half_format() -> None:
    class Normalised(torch.autograd.Function):
        """A weight over its largest singular value, of which buffers hold the vectors; the second term is halved."""

        @staticmethod
        def forward(ctx, w, u, v):
            s = u @ w @ v
            ctx.save_for_backward(w, u, v, s)
            return w / s

        @staticmethod
        def backward(ctx, y_bar):
            w, u, v, s = ctx.saved_tensors
            return y_bar / s - (y_bar * w).sum() / s**2 * torch.outer(u, v) * 0.5, None, None

    w = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    u, v = (torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64) for n in (4, 3))
    u, v = u / u.norm(), v / v.norm()
    report = gradcheck(
        Normalised.apply,
        (w.requires_grad_(), u, v),
        reference=lambda w, u, v: w / (u @ w @ v),
        dtypes=("float16",),
        raise_exception=False,
    )
    assert report.status == "disagree"
