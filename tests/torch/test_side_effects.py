"""Settings of torch that code under test changes: each is named, is an error of the mode, and is as before afterwards."""

from __future__ import annotations

import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.errors import SideEffectError  # noqa: E402
from refgrad.graph import Graph  # noqa: E402
from refgrad.testing import Case  # noqa: E402
from refgrad.testing.judging.verdict import AGREE, ERROR  # noqa: E402
from refgrad.testing.runs.item import examine  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.backend import TorchBackend  # noqa: E402
from refgrad.torch.side_effects import settings, settings_kept, settings_restored  # noqa: E402

X = np.array([0.5, -1.0, 2.0])
CHANGES = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "autocast on CPUs": lambda: torch.set_autocast_enabled("cpu", True),
    "autocast on CUDA": lambda: torch.set_autocast_enabled("cuda", True),
    "number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "choice of deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "detection of anomalies": lambda: torch.autograd.set_detect_anomaly(True),
    "precision of float32 products": lambda: torch.set_float32_matmul_precision("medium"),
    "seed": lambda: torch.manual_seed(torch.initial_seed() ^ 1),
}


def case(order: int = 2) -> Case:
    return Case("ops", Graph.record(np.exp, X), {"x": X}, {"x": X + 1}, np.ones(3), "float64", order=order)


def backend(forward=lambda: None, backward=lambda: None) -> TorchBackend:
    """torch with an exp that also calls a function, and another one in its backward."""

    class Exp(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return torch.exp(x)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, y_bar):
            backward()
            return y_bar * torch.exp(ctx.saved_tensors[0])

        @staticmethod
        def jvp(ctx, x_dot):
            return x_dot * torch.exp(ctx.saved_tensors[0])

    def exp(x):
        forward()
        return Exp.apply(x)

    made, module = TorchBackend(), types.ModuleType("torch")
    module.__dict__.update({**vars(torch), "exp": exp})
    made.namespaces = {"exp": module}
    return made


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_is_named_and_set_again(name: str) -> None:
    before = settings()
    with (
        pytest.raises(SideEffectError, match=f"torch's {name} is .+ after the call, and was .+ before"),
        settings_kept(),
    ):
        CHANGES[name]()
    assert settings() == before
    with settings_restored() as changes:
        CHANGES[name]()
    assert [name in change for change in changes] == [True]
    assert settings() == before


def test_an_exception_goes_first_and_the_setting_is_set_again() -> None:
    before = settings()

    def failing() -> None:
        torch.set_default_dtype(torch.float64)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), settings_kept():
        failing()
    assert settings() == before


def test_what_changes_nothing_agrees() -> None:
    for order in (1, 2):
        assert {v.status for v in examine(case(order), backend().observe)} == {AGREE}


def test_no_default_device_is_left_where_there_was_none() -> None:
    """With one torch hands its functions to a mode, under which l1_loss loses its weights (docs/findings)."""
    for device in ("meta", "cpu"):
        with settings_restored():
            torch.set_default_device(device)
        torch.set_default_device(None) if device == "cpu" else None  # the same setting, which is no change
        assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "default device"])
def test_a_kernel_that_changes_a_setting_is_an_error_every_time(name: str) -> None:
    before, judged = settings(), backend(forward=CHANGES[name])
    for _ in range(2):
        (verdict,) = examine(case(), judged.observe)
        assert verdict.status == ERROR
        assert f"torch's {name} is" in (verdict.reason + verdict.message)
        judged.script(case(), verdict)
        assert settings() == before


def test_so_is_a_backward_and_a_function_that_forces_the_grad_mode() -> None:
    before = settings()
    for wrong in (
        backend(backward=CHANGES["default dtype"]),
        backend(forward=lambda: torch.set_grad_enabled(True)),  # also where the caller has switched it off
    ):
        failing = [v for v in examine(case(), wrong.observe) if v.failed]
        assert failing
        assert all("SideEffectError" in v.reason + v.message for v in failing)
        assert settings() == before


OF_FUNC = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "detection of anomalies": lambda: torch.autograd.set_detect_anomaly(True),
}


@pytest.mark.parametrize("name", OF_FUNC)
def test_a_func_that_changes_a_setting_of_torch_is_named_and_the_setting_is_set_again(name) -> None:
    def func(x):
        y = torch.sin(x)
        OF_FUNC[name]()
        return y

    before = settings()
    report = gradcheck(func, (torch.randn(3),), reference=np.sin, raise_exception=False)
    assert settings() == before
    assert report.status == "disagree"
    assert f"torch's {name} is" in report.summary()
    assert "func has to leave the settings of torch as they are" in report.summary()


def test_so_is_a_backward() -> None:
    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, y_bar):
            torch.set_default_dtype(torch.float64)
            return y_bar * torch.cos(ctx.saved_tensors[0])

    before = settings()
    report = gradcheck(Sine.apply, (torch.randn(3),), reference=np.sin, raise_exception=False)
    assert settings() == before
    assert "torch's default dtype is torch.float64 after the call" in report.summary()


def test_a_func_may_set_the_seed() -> None:
    """Dropout draws the same mask in each call."""

    def func(x):
        torch.manual_seed(3)
        return x * (torch.rand(6) > 0.5)

    torch.manual_seed(3)
    mask = (torch.rand(6) > 0.5).numpy()
    torch.manual_seed(4)
    assert gradcheck(func, (torch.randn(6),), reference=lambda x: x * mask).status == "agree"
