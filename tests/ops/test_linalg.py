"""Products, norms, determinants, inverses and systems: rules against the third judge, and the points where they are awkward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.numeric import differences
from refgrad.ops import contraction, dense_linalg, linalg, solving

OPS = [
    linalg.matmul,
    linalg.tensordot,
    linalg.norm,
    contraction.einsum,
    solving.det,
    solving.cofactor,
    solving.logabsdet,
    solving.inv,
    solving.solve,
]
SEEDS = range(60)


def drawn(op, seed):
    """Operands from the op's own domain, with a function of them, tangents and a cotangent."""
    rng = np.random.default_rng([seed, *op.name.encode()])
    operands, params = op.domain.sample(rng, len(op.signature.operands))
    tangents = tuple(rng.standard_normal(np.shape(x)) for x in operands)
    y = op.forward(*operands, **params)
    return operands, params, tangents, rng.standard_normal(np.shape(y))


def close(got, expected, error=0.0):
    scale = np.max(np.abs(expected), initial=1.0)
    return np.all(np.abs(np.asarray(got, float) - expected) <= 1e-9 * scale + 10 * np.asarray(error))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_derivatives_against_differences(op, seed):
    operands, params, tangents, y_bar = drawn(op, seed)

    def f(*xs):
        return op(*xs, **params)

    y, y_dot = rg.jvp(f, operands, tangents)
    expected, error = differences(lambda *xs: op.forward(*xs, **params), operands, tangents)
    assert y_dot.shape == y.shape
    assert close(y_dot, expected, error)
    _, pullback = rg.vjp(f, *operands)
    x_bars = pullback(y_bar)
    assert [b.shape for b in x_bars] == [x.shape for x in operands]
    got = sum(np.sum(b * t) for b, t in zip(x_bars, tangents, strict=True))
    assert close(got, np.sum(expected * y_bar), np.sum(np.abs(y_bar) * error))
    for k in range(len(operands)):  # each operand alone
        alone = tuple(t if j == k else np.zeros_like(t) for j, t in enumerate(tangents))
        expected, error = differences(lambda *xs: op.forward(*xs, **params), operands, alone)
        assert close(np.sum(x_bars[k] * tangents[k]), np.sum(expected * y_bar), np.sum(np.abs(y_bar) * error))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", range(20))
def test_second_derivatives(op, seed):
    operands, params, tangents, y_bar = drawn(op, seed)

    def pulled(*xs):
        return rg.vjp(lambda *zs: op(*zs, **params), *xs)[1](np.asarray(y_bar, xs[0].dtype))

    _, second = rg.jvp(pulled, operands, tangents)
    _, pullback = rg.vjp(pulled, *operands)
    again = pullback(tangents)  # the Hessian of <y_bar, op> is symmetric
    for k in range(len(operands)):
        expected, error = differences(lambda *xs, k=k: pulled(*xs)[k], operands, tangents)
        assert close(second[k], expected, error)
        assert close(again[k], expected, error)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_dtype_is_kept(op, dtype):
    for seed in range(12):
        operands, params, _, y_bar = drawn(op, seed)
        wide = op.forward(*operands, **params)
        xs = [x.astype(dtype) for x in operands]
        y, pullback = rg.vjp(lambda *zs: op(*zs, **params), *xs)  # noqa: B023
        assert y.dtype == dtype
        assert all(b.dtype == dtype for b in pullback(y_bar.astype(dtype)))
        # Operands rounded to dtype move results by their own conditioning, small in this domain.
        assert np.allclose(
            y.astype(float),
            wide,
            rtol=0,
            atol=200 * max(float(np.finfo(dtype).eps), 2.0**-52) * max(1.0, np.max(np.abs(wide), initial=0)),
        )


# --- special points --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [*OPS], ids=lambda op: op.name)
def test_special_points(op):
    for special in op.special:
        operands, params = [np.asarray(x, float) for x in special.at], dict(special.params)
        value = op.forward(*operands, **params)
        np.testing.assert_allclose(value, special.value, rtol=1e-15)
        gradients = rg.vjp(lambda *xs: op(*xs, **params), *operands)[1](np.ones(np.shape(value)))  # noqa: B023
        tangents = [np.eye(x.size).reshape(x.size, *x.shape) for x in operands]
        for k, (allowed, gradient) in enumerate(zip(special.allowed, gradients, strict=True)):
            if allowed is not None:
                low, high = (np.asarray(a, float) for a in allowed)
                forward = [
                    np.sum(rg.jvp(lambda x: op(x, **params), (operands[k],), (t,))[1])  # noqa: B023
                    for t in tangents[k]
                ]
                forward = np.reshape(forward, gradient.shape)
                for g in (gradient, forward):
                    assert np.all((low - 1e-12 <= g) & (g <= high + 1e-12)), (op.name, special.why, g)


def test_det_of_singular_matrices_to_second_order():
    a = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])  # rank 2
    np.testing.assert_allclose(rg.grad(np.linalg.det)(a), [[4, 4, -4], [-2, -2, 2], [0, 0, 0]], atol=1e-14)
    a = np.diag([3.0, 0.0, 0.0])  # rank 1: no gradient, but det has second derivatives d2/da11 da22 = 3
    second = rg.hessian(np.linalg.det)(a)
    assert second[1, 1, 2, 2] == second[2, 2, 1, 1] == 3
    assert second[1, 2, 2, 1] == -3
    assert np.count_nonzero(second) == 4
    assert rg.grad(np.linalg.det)(np.zeros((0, 0))).shape == (0, 0)


@pytest.mark.parametrize("n", [2, 5, 9, 20])
def test_cofactor_is_the_adjugate_transposed(n):
    rng = np.random.default_rng(n)
    a = rng.standard_normal((3, n, n))
    a[1, -1] = a[1, 0]  # rank n - 1
    a[2, -2:] = 0  # rank n - 2
    c = dense_linalg.cofactor(a)
    np.testing.assert_allclose(
        a @ np.swapaxes(c, -1, -2), np.linalg.det(a)[:, None, None] * np.eye(n), atol=1e-9 * np.max(np.abs(c))
    )
    assert np.max(np.abs(c[1])) > 1e-3
    assert np.all(c[2] == 0)


def test_cofactor_above_the_size_of_minors():
    rng = np.random.default_rng(5)
    a, v, w = np.eye(10) + 0.2 * rng.standard_normal((3, 10, 10))
    _, got = rg.jvp(solving.cofactor, (a,), (v,))
    expected, error = differences(solving.cofactor.forward, (a,), (v,))
    assert close(got, expected, error)
    assert close(np.sum(rg.vjp(solving.cofactor, a)[1](w)[0] * v), np.sum(expected * w), np.sum(error))


def test_huge_and_tiny_vectors_have_unit_gradients():
    for scale in (1e-320, 1e-200, 1.0, 1e200, 1e308):
        x = np.array([0.6, 0.8]) * scale
        np.testing.assert_allclose(
            rg.grad(np.linalg.norm)(x), [0.6, 0.8], rtol=1e-3 if scale == 1e-320 else 1e-14
        )


def test_singular_matrices_are_refused_in_every_dtype():
    for dtype in (np.float32, np.float64, np.longdouble):
        with pytest.raises(np.linalg.LinAlgError):
            dense_linalg.inv(np.ones((2, 2), dtype))
        with pytest.raises(np.linalg.LinAlgError):
            dense_linalg.solve(np.ones((2, 2), dtype), np.ones(2, dtype))
    assert np.isnan(rg.grad(solving.logabsdet)(np.diag([1.0, 0.0]))).all()


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: linalg.matmul(np.ones((2, 3)), np.ones((2, 3))), ["matmul", "(2, 3)"]),
        (lambda: linalg.tensordot(np.ones((2, 3)), np.ones(2), axes=1), ["tensordot", "(2, 3)", "(2,)"]),
        (lambda: contraction.einsum(np.ones((2, 3)), np.ones(4), subscripts="ij,j"), ["'ij,j'", "(2, 3)", "(4,)"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ijk->i"), ["'ijk'", "operand 0"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ij,j->i"), ["2 operands", "got 1"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ij->ik"), ["'k'", "no operand"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="ij->ii"), ["twice"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="i?->i"), ["'?'"]),
        (lambda: contraction.einsum(np.ones((2, 3)), subscripts="i...->i"), ["'...'"]),
        (lambda: solving.det(np.ones((2, 3))), ["det", "(2, 3)"]),
        (lambda: solving.solve(np.ones((2, 2)), np.ones(3)), ["solve", "(3,)"]),
    ],
)  # fmt: skip
def test_errors_name_what_was_given(call, parts):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert all(part in str(caught.value) for part in parts), caught.value


def test_unsupported_norm_and_subscripts():
    with pytest.raises(NoRuleError, match="ord=0"):
        linalg.norm(np.ones(3), ord=0)
    with pytest.raises(NoRuleError, match="string"):
        contraction.einsum(np.ones(3), subscripts=[0])


# --- cost ------------------------------------------------------------------------------------------------------------


def test_matmul_rules_copy_nothing():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 5)), rng.standard_normal((5, 3))
    x1_bar, x2_bar = rg.vjp(np.matmul, a, b)[1](np.ones((4, 3)))
    np.testing.assert_array_equal(x1_bar, np.ones((4, 3)) @ b.T)
    np.testing.assert_array_equal(x2_bar, a.T @ np.ones((4, 3)))


CUSPS: dict[str, Callable[[Any], Any]] = {
    "norm": lambda x: np.linalg.norm(x - 1.0) ** 2,
    "norm over an axis": lambda x: np.sum(np.linalg.norm(np.reshape(x - 1.0, (1, 2)), axis=1) ** 2),
    "exp of a norm": lambda x: np.exp(-(np.linalg.norm(x - 1.0) ** 2)),
    "hypot": lambda x: np.hypot(x[0] - 1.0, x[1] - 1.0) ** 2,
    "std": lambda x: np.std(x) ** 2,
}


@pytest.mark.parametrize("name", CUSPS)
def test_second_derivatives_at_a_cusp_are_undefined_and_not_zero(name: str) -> None:
    f, x = CUSPS[name], np.ones(2)
    assert np.array_equal(rg.grad(f)(x), np.zeros(2))
    for second in (
        rg.jacfwd(rg.jacfwd(f)),
        rg.jacfwd(rg.grad(f)),
        rg.jacrev(rg.grad(f)),
        rg.jacrev(rg.jacfwd(f)),
    ):
        assert np.isnan(second(x)).any()
    beside = np.array([1.0, 1.5])
    assert np.isfinite(rg.hessian(f)(beside)).all()
