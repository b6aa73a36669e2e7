"""gradcheck at special points: torch passes wherever the record allows its answer, and deviations.toml names the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad import nn  # noqa: E402  torch decides whether this module runs at all
from refgrad.bounds.formats import computed_on  # noqa: E402
from refgrad.domain import Special  # noqa: E402
from refgrad.errors import GradientMismatch  # noqa: E402
from refgrad.op import REGISTRY, Op  # noqa: E402
from refgrad.testing.deviations.file import load  # noqa: E402
from refgrad.testing.judging.verdict import DISAGREE, Verdict  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402

DTYPES = tuple(computed_on("cpu"))
RECORDED = load(Path(__file__).parents[2] / "conformance" / "deviations.toml")
POINTS = [
    (op, s)
    for op in REGISTRY.values()
    if op.torch is not None and op.signature.differentiable
    for s in op.special
]


def named(value: Any) -> str | None:
    if isinstance(value, Op):
        return value.name
    return f"{[np.asarray(a).tolist() for a in value.at]}" if isinstance(value, Special) else None


def recorded(op: Op, mode: str, dtype: str) -> bool:
    return any(op.name in d.ops and mode in d.modes and dtype in d.dtypes for d in RECORDED)


def without_bound(verdict: Verdict) -> bool:
    """Whether all that is wrong is an infinity or NaN where the reference's bound has no end: no matter of special points."""
    return bool(verdict.wrong) and all(
        np.isinf(e.bound) and not np.isfinite(e.got) and np.isfinite(e.expected) for e in verdict.wrong
    )


@pytest.mark.filterwarnings("ignore:.*[Dd]egrees of freedom")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "s"), POINTS, ids=named)
def test_torch_at_its_special_points(op: Op, s: Special, dtype: str) -> None:
    params = {**op.signature.defaults, **dict(s.params)}
    xs = tuple(torch.tensor(np.asarray(a, float), requires_grad=True) for a in s.at)
    try:
        report = gradcheck(
            lambda *ts: op.torch(torch, *ts, **params),
            xs,
            reference=lambda *zs: op(*zs, **params),
            dtypes=(dtype,),
            raise_exception=False,
        )
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(str(error))
    for _, verdict in report.verdicts:
        excused = recorded(op, verdict.mode, dtype) or without_bound(verdict)
        assert verdict.status != DISAGREE or excused, verdict.message


class Slope(torch.autograd.Function):
    """A function of one tensor whose backward multiplies by a number at some places."""

    @staticmethod
    def forward(ctx: Any, x: Any, f: Any, at: float, slope: float) -> Any:
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            y = f(z)
        ctx.save_for_backward(z, y)
        ctx.at, ctx.slope = at, slope
        return y.detach()

    @staticmethod
    def backward(ctx: Any, y_bar: Any) -> Any:
        z, y = ctx.saved_tensors
        (x_bar,) = torch.autograd.grad(y, z, y_bar, retain_graph=True)
        return torch.where(z == ctx.at, ctx.slope * y_bar, x_bar), None, None, None


@pytest.mark.parametrize(
    ("f", "reference", "at", "inside", "outside"),
    [
        (torch.relu, nn.relu, 0.0, [0.0, 0.3, 1.0], [-0.1, 1.1]),
        (torch.abs, np.abs, 0.0, [-1.0, 0.0, 0.9], [-1.1, 1.5]),
        (torch.nn.functional.hardswish, nn.hardswish, 3.0, [1.0, 1.25, 1.5], [0.75, 1.75]),
        (torch.nn.functional.leaky_relu, nn.leaky_relu, np.nan, [], []),
        (lambda x: torch.hypot(x, torch.zeros_like(x)), lambda x: np.hypot(x, np.zeros(x.shape)), 0.0, [-1, 0, 1], [-1.5, 1.5]),
    ],
    ids=["relu", "abs", "hardswish", "leaky_relu of NaN", "hypot"],
)  # fmt: skip
def test_a_custom_backward_at_a_kink(
    f: Any, reference: Any, at: float, inside: list[float], outside: list[float]
) -> None:
    x = torch.tensor([at, 1.0, -2.5], requires_grad=True)

    def verdict(slope: float) -> str:
        report = gradcheck(
            lambda x: Slope.apply(x, f, at, slope),
            (x,),
            reference=reference,
            check_forward=False,
            raise_exception=False,
        )
        return str({v.mode: v.status for d, v in report.verdicts if d == "float32"}["reverse"])

    assert {verdict(s) for s in inside} <= {"agree"}
    assert {verdict(s) for s in outside} <= {"disagree"}
    assert np.isfinite(at) or verdict(7.0) == "agree"  # nothing is defined there


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_the_value_is_nan_the_gradient_of_torch_passes(dtype: str) -> None:
    x = torch.tensor([np.nan, 1.0, -2.0], requires_grad=True)
    for f, reference in (
        (lambda x: torch.nn.functional.leaky_relu(x, 0.25), lambda x: nn.leaky_relu(x, slope=0.25)),
        (torch.nn.functional.elu, nn.elu),
        (torch.relu, nn.relu),
    ):
        assert gradcheck(f, (x,), reference=reference, dtypes=(dtype,)).status == "agree"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("at", [0.0, np.nan])
def test_a_branch_that_is_not_selected_has_no_nan_to_give(dtype: str, at: float) -> None:
    """The value is 0 there, and so is the gradient; torch multiplies the 0 of the mask by the slope of the other branch."""
    x = torch.tensor([at, 1.0, -2.0], requires_grad=True)
    with pytest.raises(GradientMismatch, match="got nan, a finite number is expected: 0"):
        gradcheck(
            lambda x: torch.where(x > 0, torch.log(x), 0.0),
            (x,),
            reference=lambda x: np.where(x > 0, np.log(x), 0.0),
            dtypes=(dtype,),
        )
