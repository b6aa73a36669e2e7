"""Elementwise ops at single points: their special points, and arguments so extreme that formulas lose their digits."""

from __future__ import annotations

import dataclasses
from decimal import Decimal, localcontext

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rules import reference_slack
from refgrad.op import REGISTRY
from refgrad.tracing.ball import Ball, exact, parts
from tests.ops.elementwise_draws import FLOAT64, OPS, WIDE, by_name, drawn

VALUES = dataclasses.replace(FLOAT64, kinks=False)


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


def test_the_gradient_of_hypot_in_either_order_of_product_and_quotient():
    """MXNet divides first: of an operand below the normal range the cotangent magnifies what the quotient lost."""
    rng, fmt = np.random.default_rng(0), FORMATS["float32"]
    x1 = (rng.integers(-4, 5, 500) * np.float32(1.4e-45)).astype(np.float32)
    x2, t = rng.uniform(1, 3, 500).astype(np.float32), rng.uniform(-9, 9, 500).astype(np.float32)
    balls = [exact(a.astype(float), fmt) for a in (x1, x2, t)]
    value, radius = parts(rg.vjp(np.hypot, *balls[:2])[1](balls[2])[0])
    h = np.hypot(x1.astype(float), x2).astype(np.float32)
    first, last = np.abs(t * (x1 / h) - value), np.abs((t * x1) / h - value)
    assert np.all(np.maximum(first, last) <= radius)
    assert np.any(first > 2 * fmt.least)  # more than the last rounding
    assert np.all(radius[x1 == 0] <= fmt.least)
    assert np.all(radius <= 12 * fmt.least)


@pytest.mark.parametrize("x", [37.43, -37.43, 40.0, 300.0, -300.0])
def test_the_slope_of_sigmoid_keeps_its_digits(x: float) -> None:
    with localcontext(prec=60):
        z = (-abs(Decimal(x))).exp()
        expected = float(z / (1 + z) ** 2)
    slope = rg.grad(rg.nn.sigmoid)
    assert slope(x) > 0
    # The slope is even.
    assert abs(slope(x) - expected) <= slope(exact(np.asarray(-abs(x)), FORMATS["float64"])).radius
