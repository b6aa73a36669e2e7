"""Elementwise ops: rules against the third judge, special points, extreme arguments, containment by the radius."""

from __future__ import annotations

import dataclasses
from decimal import Decimal, localcontext

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds import FORMATS, reference_slack
from refgrad.errors import NoRuleError, TracingError
from refgrad.numeric import differences
from refgrad.op import REGISTRY
from refgrad.ops import (
    activation,
    entropy,
    exponential,
    hard,
    hyperbolic,
    logic,
    selection,
    smooth,
    trigonometric,
)
from refgrad.rounding import Ball, exact, parts

FAMILIES = (activation, entropy, exponential, hard, hyperbolic, logic, selection, smooth, trigonometric)
OPS = [op for op in REGISTRY.values() if any(getattr(family, op.name, None) is op for family in FAMILIES)]
DIFFERENTIABLE = [op for op in OPS if op.signature.differentiable]
STEPS = [op for op in OPS if not op.signature.differentiable]
FLOAT64 = FORMATS["float64"]
VALUES = dataclasses.replace(FLOAT64, kinks=False)
WIDE = np.longdouble
SEEDS = range(12)


def by_name(op):
    return op.name


def drawn(op, seed):
    """Operands from the op's domain, the op as a function of those that are real, and those."""
    rng = np.random.default_rng([seed, *op.name.encode()])
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    operands = [np.asarray(x) for x in operands]
    real = [k for k, x in enumerate(operands) if x.dtype.kind == "f"]

    def f(*xs):
        full = list(operands)
        for k, x in zip(real, xs, strict=True):
            full[k] = x
        return op(*full, **params)

    return rng, f, tuple(operands[k] for k in real)


def units(y):
    """Float64's unit roundoff of y: what long double must reach."""
    return FLOAT64.u * np.abs(y) + FLOAT64.eta


def noise(y):
    """What cancels in the last of the extrapolated differences: long double's rounding of y over their smallest step."""
    return np.finfo(WIDE).eps * 2.0**12 * np.max(np.abs(y), initial=1.0)


# --- derivatives ---


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=by_name)
def test_each_operand_against_differences_in_both_modes(op):
    for seed in SEEDS:
        rng, f, xs = drawn(op, seed)
        y = f(*xs)
        y_bar = rng.standard_normal(y.shape)
        _, pullback = rg.vjp(f, *[exact(x, FLOAT64) for x in xs])
        x_bars = pullback(exact(y_bar, FLOAT64))
        for k, x in enumerate(xs):
            x_dot = rng.standard_normal(x.shape)

            def alone(xk, k=k, xs=xs, f=f):
                return f(*[np.asarray(x, xk.dtype) if j != k else xk for j, x in enumerate(xs)])

            expected, error = differences(alone, (x,), (x_dot,))
            _, y_dot = rg.jvp(lambda b, k=k, xs=xs, f=f: f(*[b if j == k else exact(x, FLOAT64) for j, x in enumerate(xs)]),
                              (exact(x, FLOAT64),), (exact(x_dot, FLOAT64),))  # fmt: skip
            value, radius = parts(y_dot)
            assert value.shape == y.shape
            assert np.all(np.abs(value - expected) <= radius + 4 * error + units(expected) + noise(y)), (
                seed,
                k,
            )
            value, radius = parts(x_bars[k])
            assert value.shape == x.shape
            gap = np.abs(np.sum(value * x_dot) - np.sum(expected * y_bar))
            assert gap <= np.sum(radius * np.abs(x_dot)) + np.sum(
                np.abs(y_bar) * (4 * error + units(expected) + noise(y))
            ), (seed, k)


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=by_name)
def test_adjoint_identity(op):
    for seed in SEEDS:
        rng, f, xs = drawn(op, seed)
        xs = tuple(x.astype(WIDE) for x in xs)
        x_dots = tuple(rng.standard_normal(x.shape).astype(WIDE) for x in xs)
        y, y_dot = rg.jvp(f, xs, x_dots)
        y_bar = rng.standard_normal(y.shape).astype(WIDE)
        x_bars = rg.vjp(f, *xs)[1](y_bar)
        assert [b.shape for b in x_bars] == [x.shape for x in xs]
        terms = [y_bar * y_dot, *[-b * d for b, d in zip(x_bars, x_dots, strict=True)]]
        assert abs(sum(np.sum(t) for t in terms)) <= sum(np.sum(units(t)) for t in terms), seed


@pytest.mark.parametrize("op", [op for op in DIFFERENTIABLE if op.domain.smooth], ids=by_name)
def test_second_derivatives_in_all_four_nestings(op):
    for seed in range(4):
        rng, f, xs = drawn(op, seed)
        v, w = ([rng.standard_normal(x.shape).astype(WIDE) for x in xs] for _ in range(2))
        xs = tuple(x.astype(WIDE) for x in xs)
        y_bar = rng.standard_normal(f(*xs).shape).astype(WIDE)

        def forward(*zs, f=f, v=v):
            return rg.jvp(f, zs, tuple(v))[1]

        def reverse(*zs, f=f, y_bar=y_bar):
            return rg.vjp(f, *zs)[1](y_bar)

        expected, error = differences(forward, xs, w)
        scale = np.sum(np.abs(y_bar * expected))
        total = np.sum(y_bar * expected)
        room = 4 * np.sum(np.abs(y_bar) * error) + 8 * FLOAT64.u * (scale + 1)
        over_forward = rg.jvp(forward, xs, tuple(w))[1]
        assert abs(np.sum(y_bar * over_forward) - total) <= room
        reverse_forward = rg.vjp(forward, *xs)[1](y_bar)
        assert abs(sum(np.sum(a * b) for a, b in zip(reverse_forward, w, strict=True)) - total) <= room
        forward_reverse = rg.jvp(reverse, xs, tuple(w))[1]
        assert abs(sum(np.sum(a * b) for a, b in zip(forward_reverse, v, strict=True)) - total) <= room
        reverse_reverse = rg.vjp(reverse, *xs)[1](tuple(v))
        assert abs(sum(np.sum(a * b) for a, b in zip(reverse_reverse, w, strict=True)) - total) <= room


@pytest.mark.parametrize("op", STEPS, ids=by_name)
def test_steps_have_derivative_zero(op):
    operands = (1.3,) if len(op.signature.operands) == 1 else (1.3, 0.4)
    y, x_bars = op(*operands), rg.vjp(lambda *xs: op(*xs) * 1.0, *operands)[1](1.0)
    assert not any(x_bars)
    assert rg.jvp(lambda *xs: op(*xs) * 1.0, operands, (1.0,) * len(operands))[1] == 0
    assert np.shape(y) == ()


def test_sinc_has_every_derivative_at_zero():
    derivatives, f = [], np.sinc
    for _ in range(5):
        derivatives.append(f(WIDE(0)))
        f = rg.grad(f)
    pi = 4 * np.arctan(WIDE(1))
    expected = np.array([1, 0, -(pi**2) / 3, 0, pi**4 / 5])
    assert np.all(np.abs(np.array(derivatives) - expected) <= units(expected))


def test_the_second_derivative_of_sinc_at_zero_rounds():
    # -pi^2/3 is no number of any format: a run that has it to the last place or two is right.
    second = rg.grad(rg.grad(np.sinc))
    for name in ("float64", "float32"):
        y = second(exact(np.zeros(()), FORMATS[name]))
        best = np.asarray(-(np.pi**2) / 3).astype(name).astype(y.value.dtype)
        assert abs(best - y.value) <= y.radius <= 16 * FORMATS[name].u


# --- values ---


@pytest.mark.parametrize("op", OPS, ids=by_name)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(op, dtype):
    _, f, xs = drawn(op, 1)
    y = f(*[x.astype(dtype) for x in xs])
    assert y.dtype in (dtype, np.dtype(bool))
    if op.signature.differentiable:
        x_bars = rg.vjp(f, *[x.astype(dtype) for x in xs])[1](np.ones(y.shape, dtype))
        assert {b.dtype for b in x_bars} == {np.dtype(dtype)}


@pytest.mark.parametrize("op", [op for op in OPS if op.special], ids=by_name)
def test_special_points(op):
    for special in op.special:
        params = dict(special.params)
        xs = tuple(np.float64(a) for a in special.at)
        with np.errstate(all="ignore"):
            y, radius = parts(op(*[exact(x, VALUES) for x in xs], **params))
            _, pullback = rg.vjp(lambda *zs, params=params: op(*zs, **params), *xs)
            x_bars = pullback(np.float64(1.0))
            _, bounding = rg.vjp(
                lambda *zs, params=params: op(*zs, **params), *[exact(x, VALUES) for x in xs]
            )
            radii = [parts(b)[1] for b in bounding(exact(1.0, VALUES))]
        expected = WIDE(special.value)
        overflow = np.isinf(expected) and abs(y) > FLOAT64.max  # in float64; long double still holds it
        assert (
            np.isnan(y)
            if np.isnan(expected)
            else y == expected or overflow or abs(y - expected) <= 2 * radius
        ), special
        for x_bar, allowed, r in zip(x_bars, special.allowed, radii, strict=True):
            if allowed is not None:
                low, high = allowed
                room = r if np.isfinite(r) else 0.0
                digits = 5e-5 * abs(high) if np.isfinite(high) else 0.0  # the table prints five
                assert (
                    x_bar == low if np.isinf(low) else low - room - digits <= x_bar <= high + room + digits
                ), special


EXTREMES = [
    ("sigmoid", [37.43, -37.43, 800.0, -800.0, 1e10], "1/(1 + exp(-x))", "exp(-abs(x))/(1 + exp(-abs(x)))**2"),
    ("tanh", [19.1, 400.0, 1e-300], "tanh(x)", "1/cosh(x)**2"),
    ("softplus", [20.0, 20.0001, 700.0, -700.0], "log1p(exp(x))", "1/(1 + exp(-x))"),
    ("log_sigmoid", [-800.0, -40.0, 40.0, 800.0], "-log1p(exp(-x))", "1/(1 + exp(x))"),
    ("silu", [-800.0, -40.0, 0.0, 40.0], "x/(1 + exp(-x))", "(1 + x/(1 + exp(x)))/(1 + exp(-x))"),
    ("expm1", [1e-300, -1e-300, 1e-10, -40.0, -800.0], "expm1(x)", "exp(x)"),
    ("log1p", [1e-300, -1e-300, 1e-10, -0.9999999999], "log1p(x)", "1/(1 + x)"),
    ("exp", [-745.0, -800.0, 709.0], "exp(x)", "exp(x)"),
    ("arctan", [1e200, 1e-200, 1e100], "atan(x)", "1/(1 + x*x)"),
    ("arcsinh", [1e200, -1e200, 1e-200], "asinh(x)", "1/sqrt(1 + x*x)"),
    ("arccosh", [1e200, 1.0000000001], "acosh(x)", "1/sqrt(x*x - 1)"),
    ("arctanh", [1e-300, 0.9999999999], "atanh(x)", "1/(1 - x*x)"),
    ("arcsin", [1e-300, 0.9999999999], "asin(x)", "1/sqrt(1 - x*x)"),
    ("sinc", [1e-300, 1e-5, 0.4, 1.0, 1e3], "sin(pi*x)/(pi*x)", "(cos(pi*x) - sin(pi*x)/(pi*x))/x"),
    ("sin", [1e22, 3.141592653589793], "sin(x)", "cos(x)"),
    ("log2", [1e-300, 1e300], "log(x)/log(2)", "1/(x*log(2))"),
    ("log10", [1e-300, 1e300], "log(x)/log(10)", "1/(x*log(10))"),
    ("exp2", [-1000.0, 1000.0], "mpf(2)**x", "log(2)*mpf(2)**x"),
    ("sinh", [1e-300, 700.0], "sinh(x)", "cosh(x)"),
    ("cosh", [1e-300, -700.0], "cosh(x)", "sinh(x)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "points", "value", "slope"), EXTREMES, ids=[e[0] for e in EXTREMES])
def test_extreme_arguments_against_arbitrary_precision(name, points, value, slope):
    mpmath = pytest.importorskip("mpmath")
    scope = {k: getattr(mpmath, k) for k in dir(mpmath) if not k.startswith("_")} | {"abs": abs}
    op, x = REGISTRY[name], np.array(points)
    for compute in (
        op,
        lambda z: rg.vjp(op, z)[1](
            exact(np.ones(x.shape), FLOAT64) if isinstance(z, Ball) else np.ones(x.shape)
        )[0],
    ):
        formula = value if compute is op else slope
        got = compute(x)
        _, radius = parts(compute(exact(x, FLOAT64)))
        with mpmath.workdps(900):
            truth = [eval(formula, scope | {"x": mpmath.mpf(p)}) for p in points]  # noqa: S307 - formulas of this file
            errors = [float(abs(mpmath.mpf(float(g)) - t)) for g, t in zip(got, truth, strict=True)]
        assert np.all(errors <= radius * reference_slack(FLOAT64)), (got, truth, errors, radius)


@pytest.mark.parametrize(
    ("name", "at", "slopes"),
    [
        ("hypot", (1e200, 1e200), (np.sqrt(0.5), np.sqrt(0.5))),
        ("hypot", (3e-200, 4e-200), (0.6, 0.8)),
        ("arctan2", (1e200, 1e200), (5e-201, -5e-201)),
        ("arctan2", (1e-200, 1e-200), (5e199, -5e199)),
        ("logaddexp", (1e300, -1e300), (1.0, 0.0)),
        ("logaddexp", (1000.0, 1000.0), (0.5, 0.5)),
        ("maximum", (np.inf, np.inf), (0.5, 0.5)),
        ("fmin", (np.nan, 2.0), (0.0, 1.0)),
    ],
)
def test_extreme_pairs(name, at, slopes):
    got = rg.grad(REGISTRY[name], (0, 1))(*at)
    assert np.all(np.abs(np.subtract(got, slopes)) <= 8 * FLOAT64.u * np.abs(slopes)), got


# --- the radius ---


@pytest.mark.parametrize("op", OPS, ids=by_name)
@pytest.mark.parametrize("size", [1e-9, 1e-2, 1.0, 10.0])
def test_radius_contains_the_values_around(op, size):
    for seed in SEEDS:
        rng, f, xs = drawn(op, seed)
        es = [size * rng.uniform(0, 1, x.shape) * rng.integers(0, 2) for x in xs]
        ball = f(*[Ball(x.astype(WIDE), e.astype(WIDE), FLOAT64) for x, e in zip(xs, es, strict=True)])
        value, radius = parts(ball)
        for kind in range(12):
            sides = [
                rng.uniform(-1, 1, x.shape) if kind > 3 else (-1) ** (kind >> k) for k, x in enumerate(xs)
            ]
            with np.errstate(all="ignore"):
                y = f(*[x.astype(WIDE) + e * s for x, e, s in zip(xs, es, sides, strict=True)])
            if y.dtype == bool:
                assert np.all((y == value) | radius.astype(bool)), (seed, kind)
            else:
                gap = np.where(np.isinf(radius), 0.0, np.abs(y - value) - radius)
                assert np.all((gap <= units(y) + noise(0.0) * 2.0**-12) | np.isnan(y)), (
                    seed,
                    kind,
                    y,
                    value,
                    radius,
                )


@pytest.mark.parametrize(
    ("function", "at", "low", "high"),
    [
        (rg.nn.relu, 0.0, 0.0, 1.0),
        (np.abs, 0.0, -1.0, 1.0),
        (lambda x: np.maximum(x, 2.0), 2.0, 0.0, 1.0),
        (lambda x: np.clip(x, 0.0, 1.0), 1.0, 0.0, 1.0),
        (lambda x: rg.nn.leaky_relu(x, 0.125), 0.0, 0.125, 1.0),
        (lambda x: rg.nn.elu(x, 2.0), 0.0, 1.0, 2.0),
        (lambda x: np.fmin(x, 0.0), 0.0, 0.0, 1.0),
    ],
)
def test_a_tie_gives_the_hull_of_both_sides(function, at, low, high):
    value, radius = parts(rg.grad(function)(exact(at, FLOAT64)))
    assert value - radius <= low
    assert value + radius >= high
    assert radius <= (high - low) * 0.5 + 8 * FLOAT64.u


def test_an_unselected_branch_contributes_nothing_even_if_infinite():
    for function in (rg.nn.relu, lambda x: np.maximum(x, 0.0), lambda x: np.clip(x, 0.0, 1.0)):
        with np.errstate(all="ignore"):
            assert rg.grad(lambda x, function=function: np.sqrt(function(x)))(-1.0) == 0
    assert rg.grad(lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0))(0.0) == 0


def test_an_uncertain_condition_gives_the_hull_of_both_branches():
    x = Ball(np.array([1e-20, 1.0], WIDE), np.array([1e-15, 1e-15], WIDE), FLOAT64)
    value, radius = parts(np.where(x > 0, 1.0, -1.0))
    assert np.array_equal(value, [0.0, 1.0])
    assert np.array_equal(radius, [1.0, 0.0])
    for both in (
        np.logical_and(x > 0, x < 2),
        (x > 0) & (x < 2),
        ~((x <= 0) | (x >= 2)),
        (x > 0) ^ (x > 3),
        np.array([True, True]) & (x > 0),
    ):
        assert np.array_equal(parts(both)[1].astype(bool), [True, False])
    assert not np.any(np.logical_and(x > 0, x > 2))  # certain, whatever x > 0 says


# --- NumPy's ways in ---


def test_clip_takes_bounds_as_numpy_does():
    x = np.array([-1.0, 0.5, 3.0])
    calls = [
        lambda z: np.clip(z, 0, 1), lambda z: z.clip(0, 1), lambda z: np.clip(z, None, 1), lambda z: np.clip(z, 0, None),
        lambda z: np.clip(z, a_min=0, a_max=1),
    ]  # fmt: skip
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        calls += [
            lambda z: np.clip(z, min=0, max=1),
            lambda z: np.clip(z, max=1),
            lambda z: np.clip(z, None, None),
        ]
    for call in calls:
        y, y_dot = rg.jvp(call, (x,), (np.ones(3),))
        assert np.array_equal(y, call(x))
        assert np.array_equal(y_dot, y == x)


@pytest.mark.parametrize(
    "function",
    [
        np.nan_to_num, lambda x: np.nan_to_num(x, nan=2.0, posinf=5.0), lambda x: np.round(x, 1), lambda x: x.round(),
        lambda x: np.select([x > 1, x > 0], [x * 2, x * 3], 7.0), lambda x: np.fmod(x, 0.7), lambda x: np.float_power(x, 3),
        lambda x: np.ldexp(x, 3), np.conjugate, np.real, np.fabs, lambda x: np.trunc(x) * x,
        np.radians, np.degrees, lambda x: np.round(x, -1), lambda x: np.where(np.isposinf(x), 0.0, x),
        lambda x: np.where((x > 0) & ~(x > 2) | np.isneginf(x), x, x * x),
    ],
)  # fmt: skip
def test_compositions_have_numpy_s_values_and_the_right_slope(function):
    x = np.array([1.31, 0.42, 2.53, 4.87])
    y, y_dot = rg.jvp(function, (x,), (np.ones(4),))
    assert np.array_equal(y, function(x))
    expected, error = differences(function, (x,), (np.ones(4),))
    room = 4 * error + 16 * FLOAT64.u * (1 + np.abs(expected))
    assert np.all(np.abs(y_dot - expected) <= room)
    ball = function(exact(x, FLOAT64))
    assert np.all(np.abs(parts(ball)[0] - y) <= parts(ball)[1] + units(y))


def test_nan_to_num_replaces_with_constants():
    x = np.array([np.nan, np.inf, 1.0, -np.inf])
    y, y_dot = rg.jvp(np.nan_to_num, (x,), (np.ones(4),))
    assert np.array_equal(y, np.nan_to_num(x))
    assert np.array_equal(y_dot, [0, 0, 1, 0])


def test_conditions_of_numbers_are_refused():
    ball = exact(np.arange(3), FLOAT64)
    with pytest.raises(NoRuleError, match="boolean"):
        np.bitwise_and(ball, 1)


def test_an_exponent_of_ldexp_has_no_derivative() -> None:
    with pytest.raises(TracingError, match=r"Write x1 \* np\.exp2\(x2\)"):
        rg.grad(lambda n: np.ldexp(1.5, n))(2.0)


@pytest.mark.parametrize("x", [37.43, -37.43, 40.0, 300.0, -300.0])
def test_the_slope_of_sigmoid_keeps_its_digits(x: float) -> None:
    with localcontext(prec=60):
        z = (-abs(Decimal(x))).exp()
        expected = float(z / (1 + z) ** 2)
    slope = rg.grad(rg.nn.sigmoid)
    assert slope(x) > 0
    assert (
        abs(slope(x) - expected) <= slope(exact(np.asarray(-abs(x)), FORMATS["float64"])).radius
    )  # the slope is even
