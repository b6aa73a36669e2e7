"""torch's forward mode without the warnings of its first use."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.forward_mode import dense, dual_level, func_jvp, make_dual, overlaps  # noqa: E402


def test_a_tangent_in_a_level_and_by_the_function_are_the_same() -> None:
    x, x_dot = torch.tensor([0.5, -2.0]), torch.tensor([3.0, 1.0])
    with dual_level():
        dual = torch.sin(torch.autograd.forward_ad.make_dual(x, x_dot))
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    y, y_dot = func_jvp(torch.sin, [x], [x_dot])
    assert torch.equal(y, torch.sin(x))
    assert torch.equal(y_dot, tangent)
    assert torch.allclose(y_dot, torch.cos(x) * x_dot)


def test_it_may_be_nested() -> None:
    x, one = torch.tensor(0.5), torch.tensor(1.0)
    _, second = func_jvp(lambda x: func_jvp(torch.sin, [x], [one])[1], [x], [one])
    assert torch.equal(second, -torch.sin(x))


def test_an_expanded_input_is_copied() -> None:
    x, x_dot = torch.tensor([[0.5], [-2.0]]).expand(2, 3), torch.ones(2, 3)
    assert overlaps(x)
    assert not overlaps(torch.ones(1, 3).expand(1, 3))
    assert dense(x_dot) is x_dot
    with dual_level():
        tangent = torch.autograd.forward_ad.unpack_dual(torch.sin(make_dual(x, x_dot))).tangent
    assert torch.equal(tangent, torch.cos(x))
    assert torch.equal(func_jvp(torch.sin, [x], [x_dot])[1], torch.cos(x))


def test_its_first_use_warns_nobody() -> None:
    script = (
        "import warnings\nwarnings.simplefilter('error')\nimport torch\nfrom refgrad.torch.forward_mode import func_jvp\n"
        "print(func_jvp(torch.sin, [torch.zeros(())], [torch.ones(())])[1].item())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "1.0\n", done.stderr


def test_an_expanded_input_is_judged_in_forward_mode_with_a_copy() -> None:
    x = torch.randn(3, 1).expand(3, 4).requires_grad_()
    report = gradcheck(torch.sin, (x,), reference=np.sin)
    assert [v.status for _, v in report.verdicts] == ["agree"] * 6
    assert any("forward mode is asked with a dense copy" in note for note in report.notes)
    options = {"check_batched_grad": True, "check_batched_forward_grad": True, "dtypes": ("float64",)}
    assert gradcheck(torch.sin, (x,), reference=np.sin, **options).status == "agree"
