"""Formulas of recorded disagreements of losses: what torch computes, and not the right number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch.func import vjp

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.op import FUNCTIONS
from refgrad.testing.deviations.loss_formulas import LOSS_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within

torch.set_num_threads(1)
RNG = np.random.default_rng(3)
COMMON = ("mean", "sum", "none")


def inputs(name: str, given: dict[str, Any], y_bar: Any = None, dots: Any = None, **more: Any) -> Inputs:
    """The inputs of a formula for a call, all of whose operands of floating-point numbers are Balls."""
    fmt = FORMATS[more.get("dtype", "float64")]
    function = FUNCTIONS[f"nn.{name}"]
    given = {**dict.fromkeys(function.names), **given}
    operands = [x for x in given.values() if isinstance(x, np.ndarray)]
    params = {k: v for k, v in given.items() if not isinstance(v, np.ndarray)}
    xs = tuple([exact(x, fmt) if x.dtype.kind == "f" else x for x in operands])
    moving = tuple([None] * len(xs)) if dots is None else tuple([exact(x, fmt) for x in dots])
    bar = None if y_bar is None else exact(np.asarray(y_bar), fmt)
    return Inputs(bool(more.get("second")), xs, params, bar, moving, fmt)


def beyond(right: Any, ball: Any) -> None:
    with pytest.raises(AssertionError):
        assert_within(np.asarray(right), ball)


def test_celu_takes_alpha_from_float32() -> None:
    x = np.array([-1.0, -0.25, 0.5])
    (found,) = torch.func.vjp(lambda x: F.celu(x, 0.7), torch.tensor(x))[1](
        torch.ones(3, dtype=torch.float64)
    )
    held = LOSS_FORMULAS["celu by a float32 alpha"](
        inputs("celu", {"input": x, "alpha": 0.7}, np.ones(3), [np.ones(3)])
    )
    assert assert_within(found.numpy(), held[0][0]) == 3
    beyond(rg.vjp(lambda x: nn.celu(x, 0.7), x)[1](np.ones(3))[0], held[0][0])


def test_the_tangent_of_an_embedding_has_the_row_of_the_padding() -> None:
    rows, w, w_dot = np.array([0, 1]), RNG.standard_normal((2, 3)), RNG.standard_normal((2, 3))
    at = {"input": rows, "weight": w, "padding_idx": 1}
    given = inputs("embedding", at, w_dot)
    given = Inputs(False, given.xs, given.params, given.y_bar, (None, exact(w_dot, given.fmt)), given.fmt)
    found = torch.func.jvp(
        lambda w: F.embedding(torch.tensor(rows), w, 1), (torch.tensor(w),), (torch.tensor(w_dot),)
    )[1]
    held = LOSS_FORMULAS["embedding with the tangent of the padding"](given)
    assert assert_within(found.numpy(), held[TANGENT][0]) == 6
    beyond(rg.jvp(lambda w: nn.embedding(rows, w, 1), (w,), (w_dot,))[1], held[TANGENT][0])
    (x_bar,) = vjp(lambda w: F.embedding(torch.tensor(rows), w, 1), torch.tensor(w))[1](torch.tensor(w_dot))
    assert assert_within(x_bar.numpy(), held[1][0]) == 6
    beyond(w_dot, held[1][0])  # the transpose of that tangent


@pytest.mark.parametrize("own", [True, False])
def test_forward_over_reverse_holds_the_product(own: bool) -> None:
    x, src, index = RNG.standard_normal(3), RNG.standard_normal(4), np.array([0, 2, 0, 2])
    dots, y_bar = [RNG.standard_normal(3), RNG.standard_normal(4)], RNG.standard_normal(3)

    def f(x: Any, src: Any) -> Any:
        return torch.scatter_reduce(x, 0, torch.tensor(index), src, "prod", include_self=own)

    found = torch.func.jvp(
        lambda *xs: torch.func.vjp(f, *xs)[1](torch.tensor(y_bar)),
        tuple(map(torch.tensor, (x, src))),
        tuple(map(torch.tensor, dots)),
    )[1]
    at = {"input": x, "dim": 0, "index": index, "src": src, "reduce": "prod", "include_self": own}
    given = inputs("scatter_reduce", at, y_bar, second=True)
    x_dots = exact(dots[0], given.fmt), None, exact(dots[1], given.fmt)
    held = LOSS_FORMULAS["scatter_reduce with the product held"](
        Inputs(True, given.xs, given.params, given.y_bar, x_dots, given.fmt)
    )
    for k, got in zip((0, 2), found, strict=True):
        assert assert_within(got.numpy(), held[k][0], str(k)) == got.numel()
    tangent = torch.func.jvp(f, tuple(map(torch.tensor, (x, src))), tuple(map(torch.tensor, dots)))[1]
    still = LOSS_FORMULAS["scatter_reduce with the product held"]
    assert assert_within(tangent.numpy(), still(inputs("scatter_reduce", at, y_bar))[TANGENT][0]) == 3
    assert not still(inputs("scatter_reduce", {**at, "reduce": "sum"}, y_bar))


@pytest.mark.parametrize("reduction", COMMON)
def test_ctc_loss_adds_the_exponentials(reduction: str) -> None:
    scores = RNG.standard_normal((4, 2, 3)) - 1
    at = {
        "log_probs": scores, "targets": np.array([[1, 2], [1, 1]]), "input_lengths": (4, 2), "target_lengths": (1, 2),
        "blank": 0, "reduction": reduction, "zero_infinity": True,
    }  # fmt: skip
    y_bar = RNG.standard_normal(2 if reduction == "none" else ())
    x = torch.tensor(scores[:, :1], requires_grad=True)
    targets = torch.tensor(at["targets"][:1])
    loss = F.ctc_loss(x, targets, (4,), (1,), 0, reduction)
    found = torch.autograd.grad(loss.sum() * float(np.ravel(y_bar)[0]), x)[0].numpy()
    held = LOSS_FORMULAS["ctc_loss of normalized numbers"](inputs("ctc_loss", at, y_bar))
    value, radius = parts(held[0][0])
    share = 2 if reduction == "mean" else 1  # the mean is over one sample there, and over two here
    assert np.all(np.abs(found[:, 0] / share - value[:, 0]) <= 2 * radius[:, 0])
    assert not np.any(value[:, 1])  # no alignment reaches the second target in two steps
    right = rg.vjp(lambda x: nn.ctc_loss(**{**at, "log_probs": x}), scores)[1](y_bar)[0]
    beyond(right, held[0][0])


@pytest.mark.parametrize("reduction", COMMON)
def test_soft_margin_loss_is_infinite(reduction: str) -> None:
    x, target = np.array([-800.0, 1.0]), np.array([1, -1])
    given = inputs("soft_margin_loss", {"input": x, "target": target, "reduction": reduction})
    with np.errstate(all="ignore"):
        (value,) = LOSS_FORMULAS["soft_margin_loss by the exponential"](given)[VALUE]
    found = F.soft_margin_loss(torch.tensor(x), torch.tensor(target), reduction=reduction).numpy()
    # The entry takes infinity alone.
    assert np.array_equal(np.isfinite(parts(value)[1]), np.isfinite(found))
    assert np.isinf(found).any()


@pytest.mark.parametrize("reduction", COMMON)
def test_second_derivatives_of_binary_cross_entropy_are_shifted(reduction: str) -> None:
    p, target = RNG.uniform(0.01, 0.9, 3), RNG.uniform(0, 1, 3)
    dots, y_bar = (
        [RNG.standard_normal(3) for _ in "pt"],
        RNG.standard_normal(3 if reduction == "none" else ()),
    )

    def f(p: Any, target: Any) -> Any:
        return F.binary_cross_entropy(p, target, reduction=reduction)

    tensors, moving = tuple(map(torch.tensor, (p, target))), tuple(map(torch.tensor, dots))
    found = torch.func.jvp(lambda *xs: torch.func.vjp(f, *xs)[1](torch.tensor(y_bar)), tensors, moving)[1][0]
    given = {"input": p, "target": target, "reduction": reduction}
    held = LOSS_FORMULAS["binary_cross_entropy of shifted probabilities"](
        inputs("binary_cross_entropy", given, y_bar, dots, second=True)
    )
    reached: list[Callable[[], int]] = [
        lambda ball=ball: assert_within(found.numpy(), ball) for ball in held[0]
    ]
    assert any(_passes(each) for each in reached)
    right = rg.jvp(
        lambda *xs: rg.vjp(lambda *z: nn.binary_cross_entropy(*z, reduction=reduction), *xs)[1](y_bar),
        (p, target),
        tuple(dots),
    )[1]
    for ball in held[0]:
        beyond(right[0], ball)


def _passes(check: Callable[[], int]) -> bool:
    try:
        return check() > 0
    except AssertionError:
        return False


def test_cosine_embedding_loss_adds_a_float32_number() -> None:
    zero, one, target = np.zeros(1), np.ones(1), np.array(1)
    given = inputs(
        "cosine_embedding_loss",
        {"input1": zero, "input2": one, "target": target, "margin": 0.0, "reduction": "none"},
        1.0,
        [one, one, one],
    )
    held = LOSS_FORMULAS["cosine_embedding_loss by a float32 shift"](given)
    tensors = [torch.tensor(x, requires_grad=True) for x in (zero, one)]
    F.cosine_embedding_loss(*tensors, torch.tensor(1), reduction="none").backward()
    assert assert_within(tensors[0].grad.numpy(), held[0][0]) == 1
    right = rg.vjp(lambda a: nn.cosine_embedding_loss(a, one, target, reduction="none"), zero)[1](1.0)[0]
    beyond(right, held[0][0])


@pytest.mark.parametrize("axes", [1, 2])
def test_lp_pool_of_order_one_loses_windows_of_zero_sum(axes: int) -> None:
    x = np.ones((1, 1, *(2,) * axes))
    x[..., 0] = -1
    of_torch = getattr(F, f"lp_pool{axes}d")
    y_bar = np.ones((1, 1, *(1,) * axes))
    (found,) = torch.func.vjp(lambda x: of_torch(x, 1, 2), torch.tensor(x))[1](torch.tensor(y_bar))
    at = {"input": x, "norm_type": 1.0, "kernel_size": 2, "stride": None, "ceil_mode": False}
    held = LOSS_FORMULAS[f"lp_pool{axes}d as sign times magnitude"](
        inputs(f"lp_pool{axes}d", at, y_bar, [np.ones_like(x)])
    )
    assert assert_within(found.numpy(), held[0][0]) == x.size
    assert not found.any()
    of_square = inputs(f"lp_pool{axes}d", {**at, "norm_type": 2.0}, y_bar, [np.ones_like(x)])
    assert LOSS_FORMULAS[f"lp_pool{axes}d as sign times magnitude"](of_square) == {}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_nll_loss_adds_up_in_the_half_format(reduction: str) -> None:
    x = RNG.standard_normal((64, 4)).astype(np.float16).astype(np.float64)
    target = np.zeros(64, np.int64)
    at = {"input": x, "target": target, "ignore_index": -100, "reduction": reduction}
    (held,) = LOSS_FORMULAS["nll_loss by sums in the storage format"](
        inputs("nll_loss", at, dtype="float16")
    )[VALUE]
    found = F.nll_loss(torch.tensor(x).half(), torch.tensor(target), reduction=reduction)
    assert assert_within(found.double().numpy(), held) == 1
    beyond(2 * found.double().numpy() + np.sign(found.item()) * (64 if reduction == "sum" else 1), held)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_tangent_of_nll_loss_is_the_loss_of_a_tangent(reduction: str) -> None:
    x, x_dot = RNG.standard_normal((2, 64, 4)).astype(np.float16).astype(np.float64)
    at = {"target": np.zeros(64, np.int64), "ignore_index": -100, "reduction": reduction}
    formula = LOSS_FORMULAS["nll_loss by sums in the storage format"]
    found = formula(inputs("nll_loss", {"input": x, **at}, None, [x_dot], dtype="float16"))
    alone = formula(inputs("nll_loss", {"input": x_dot, **at}, dtype="float16"))
    assert alone.keys() == {VALUE}
    for one, other in zip(parts(found[TANGENT][0]), parts(alone[VALUE][0]), strict=True):
        assert one == other
    asked = inputs("nll_loss", {"input": x, **at, "reduction": "none"}, None, [x_dot], dtype="float16")
    assert formula(asked) == {}
