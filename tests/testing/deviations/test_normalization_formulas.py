"""Formulas of recorded disagreements of normalization layers: what torch computes, and not the second derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.nn import layer_norm
from refgrad.testing.deviations.normalization_formulas import NORMALIZATION_FORMULAS
from refgrad.testing.deviations.recorded_formula import TANGENT, Inputs
from refgrad.tracing.ball import exact, parts
from refgrad.transforms import jvp, vjp
from tests.within import assert_within

torch.set_num_threads(1)
FMT, RNG = FORMATS["float64"], np.random.default_rng(8)


def numbers(shape: Any) -> Any:
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("weight", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm_holds_its_statistics(weight: bool, bias: bool) -> None:
    if not weight and bias:
        pytest.skip("torch raises there")
    shape, inner = (2, 5), (5,)
    xs = [numbers(shape), *[numbers(inner) for given in (weight, bias) if given]]
    x_dots, y_bar = [numbers(x.shape) for x in xs], numbers(shape)
    params = {"normalized_shape": inner, "eps": 0.1}
    params |= {name: None for name, given in (("weight", weight), ("bias", bias)) if not given}

    def f(x: Any, w: Any = None, b: Any = None) -> Any:
        return torch.nn.functional.layer_norm(x, inner, w, b, 0.1)

    tensors, dots = [tuple(map(torch.tensor, given)) for given in (xs, x_dots)]
    found = torch.func.vjp(lambda *given: torch.func.jvp(f, given, dots)[1], *tensors)[1](torch.tensor(y_bar))
    balls = [tuple(exact(x, FMT) for x in given) for given in (xs, x_dots)]
    inputs = Inputs(True, balls[0], params, exact(y_bar, FMT), balls[1], FMT)
    held = NORMALIZATION_FORMULAS["layer_norm with statistics held"](inputs)
    assert sorted(held) == list(range(len(xs)))
    for k, got in enumerate(found):
        assert assert_within(got.numpy(), held[k][0], str(k)) == got.numel()
    right = rg.jvp(
        lambda *given: rg.vjp(lambda x, w=None, b=None: layer_norm(x, inner, w, b, 0.1), *given)[1](y_bar),
        tuple(xs),
        tuple(x_dots),
    )[1]
    with pytest.raises(AssertionError):
        assert_within(right[0], held[0][0])


def given(name: str, y_bar: Any, params: dict[str, Any], *xs: Any) -> dict[Any, Any]:
    """What a formula gives for these operands in bfloat16, or in the format of float64 where they are."""
    fmt = FORMATS["bfloat16" if xs[0].dtype == torch.bfloat16 else "float64"]
    balls = [exact(x.detach().double().numpy().astype(fmt.wide), fmt) for x in (*xs, y_bar)]
    return NORMALIZATION_FORMULAS[name](
        Inputs(False, tuple(balls[:-1]), params, balls[-1], (None,) * len(xs), fmt)
    )


def test_layer_norm_adds_rows_in_the_storage_format() -> None:
    draws = [torch.tensor(numbers(shape)).bfloat16() for shape in ((700, 2), (2,), (2,))]
    x, w, b = [t.requires_grad_() for t in draws]
    y_bar = torch.tensor(numbers((700, 2)) + 0.5).bfloat16()
    got = torch.autograd.grad(torch.nn.functional.layer_norm(x, (2,), w, b), (w, b), y_bar)
    found = given(
        "layer_norm by sums in the storage format", y_bar, {"normalized_shape": (2,), "eps": 1e-5}, x, w, b
    )
    assert sorted(found) == [1, 2]
    # The terms of the weight are rounded: each sum may round to the next number.
    value, radius = parts(found[1][0])
    assert np.all(np.abs(got[0].double().numpy() - value) <= radius)
    assert np.array_equal(parts(found[2][0])[0], got[1].double().numpy())  # the terms of the bias are exact
    assert not np.any(parts(found[2][0])[1])
    assert abs(float(got[1][0]) - float(y_bar[:, 0].double().sum())) > 1


def test_batch_norm_reads_the_memory_of_its_weight() -> None:
    memory, x, y_bar = [torch.tensor(numbers(shape)) for shape in ((6,), (5, 3), (5, 3))]
    memory[1::2] = 0
    x.requires_grad_()
    params = {
        "running_mean": None,
        "running_var": None,
        "bias": None,
        "training": True,
        "momentum": 0.1,
        "eps": 0.1,
    }
    y = torch.nn.functional.batch_norm(x, None, None, memory[::2], None, True, 0.1, 0.1)
    [got] = torch.autograd.grad(y, x, y_bar)
    found = given("batch_norm by the memory of its weight", y_bar, params, x, memory[::2])
    assert assert_within(got.numpy(), found[0][0]) == 15


def test_forward_mode_and_the_gradient_of_the_weight_are_those_of_the_weight() -> None:
    x, weight, bias = np.array([[0.5, -1.0], [2.0, 0.25], [1.0, 1.5]]), np.array([2.0, 3.0]), np.zeros(2)
    fmt, params = (
        FORMATS["float64"],
        {"running_mean": None, "running_var": None, "training": True, "momentum": 0.1, "eps": 1e-5},
    )
    given = [exact(a, fmt) for a in (x, weight, bias)]
    y_bar = exact(np.array([[1.0, 0.0], [0.5, -0.25], [0.0, 2.0]]), fmt)
    inputs = Inputs(False, tuple(given), params, y_bar, tuple(given), fmt)
    found = NORMALIZATION_FORMULAS["batch_norm by the memory of its weight"](inputs)

    def layer(*xs: Any) -> Any:
        return nn.batch_norm(xs[0], weight=xs[1], bias=xs[2], **params)

    due, tangent = vjp(layer, *given)[1](y_bar), jvp(layer, tuple(given), tuple(given))[1]
    for ball, right in ((found[1][0], due[1]), (found[2][0], due[2]), (found["tangent"][0], tangent)):
        assert np.array_equal(parts(ball)[0], parts(right)[0])
    assert not np.array_equal(parts(found[0][0])[0], parts(due[0])[0])


def test_a_shift_leaves_more_than_a_small_bias() -> None:
    x, bias = torch.tensor([[-2.4375]]).bfloat16(), torch.tensor([2.0**-16]).bfloat16()
    got = torch.nn.functional.layer_norm(x, (1,), None, bias)
    assert got.item() != bias.item()
    params = {"normalized_shape": (1,), "weight": None, "eps": 1e-5}
    [ball] = given("layer_norm by a shift", torch.ones(1, 1).bfloat16(), params, x, bias)["value"]
    assert assert_within(got.double().numpy(), ball) == 1
    assert parts(ball)[1] < 1e-3


def test_terms_of_group_norm_cancel_in_groups_of_one_number() -> None:
    xs = [np.array([[0.125], [0.640625]]), np.array([-0.53515625]), np.array([0.0])]
    x_dots = [np.array([[0.5], [0.5]]), np.array([-0.75]), np.array([1.0])]

    def f(*given: Any) -> Any:
        return torch.nn.functional.group_norm(given[0], 1, given[1], given[2])

    tensors, dots = [tuple(torch.tensor(x, dtype=torch.bfloat16) for x in given) for given in (xs, x_dots)]
    found = torch.func.vjp(torch.func.vjp(f, *tensors)[1], torch.ones_like(tensors[0]))[1](dots)[0]
    fmt = FORMATS["bfloat16"]
    balls = [tuple(exact(x, fmt) for x in given) for given in (xs, x_dots)]
    inputs = Inputs(True, balls[0], {"num_groups": 1, "eps": 1e-5}, None, balls[1], fmt)
    (held,) = NORMALIZATION_FORMULAS["group_norm by terms that cancel"](inputs)[TANGENT]
    assert assert_within(found.double().numpy(), held) == 2
    wide = Inputs(
        True,
        (exact(np.ones((1, 2)), fmt), *balls[0][1:]),
        {"num_groups": 1, "eps": 1e-5},
        None,
        balls[1],
        fmt,
    )
    assert not NORMALIZATION_FORMULAS["group_norm by terms that cancel"](wide), "a group of two numbers"


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_gradient_of_single_numbers_that_records_itself_is_what_cancellation_leaves(scale: float) -> None:
    rng, fmt = np.random.default_rng(3), FORMATS["bfloat16"]
    shapes = [(64, 5), (5,), (64, 5)]
    drawn = [torch.tensor(rng.standard_normal(shape) * scale).bfloat16() for shape in shapes]
    x, weight, y_bar = drawn[0].requires_grad_(), *drawn[1:]
    y = torch.nn.functional.group_norm(x, 5, weight)
    [plain] = torch.autograd.grad(y, x, y_bar, retain_graph=True)
    [got] = torch.autograd.grad(y, x, y_bar, create_graph=True)
    assert not plain.any()
    assert got.count_nonzero() > 50
    params = {"num_groups": 5, "bias": None, "eps": 1e-5}
    balls = [exact(t.detach().double().numpy(), fmt) for t in drawn]
    inputs = Inputs(False, tuple(balls[:2]), params, balls[2], (None, None), fmt)
    held = NORMALIZATION_FORMULAS["group_norm by terms that cancel"](inputs)[0][0]
    assert assert_within(got.detach().double().numpy(), held) == 320
    terms = np.abs(parts(balls[2])[0] * parts(balls[1])[0]) / np.sqrt(1e-5)
    assert np.max(parts(held)[1] / terms) < 2.1, "an error larger than the terms is not hidden"


def test_differences_of_sums_leave_noise_most_of_all_in_groups_of_equal_elements() -> None:
    rng, fmt = np.random.default_rng(5), FORMATS["float32"]
    x, y_bar, x_dot = [rng.standard_normal((64, 2, 3)).astype(np.float32) for _ in range(3)]
    x[:, 0] = x[:, 0, :1]
    given = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.group_norm(given, 2)
    [slope] = torch.autograd.grad(y, given, torch.tensor(y_bar), create_graph=True)
    [got] = torch.autograd.grad(slope, given, torch.tensor(x_dot))
    params = {"num_groups": 2, "weight": None, "bias": None, "eps": 1e-5}
    balls = [exact(a.astype(float), fmt) for a in (x, y_bar, x_dot)]
    asked = Inputs(True, (balls[0],), params, balls[1], (balls[2],), fmt)
    [held] = NORMALIZATION_FORMULAS["group_norm by differences of sums"](asked)[0]
    assert assert_within(got.numpy()[:, 0].astype(float), held[:, 0]) == 192
    radius = parts(held)[1]
    term = float(np.prod([np.max(np.abs(a)) for a in (x, y_bar, x_dot)])) / 1e-5**1.5
    assert np.max(np.abs(got.numpy()[:, 0])) > 0.1, "noise"
    assert np.max(radius[:, 0]) < 14 * (3 + 4) * fmt.u * term, (
        "six sums of no more than 2 (n + 4) roundings of a term"
    )
    assert np.median(radius[:, 1]) < 1e-4 * np.median(radius[:, 0]), (
        "the other group has a standard deviation"
    )


def test_along_no_tangent_group_norm_gives_the_rounding_of_its_gradient() -> None:
    rng, fmt = np.random.default_rng(7), FORMATS["bfloat16"]
    x, y_bar = [torch.tensor(rng.standard_normal((64, 4))).bfloat16() for _ in range(2)]

    def slope(x: Any) -> Any:
        return torch.func.vjp(lambda x: torch.nn.functional.group_norm(x, 2, eps=0.01), x)[1](y_bar)[0]

    got = torch.func.jvp(slope, (x,), (torch.zeros_like(x),))[1].double().numpy()
    params = {"num_groups": 2, "weight": None, "bias": None, "eps": 0.01}
    balls = [exact(a.double().numpy(), fmt) for a in (x, y_bar)]
    zero = exact(np.zeros((64, 4)), fmt)
    asked = Inputs(True, (balls[0],), params, balls[1], (zero,), fmt)
    [held] = NORMALIZATION_FORMULAS["group_norm's rounding along no tangent"](asked)[0]
    assert np.count_nonzero(got) > 50
    assert assert_within(got, held) == 256
    largest = [np.max(np.abs(parts(ball)[0])) for ball in balls]
    terms = 2 * largest[1] / 0.1 + 4 * largest[0] ** 2 * largest[1] / 0.1**3
    assert np.max(parts(held)[1]) <= 2 * (2 + 4) * fmt.u * terms, (
        "an error larger than a few roundings of the terms is not hidden"
    )


def test_group_norm_with_channels_last_takes_the_variance_by_squares() -> None:
    x, y_bar = 100 + numbers((2, 4, 3, 2)), numbers((2, 4, 3, 2))
    image = torch.tensor(x).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = torch.nn.functional.group_norm(image, 2)
    (x_bar,) = torch.autograd.grad(y, image, torch.tensor(y_bar))
    params = {"num_groups": 2, "weight": None, "bias": None, "eps": 1e-5}
    inputs = Inputs(False, (exact(x, FMT),), params, exact(y_bar, FMT), (None,), FMT)
    held = NORMALIZATION_FORMULAS["group_norm by squares"](inputs)
    assert assert_within(y.detach().numpy(), held["value"][0]) == x.size
    assert assert_within(x_bar.numpy(), held[0][0]) == x.size
    right = rg.vjp(lambda x: nn.group_norm(x, 2), exact(x, FMT))[1](exact(y_bar, FMT))[0]
    with pytest.raises(AssertionError):
        assert_within(x_bar.numpy(), right)
