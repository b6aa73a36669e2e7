"""Each rounding rule against NumPy's float32: what a run may come to, from anywhere inside the operands' radii, is inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgrad import bounds
from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS, computed_on, format_of
from refgrad.bounds.profiles import CPU
from refgrad.bounds.rules import reference_slack

Array = Any
FMT = FORMATS["float32"]
NUMPY_ULP = {name: {f: max(ulp, 4.0) for f, ulp in table.items()} for name, table in CPU.ulp.items()}
NUMPY = replace(FMT, ulp_table=NUMPY_ULP["float32"])  # what NumPy documents


def narrow(x: Array) -> Array:
    """The nearest float32 numbers, in float64."""
    return np.asarray(x, np.float32).astype(float)


def operand(rng: np.random.Generator, low: float, high: float, size: int = 40) -> tuple[Array, Array]:
    """Centres and radii: exact elements, small radii and large ones."""
    x = rng.uniform(low, high, size)
    e = np.abs(x) * 10.0 ** rng.uniform(-8, -1, size) * (rng.random(size) < 0.8)
    return narrow(x), np.minimum(e, 0.5 * np.minimum(x - low, high - x) + 0 * x).clip(0)


def inside(rng: np.random.Generator, x: Array, e: Array) -> Array:
    """float32 numbers within e of x, the ends among them."""
    t = rng.choice([-1.0, 1.0, 0.0, rng.uniform(-1, 1)], x.shape)
    moved = narrow(x + t * e)
    return np.where(np.abs(moved - x) <= e, moved, x).astype(np.float32)


RULES: dict[str, tuple[Any, Callable[..., Array], list[tuple[float, float]]]] = {
    "added: add": (bounds.added, np.add, [(-3, 3), (-3, 3)]),
    "added: subtract": (bounds.added, np.subtract, [(-3, 3), (-3, 3)]),
    "product": (bounds.product, np.multiply, [(-3, 3), (-3, 3)]),
    "quotient": (bounds.quotient, np.true_divide, [(-3, 3), (0.5, 3)]),
    "monotone: exp": (bounds.monotone("exp"), np.exp, [(-20, 20)]),
    "monotone: log": (bounds.monotone("log"), np.log, [(0.01, 9)]),
    "monotone: tanh": (bounds.monotone("tanh"), np.tanh, [(-3, 3)]),
    "smooth: sin": (bounds.smooth("sin", np.cos, 1.0, cap=2.0), np.sin, [(-9, 9)]),
    "corners: hypot": (bounds.corners("hypot"), np.hypot, [(0.1, 3), (0.1, 3)]),
    "corners: power": (bounds.corners("power"), np.power, [(0.1, 3), (-2, 2)]),
    "same: negative": (bounds.same, np.negative, [(-3, 3)]),
    "same: abs": (bounds.same, np.abs, [(-3, 3)]),
    "steps: floor": (bounds.steps, np.floor, [(-3, 3)]),
    "moved: flip": (bounds.moved, np.flip, [(-3, 3)]),
    "summed": (bounds.summed, lambda x, **params: np.sum(x), [(-3, 3)]),
    "fan_in": (bounds.fan_in, lambda a, b, c: (a + b) + c, [(-3, 3)] * 3),
}


@pytest.mark.parametrize("name", RULES)
@given(seed=st.integers(0, 2**20), exact=st.booleans())
def test_a_float32_run_is_inside(name: str, seed: int, exact: bool) -> None:
    rule, forward, intervals = RULES[name]
    rng = np.random.default_rng(seed)
    operands = [operand(rng, low, high) for low, high in intervals]
    xs = tuple(x for x, _ in operands)
    es = tuple(None if exact else e for _, e in operands)
    with np.errstate(all="ignore"):
        y = forward(*xs)
        radius = rule(Evaluation(NUMPY, forward, y, xs, es, {}))
    run = forward(*[x.astype(np.float32) if exact else inside(rng, x, e) for x, e in operands])
    assert run.dtype == np.float32
    assert np.all(np.abs(run.astype(float) - y) <= reference_slack(NUMPY) * bounds.zero(radius))
    assert np.all(np.isfinite(bounds.zero(radius)))


@pytest.mark.parametrize("k", [1, 3, 17])
@given(seed=st.integers(0, 2**20))
def test_a_matrix_product_is_inside(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (a, ea), (b, eb) = (
        tuple(z.reshape(shape) for z in operand(rng, -3, 3, 4 * k)) for shape in ((4, k), (k, 4))
    )
    radius = bounds.bilinear(Evaluation(FMT, np.matmul, a @ b, (a, b), (ea, eb), {}), terms=k)
    run = inside(rng, a, ea) @ inside(rng, b, eb)
    assert np.all(np.abs(run - a @ b) <= reference_slack(FMT) * radius)


# --- sharpness: one rule, one number ---------------------------------------------------------------------------------------

ONE, U = np.array([1.5]), FMT.u


@pytest.mark.parametrize(("rule", "y", "xs", "expected"), [
    (bounds.added, 4.0, (1.5, 2.5), 4 * U), (bounds.added, 1.5, (1.5, 0.0), 0.0),
    (bounds.product, 4.5, (1.5, 3.0), 4.5 * U + FMT.eta), (bounds.product, 3.0, (1.5, 2.0), FMT.eta),
    (bounds.product, 1.5, (1.5, 1.0), 0.0),
    (bounds.product, 0.0, (1.5, 0.0), 0.0), (bounds.quotient, 0.5, (1.5, 3.0), 0.5 * U + FMT.eta),
    (bounds.quotient, 0.75, (1.5, 2.0), FMT.eta),
    (bounds.monotone(1.0), 3.0, (1.5,), 6 * U + FMT.eta),
])  # fmt: skip
def test_of_exact_operands_one_rounding_is_left(
    rule: Any, y: float, xs: tuple[float, ...], expected: float
) -> None:
    arrays = tuple(np.array([x]) for x in xs)
    assert rule(
        Evaluation(FMT, lambda *_: np.array([y]), np.array([y]), arrays, (None,) * len(xs), {})
    ) == pytest.approx(expected, rel=1e-12, abs=1e-60)


@pytest.mark.parametrize("number", [2.0, 1.0, 0.0, -0.5, 3.0])
def test_a_number_bounds_a_product_as_an_array_of_it_does(number: float) -> None:
    x, e = np.array([1.5, -3.0, 0.0]), np.array([0.25, 0.0, 0.5])
    for radius in (None, e):
        found = [
            bounds.product(Evaluation(FMT, np.multiply, x * c, (x, np.asarray(c)), (radius, None), {}))
            for c in (number, np.full(3, number))
        ]
        np.testing.assert_array_equal(*found)
        assert found[0].shape == x.shape


@pytest.mark.parametrize("rule", [bounds.moved, bounds.same, bounds.steps, bounds.compared])
def test_exact_rules_say_none(rule: Any) -> None:
    assert (
        rule(
            Evaluation(
                FMT, np.negative, -ONE, (ONE, ONE) if rule is bounds.compared else (ONE,), (None, None), {}
            )
        )
        is None
    )


def test_zeros_are_not_terms_of_a_sum() -> None:
    def forward(x: Array, **params: Any) -> Array:
        return np.sum(x)

    two, many = np.array([1.0, 0.0, 2.0, 0.0]), np.array([1.0, 0.5, 1.0, 0.5])
    assert bounds.summed(Evaluation(FMT, forward, np.sum(two), (two,), (None,), {})) == U * 3
    assert bounds.summed(Evaluation(FMT, forward, np.sum(many), (many,), (None,), {})) == 3 * U * 3


def test_narrow_formats_accumulate_wide_and_store_once() -> None:
    fmt, x = FORMATS["bfloat16"], np.full(8, 0.25)
    radius = bounds.summed(Evaluation(fmt, lambda x, **_: np.sum(x), np.sum(x), (x,), (None,), {}))
    assert fmt.u * 2.0 <= radius <= fmt.u * 2.0 * 1.01


def test_elements_that_meet_at_one_place_add_up_in_storage_precision() -> None:
    def forward(x: Array) -> Array:
        y = np.zeros(3, x.dtype)
        np.add.at(y, [0, 0, 1, 0], x)
        return y

    fmt, x, e = FORMATS["bfloat16"], np.array([1.0, -0.5, 2.0, 0.0]), np.array([0.0, 0.0, 0.25, 0.0])
    radius = bounds.scattered(Evaluation(fmt, forward, forward(x), (x,), (e,), {}))
    assert radius.tolist() == [fmt.u * 1.5, 0.25, 0.0]


def test_a_partial_sum_that_may_overflow_is_no_promise() -> None:
    x = np.array([3e38, 3e38, -3e38])
    forward = lambda x, **_: np.sum(x)  # noqa: E731
    assert bounds.summed(Evaluation(FMT, forward, np.sum(x), (x,), (None,), {})) == np.inf
    a, b = x[None], np.ones((3, 1))
    assert bounds.bilinear(Evaluation(FMT, np.matmul, a @ b, (a, b), (None, None), {}), terms=3) == np.inf


@pytest.mark.parametrize(
    ("rule", "op"), [(bounds.product, np.multiply), (bounds.quotient, np.true_divide), (bounds.added, np.add)]
)
def test_a_radius_may_be_a_number(rule: Any, op: Any) -> None:
    x1, x2 = np.float64(3.0), np.float64(5.0)
    for e in (0.0, 0.25):
        number, array = [
            rule(Evaluation(FMT, op, op(x1, x2), (x1, x2), (e, r), {})) for r in (e, np.asarray(e))
        ]
        assert number == array > 0


def test_a_zero_inside_the_denominator_is_no_promise() -> None:
    radius = bounds.quotient(
        Evaluation(FMT, np.true_divide, 1 / ONE, (ONE, ONE), (None, np.array([2.0])), {})
    )
    assert np.isinf(radius)


@pytest.mark.parametrize(
    "rule", [bounds.monotone("tanh"), bounds.smooth("sin", np.cos, 1.0, cap=2.0), bounds.corners("tanh")]
)
def test_an_operand_without_bound_may_be_nan_so_no_cap_holds(rule: Any) -> None:
    forward = np.tanh
    assert np.isinf(rule(Evaluation(FMT, forward, forward(ONE), (ONE,), (np.array([np.inf]),), {})))


def test_a_jump_within_reach_is_the_whole_step() -> None:
    x, e = np.array([2.9, 2.5]), np.array([0.2, 0.2])
    assert bounds.steps(Evaluation(FMT, np.floor, np.floor(x), (x,), (e,), {})).tolist() == [1.0, 0.0]


def test_comparisons_mark_what_is_uncertain() -> None:
    x1, x2, e = np.array([1.0, 1.0, 3.0]), np.array([1.05, 2.0, 3.0]), np.array([0.1, 0.1, 0.0])
    marked = bounds.compared(Evaluation(FMT, np.less, x1 < x2, (x1, x2), (e, None), {}))
    assert marked.tolist() == [True, False, False]
    assert bounds.compared(Evaluation(FMT, np.less, x1 < x2, (x1, x2 + 9), (e, None), {})) is None


@pytest.mark.parametrize(
    ("x", "answer"),
    [(1.0, True), (-0.5, True), (3.0, False), (0.0, False), (2.0**-1074, True), (np.inf, False)],
)
def test_powers_of_two(x: float, answer: bool) -> None:
    assert bool(bounds.power_of_two(np.array(x))) is answer


# --- formats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_formats_say_what_numpy_says(name: str) -> None:
    fmt, info = FORMATS[name], np.finfo(name)
    assert fmt.u == float(info.eps) / 2
    assert fmt.max == float(info.max)
    assert fmt.bits == info.nmant + 1
    assert float(info.smallest_subnormal) / 2 <= fmt.eta <= float(info.smallest_subnormal)
    assert np.finfo(fmt.wide).eps <= info.eps


def test_bfloat16_is_float32_cut_short() -> None:
    fmt = FORMATS["bfloat16"]
    assert fmt.max == math.ldexp(2 - 2.0**-7, 127)
    assert (fmt.u, fmt.bits, fmt.eta) == (2.0**-8, 8, 2.0**-134)
    assert fmt.u_acc == FORMATS["float32"].u


@pytest.mark.parametrize("name", computed_on())
def test_the_references_own_rounding_is_a_small_part(name: str) -> None:
    assert 1.0 < reference_slack(FORMATS[name]) < 1.01 or np.finfo(np.longdouble).nmant == 52


# --- what a profile admits ---------------------------------------------------------------------------------------------


def test_a_reciprocal_that_is_a_power_of_two_rounds_nothing() -> None:
    fmt = format_of("float32", "cuda")
    run = Evaluation(
        fmt, np.true_divide, np.asarray(0.375), (np.asarray(3.0), np.asarray(8.0)), (None, None), {}
    )
    assert bounds.quotient(run) == bounds.quotient(run._replace(fmt=format_of("float32", "cpu")))
