"""Formulas of recorded disagreements at kinks and ties: what torch computes, and not the right number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch.func import jvp, vjp

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.op import FUNCTIONS
from refgrad.testing.deviations.kink_formulas import KINK_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, Inputs, within
from refgrad.tracing.ball import Ball, exact, parts
from tests.within import assert_within

torch.set_num_threads(1)
RNG = np.random.default_rng(5)
FMT = FORMATS["float64"]


def found(formula: str, of: str, given: dict[str, Any], y_bar: Any, dots: dict[str, Any], **more: Any) -> Any:
    """The outcomes of a formula for a call, by the names of the operands; ``dots`` has the tangents."""
    given = {**dict.fromkeys(FUNCTIONS[f"nn.{of}"].names), **given}
    operands = {name: x for name, x in given.items() if isinstance(x, np.ndarray)}
    params = {name: x for name, x in given.items() if not isinstance(x, np.ndarray)}
    xs = tuple([exact(x, FMT) if x.dtype.kind == "f" else x for x in operands.values()])
    moving = tuple([exact(dots[name], FMT) if name in dots else None for name in operands])
    asked = Inputs(bool(more.get("second")), xs, params, exact(np.asarray(y_bar), FMT), moving, FMT)
    names = list(operands)
    balls = KINK_FORMULAS[formula](asked)
    return {names[k] if isinstance(k, int) else k: each for k, each in balls.items()}


def tensors(*xs: Any) -> tuple[torch.Tensor, ...]:
    return tuple([torch.tensor(x) for x in xs])


def turned(f: Any, xs: Any, y_bar: Any, dots: Any) -> torch.Tensor:
    """The tangent as the gradient of the gradient in the cotangent."""

    def gradient(y_bar: Any) -> Any:
        return vjp(f, *xs)[1](y_bar)

    found: torch.Tensor = vjp(gradient, y_bar)[1](dots)[0]
    return found


def beyond(right: Any, ball: Any) -> None:
    with pytest.raises(AssertionError):
        assert_within(np.asarray(right), ball)


@pytest.mark.parametrize("shape", [(4,), (3, 2), (2, 2, 3)])
def test_prelu_has_a_slope_for_each_mode_at_zero(shape: tuple[int, ...]) -> None:
    x = RNG.integers(-1, 2, shape).astype(float)
    x.flat[0] = 0.0
    weight = RNG.standard_normal(shape[1] if len(shape) > 1 else 1)
    dots = {"input": RNG.standard_normal(shape), "weight": RNG.standard_normal(weight.shape)}
    y_bar = RNG.standard_normal(shape)
    held = found("prelu with two slopes at 0", "prelu", {"input": x, "weight": weight}, y_bar, dots)
    y_dot = jvp(F.prelu, tensors(x, weight), tensors(*dots.values()))[1]
    x_bar, weight_bar = vjp(F.prelu, *tensors(x, weight))[1](torch.tensor(y_bar))
    assert assert_within(y_dot.numpy(), held[TANGENT][0]) == x.size
    assert assert_within(x_bar.numpy(), held["input"][0]) == x.size
    assert assert_within(weight_bar.numpy(), held["weight"][0]) == weight.size
    beyond(rg.jvp(nn.prelu, (x, weight), tuple(dots.values()))[1], held[TANGENT][0])  # reverse mode's slope


@pytest.mark.parametrize("reduce", ["amax", "amin"])
def test_an_excluded_element_takes_a_share(reduce: str) -> None:
    x, src = np.array([2.0, 5.0, 0.5]), np.array([2.0, 1.0, 2.0, 7.0, 3.0])
    sign = 1.0 if reduce == "amax" else -1.0
    x, src, index = sign * x, sign * src, np.array([0, 0, 0, 1])  # shorter than the source
    dots = {"input": RNG.standard_normal(3), "src": RNG.standard_normal(5)}
    given = {"input": x, "dim": 0, "index": index, "src": src, "reduce": reduce, "include_self": False}
    y_bar = RNG.standard_normal(3)
    held = found("scatter_reduce with a share for the excluded element", "scatter_reduce", given, y_bar, dots)

    def of_torch(x: Any, src: Any) -> Any:
        return torch.scatter_reduce(x, 0, torch.tensor(index), src[:4], reduce, include_self=False)

    both, moving = tensors(x, src), tensors(*dots.values())
    x_bars = vjp(of_torch, *both)[1](torch.tensor(y_bar))
    for name, x_bar in zip(dots, x_bars, strict=True):
        assert assert_within(x_bar.numpy(), held[name][0]) == x_bar.numel()
    right, transposed = held[TANGENT]
    assert assert_within(jvp(of_torch, both, moving)[1].numpy(), right) == 3
    again = turned(of_torch, both, torch.tensor(y_bar), moving)
    assert assert_within(again.numpy(), transposed) == 3
    beyond(right.value, transposed)
    due = rg.vjp(lambda x, src: nn.scatter_reduce(**{**given, "input": x, "src": src}), x, src)[1](y_bar)
    beyond(due[1], held["src"][0])


@pytest.mark.parametrize("kept", [{"include_self": True}, {"reduce": "prod"}])
def test_other_reductions_are_right(kept: dict[str, Any]) -> None:
    x, index = np.array([2.0]), np.array([0])
    given = {"input": x, "dim": 0, "index": index, "src": x, "reduce": "amax", "include_self": False, **kept}
    assert not found("scatter_reduce with a share for the excluded element", "scatter_reduce", given, x, {})


def _cosine(eps: float) -> tuple[dict[str, Any], Any, dict[str, Any], Callable[..., Any], tuple[Any, Any]]:
    """Arguments, cotangent and tangents for vectors whose norms are on both sides of eps; torch's function and its operands."""
    x1, x2 = 0.1 * RNG.standard_normal((2, 3)), 0.5 * RNG.standard_normal((1, 3))
    given = {"x1": x1, "x2": x2, "dim": 1, "eps": eps}
    dots = {"x1": RNG.standard_normal((2, 3)), "x2": RNG.standard_normal((1, 3))}
    return given, RNG.standard_normal(2), dots, lambda a, b: F.cosine_similarity(a, b, 1, eps), (x1, x2)


@pytest.mark.parametrize("eps", [0.2, 1.0, 10.0])
def test_cosine_similarity_takes_the_slope_of_the_norm(eps: float) -> None:
    given, y_bar, dots, of_torch, xs = _cosine(eps)
    held = found("cosine_similarity by the slope of the norm", "cosine_similarity", given, y_bar, dots)
    both, moving = tensors(*xs), tensors(*dots.values())
    right = rg.vjp(lambda a, b: nn.cosine_similarity(a, b, 1, eps), *xs)[1](y_bar)
    for name, x_bar, due in zip(dots, vjp(of_torch, *both)[1](torch.tensor(y_bar)), right, strict=True):
        assert assert_within(x_bar.numpy(), held[name][0]) == x_bar.numel()
        if name == "x1":
            beyond(due, held[name][0])
    forward, transposed = held[TANGENT]
    assert assert_within(jvp(of_torch, both, moving)[1].numpy(), forward) == 2
    again = turned(of_torch, both, torch.tensor(y_bar), moving)
    assert assert_within(again.numpy(), transposed) == 2
    beyond(forward.value, transposed)


@pytest.mark.parametrize("eps", [0.2, 1.0, 10.0])
def test_second_derivatives_of_cosine_similarity_are_those_of_the_wrong_gradient(eps: float) -> None:
    given, y_bar, dots, of_torch, xs = _cosine(eps)
    formula = "cosine_similarity by the slope of the norm"
    held = found(formula, "cosine_similarity", given, y_bar, dots, second=True)
    both, moving, given_bar = tensors(*xs), tensors(*dots.values()), torch.tensor(y_bar)
    ways = (
        jvp(lambda *zs: vjp(of_torch, *zs)[1](given_bar), both, moving)[1],
        vjp(lambda *zs: vjp(of_torch, *zs)[1](given_bar), *both)[1](moving),
    )
    last = vjp(lambda *zs: jvp(of_torch, zs, moving)[1], *both)[1](given_bar)
    for name, *each, third in zip(dots, *ways, last, strict=True):
        for got, ball in zip(each, held[name], strict=True):
            assert assert_within(got.numpy(), ball) == got.numel()
        assert assert_within(third.numpy(), held[name][0]) == third.numel()
        beyond(held[name][1].value, held[name][0])


NUMBERS = np.array([1.0, 2.0, 1.0, np.nan, 2.0, np.nan]), np.array([1.0, 1.0, 2.0, 2.0, np.nan, np.nan])
# What fmax gave in torch 2.13 and in 2.14.1 with a cotangent of 0.75 and tangents of 3 and 5; both NaN is not judged.
TOLD = {
    "fmax of the first and of the second operand": (
        [0.75, 0.75, 0.0, 0.0, 0.75, 0.75], [0.0, 0.0, 0.75, 0.75, 0.0, 0.0], [5.0, 3.0, 5.0, 5.0, 3.0, 3.0],
    ),
    "fmax by comparisons with NaN": (
        [0.375, 0.75, 0.0, 0.75, 0.75, 0.75], [0.375, 0.0, 0.75, 0.75, 0.75, 0.75], [4.0, 3.0, 5.0, 5.0, 5.0, 5.0],
    ),
    "fmin by comparisons with NaN": (
        [0.375, 0.0, 0.75, 0.75, 0.75, 0.75], [0.375, 0.75, 0.0, 0.75, 0.75, 0.75], [4.0, 5.0, 3.0, 5.0, 5.0, 5.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_extremes_that_ignore_nan_give_what_torch_gave(name: str) -> None:
    xs = tuple(exact(x, FMT) for x in NUMBERS)
    dots = tuple(exact(np.full(6, t), FMT) for t in (3.0, 5.0))
    given = Inputs(False, xs, {}, exact(np.full(6, 0.75), FMT), dots, FMT)
    balls = KINK_FORMULAS[name](given)
    for key, due in zip((0, 1, TANGENT), TOLD[name], strict=True):
        assert assert_within(np.array(due), balls[key][0]) == 6
        beyond(np.array(due) + 0.5, balls[key][0])
    assert not KINK_FORMULAS[name](Inputs(True, xs, {}, given.y_bar, dots, FMT))


def test_a_broadcast_operand_of_an_extreme_adds_its_shares_up() -> None:
    xs = exact(np.array([1.0, 2.0, 3.0]), FMT), exact(np.array([2.0]), FMT)
    given = Inputs(False, xs, {}, exact(np.ones(3), FMT), (None, None), FMT)
    [ball] = KINK_FORMULAS["fmax by comparisons with NaN"](given)[1]
    assert assert_within(np.array([1.5]), ball) == 1


@pytest.mark.parametrize(("name", "far"), [("fmax", 1.0), ("fmin", 4.0)])
def test_the_transpose_of_a_gradient_sent_to_both_operands_adds_their_tangents(name: str, far: float) -> None:
    formula = KINK_FORMULAS[f"{name} of both tangents beside NaN"]
    xs, xs_dot = ([np.nan, 2.0, 2.0], [2.0, np.nan, far]), ([3.0] * 3, [5.0] * 3)
    a, b, a_dot, b_dot = (exact(np.array(x), FORMATS["float64"]) for x in (*xs, *xs_dot))
    [ball] = formula(Inputs(False, (a, b), {}, None, (a_dot, b_dot), FORMATS["float64"]))[TANGENT]
    assert parts(ball)[0].tolist() == [8.0, 8.0, 3.0]
    assert formula(Inputs(False, (a, b), {}, None, (a_dot, None), FORMATS["float64"])) == {}


# Operands, a direction for each and the operand that is chosen: what JAX 0.10.2 gives is NaN but where the chosen one moves infinitely.
MASKED = {
    "maximum by masks": ([1.0, 0.0], 0),
    "minimum by masks": ([1.0, 0.0], 1),
    "clip by masks": ([1.0, 0.0, 2.0], 0),
}


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("name", MASKED)
def test_masks_make_nan_of_what_was_not_chosen_alone(name: str, bad: float) -> None:
    numbers, chosen = MASKED[name]
    xs = tuple(exact(np.array([x]), FMT) for x in numbers)
    for moving in range(len(xs)):
        dots = tuple(exact(np.array([bad if k == moving else 0.25]), FMT) for k in range(len(xs)))
        given = Inputs(False, xs, {}, exact(np.array([bad]), FMT), dots, FMT)
        found = KINK_FORMULAS[name](given)
        explained = within(np.nan, found[TANGENT][0], (0,), 1.0)
        assert explained == (moving != chosen or bad != np.inf)
        assert not within(3.0, found[TANGENT][0], (0,), 1.0) or explained
        for k in range(len(xs)):
            assert within(np.nan, found[k][0], (0,), 1.0) == (k != chosen or bad != np.inf)
    finite = Inputs(
        False, xs, {}, exact(np.ones(1), FMT), tuple(exact(np.full(1, 0.25), FMT) for _ in xs), FMT
    )
    found = KINK_FORMULAS[name](finite)
    assert assert_within(np.array([0.25]), found[TANGENT][0]) == 1
    assert not within(np.nan, found[TANGENT][0], (0,), 1.0)


def test_equal_bounds_above_x_lose_the_gradient_and_no_others() -> None:
    x, low, high = np.array([0.0, 2.0, 3.0, 0.0]), np.full(4, 2.0), np.array([2.0, 2.0, 2.0, 1.0])
    xs = tuple(exact(a, FMT) for a in (x, low, high))
    dots = tuple(exact(np.full(4, t), FMT) for t in (3.0, 5.0, 7.0))
    given = Inputs(False, xs, {}, exact(np.ones(4), FMT), dots, FMT)
    balls = KINK_FORMULAS["clip with nothing for equal bounds"](given)
    told = {0: [0.0, 1.0, 0.0, 0.0], 1: [0.0] * 4, 2: [0.0, 0.0, 1.0, 1.0], TANGENT: [5.0, 3.0, 7.0, 7.0]}
    for key, due in told.items():
        assert assert_within(np.array(due), balls[key][0]) == 4


SHARES = {
    "logaddexp with the whole share of a tie": np.logaddexp,
    "logaddexp2 with the whole share of a tie": np.logaddexp2,
}


@pytest.mark.parametrize("name", SHARES)
def test_a_tie_of_logaddexp_gives_the_first_operand_all_and_other_points_their_shares(name: str) -> None:
    """Of equal infinities TensorFlow 2.21 has NaN as gradients, and the sum of both tangents."""
    x, y = np.array([1.0, 2.0, -1.0, np.inf, -np.inf]), np.array([1.0, 0.5, 3.0, np.inf, -np.inf])
    x_dot, y_dot = np.array([0.5, 1.0, 2.0, 0.25, 0.5]), np.array([0.25, -1.0, 1.0, 1.0, 2.0])
    y_bar = np.array([2.0, 1.5, -0.5, 1.0, 1.0])
    given = Inputs(
        False,
        (exact(x, FMT), exact(y, FMT)),
        {},
        exact(y_bar, FMT),
        (exact(x_dot, FMT), exact(y_dot, FMT)),
        FMT,
    )
    found = KINK_FORMULAS[name](given)
    right = rg.vjp(SHARES[name], x[1:3], y[1:3])[1](y_bar[1:3])
    for k, whole in ((0, 2.0), (1, 0.0)):
        value = parts(found[k][0])[0]
        assert value[0] == whole
        assert np.all(np.isnan(value[3:]))
        assert_within(right[k], found[k][0][1:3])
    moved = rg.jvp(SHARES[name], (x[1:3], y[1:3]), (x_dot[1:3], y_dot[1:3]))[1]
    assert_within(np.array([0.5, *moved, 1.25, 2.5]), found[TANGENT][0])
    assert not within(1.0, found[0][0], (0,), 1.0)  # half of it


def test_operands_of_which_rounding_decides_whether_they_are_equal_share_in_any_way() -> None:
    near = Ball(np.array([1.0 + 1e-15]), np.array([1e-14]), FMT)
    ones = exact(np.ones(1), FMT)
    given = Inputs(False, (near, exact(np.ones(1), FMT)), {}, ones, (None, None), FMT)
    found = KINK_FORMULAS["logaddexp with the whole share of a tie"](given)
    for share, first in ((0.5, True), (1.0, True), (0.75, True), (0.4, False), (1.01, False)):
        assert within(share, found[0][0], (0,), 1.0) == first
        assert within(1 - share, found[1][0], (0,), 1.0) == first
