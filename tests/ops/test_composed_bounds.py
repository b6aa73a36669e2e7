"""Bounds of composed derivatives hold however a kernel composes them.

float32 in several orders, on functions that are as far off as their documents allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad.bounds.evaluation import Evaluation
from refgrad.bounds.formats import FORMATS
from refgrad.bounds.rules import reference_slack
from refgrad.graph import Node
from refgrad.ops import activation, trigonometric
from refgrad.testing.judging.alternative_formulas import of_sent
from refgrad.tracing.ball import exact, parts
from refgrad.transforms import vjp

Array = Any
FMT = FORMATS["float32"]
f32 = np.float32


def off(name: str, exact: Array, seed: int = 0) -> Array:
    """float32 numbers that lie up to the documented ULP from the exact value, on either side."""
    rng = np.random.default_rng(seed)
    one = np.spacing(np.abs(exact).astype(f32)).astype(float)
    reach = FMT.ulp(name) * one * rng.choice([-1.0, -0.9, 0.0, 0.9, 1.0], np.shape(exact))
    got = (exact + reach).astype(f32)
    return np.where(np.abs(got - exact) <= FMT.ulp(name) * one, got, exact.astype(f32)).astype(f32)


def logistic(x: Array, sign: float = 1.0) -> Array:
    return 1 / (1 + off("exp", np.exp(-sign * x.astype(float))))


def small(x: Array) -> Array:
    """exp(-|x|)."""
    return off("exp", np.exp(-np.abs(x.astype(float))))


def angle(x: Array) -> tuple[Array, Array, Array]:
    a = f32(np.pi) * x
    return a, off("sin", np.sin(a.astype(float)), 1), off("cos", np.cos(a.astype(float)), 2)


SLOPE = {
    "z/(1 + z)^2": lambda x: small(x) / ((1 + small(x)) * (1 + small(x))),
    "z/(1 + z)/(1 + z)": lambda x: small(x) / (1 + small(x)) / (1 + small(x)),
}
QUOTIENT = {
    "1/(1 + exp(-x))": logistic,
    "z/(z + 1)": lambda x: off("exp", np.exp(x.astype(float))) / (off("exp", np.exp(x.astype(float))) + 1),
    "z/(1 + z) or 1 - it": lambda x: np.where(
        x < 0, small(x) / (1 + small(x)), 1 - small(x) / (1 + small(x))
    ),
}
SOFTPLUS = {
    "log1p(exp(x))": lambda x: off("log1p", np.log1p(off("exp", np.exp(x.astype(float))).astype(float))),
    "max(x, 0) + log1p(z)": lambda x: np.maximum(x, 0) + off("log1p", np.log1p(small(x).astype(float))),
}


def sinc_common(x: Array) -> Array:
    a, sine, cosine = angle(x)
    return (a * cosine - sine) / (x * x * f32(np.pi))


def sinc_separate(x: Array) -> Array:
    _, sine, cosine = angle(x)
    return cosine / x - sine / (x * x * f32(np.pi))


def sinc_recurrent(x: Array) -> Array:
    a, sine, cosine = angle(x)
    return (cosine - sine / a) / x


def sinc_series(x: Array) -> Array:
    a = f32(np.pi) * x
    term, total = f32(np.pi) * -a / f32(3), np.zeros_like(x)
    for k in range(1, 11):
        total = total + term
        term = -term * (a * a) * f32((2 * k + 2) / (2 * k * (2 * k + 2) * (2 * k + 3)))
    return total


SINC = {"common": sinc_common, "separate": sinc_separate, "recurrent": sinc_recurrent}
CASES: dict[str, tuple[Any, dict[str, Callable[[Array], Array]], tuple[float, float], dict[str, Any]]] = {
    "sigmoid's slope": (activation.slope, SLOPE, (-30, 80), {}),
    "sigmoid as a quotient": (activation.sigmoid_quotient, QUOTIENT, (-60, 60), {}),
    "softplus": (activation.softplus, SOFTPLUS, (-60, 60), {"threshold": None}),
    "sinc, order 1": (trigonometric.sinc, SINC, (0.3184, 9), {"order": 1}),
    "sinc, order 1, near 0": (trigonometric.sinc, {"series": sinc_series}, (1e-6, 0.3183), {"order": 1}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "form"), [(case, form) for case, (_, forms, *_) in CASES.items() for form in forms]
)
def test_every_order_stays_inside(case: str, form: str) -> None:
    op, forms, (low, high), params = CASES[case]
    rng = np.random.default_rng(5)
    x = np.concatenate(
        [rng.uniform(low, high, 40_000), rng.uniform(max(low, -2), min(high, 2), 40_000)]
    ).astype(f32)
    wide = x.astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        y = op.forward(wide, **params)
        radius = op.rounding(Evaluation(FMT, op.forward, y, (wide,), (None,), params)) * reference_slack(FMT)
        got = forms[form](x)
    assert got.dtype == np.float32
    ratio = np.abs(got - y) / radius
    assert ratio.max() <= 1
    assert ratio.max() > 0.2  # and is not wide of it


def test_the_slope_from_one_rounded_sigmoid_stays_inside_the_bound_of_its_formula() -> None:
    """s (1 - s), which the record names: within its own bound everywhere, beyond the sharp one far out."""
    x = np.random.default_rng(6).uniform(-30, 60, 40_000).astype(f32)
    with np.errstate(over="ignore"):
        got = logistic(x) * (1 - logistic(x))
    ball, ones = exact(x, FMT), exact(np.ones_like(x), FMT)
    y, radius = parts(vjp(activation.sigmoid, ball)[1](ones)[0])
    node = Node(op=activation.sigmoid, of=(0,))
    ((reach, blind),) = of_sent(node, [ball], ones, 0)
    assert blind
    error = np.abs(got - y)
    assert np.all(error <= reach * reference_slack(FMT))
    assert np.any(error > 4 * radius)
