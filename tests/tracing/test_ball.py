"""Balls: what a float32 run may have come to lies inside. NumPy's own float32 is the run; random programs are what is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refgrad import grad, hvp, jvp, nn, vjp
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rules import reference_slack
from refgrad.tracing import ball as rounding
from refgrad.tracing.ball import Ball, exact, lift, nearest, parts, remembering, representable

Array = Any
FMT = FORMATS["float32"]
# NumPy's vectorised functions are documented to 4 ULP, which is more than those that the table was made for.
NUMPY = replace(FMT, ulp_table={name: max(ulp, 4.0) for name, ulp in FMT.ulp_table.items()})
ROUNDED = float(np.float32(0.1))


# --- the parts of a Ball ---------------------------------------------------------------------------------------------------


def test_an_exact_ball_has_no_radius() -> None:
    ball = exact(np.array([0.5, 2.0], np.float32), FMT)
    assert ball.radius is None
    assert ball.dtype == np.float64
    assert [list(p) for p in parts(ball)] == [[0.5, 2.0], [0.0, 0.0]]


def test_a_constant_that_the_format_cannot_hold_carries_its_rounding() -> None:
    ball = lift(np.array([0.5, 0.1, 3.0]), FMT)
    assert list(ball.radius) == [0.0, abs(ROUNDED - 0.1), 0.0]
    assert ball.radius[1] < FMT.u * 0.1
    assert lift(0.5, FMT).radius is None
    assert lift(3, FMT).radius is None


@pytest.mark.parametrize(
    "whole", [np.array([3, 256, 1100, -1300]), np.array([3, 256, 1100, 1300], np.uint16)]
)
def test_whole_numbers_that_the_format_cannot_hold_carry_their_rounding(whole: Any) -> None:
    """The reference multiplies positions by a frequency; kernels convert the positions to the format of the frequency."""
    frequency = exact(np.full(4, 3.0), FORMATS["bfloat16"])
    y = parts(whole * frequency)[1]
    assert np.array_equal(y, parts(np.asarray(whole, float) * frequency)[1])
    assert y[-1] > 3.0 * 4.0  # 1100 becomes 1104, 1300 becomes 1296
    held = exact(np.full(4, 3.0), FMT)
    assert np.array_equal(parts(whole * held)[1], parts(np.asarray(whole, float) * held)[1])


def test_a_whole_number_alone_is_not_converted_nor_is_an_array_beyond_the_range() -> None:
    """The count of a mean is divided by in a wider format, and counts beyond the range cannot be converted."""
    for whole in (1100, np.int64(1100), np.array([3, 70_001])):
        x = exact(np.array([1.0, 2.0]), FORMATS["float16"])
        assert np.array_equal(parts(x * 0 + whole)[0], np.broadcast_to(whole, 2))
        assert np.all(parts(x * whole)[1] <= FORMATS["float16"].u * 2 * 70_001)
    assert exact(np.zeros(2000), FORMATS["bfloat16"])[np.array([1100, 3])].radius is None  # as an index


@pytest.mark.skipif(np.finfo(np.longdouble).nmant == 52, reason="long double is no wider than float64 here")
def test_a_constant_may_be_written_with_17_digits_and_cut_off() -> None:
    wide = FORMATS["float64"]
    for sign in (1, -1):
        # Half way between two numbers, all but a hundredth of their distance.
        x = sign * np.log(np.longdouble(10))
        written = sign * 2.3025850929940456
        radius = parts(lift(x, wide))[1]
        assert written != float(x)
        assert abs(float(x) - x) < abs(written - x) == radius < wide.u * abs(x)
    x = np.log(np.longdouble(2))  # far enough from the middle that both ways lead to the same number
    assert parts(lift(x, wide))[1] == abs(float(x) - x)


def test_a_constant_array_is_lifted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted: list[Any] = []
    constant = rounding._constant
    monkeypatch.setattr(rounding, "_constant", lambda x, fmt: lifted.append(x) or constant(x, fmt))
    c = np.linspace(0.1, 0.9, 100)
    x = exact(np.ones(100, np.float32), FMT)
    _, pullback = vjp(lambda x: x * c + c, x)
    for _ in range(3):
        pullback(exact(np.ones(100, np.float32), FMT))
    assert len(lifted) == 1
    assert lift(c, FMT) is not lift(c, FORMATS["bfloat16"])
    assert len(lifted) == 2


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.7), (0.0, -0.0), (np.nan, 0.1), (0.5, np.nan)])
def test_a_constant_array_that_was_changed_in_place_is_lifted_anew(before: float, after: float) -> None:
    c = np.full(100, 0.1)
    c[50] = before
    first = lift(c, FMT)
    c[50] = after
    second = lift(c, FMT)
    assert np.array_equal(first.value[50], before, equal_nan=True)
    assert np.array_equal(second.value[50], after, equal_nan=True)
    assert np.signbit(second.value[50]) == np.signbit(after)
    assert lift(c, FMT) is second


def test_constant_arrays_are_not_kept_alive() -> None:
    before = len(rounding._KNOWN)
    for k in range(3):
        lift(np.linspace(0.1, 0.9, 100 + k), FMT)
    assert len(rounding._KNOWN) <= before
    kept = [np.linspace(0.1, 0.9, 100 + k) for k in range(2 * rounding._MANY)]
    for c in kept:
        lift(c, FMT)
    assert len(rounding._KNOWN) <= rounding._MANY


def test_a_constant_may_reach_a_half_format_by_way_of_float32() -> None:
    # Just above a tie of float16, which float32 rounds to the tie, and the tie to 1.
    x = 1 + 2.0**-11 + 2.0**-30
    radius = lift(np.array([x]), FORMATS["float16"]).radius[0]
    assert nearest(np.array(x), FORMATS["float16"]) == 1 + 2.0**-10
    assert radius >= x - float(np.float16(np.float32(x))) > 1 + 2.0**-10 - x


@pytest.mark.parametrize(("x", "held"), [
    (1.0, True), (0.1, False), (ROUNDED, True), (2.0**24 - 1, True), (2.0**24 + 1, False), (np.inf, True),
    (np.nan, True), (0.0, True), (-1.5, True),
])  # fmt: skip
def test_representable(x: float, held: bool) -> None:
    assert bool(representable(np.float64(x), FMT)) is held


@pytest.mark.parametrize("f", [
    lambda x: -x, np.abs, np.sign, lambda x: x[::-1], lambda x: x.reshape(3, 1), lambda x: np.concatenate([x, x]), lambda x: x + 0.0,
    lambda x: 4.0 * x, lambda x: x / 8, np.floor, np.max, lambda x: np.maximum(x, 0.25), lambda x: x[:1].sum(), lambda x: x * 0.0,
    lambda x: np.where(x > 0.3, x, 0.0), lambda x: np.broadcast_to(x, (2, 3)), lambda x: x.T, np.sort, lambda x: x * 1.0,
])  # fmt: skip
def test_exact_ops_keep_exactness(f: Callable[[Array], Array]) -> None:
    x = np.array([0.1, -1.7, 3.3], np.float32)
    value, radius = parts(f(exact(x, FMT)))
    assert np.all(radius <= FMT.eta)
    assert np.array_equal(value, f(x).astype(float))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + x[::-1],
        lambda x: 3.0 * x,
        np.exp,
        np.sum,
        lambda x: x / 3,
        lambda x: 1 / x,
        lambda x: x * x,
    ],
)
def test_rounding_ops_have_a_radius_of_some_roundings(f: Callable[[Array], Array]) -> None:
    x = np.array([0.1, -1.7, 3.3], np.float32)
    value, radius = parts(f(exact(x, FMT)))
    assert np.all(radius > 0)
    assert np.all(radius <= 8 * FMT.u * np.maximum(np.abs(value), np.sum(np.abs(x))))


def test_comparisons_of_exact_balls_are_plain() -> None:
    assert (exact(np.array([1.0, 2.0]), FMT) > 1.5).tolist() == [False, True]


def test_an_uncertain_branch_covers_both_sides() -> None:
    x = Ball(np.array([0.01, 1.0]), np.array([0.1, 0.1]), FMT)
    value, radius = parts(np.where(x > 0, 10.0, 20.0))
    assert value[0] - radius[0] <= 10.0
    assert value[0] + radius[0] >= 20.0
    assert (value[1], radius[1]) == (10.0, 0.0)


def test_a_denominator_that_may_be_zero_gives_no_promise() -> None:
    x = Ball(np.array([0.01, 1.0]), np.array([0.1, 0.1]), FMT)
    assert np.isinf(parts(1.0 / x)[1]).tolist() == [True, False]


def test_what_overflows_in_the_format_is_no_number_to_go_on_from() -> None:
    x = np.array([1e30, 1.0], np.float32)
    with np.errstate(over="ignore"):
        assert np.isinf((x * x / x)[0])  # the run comes to infinity where the reference says 1e30
    value, radius = parts(exact(x, FMT) * exact(x, FMT) / exact(x, FMT))
    assert not np.isfinite(radius[0])
    assert radius[1] < 1e-6
    assert value[1] == 1.0


def test_what_overflowed_may_be_nan_and_nan_has_no_sign() -> None:
    huge = exact(np.array([1e30, 1.0], np.float32), FMT) ** 2
    for bounded in (
        np.sign,
        np.sin,
        nn.sigmoid,
        nn.hardtanh,
        lambda x: np.clip(x, -1, 1),
        lambda x: np.arctan2(x, 1.0),
    ):
        radius = parts(bounded(huge))[1]
        assert np.isfinite(radius).tolist() == [False, True]
    # A choice hands on what it chose, and nothing of the condition.
    value, radius = parts(np.where(huge > 0, 1.0, 2.0))
    assert np.all(np.abs(value - 1.0) <= radius)
    assert np.isfinite(radius).all()


def test_an_infinity_given_is_exact() -> None:
    value, radius = parts(np.maximum(exact(np.array([np.inf, -np.inf], np.float32), FMT), 0.0))
    assert value.tolist() == [np.inf, 0.0]
    assert radius.tolist() == [0.0, 0.0]


def test_underflow_is_bounded() -> None:
    x = np.array([1e-30, 3e-23], np.float32)
    value, radius = parts(exact(x, FMT) * exact(x, FMT))
    assert np.all(np.abs((x * x).astype(float) - value) <= radius)
    assert (x * x)[0] == 0.0
    assert value[0] > 0.0


# --- random programs ---------------------------------------------------------------------------------------------------

UNARY: list[Callable[[Array], Array]] = [
    lambda x: -x, np.abs, np.tanh, np.sin, np.cos, nn.relu, nn.sigmoid, nn.softplus, np.square, np.arctan, lambda x: np.exp(-np.abs(x)),
    lambda x: 0.1 * x, lambda x: x / 3, lambda x: np.sqrt(x * x + 1), lambda x: np.log1p(x * x), lambda x: 1 / (x * x + 0.7), np.exp,
    lambda x: x.T.reshape(2, 3), lambda x: x[:, ::-1], lambda x: nn.softmax(x, axis=1), lambda x: nn.log_softmax(x, axis=0),
    lambda x: x - x.mean(axis=1, keepdims=True), lambda x: x + x.sum(), lambda x: x * x.max(axis=0), lambda x: np.cumsum(x, axis=1),
    lambda x: x / np.sqrt((x * x).sum() + 0.1), lambda x: np.where(x > 0.5, x, x * x), lambda x: x - np.var(x), np.expm1, np.arcsinh,
    lambda x: np.clip(x, -1.0, 1.5), lambda x: x ** 3, lambda x: np.log(np.abs(x) + 0.3), lambda x: np.sort(x, axis=1), lambda x: 1 - x,
    lambda x: x * 1e12, lambda x: x * 1e-12, lambda x: nn.logsumexp(x, axis=1, keepdims=True) + x, nn.silu,
    lambda x: np.prod(x, axis=0) + x,
]  # fmt: skip
BINARY: list[Callable[[Array, Array], Array]] = [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / (1 + y * y), np.maximum, np.minimum,
    lambda x, y: x @ y.T @ x,
    lambda x, y: np.where(x > y, x, 2 * y), np.logaddexp, lambda x, y: np.concatenate([x[:1], y[1:]]), np.arctan2,
    lambda x, y: x / y, lambda x, y: np.hypot(x, y + 1), lambda x, y: x * y[:, :1] + y[0], lambda x, y: np.einsum("ij,kj->ik", x, y) @ y,
]  # fmt: skip


def program(codes: list[int]) -> Callable[..., Array]:
    """A function of two (2, 3) arrays: each code applies one function to earlier values, the last of them most often."""

    def run(*inputs: Array) -> Array:
        values = list(inputs)
        for code in codes:
            kind, first, second = code % 97, code // 97, code // 997
            x = values[-1 - first % 2] if len(values) > 2 else values[first % 2]
            y = values[second % len(values)]
            chosen = kind % (len(UNARY) + len(BINARY))
            values.append(UNARY[chosen](x) if chosen < len(UNARY) else BINARY[chosen - len(UNARY)](x, y))
        return values[-1]

    return run


def inputs(seed: int) -> list[Array]:
    """Numbers of moderate size, short ones among them, so that ties and exact zeros come up."""
    rng = np.random.default_rng(seed)
    pick = [
        lambda: rng.normal(size=(2, 3)),
        lambda: rng.integers(-3, 4, (2, 3)) / 2,
        lambda: rng.normal(size=(2, 3)) * 10.0 ** rng.integers(-6, 4),
    ]
    return [pick[int(rng.integers(3))]().astype(np.float32) for _ in range(2)]


def outside(got: Array, ball: Any) -> tuple[Array, Array]:
    """Which elements are judged, and which of them lie outside."""
    value, radius = parts(ball)
    assert np.shape(got) == np.shape(value)
    with np.errstate(all="ignore"):
        reach = reference_slack(NUMPY) * radius
        judged = np.isfinite(value) & np.isfinite(radius) & (np.abs(value) + reach < NUMPY.max)
        return judged, judged & ~(np.abs(np.asarray(got, float) - value) <= reach)


def results(f: Callable[..., Array], xs: list[Any], w: Any, vs: list[Any]) -> list[Any]:
    """Value, both gradients, tangent."""
    y, pullback = vjp(f, *xs)
    return [y, *pullback(w), jvp(f, xs, vs)[1]]


def run_both(codes: list[int], seed: int) -> list[tuple[Array, Any]]:
    f, xs = program(codes), inputs(seed)
    rng = np.random.default_rng(seed + 1)
    vs = [rng.normal(size=(2, 3)).astype(np.float32) for _ in range(2)]
    with np.errstate(all="ignore"):
        w = rng.normal(size=np.shape(f(*xs))).astype(np.float32)
        narrow = results(f, xs, w, vs)
        wide = results(f, [exact(x, NUMPY) for x in xs], exact(w, NUMPY), [exact(v, NUMPY) for v in vs])
    assert all(np.asarray(g).dtype == np.float32 for g in narrow)
    return list(zip(narrow, wide, strict=True))


CODES = st.lists(st.integers(0, 2**20), min_size=1, max_size=6)


@settings(max_examples=400)
@given(CODES, st.integers(0, 2**16))
@example([956, 47485], 1)  # a slope of hypot times 2e19: the product overflows, though the quotient does not
@example([123, 1053, 924486, 1], 0)  # |x - mean(x)| of what has overflowed: the slope is the sign of NaN
def test_float32_runs_lie_inside_their_balls(codes: list[int], seed: int) -> None:
    for got, ball in run_both(codes, seed):
        _, off = outside(got, ball)
        assert not off.any(), f"outside: {got}\n{parts(ball)[0]}\n{parts(ball)[1]}"


def test_balls_are_sharp_enough_to_judge_by() -> None:
    # An infinite radius would pass the test above. Most elements are judged, by bounds of few digits.
    elements, judged_elements, sharp = 0, 0, 0
    for seed in range(300):
        codes = [int(c) for c in np.random.default_rng(seed).integers(0, 2**20, 3)]
        for got, ball in run_both(codes, seed):
            value, radius = parts(ball)
            judged, _ = outside(got, ball)
            elements += judged.size
            judged_elements += int(judged.sum())
            sharp += int((judged & (radius <= 1e-3 * np.abs(value))).sum()) + int(
                (judged & (value == 0) & (radius <= 1e-6)).sum()
            )
    assert judged_elements >= 0.9 * elements
    assert sharp >= 0.85 * elements


def test_a_run_with_one_wrong_rounding_too_many_is_outside() -> None:
    # The power of the test above: float16 numbers, or 1e-5 too much, are not taken for float32.
    caught = 0
    for seed in range(60):
        codes = [int(c) for c in np.random.default_rng(seed).integers(0, 2**20, 2)]
        ((got, ball), *_) = run_both(codes, seed)
        caught += bool(outside(got * np.float32(1 + 1e-5), ball)[1].any())
    assert caught >= 45


def test_gradients_of_gradients_are_bounded_too() -> None:
    x, v = np.linspace(0.2, 1.4, 6, dtype=np.float32), np.linspace(-1, 1, 6, dtype=np.float32)

    def f(x: Array) -> Array:
        return np.sum(np.exp(np.sin(3 * x)) / (1 + x[::-1] ** 2))

    (got,) = hvp(f, (x,), (v,))
    (ball,) = hvp(f, (exact(x, NUMPY),), (exact(v, NUMPY),))
    judged, off = outside(got, ball)
    assert judged.all()
    assert not off.any()
    assert np.all(parts(ball)[1] <= 1e-3 * np.max(np.abs(got)))
    assert isinstance(grad(f)(exact(x, NUMPY)), Ball)


def test_a_remembering_ball_computes_nothing_twice() -> None:
    fmt = FORMATS["float32"]
    x, other = remembering(exact(np.array([0.5, -2.0]), fmt)), exact(np.array([1.0, 3.0]), fmt)
    assert np.sin(x) is np.sin(x)
    assert (x * np.cos(x)) / 3.0 is (x * np.cos(x)) / 3.0  # results remember, too
    assert np.sum(x, axis=0) is not np.sum(x, axis=-1)
    assert x * other is not x * other  # a Ball that does not remember is not told from one made later
    assert np.sin(other) is not np.sin(other)


def test_what_is_remembered_belongs_to_one_op_its_operands_and_parameters() -> None:
    fmt = FORMATS["float64"]
    plain = exact(np.array([0.5, -2.0]), fmt)
    x = remembering(exact(np.array([0.5, -2.0]), fmt))
    weights = [np.array([2.0, 1.0]), np.array([2.0, 5.0])]
    functions = [
        np.sin, np.cos, lambda x: x * 2, lambda x: x * 2.0, lambda x: 2.0 - x, lambda x: x - 2.0, lambda x: np.copysign(x, 0.0),
        lambda x: np.copysign(x, -0.0), np.max, lambda x: np.max(x, keepdims=True), lambda x: x[np.array([1, 0])],
        lambda x: x[np.array([0, 1])], *[lambda x, w=w: x * w for w in weights],
    ]  # fmt: skip
    for _ in range(2):
        for f in functions:
            (value, radius), (expected, reach) = parts(f(x)), parts(f(plain))
            np.testing.assert_array_equal(np.copysign(1, value), np.copysign(1, expected))
            np.testing.assert_array_equal(value, expected)
            np.testing.assert_array_equal(radius, reach)


def test_a_constant_that_dies_while_another_one_is_looked_up_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Making pairs of keys and values may collect garbage, and an array that dies leaves the table."""

    class Dying(dict[Any, Any]):
        def items(self) -> Any:
            for key in self.keys():
                self.pop(key)
                yield key, None

    fmt = FORMATS["float64"]
    monkeypatch.setattr(rounding, "_KNOWN", Dying())
    kept = [np.full(64, float(k)) for k in range(3)]
    balls = [rounding.lift(x, fmt) for x in kept]
    assert rounding.lift(kept[2].copy(), fmt) is balls[2]
