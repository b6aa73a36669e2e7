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
from refgrad.bounds.formats import FORMATS, Format, computed_on, format_of
from refgrad.bounds.profiles import CPU, Profile
from refgrad.bounds.rounding import rounded
from refgrad.bounds.rules import reference_slack
from refgrad.op import REGISTRY, apply
from refgrad.tracing.ball import exact, parts

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


def _in_format(x: Array, fmt: Format) -> Array:
    return rounded(np.asarray(x, np.float32), fmt).astype(float)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("seed", range(5))
def test_running_sums_that_are_stored_at_each_step_are_inside_where_a_profile_says_so(
    dtype: str, seed: int
) -> None:
    fmt = format_of(dtype, "cuda")
    x = _in_format(np.random.default_rng(seed).standard_normal(40), fmt)
    stored = [x[0]]
    for term in x[1:]:
        stored.append(float(_in_format(stored[-1] + term, fmt)))
    run = Evaluation(fmt, np.cumsum, np.cumsum(x), (x,), (None,), {"axis": 0})
    error = np.abs(np.array(stored) - np.cumsum(x))
    assert np.all(error <= bounds.running(run))
    rounded_once = bounds.running(run._replace(fmt=format_of(dtype, "cpu")))
    assert np.any(error > rounded_once)  # the profile of a CPU would not admit it


def test_compensated_sums_are_inside_where_a_profile_says_so() -> None:
    x = np.float32(np.random.default_rng(0).standard_normal((4, 20000)))
    x[2:] *= np.float32(0.5) > np.abs(
        x[2:]
    )  # zeros follow two or three terms, and the last correction is rounded
    total, rest = np.zeros(20000, np.float32), np.zeros(20000, np.float32)
    for term in x:
        corrected = term - rest
        larger = total + corrected
        total, rest = larger, (larger - total) - corrected
    terms = x.astype(float)
    error = np.abs(total - np.sum(terms, axis=0))
    run = Evaluation(FMT, np.sum, np.sum(terms, axis=0), (terms,), (None,), {"axis": 0})
    assert np.any(error > bounds.summed(run))  # no order of a plain sum explains it
    assert np.all(error <= bounds.summed(run._replace(fmt=FMT.under(replace(CPU, compensated=True)))))


@pytest.mark.parametrize(
    "fmt", [format_of("float32", "cuda"), format_of("bfloat16", "cuda")], ids=lambda f: f.name
)
def test_a_product_with_the_rounded_reciprocal_is_inside_where_a_profile_says_so(fmt: Format) -> None:
    x = _in_format(np.random.default_rng(1).standard_normal(4000), fmt)
    worst = 0.0
    for n in (3.0, 7.0, 10.0, 49.0, 3.0 * 2.0**126):
        reciprocal = float(np.float32(1 / n))
        product = np.asarray(
            np.float32(x) * np.float32(reciprocal), np.float32
        )  # kernels multiply in float32
        came = product.astype(float) if fmt.name == "float32" else _in_format(product, fmt)
        run = Evaluation(fmt, np.true_divide, x / n, (x, np.asarray(n)), (None, None), {})
        error = np.abs(came - x / n)
        assert np.all(error <= bounds.quotient(run))
        plain = bounds.quotient(run._replace(fmt=format_of(fmt.name, "cpu")))
        worst = max(worst, float(np.max(error / plain)))
    # A division rounds less, so the profile of a CPU would not admit it. In a half format the rounding to storage is the larger part.
    assert worst > 1 or fmt.u > fmt.u_acc


def test_a_divisor_that_is_broadcast_may_be_inverted_where_a_profile_says_so() -> None:
    fmt = format_of("float32", "cpu", replace(CPU, broadcasting_reciprocal=True))
    rng = np.random.default_rng(3)
    x, rows = narrow(rng.standard_normal((60, 50))), narrow(rng.uniform(1, 2, (60, 1)))
    came = (np.float32(x) * (np.float32(1) / np.float32(rows))).astype(float)
    error = np.abs(came - x / rows)
    run = Evaluation(fmt, np.true_divide, x / rows, (x, rows), (None, None), {})
    assert np.all(error <= bounds.quotient(run))
    assert np.any(error > bounds.quotient(run._replace(fmt=FMT)))
    full = np.broadcast_to(rows, x.shape)  # is divided by as ever
    assert np.array_equal(
        bounds.quotient(run._replace(xs=(x, full))), bounds.quotient(run._replace(fmt=FMT, xs=(x, full)))
    )


@pytest.mark.parametrize(
    "divisors", [(1, 2), (2.0**14, 2.0**15)], ids=["ordinary", "whose reciprocals are subnormal"]
)
def test_the_reciprocal_may_be_rounded_to_the_half_format_where_a_profile_says_so(
    divisors: tuple[float, float],
) -> None:
    profile = replace(CPU, broadcasting_reciprocal=True)
    fmt = format_of("float16", "cpu", replace(profile, stored_reciprocal=frozenset({"float16"})))
    rng = np.random.default_rng(4)
    x, rows = np.float16(rng.uniform(64, 128, (60, 50))), np.float16(rng.uniform(*divisors, (60, 1)))
    came = (x * (np.float16(1) / rows)).astype(float)
    wide, by = x.astype(float), rows.astype(float)
    error = np.abs(came - wide / by)
    run = Evaluation(fmt, np.true_divide, wide / by, (wide, by), (None, None), {})
    assert np.all(error <= bounds.quotient(run))
    accumulated = run._replace(fmt=format_of("float16", "cpu", profile))
    assert np.any(error > bounds.quotient(accumulated))


FLUSHING = format_of("float32", "cpu", Profile("made", NUMPY_ULP, flushing=frozenset({"float32"})))
TINY = np.float32(FMT.least_normal)


def flush(x: Array) -> Array:
    """float32 numbers, the subnormal ones as zero."""
    x = np.asarray(x, np.float32)
    return np.where(np.abs(x) < TINY, np.float32(0), x)


def flushing_sum(x: Array) -> Array:
    total = np.float32(0)
    for term in x:
        total = flush(total + term)
    return total


@pytest.mark.parametrize(
    ("op", "kernel", "exponents"),
    [
        *((name, getattr(np, name), [(-150, -100), (-150, -100)]) for name in ("add", "subtract", "maximum")),
        ("multiply", np.multiply, [(-150, -100), (-20, 20)]),
        ("divide", np.divide, [(-150, -100), (-20, 20)]),
        ("square", np.square, [(-76, -56)]),
        *(
            (f, getattr(np, f), [(-150, -100)])
            for f in ("negative", "abs", "expm1", "log1p", "sin", "tanh", "sqrt")
        ),
        ("fan_in", lambda *xs: flush(flush(xs[0] + xs[1]) + xs[2]), [(-150, -100)] * 3),
        ("sum", flushing_sum, [(-150, -120)]),
    ],
)
def test_what_kernels_flush_is_inside_where_a_profile_says_so(
    op: str, kernel: Callable[..., Array], exponents: list[tuple[int, int]]
) -> None:
    rng, record, lost = np.random.default_rng(4), REGISTRY[op], 0
    signs = {"sqrt": [1.0], "divide": [-1.0, 1.0]}.get(op, [-1.0, 0.0, 1.0])
    for _ in range(30):
        xs = [narrow(2.0 ** rng.uniform(*span, 64) * rng.choice(signs, 64)) for span in exponents]
        with np.errstate(all="ignore"):
            came = flush(kernel(*map(flush, xs))).astype(float)
            params = dict(record.signature.defaults) if op == "sum" else {}
            found, kept = (
                apply(record, tuple(exact(x, fmt) for x in xs), params) for fmt in (FLUSHING, NUMPY)
            )
            off = np.abs(came - parts(found)[0])
        assert np.all(off <= parts(found)[1] * reference_slack(FMT))
        lost += np.count_nonzero(off > parts(kept)[1])
    assert lost  # a profile that does not say so would not admit it


@pytest.mark.parametrize("op", ["maximum", "minimum", "fmax", "fmin"])
def test_any_of_the_operands_that_a_comparison_takes_as_zero_may_be_returned(op: str) -> None:
    xs = np.array([9e-41, 0.0, -9e-41, 1.0]), np.array([0.0, -3e-40, 9e-41, 9e-41])
    first, second = (np.where(np.abs(x) < TINY, 0.0, x) for x in xs)
    larger = first > second if op.endswith("max") or op == "maximum" else first < second
    for returned in (np.where(larger | (first == second), *xs), np.where(larger, *xs)):
        value, radius = parts(apply(REGISTRY[op], tuple(exact(x, FLUSHING) for x in xs), {}))
        assert np.all(np.abs(returned - value) <= radius)
        assert radius[3] < 1e-37


def test_exact_zeros_stay_exact_where_kernels_flush() -> None:
    zeros = exact(np.zeros(3), FLUSHING)
    assert zeros.radius is None
    assert not np.any(parts(zeros * 3 + zeros)[1])
    assert list(exact(np.array([0.0, 1e-40, -1e-40, 1.0]), FLUSHING).radius) == [0, 1e-40, 1e-40, 0]


def test_a_reciprocal_that_is_a_power_of_two_rounds_nothing() -> None:
    fmt = format_of("float32", "cuda")
    run = Evaluation(
        fmt, np.true_divide, np.asarray(0.375), (np.asarray(3.0), np.asarray(8.0)), (None, None), {}
    )
    assert bounds.quotient(run) == bounds.quotient(run._replace(fmt=format_of("float32", "cpu")))
