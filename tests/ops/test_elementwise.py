"""Elementwise ops: rules against the third judge, in both modes and to second order."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.numeric import differences
from refgrad.tracing.ball import exact, parts
from tests.ops.elementwise_draws import (
    DIFFERENTIABLE,
    FLOAT64,
    SEEDS,
    STEPS,
    WIDE,
    by_name,
    drawn,
    noise,
    units,
)


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
