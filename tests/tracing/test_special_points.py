"""Special points of ops where derivatives run over Balls: sets are spanned, and where nothing is defined nothing is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.domain import Special
from refgrad.op import REGISTRY, Op
from refgrad.testing.checks.check import check_vjp
from refgrad.tracing.ball import exact, parts
from refgrad.tracing.special_points import met, patches

Array = Any
FMT = FORMATS["float64"]
POINTS = [(op, s) for op in REGISTRY.values() if op.signature.differentiable for s in op.special]
# A rule in which operand x1 has none: its derivative is zero wherever it exists, and the jump is met at no other point.
# svdvals gives one of the two ends at a singular value of zero: the sign that the singular vectors of LAPACK happen to have.
WITHOUT_RULE = {("heaviside", 0), ("svdvals", 0)}


def named(value: Any) -> str | None:
    if isinstance(value, Op):
        return value.name
    return f"{[np.asarray(a).tolist() for a in value.at]} {value.why}" if isinstance(value, Special) else None


def ball(x: Any) -> Any:
    return exact(np.asarray(x, float), FMT)


def function(op: Op, s: Special) -> Any:
    return lambda *xs: op(*xs, **dict(s.params))


def accepted(x: Any, allowed: Any, times: float = 1.0) -> bool:
    """Whether a Ball is what a record allows, times a positive number."""
    value, radius = parts(x)
    if allowed is None:
        return bool(np.isnan(value).all())
    low, high = (times * np.broadcast_to(np.asarray(end, float), value.shape) for end in allowed)
    with np.errstate(invalid="ignore", over="ignore"):
        rounding = 16 * FMT.u * np.maximum(abs(low), abs(high)) + 16 * FMT.eta
        printed = 5e-5 * abs(high)  # the table prints five digits
        ends = (abs(value - radius - low) <= rounding) & (abs(value + radius - high) <= rounding)
        overflow = (np.isinf(low)) & ((value == low) | (abs(value) + radius > FMT.max))
        there = np.where(np.isinf(low), overflow, abs(value - low) <= radius + printed)
        endless = np.isinf(low) & np.isinf(high) & np.isnan(value)
        return bool(np.all(np.where(low == high, there, endless | ends)))


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
@pytest.mark.parametrize(("op", "s"), POINTS, ids=named)
def test_reverse_mode_gives_what_the_record_allows(op: Op, s: Special) -> None:
    y, pullback = rg.vjp(function(op, s), *[ball(a) for a in s.at])
    for times in (1.0, 0.75):
        x_bars = pullback(ball(np.full(y.shape, times)))
        for position, (x_bar, allowed) in enumerate(zip(x_bars, s.allowed, strict=True)):
            assert (op.name, position) in WITHOUT_RULE or accepted(x_bar, allowed, times), (position, x_bar)


@pytest.mark.parametrize(
    ("op", "s"), [(op, s) for op, s in POINTS if all(np.ndim(a) == 0 for a in s.at)], ids=named
)
def test_forward_mode_gives_what_the_record_allows(op: Op, s: Special) -> None:
    for position, allowed in enumerate(s.allowed):
        if (op.name, position) in WITHOUT_RULE:
            continue

        def moving(x: Array, position: int = position) -> Any:
            return function(op, s)(*[x if k == position else ball(a) for k, a in enumerate(s.at)])

        _, y_dot = rg.jvp(moving, (ball(s.at[position]),), (ball(0.75),))
        assert accepted(y_dot, allowed, 0.75), (position, y_dot)


SETS = [
    (op, s, position)
    for op, s in POINTS
    for position, allowed in enumerate(s.allowed)
    if all(np.ndim(a) == 0 for a in s.at)
    and allowed is not None
    and -np.inf < allowed[0] < allowed[1] < np.inf
]


@pytest.mark.parametrize(("op", "s", "position"), SETS, ids=named)
def test_a_number_outside_of_the_set_is_wrong_and_any_inside_is_right(
    op: Op, s: Special, position: int
) -> None:
    low, high = s.allowed[position]

    def f(x: Array) -> Any:
        return function(op, s)(*[x if k == position else np.array([a]) for k, a in enumerate(s.at)])

    for share, right in ((0, True), (0.5, True), (1, True), (1.01, False), (-0.01, False)):
        slope = low + share * (high - low)
        report = check_vjp(
            f,
            lambda y_bar, x, slope=slope: y_bar * slope,
            (np.array([s.at[position]]),),
            raise_exception=False,
        )
        assert (report.verdicts[0][1].status == "disagree") is not right, slope


def test_each_element_has_its_own_point() -> None:
    x, y = np.array([0.0, 2.0, 0.0, 3.0]), np.array([0.0, 3.0, 1.0, 0.0])
    _, pullback = rg.vjp(REGISTRY["xlogy"], ball(x), ball(y))
    (a, _), (b, radius) = (parts(g) for g in pullback(ball(np.full(4, 1.5))))
    assert np.isnan(a).tolist() == [True, False, False, False]
    assert b[[0, 2]].tolist() == [0.0, 0.0]
    assert np.all(radius[[0, 2]] <= FMT.eta)


def test_a_broadcast_operand_sums_members_of_sets() -> None:
    """The bias is at its tie in two of three rows, and sure of one."""
    rows, bias = np.array([[2.0], [2.0], [1.0]]), np.array([2.0])
    _, pullback = rg.vjp(np.maximum, ball(rows), ball(bias))
    value, radius = parts(pullback(ball(np.array([[1.0], [2.0], [4.0]])))[1])
    assert np.allclose([value - radius, value + radius], [[4.0], [7.0]])


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: nn.leaky_relu(x, slope=0.2), [np.nan, 1.0]),
        (nn.elu, [np.nan, 1.0]),
        (lambda x: np.sqrt(x) * np.where(x > 0, 1.0, 2.0), [-1.0, 1.0]),
    ],
)
def test_where_the_value_is_nan_nothing_is_defined(f: Any, x: list[float]) -> None:
    _, pullback = rg.vjp(f, ball(x))
    assert np.isnan(parts(pullback(ball([1.5, 1.5]))[0])[0]).tolist() == [True, False]
    _, y_dot = rg.jvp(f, (ball(x),), (ball([1.5, 1.5]),))
    assert np.isnan(parts(y_dot)[0]).tolist() == [True, False]


def test_a_nan_that_is_not_selected_does_not_matter() -> None:
    def guarded(x: Array) -> Array:
        return np.where(np.isnan(x), 0.0, nn.leaky_relu(x, slope=0.2))

    _, pullback = rg.vjp(guarded, ball([np.nan, -1.0]))
    value, radius = parts(pullback(ball([1.5, 1.5]))[0])
    assert value[0] == 0
    assert radius[0] == 0
    assert value[1] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.hypot(x, x * x), 0.0),
        (lambda x: nn.hardswish(x) * x, 3.0),
        (lambda x: x ** (x * 2), 0.0),
        (lambda x: np.maximum(x, np.nan * x), 2.0),
    ],
)
def test_second_derivatives_promise_nothing(f: Any, x: float) -> None:
    def gradient(x: Any) -> Any:
        return rg.vjp(f, x)[1](ball(1.0))[0]

    def slope(x: Any) -> Any:
        return rg.jvp(f, (x,), (ball(1.0),))[1]

    with np.errstate(all="ignore"):
        seconds = [
            rg.jvp(gradient, (ball(x),), (ball(1.0),))[1],
            rg.vjp(gradient, ball(x))[1](ball(1.0))[0],
            rg.jvp(slope, (ball(x),), (ball(1.0),))[1],
            rg.vjp(slope, ball(x))[1](ball(1.0))[0],
        ]
    for second in seconds:
        value, radius = parts(second)
        assert not np.isfinite(value) or not np.isfinite(radius)


def test_a_gradient_inside_a_reference_heeds_its_points() -> None:
    def f(x: Any) -> Any:
        return rg.grad(lambda z: np.sum(np.hypot(z, z * z)))(x) * 2

    value, radius = parts(f(ball([0.0, 1.0])))
    assert value[0] == 0
    assert radius[0] >= 2  # of the sum of two members of [-1, 1], one of which is multiplied by 0
    _, pullback = rg.vjp(f, ball([0.0, 1.0]))
    second, _ = parts(pullback(ball([1.0, 1.0]))[0])
    assert np.isnan(second[0])
    assert np.isfinite(second[1])


def test_plain_arrays_keep_the_convention_of_the_rule() -> None:
    assert rg.grad(nn.hardswish)(3.0) == 1.25
    assert met(REGISTRY["hardswish"], (np.array(3.0),), {}, np.array(3.0)) is None


def test_ordinary_points_cost_no_more_than_a_look() -> None:
    x = ball([1.0, 2.0])
    assert met(REGISTRY["hypot"], (x, x), {}, np.hypot(x, x)) is None
    assert met(REGISTRY["exp"], (x,), {}, np.exp(x)) is None


@pytest.mark.parametrize(("one", "other"), [((1,), (0,)), ((1, 1), (0, 1)), ((1, 1), (3,)), ((), (0, 2))])
def test_a_broadcast_operand_that_meets_nothing_has_no_special_point(
    one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    """Not even where it stretches over an array without elements."""
    op = REGISTRY["maximum"]
    assert patches(op, (np.full(one, 2.0), np.full(other, 3.0)), {}, 0) == []


def test_a_tie_with_a_broadcast_operand_leaves_its_sum_open() -> None:
    op = REGISTRY["maximum"]
    ((places, low, high),) = patches(op, (np.full((1,), 2.0), np.array([2.0, 3.0])), {}, 0)
    assert places.tolist() == [True]
    assert low[0] > high[0]
