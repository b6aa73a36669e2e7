"""A reference that states the derivative that is wanted: torch code that has it passes, and torch code that has another one does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import refgrad as rg  # noqa: E402
from refgrad.bounds.formats import computed_on  # noqa: E402
from refgrad.torch import gradcheck  # noqa: E402

DTYPES = tuple(computed_on("cpu"))
X = torch.tensor(np.random.default_rng(0).normal(size=(3, 5)) * 3)


def with_slope(forward: Callable[[Any], Any], slope: Callable[[Any, Any], Any]) -> Any:
    """A Function with the derivative ``slope(x, g)`` in both modes."""

    class F(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return forward(x)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return slope(ctx.saved_tensors[0], g)

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return slope(ctx.saved_tensors[0], t)

    return F.apply


def by_vjp(f: Any, slope: Any) -> Any:
    made = rg.custom_vjp(f)
    made.defvjp(lambda x: (f(x), x), lambda x, y_bar: (slope(x, y_bar),))
    return made


def by_jvp(f: Any, slope: Any) -> Any:
    made = rg.custom_jvp(f)
    made.defjvp(lambda primals, tangents: (f(primals[0]), slope(primals[0], tangents[0])))
    return made


# name: reference, torch's forward, the right slope, wrong ones
STATED: dict[str, tuple[Any, Any, Any, list[Any]]] = {
    "straight through, by vjp": (
        by_vjp(np.round, lambda x, g: g), torch.round, lambda x, g: g.clone(), [lambda x, g: 0 * g, lambda x, g: g / 2],
    ),
    "straight through, by jvp": (
        by_jvp(np.round, lambda x, g: g), torch.round, lambda x, g: g.clone(), [lambda x, g: 0 * g, lambda x, g: g / 2],
    ),
    "straight through, by stopping": (
        lambda x: x + rg.stop_gradient(np.round(x) - x), torch.round, lambda x, g: g.clone(), [lambda x, g: 0 * g],
    ),
    "clipped straight through": (
        by_vjp(np.sign, lambda x, g: np.where(np.abs(x) <= 1, g, 0.0)), torch.sign, lambda x, g: g * (x.abs() <= 1),
        [lambda x, g: g.clone(), lambda x, g: 0 * g, lambda x, g: g * (x.abs() >= 1)],
    ),
    "reversal, by vjp": (
        by_vjp(lambda x: x, lambda x, g: -0.5 * g), torch.clone, lambda x, g: -0.5 * g,
        [lambda x, g: g.clone(), lambda x, g: 0.5 * g, lambda x, g: -0.25 * g, lambda x, g: 0 * g],
    ),
    "reversal, by jvp": (
        by_jvp(lambda x: x, lambda x, g: -0.3 * g), torch.clone, lambda x, g: -0.3 * g,
        [lambda x, g: g.clone(), lambda x, g: 0.3 * g, lambda x, g: -0.25 * g],
    ),
    "reversal, by stopping": (
        lambda x: rg.stop_gradient(1.5 * x) - 0.5 * x, torch.clone, lambda x, g: -0.5 * g, [lambda x, g: g.clone()],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_the_derivative_that_is_stated_passes_and_no_other(name: str) -> None:
    reference, forward, right, wrong = STATED[name]
    # A sum of two rounded numbers may round once more than torch.round and torch.clone do.
    report = gradcheck(with_slope(forward, right), (X,), reference=reference, dtypes=DTYPES)
    assert report.status == "agree", report.summary()
    for slope in wrong:
        report = gradcheck(
            with_slope(forward, slope), (X,), reference=reference, dtypes=DTYPES, raise_exception=False
        )
        modes = {(dtype, v.mode): v.status for dtype, v in report.verdicts}
        for dtype in DTYPES:
            assert modes[dtype, "value"] == "agree"
            assert modes[dtype, "reverse"] == modes[dtype, "forward"] == "disagree"


def test_a_clipped_cotangent_is_judged_in_reverse_mode() -> None:
    """Its backward is not linear: there is no forward mode, on either side."""
    reference = rg.custom_vjp(lambda x: x)
    reference.defvjp(lambda x: (x, None), lambda _, y_bar: (np.clip(y_bar, -0.5, 0.5),))
    right = with_slope(torch.clone, lambda x, g: g.clamp(-0.5, 0.5))
    assert gradcheck(right, (X,), reference=reference, check_forward=False).status == "agree"
    wrong = with_slope(torch.clone, lambda x, g: g.clamp(-1.0, 1.0))
    report = gradcheck(wrong, (X,), reference=reference, check_forward=False, raise_exception=False)
    assert report.status == "disagree"


SEGMENTS = np.array([0, 1, 1, 2, 0, 4])


@pytest.mark.parametrize("right", [True, False])
def test_pooling_by_segments(right: bool) -> None:
    """np.bincount with weights states a scatter-add; a gradient of zero is wrong."""

    def pooled(x: Any) -> Any:
        zeros = torch.zeros(5, dtype=x.dtype)
        return zeros.index_add(0, torch.tensor(SEGMENTS), x if right else x.detach() + 0 * x)

    x = torch.tensor([1.0, 2.0, -3.0, 0.5, 4.0, 1.25])
    report = gradcheck(
        pooled, (x,), reference=lambda x: np.bincount(SEGMENTS, weights=x, minlength=5), dtypes=DTYPES, raise_exception=False
    )  # fmt: skip
    assert report.status == ("agree" if right else "disagree"), report.summary()
