"""Tied elements are judged by their sum: every valid convention passes in every format, and derivatives that do not sum to one fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.bounds.formats import computed_on, format_of
from refgrad.testing.judging.ties import Tied, judge_ties
from refgrad.tracing.ball import exact, nearest

Array = Any
DTYPES = list(computed_on())


def judged(
    f: Callable[..., Any],
    xs: list[Array],
    y_bar: Array,
    got: list[Array | None],
    dtype: str = "float64",
    seed: int = 0,
) -> list[Tied]:
    fmt = format_of(dtype)
    _, pullback = rg.vjp(f, *[exact(x, fmt) for x in xs])
    expected = pullback(exact(y_bar, fmt))
    return judge_ties(f, xs, [y_bar], expected, got, fmt, np.random.default_rng(seed))


def wrong(found: list[Tied]) -> bool:
    assert found, "nothing was judged"
    return any(t.found.wrong for t in found)


def rounded(x: Array, dtype: str) -> Array:
    return nearest(np.asarray(x, np.longdouble), format_of(dtype))


def drawn(shape: tuple[int, ...], dtype: str, seed: int = 3) -> Array:
    return rounded(np.random.default_rng(seed).uniform(0.5, 2, shape), dtype)


ROWS = np.array([[1.0, 1.0, 0.5], [2.0, 3.0, 1.0], [-1.0, -1.0, -1.0], [0.0, 5.0, 5.0], [0.0, 0.0, -2.0]])
TOP = (ROWS.max(-1, keepdims=True) == ROWS).astype(float)


def pool(x: Array) -> Array:
    return np.max(x, axis=-1)


def first(top: Array) -> Array:
    return top * (np.cumsum(top, -1) == 1)


RIGHT = {
    "equal": TOP / TOP.sum(-1, keepdims=True),
    "first": first(TOP),
    "last": first(TOP[:, ::-1])[:, ::-1],
    "convex": TOP * [0.25, 0.5, 0.25] / (TOP * [0.25, 0.5, 0.25]).sum(-1, keepdims=True),
    "different rows": np.where(np.arange(5)[:, None] % 2 == 0, first(TOP), TOP / TOP.sum(-1, keepdims=True)),
}
WRONG = {
    "whole": TOP,
    "none": TOP * (TOP.sum(-1, keepdims=True) == 1),
    "six tenths": TOP * np.where(TOP.sum(-1, keepdims=True) == 1, 1, 0.6),
    "ties of another row": TOP / np.minimum(np.roll(TOP.sum(-1, keepdims=True), 1, 0) + 1, 4),
    "one row of two": np.where(np.arange(5)[:, None] == 3, TOP, RIGHT["equal"]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RIGHT)
def test_shares_that_add_up_are_right(name: str, dtype: str) -> None:
    y_bar = drawn((5,), dtype)
    x_bar = rounded(rounded(RIGHT[name], dtype) * y_bar[:, None], dtype)
    assert not wrong(judged(pool, [ROWS], y_bar, [x_bar], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", WRONG)
def test_shares_that_do_not_add_up_are_wrong(name: str, dtype: str) -> None:
    y_bar = drawn((5,), dtype)
    x_bar = rounded(WRONG[name] * y_bar[:, None], dtype)
    found = judged(pool, [ROWS], y_bar, [x_bar], dtype)
    assert wrong(found)
    (message,) = {t.found.wrong[0].what.partition(" summed")[0] for t in found if t.found.wrong}
    assert message == "gradient of input 0"


def test_no_gradient_at_all() -> None:
    assert wrong(judged(pool, [ROWS], drawn((5,), "float64"), [None]))


def test_without_ties_nothing_is_judged() -> None:
    x, y_bar = np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([1.5, 0.75])
    assert judged(pool, [x], y_bar, [np.zeros((2, 2))]) == []


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (nn.relu, [0.0, 1.0, -2.0]),
        (np.abs, [0.0, 1.0, -2.0]),
        (lambda x: np.clip(x, 0.0, 1.0), [0.0, 1.0, 0.5]),
        (lambda x: np.maximum(x, 0.5), [0.5, 1.0, 0.25]),
        (lambda x: np.maximum(x, 2 - x), [1.0, 3.0, 0.0]),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_kink_that_is_left_says_nothing(f: Any, x: list[float], share: float) -> None:
    y_bar = drawn((3,), "float64")
    (x_bar,) = rg.vjp(f, np.array(x))[1](y_bar)
    (up,), (down,) = (rg.vjp(f, np.array(x) + step)[1](y_bar) for step in (1e-9, -1e-9))
    x_bar = share * up + (1 - share) * down
    assert judged(f, [np.array(x)], y_bar, [x_bar]) == []


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tie_between_two_inputs(f: Any, dtype: str) -> None:
    a, b = np.array([1.0, 2.0, -3.0, 0.0]), np.array([1.0, 5.0, -3.0, 0.0])
    y_bar = drawn((4,), dtype)
    for share in (0.0, 0.25, 0.5, 1.0):
        s = np.where(a == b, share, (f(a, b) == a) * 1.0)
        found = judged(f, [a, b], y_bar, [rounded(s * y_bar, dtype), rounded((1 - s) * y_bar, dtype)], dtype)
        assert not wrong(found)
        assert all(t.inputs == (0, 1) for t in found)
    s = (f(a, b) == a) * 1.0
    assert wrong(judged(f, [a, b], y_bar, [s * y_bar, (f(a, b) == b) * y_bar], dtype))
    assert wrong(judged(f, [a, b], y_bar, [s * y_bar * (a != b), (a != b) * (1 - s) * y_bar], dtype))


def test_an_input_that_is_no_part_of_the_tie_stays_open() -> None:
    a = np.array([1.0, 2.0])
    assert judged(lambda x: np.maximum(x, a), [a], np.array([1.5, 1.25]), [np.array([1.5, 0.0])]) == []


WEIGHTS = np.array([1.0, 10.0, 100.0, 1000.0])
SORTED = np.array([2.0, 2.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("x_bar", "right"),
    [
        ([10.0, 100.0, 1.0, 1000.0], True),
        ([1000.0, 10.0, 1.0, 100.0], True),
        ([370.0, 370.0, 1.0, 370.0], True),
        ([10.0, 10.0, 1.0, 1000.0], False),
        ([1000.0, 1000.0, 1.0, 1000.0], False),
    ],
)
def test_equal_elements_of_a_sort_share_their_weights(x_bar: list[float], right: bool) -> None:
    assert wrong(judged(np.sort, [SORTED], WEIGHTS, [np.array(x_bar)])) is not right


@pytest.mark.parametrize(
    ("x_bar", "right"), [([0, 1, 0, 0, 0], True), ([0, 1, 1, 1, 0], False), ([0, 0, 0, 0, 0], False)]
)
def test_equal_elements_of_a_median_share_its_gradient(x_bar: list[float], right: bool) -> None:
    x = np.array([1.0, 3.0, 3.0, 3.0, 9.0])
    assert wrong(judged(np.median, [x], np.array(1.75), [1.75 * np.array(x_bar)])) is not right


@pytest.mark.parametrize(
    ("x_bar", "right"), [([1, 0, 0], True), ([0.5, -0.5, 0], True), ([1, -1, 0], False), ([0, 0, 0], False)]
)
def test_the_norm_of_infinite_order_moves_opposite_numbers_oppositely(
    x_bar: list[float], right: bool
) -> None:
    x = np.array([3.0, -3.0, 1.0])
    found = judged(lambda x: np.linalg.norm(x, ord=np.inf), [x], np.array(1.25), [1.25 * np.array(x_bar)])
    assert wrong(found) is not right


@pytest.mark.parametrize("axis", [None, (0, 2), (1, 2), -1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_extremes_over_axes(axis: Any, keepdims: bool, dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 3, (3, 4, 5)).astype(float)

    def f(x: Array) -> Array:
        return np.min(x, axis=axis, keepdims=keepdims)

    y_bar = drawn(f(x).shape, dtype)
    (x_bar,) = rg.vjp(f, x)[1](y_bar)
    assert not wrong(judged(f, [x], y_bar, [rounded(x_bar, dtype)], dtype))
    kept = y_bar.reshape(np.min(x, axis=axis, keepdims=True).shape)
    doubled = (x == np.min(x, axis=axis, keepdims=True)) * kept
    assert wrong(judged(f, [x], y_bar, [doubled], dtype))


def network(x: Array, w: Array) -> Array:
    """Pooling over overlapping windows between smooth layers, and a rectifier that is at its kink here and there."""
    h = np.stack([np.maximum(x[:, :-1], x[:, 1:]), np.minimum(x[:, :-1], x[:, 1:])])
    return np.tanh(np.maximum(h, 0.0) @ w) * np.exp(-0.1 * np.sum(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(5))
def test_in_a_network(dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-1, 3, (4, 6)).astype(float), rounded(rng.uniform(-1, 1, (5, 3)), dtype)
    y_bar = drawn((2, 4, 3), dtype, seed)

    def convention(side: str) -> Array:
        """The network with another choice at each tie."""

        def f(x: Array, w: Array) -> Array:
            a, b = x[:, :-1], x[:, 1:]
            left = {"first": a >= b, "last": a > b, "whole": a >= b}[side]
            h = np.stack([np.where(left, a, b), np.where(left, b, a)])
            return np.tanh(np.maximum(h, 0.0) @ w) * np.exp(-0.1 * np.sum(x))

        return [rounded(g, dtype) for g in rg.vjp(f, x, w)[1](y_bar)]

    for side in ("first", "last"):
        assert not any(t.found.wrong for t in judged(network, [x, w], y_bar, convention(side), dtype, seed))


def test_half_of_the_answers_may_be_missing() -> None:
    def f(x: Array) -> tuple[Array, Array]:
        return np.max(x, -1), np.min(x, -1)

    fmt = format_of("float64")
    _, pullback = rg.vjp(f, exact(ROWS, fmt))
    y_bar = drawn((5,), "float64")
    expected = pullback((exact(y_bar, fmt), exact(np.zeros(5), fmt)))
    for shares, right in ((RIGHT["first"], True), (WRONG["whole"], False)):
        got = [shares * y_bar[:, None]]
        found = judge_ties(f, [ROWS], [y_bar, None], expected, got, fmt, np.random.default_rng(0))
        assert wrong(found) is not right


def test_another_right_formula_loses_digits_and_is_not_wrong() -> None:
    """Shares that were computed by a difference of larger numbers."""
    fmt = format_of("float32")
    y_bar = drawn((5,), "float32")
    x_bar = RIGHT["equal"] * y_bar[:, None] * (1 + 20 * fmt.u)
    found = judged(pool, [ROWS], y_bar, [x_bar], "float32")
    assert not any(t.found.wrong for t in found)
    assert any(t.found.imprecise for t in found)


@pytest.mark.parametrize("x_bar", [np.full(ROWS.shape, np.nan), np.zeros(3)])
def test_what_is_no_number_or_of_another_shape_is_left_to_the_comparison_of_elements(x_bar: Array) -> None:
    assert judged(pool, [ROWS], drawn((5,), "float64"), [x_bar]) == []


def test_where_the_numbers_of_a_format_end_no_bound_is_negative() -> None:
    x = np.array([-5.643803094122362e102, 1.0, -5.643803094122362e102])
    with np.errstate(all="ignore"):
        _, pullback = rg.vjp(nn.silu, x)
        found = judged(nn.silu, [x], np.ones(3), list(pullback(np.ones(3))))
    assert not any(t.found.wrong or t.found.imprecise for t in found)
