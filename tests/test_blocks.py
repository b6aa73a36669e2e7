"""Large arrays, worked on in blocks, against the same elements in small arrays: the same numbers, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad import custom_vjp, jvp, nn, vjp
from refgrad.blocks import BLOCK, in_blocks, rows, slices
from refgrad.bounds.formats import FORMATS
from refgrad.op import REGISTRY, Op
from refgrad.tracing import forward, pull_back, tape_rows
from refgrad.tracing.ball import (
    Ball,
    choosing_operations,
    exact,
    operations_across,
    parts,
    rounded_operations,
)

Array = Any
# Radii of float64 are formed in another way where arrays are small: see test_magnitudes.py.
FMT = FORMATS["float32"]
LENGTH = 2 * BLOCK + 100
OPS = [op for _, op in sorted(REGISTRY.items()) if op.elementwise]


def test_blocks_cover_all_rows() -> None:
    for shape in ((LENGTH,), (LENGTH, 3), (7, BLOCK), (2, 5 * BLOCK)):
        blocks = slices(shape)
        assert blocks is not None
        covered = np.concatenate([np.arange(shape[0])[here] for here in blocks])
        assert np.array_equal(covered, np.arange(shape[0]))
    assert slices((2 * BLOCK - 1,)) is None
    assert slices((1, 3 * BLOCK)) is None
    assert slices(()) is None
    assert slices((0, 3 * BLOCK)) is None


def test_rows_of_what_broadcasts_are_all_of_it() -> None:
    here, shape = slice(2, 4), (6, 3)
    x = np.arange(18.0).reshape(shape)
    assert np.array_equal(rows(x, here, shape), x[2:4])
    for other in (np.arange(3.0), np.ones((1, 3)), 2.5, None, np.float64(1)):
        assert rows(other, here, shape) is other


def test_a_radius_that_one_block_forms_in_a_wider_format_keeps_it() -> None:
    def compute(xs: Any, es: Any) -> tuple[Array, Array]:
        first = xs[0][0] == 0
        return xs[0], None if first else xs[0].astype(np.longdouble if xs[0][-1] == LENGTH - 1 else float) / 3

    y, radius = in_blocks(compute, (np.arange(float(LENGTH)),), (None,))
    assert np.array_equal(y, np.arange(float(LENGTH)))
    assert radius.dtype == np.longdouble
    assert np.all(radius[:BLOCK] == 0)
    assert radius[-1] == np.longdouble(LENGTH - 1) / 3


def operands(op: Op, rng: np.random.Generator) -> tuple[list[Any], dict[str, Any]]:
    """Some operands over and over, to the length, with radii and without."""
    drawn: list[list[Array]] = []
    params: dict[str, Any] = {}
    xs, params = op.domain.sample(rng, 3 if op.signature.variadic else len(op.signature.operands))
    drawn = [np.resize(x, LENGTH) for x in np.broadcast_arrays(*[np.asarray(x) for x in xs])]
    balls: list[Any] = []
    for x in drawn:
        if x.dtype.kind != "f":
            balls.append(x)
            continue
        x = (x * rng.choice([1.0, 1.0, 1e-3, 0.999], LENGTH)).astype(np.float32).astype(float)
        share = rng.choice([0.0, 1e-8, 1e-5, 1e-2], LENGTH)
        balls.append(Ball(x, None if rng.random() < 0.2 else np.abs(x) * share, FMT))
    return balls, params


def piece(x: Any, here: slice) -> Any:
    if not isinstance(x, Ball):
        return x[here]
    return Ball(x.value[here], None if x.radius is None else x.radius[here], x.fmt)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", range(2))
def test_elementwise_ops_give_in_blocks_what_they_give_at_once(op: Op, seed: int) -> None:
    with np.errstate(all="ignore"):
        balls, params = operands(op, np.random.default_rng([seed, *op.name.encode()]))
        before = rounded_operations()
        value, radius = parts(op(*balls, **params))
        counted = rounded_operations() - before
        assert counted <= 1
        for here in (slice(0, 999), slice(BLOCK - 7, BLOCK + 500), slice(LENGTH - 300, LENGTH)):
            few, bound = parts(op(*[piece(b, here) for b in balls], **params))
            assert np.array_equal(value[here], few, equal_nan=True)
            assert np.array_equal(radius[here], bound, equal_nan=True)


def swish(x: Any) -> Any:
    return nn.relu(x) * 0.1 + x / (1 + np.exp(-x)) + x**3 * np.float64(0.3)


@pytest.mark.parametrize("shape", [(LENGTH,), (BLOCK // 4, 9), (3, BLOCK)])
def test_a_gradient_in_blocks_is_the_gradient(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    x, y_bar = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    _, pullback = vjp(swish, exact(x, FMT))
    before = rounded_operations()
    value, radius = parts(pullback(exact(y_bar, FMT))[0])
    counted = rounded_operations() - before
    assert value.shape == shape
    flat_x, flat_bar = x.ravel(), y_bar.ravel()
    for here in (slice(0, 500), slice(x.size - 500, x.size)):
        _, few = vjp(swish, exact(flat_x[here], FMT))
        before = rounded_operations()
        due, bound = parts(few(exact(flat_bar[here], FMT))[0])
        assert counted == rounded_operations() - before
        assert np.array_equal(value.ravel()[here], due)
        assert np.array_equal(radius.ravel()[here], bound)


def test_a_gradient_that_is_summed_is_not_taken_in_blocks() -> None:
    rng = np.random.default_rng(2)
    x, w, g = (rng.standard_normal(s).astype(np.float32) for s in ((3, BLOCK), (3, 1), (3, BLOCK)))
    _, pullback = vjp(lambda x, w: x * w, exact(x, FMT), exact(w, FMT))
    x_bar, w_bar = pullback(exact(g, FMT))
    assert parts(w_bar)[0].shape == (3, 1)
    wide = g.astype(float)
    assert np.array_equal(parts(x_bar)[0], wide * w)
    assert np.allclose(parts(w_bar)[0], (wide * x).sum(axis=1, keepdims=True), rtol=1e-12, atol=0)


def test_a_gradient_at_special_points_is_that_of_small_arrays() -> None:
    x = np.random.default_rng(4).standard_normal(LENGTH).astype(np.float32)
    x[[3, LENGTH - 5]] = 0
    ones = np.ones(LENGTH, np.float32)

    def gradient(here: slice) -> tuple[Array, Array]:
        _, pullback = vjp(lambda x: nn.relu(x) * 0.3 + np.abs(x), exact(x[here], FMT))
        return parts(pullback(exact(ones[here], FMT))[0])

    value, radius = gradient(slice(None))
    assert radius[3] > 1  # the kink of abs
    for here in (slice(0, 50), slice(LENGTH - 50, LENGTH)):
        due, bound = gradient(here)
        assert np.array_equal(value[here], due)
        assert np.array_equal(radius[here], bound)


def test_a_derivative_of_a_users_own_is_not_taken_in_blocks() -> None:
    x = np.random.default_rng(5).standard_normal(LENGTH).astype(np.float32)

    @custom_vjp
    def reversed_gradient(x: Any) -> Any:
        return x * 1.0

    reversed_gradient.defvjp(lambda x: (x * 1.0, None), lambda _, y_bar: (-y_bar[::-1],))
    _, pullback = vjp(lambda x: reversed_gradient(x) * 2.0, exact(x, FMT))
    value, _ = parts(pullback(exact(x, FMT))[0])
    assert np.array_equal(value, -2.0 * x[::-1].astype(float))


def test_a_gradient_that_is_differentiated_again_is_not_taken_in_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_blocks, parts_seen = pull_back._in_blocks, []

    def watched(part: Any, *args: Any) -> Any:
        parts_seen.append(part)
        return in_blocks(part, *args)

    monkeypatch.setattr(pull_back, "_in_blocks", watched)
    x = np.random.default_rng(3).standard_normal(LENGTH).astype(np.float32)
    ones = exact(np.ones(LENGTH, np.float32), FMT)

    def first(x: Any) -> Any:
        return vjp(np.tanh, x)[1](ones)[0]

    _, pullback = vjp(first, exact(x, FMT))
    y = np.tanh(x.astype(float))
    assert np.allclose(parts(pullback(ones)[0])[0], -2 * y * (1 - y * y), rtol=1e-9, atol=1e-12)
    saved = [x for part in parts_seen for entry in part if entry is not None for x in tape_rows.saved(entry)]
    assert saved  # the outer gradient is taken in blocks
    assert all(getattr(x, "level", 0) == 0 for x in saved)


@pytest.mark.parametrize("op", [op for op in OPS if op.signature.differentiable], ids=lambda op: op.name)
@pytest.mark.parametrize("seed", range(2))
def test_tangents_in_blocks_are_those_of_small_arrays(op: Op, seed: int) -> None:
    rng = np.random.default_rng([seed, 7, *op.name.encode()])
    with np.errstate(all="ignore"):
        balls, params = operands(op, rng)
        some = [k for k, x in enumerate(balls) if isinstance(x, Ball)]
        seeds = [exact(rng.standard_normal(LENGTH).astype(np.float32), FMT) for _ in some]

        def tangent(here: slice) -> tuple[Array, Array, int]:
            given = [piece(b, here) for b in balls]

            def function(*xs: Any) -> Any:
                full = list(given)
                for k, x in zip(some, xs, strict=True):
                    full[k] = x
                return op(*full, **params)

            before = rounded_operations()
            _, y_dot = jvp(function, [given[k] for k in some], [piece(s, here) for s in seeds])
            return (*parts(y_dot), rounded_operations() - before)

        value, radius, counted = tangent(slice(None))
        for here in (slice(0, 999), slice(BLOCK - 7, BLOCK + 500), slice(LENGTH - 300, LENGTH)):
            few, bound, once = tangent(here)
            assert np.array_equal(value[here], few, equal_nan=True)
            assert np.array_equal(radius[here], bound, equal_nan=True)
            assert once <= counted


def test_the_terms_of_a_tangent_are_formed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    push, sizes = forward.push, []

    def watched(op: Op, values: Any, params: Any, active: Any, tangents: Any, y: Any) -> Any:
        sizes.append(y.size)
        return push(op, values, params, active, tangents, y)

    monkeypatch.setattr(forward, "push", watched)
    x = exact(np.random.default_rng(6).standard_normal(LENGTH).astype(np.float32), FMT)
    before = rounded_operations()
    _, y_dot = jvp(lambda x: x / (1 + np.exp(-x)), (x,), (x,))
    counted = rounded_operations() - before
    assert max(sizes) <= BLOCK
    few = piece(x, slice(0, 100))
    before = rounded_operations()
    _, due = jvp(lambda x: x / (1 + np.exp(-x)), (few,), (few,))
    assert counted == rounded_operations() - before
    assert np.array_equal(y_dot.value[:100], due.value)
    assert np.array_equal(y_dot.radius[:100], due.radius)


def test_what_may_choose_is_counted() -> None:
    x = exact(np.linspace(-2, 2, 9), FMT)
    for function, chooses in (
        (lambda x: x / (1 + np.exp(-x)), False),
        (lambda x: np.tanh(x) * np.log1p(np.exp(x)) - np.sin(3.0 * x), False),
        (np.abs, True),
        (nn.relu, True),
        (lambda x: np.maximum(x, 0.5), True),
        (lambda x: np.where(x > 0, x, 2 * x), True),
        (np.sort, True),
        (lambda x: np.remainder(x, 1.5), True),
    ):
        before = choosing_operations()
        _, pullback = vjp(function, x)
        pullback(x)
        assert (choosing_operations() > before) == chooses


def test_blocks_take_no_element_from_another_place() -> None:
    x = exact(np.random.default_rng(6).standard_normal(LENGTH).astype(np.float32), FMT)
    before = operations_across()
    jvp(lambda x: x / (1 + np.exp(-x)), (x,), (x,))
    vjp(lambda x: x / (1 + np.exp(-x)), x)[1](x)
    assert operations_across() == before
    jvp(np.cumsum, (x,), (x,))
    assert operations_across() > before
