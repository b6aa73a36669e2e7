"""Complex values with error bounds: the radii of both parts contain what NumPy computes in the judged format, for every formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
import refgrad.functions
from refgrad.bounds.formats import format_of
from refgrad.op import REGISTRY
from refgrad.tracing.ball import Ball, exact, parts
from refgrad.tracing.complex_ball import ComplexBall, enclosed
from tests.tracing.test_complex_operands import ELEMENTWISE, TOGETHER, WHOLE

RNG = np.random.default_rng(5)
A, B, C, D = (RNG.uniform(0.3, 1.6, (2, 3)) * RNG.choice([-1, 1], (2, 3)) for _ in range(4))
BOUNDED = {
    "negative", "positive", "square", "reciprocal", "exp", "log", "sin", "cos", "conjugate", "absolute", "sign", "real",
    "imag", "angle", "z ** 1", "z ** 2", "z.real", "add", "subtract", "multiply", "divide", "where", "matmul", "einsum",
    "tensordot", "vdot", "vecdot", "dot",
    "sqrt", "sinh", "cosh", "tan", "tanh", "power", "z ** 3", "z ** -1", "z ** 0.5", "z ** (1.5-0.4j)", "2 ** z", "prod",
    "inner", "outer", "kron", "concatenate", "correlate", "convolve", "cross", "broadcast", "sum", "mean", "cumsum", "var", "std", "norm",
    "norm of rows", "getitem", "reshape", "roll", "flip", "pad", "transpose", "broadcast_to", "cov", "gradient", "trace", "diff", "tile",
}  # fmt: skip
PROGRAMS: dict[str, Callable[..., Any]] = {
    name: f for name, f in {**ELEMENTWISE, **TOGETHER, **WHOLE}.items() if name in BOUNDED
}


def given(name: str, a: Any, b: Any, c: Any, d: Any) -> Any:
    """A program of real arrays, with complex numbers inside and a real result."""
    z, w = a + 1j * b, c + 1j * d
    y = PROGRAMS[name](z, w) if name in TOGETHER else PROGRAMS[name](z)
    return np.stack([y.real, 2 * y.imag]) if y.dtype.kind == "c" else y


def test_every_formula_is_met() -> None:
    assert set(PROGRAMS) == BOUNDED


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(BOUNDED))
def test_bounds_of_values_and_both_modes(name: str, dtype: str) -> None:
    fmt = format_of(dtype)
    xs = [x.astype(dtype) for x in (A, B, C, D)]
    balls = [exact(x, fmt) for x in xs]

    def f(*xs: Any) -> Any:
        return given(name, *xs)

    def loss(*xs: Any) -> Any:
        y = f(*xs)
        return np.sum(y * np.cos(np.arange(y.size)).reshape(y.shape).astype(dtype))

    def gradient(*xs: Any) -> Any:
        y, pullback = rg.vjp(loss, *xs)
        return pullback(exact(np.ones(()), fmt) if type(y) is Ball else np.ones((), dtype))

    runs = {
        "value": lambda *xs: (f(*xs),), "reverse": gradient, "forward": lambda *xs: (rg.jvp(f, xs, xs[::-1])[1],),
        "second": lambda *xs: rg.hvp(loss, xs, xs[1:] + xs[:1]),
    }  # fmt: skip
    for what, run in runs.items():
        for ball, plain in zip(run(*balls), run(*xs), strict=True):
            value, radius = parts(ball)
            error = np.abs(np.asarray(plain).astype(value.dtype) - value)
            assert np.all(error <= radius), (what, error, radius)
            size = np.max(np.abs(value), initial=0) + 1
            assert np.max(radius, initial=0) <= 1e5 * fmt.u * size, (what, "the radius says nothing")


def test_a_wrong_formula_lies_outside() -> None:
    """A forgotten conjugate, the usual mistake, is far outside the radius."""
    fmt = format_of("float64")
    a, b = exact(A, fmt), exact(B, fmt)
    value, radius = parts(rg.grad(lambda a: np.sum(np.abs((a + 1j * b) ** 2 * 1j)))(a))
    z = A + 1j * B
    wrong = np.real(2 * z * (1j * z**2) * 1j / np.abs(z**2))
    assert np.all(np.abs(wrong - value) > 1e6 * radius)


def test_quotients_by_the_algorithm_of_smith_lie_within_the_bound() -> None:
    fmt, rng = format_of("float32"), np.random.default_rng(2)
    a, b, c, d = (rng.standard_normal(2000).astype(np.float32) for _ in range(4))
    q = (exact(a, fmt) + 1j * exact(b, fmt)) / (exact(c, fmt) + 1j * exact(d, fmt))
    first = np.abs(c) >= np.abs(d)
    with np.errstate(all="ignore"):
        r = np.where(first, d / c, c / d)
        size = np.where(first, c + d * r, d + c * r)
        re = np.where(first, a + b * r, a * r + b) / size
        im = np.where(first, b - a * r, b * r - a) / size
    for ball, got in zip(q.parts, (re, im), strict=True):
        value, radius = parts(ball)
        assert np.all(np.abs(got - value) <= radius)


def test_products_in_any_order_of_summation_lie_within_the_bound() -> None:
    fmt, rng, n = format_of("float32"), np.random.default_rng(4), 400
    a, b, c, d = (rng.uniform(0.5, 1, n).astype(np.float32) for _ in range(4))
    for f in (lambda z, w: z @ w, lambda z, w: np.einsum("i,i->", z, w), lambda z, w: np.tensordot(z, w, 1)):
        y = f(exact(a, fmt) + 1j * exact(b, fmt), exact(c, fmt) + 1j * exact(d, fmt))
        total = np.float32(0)
        for p, q in zip(a * d, b * c, strict=True):  # all 2n products, one after the other
            total = total + p + q
        value, radius = parts(y.parts[1])
        assert abs(total - value) <= radius
        assert radius >= (2 * n - 1) * fmt.u * float(value)


def test_constants_are_rounded_by_parts() -> None:
    fmt = format_of("float32")
    y = enclosed(np.array([0.1 + 0.5j]), fmt)
    re, im = (parts(p)[1] for p in y.parts)
    assert re[0] > 0
    assert im[0] == 0
    assert type(enclosed(np.array([0.5]), fmt)) is Ball
    assert type(enclosed(1j, fmt)) is ComplexBall


def test_views_and_writes() -> None:
    x = exact(A, format_of("float64"))

    def f(x: Any) -> Any:
        y = (x + 1j * x) * 1
        row = y.ravel()
        row[0] = 3j
        return y[0, 0].imag + np.sum(y.imag)

    assert float(f(x).value) == float(f(A))
    np.testing.assert_array_equal(parts(rg.grad(f)(x))[0], rg.grad(f)(A))


def test_formulas_for_parts_are_those_of_ops_that_take_complex_operands() -> None:
    assert {name for name, op in REGISTRY.items() if op.by_parts is not None} <= {
        name for name, op in REGISTRY.items() if op.complex_rules is not None
    }
