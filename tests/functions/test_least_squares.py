"""Systems that are not square, condition numbers and norms by singular values: NumPy's values, derivatives by differences, edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
import refgrad.functions
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.numeric import differences
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within, balls_of

Array = Any
RNG = np.random.default_rng(3)
TALL, WIDE, SQUARE = (
    RNG.standard_normal((4, 2)),
    RNG.standard_normal((2, 4)),
    RNG.standard_normal((3, 3)) + 2 * np.eye(3),
)
STACK = RNG.standard_normal((2, 3, 3)) + 2 * np.eye(3)

CALLS: dict[str, tuple[Callable[..., Array], Array]] = {
    "pinv of tall matrices": (np.linalg.pinv, TALL),
    "pinv of wide matrices": (np.linalg.pinv, WIDE),
    "pinv of a stack": (np.linalg.pinv, STACK),
    "lstsq": (lambda a: np.linalg.lstsq(a, np.arange(1.0, 5.0))[0], TALL),
    "residuals": (lambda a: np.linalg.lstsq(a, np.arange(1.0, 5.0))[1], TALL),
    "lstsq of a wide matrix": (lambda a: np.linalg.lstsq(a, np.ones((2, 3)))[0], WIDE),
    "cond": (np.linalg.cond, STACK),
    "cond, -2": (lambda a: np.linalg.cond(a, -2), TALL),
    "cond, 1": (lambda a: np.linalg.cond(a, 1), STACK),
    "cond, fro": (lambda a: np.linalg.cond(a, "fro"), STACK),
    "norm, 2": (lambda a: np.linalg.norm(a, 2), WIDE),
    "norm, -2": (lambda a: np.linalg.norm(a, -2, axis=(0, 2), keepdims=True), STACK),
    "norm, nuc": (lambda a: np.linalg.norm(a, "nuc", axis=(1, 0)), STACK),
    "tensorinv": (lambda a: np.linalg.tensorinv(a, ind=1), SQUARE),
    "tensorsolve": (lambda a: np.linalg.tensorsolve(a, np.arange(3.0)), SQUARE),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, -3), STACK),
}


def off(kappa: Any) -> Any:
    """What two computed condition numbers of a matrix of three rows may differ by.

    Each is off by n^2 kappa roundings of itself: an inverse by elimination loses that much (Higham, "Accuracy and Stability", 14).
    """
    return 9 * kappa * kappa * np.finfo(np.asarray(kappa).dtype).eps


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("p", [1, -np.inf, "fro"])
def test_the_condition_of_complex_matrices(p: Any) -> None:
    for a in (1j * SQUARE, SQUARE + 1j * SQUARE.T, (1j * STACK).astype(np.complex64)):
        y, due = rg.vjp(lambda a: np.linalg.cond(a, p), a)[0], np.linalg.cond(a, p)
        assert y.dtype == due.dtype
        assert np.all(np.abs(y - due) <= off(due))


@pytest.mark.parametrize("p", [None, -2, 1, "fro"])
def test_the_condition_of_zero_and_of_nan(p: Any) -> None:
    nan = SQUARE * np.array([1.0, np.nan, 1.0])
    for a in (0 * SQUARE, np.stack([0 * SQUARE, SQUARE])):
        with np.errstate(all="ignore"):
            y = rg.vjp(lambda a: np.linalg.cond(a, p), a)[0]
            due = np.linalg.cond(a, p)
            assert np.array_equal(np.isinf(y), np.isinf(due))
            finite = np.isfinite(due)
            assert np.all(np.abs(y - due)[finite] <= off(due[finite]))
    if p in (1, "fro"):  # numpy.linalg.svd may raise for others
        assert np.isnan(rg.vjp(lambda a: np.linalg.cond(a, p), nan)[0])


@pytest.mark.parametrize("name", CALLS)
def test_value_and_both_modes(name: str) -> None:
    f, a = CALLS[name]
    rng = np.random.default_rng(1)
    a_dot = rng.standard_normal(a.shape)
    balls, (a_dot_ball,) = balls_of([a], "float64"), balls_of([a_dot], "float64")
    y, y_dot = rg.jvp(f, (a,), (a_dot,))
    y_ball, y_dot_ball = rg.jvp(f, balls, (a_dot_ball,))
    assert np.shape(y) == np.shape(f(a))
    assert assert_within(f(a), y_ball, name) == np.size(y)
    expected, error = differences(lambda z: rg.vjp(f, z)[0], (a,), (a_dot,))
    assert assert_within(expected, y_dot_ball, name, error + 2.0**-52 * np.abs(expected)) == np.size(y)
    assert_within(y_dot, y_dot_ball, name)
    y_bar = rng.standard_normal(np.shape(y))
    x_bar = rg.vjp(f, *balls)[1](balls_of([y_bar], "float64")[0])[0]
    along, noise = np.sum(expected * y_bar), np.sum((error + 2.0**-52 * np.abs(expected)) * np.abs(y_bar))
    assert assert_within(along, np.sum(x_bar * a_dot_ball), name, noise) == 1


def test_a_singular_matrix_has_an_infinite_condition_number() -> None:
    a = np.ones((2, 2))
    for p in (1, "fro", -1):
        assert np.isinf(rg.value_and_grad(lambda x: np.linalg.cond(x, p))(a)[0])  # noqa: B023


def test_the_rank_has_no_derivative() -> None:
    assert not rg.grad(lambda x: np.sum(x) * 0 + np.linalg.matrix_rank(x))(TALL).any()


def test_pinv_of_a_matrix_of_lower_rank_along_matrices_of_that_rank() -> None:
    u, v = RNG.standard_normal((3, 1)), RNG.standard_normal((1, 3))
    _, y_dot = rg.jvp(lambda t: np.linalg.pinv(u @ v * t, rcond=1e-10), (np.array(2.0),), (np.array(1.0),))
    expected = -np.linalg.pinv(u @ v) / 4
    assert np.allclose(y_dot, expected, rtol=1e-12)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"pinv: matrices are expected.*\(3,\)"):
        rg.grad(lambda x: np.sum(np.linalg.pinv(x)))(np.ones(3))
    with pytest.raises(ArgumentError, match=r"rcond is one number"):
        rg.grad(lambda x: np.sum(np.linalg.pinv(x, np.ones(2))))(STACK)
    with pytest.raises(np.linalg.LinAlgError):
        rg.grad(lambda x: np.sum(np.linalg.tensorsolve(x, np.ones(3))))(np.ones((3, 2)))


def test_a_cut_singular_value_is_refused() -> None:
    a = np.diag([2.0, 1.0, 0.5])
    for call in (
        lambda x: np.linalg.pinv(x, rcond=0.3),
        lambda x: np.linalg.pinv(x, rtol=0.3),
        lambda x: np.linalg.lstsq(x, np.ones(3), 0.3)[0],
    ):
        with pytest.raises(NoRuleError, match="cuts a singular value that is not zero"):
            rg.grad(lambda x, call=call: np.sum(call(x)))(a)
    assert rg.jacrev(lambda x: np.linalg.pinv(x, rcond=0.2))(a).shape == (3, 3, 3, 3)


def test_complex_and_real_numbers_in_one_system() -> None:
    """A real right-hand side of a complex matrix, a complex one of a real matrix, and a matrix that does not change."""
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((4, 2)), rng.standard_normal(4)
    mixed, right = a + 1j * a[::-1], b * 1j + 1
    for f, x, matrix, side in (
        (lambda b: np.linalg.lstsq(a + 1j * a[::-1], b)[0], b, mixed, b),
        (lambda a: np.linalg.lstsq(a, b * 1j + 1)[0], a, a, right),
        (lambda a: np.linalg.lstsq(a + 1j * a[::-1], b)[0], a, mixed, b),
    ):
        y, y_dot = rg.jvp(f, (x,), (x,))
        # Of m x n numbers m n (kappa + kappa^2 |r| / (|A| |y|)) roundings, here and in NumPy (Higham, ch. 20.1).
        kappa, size = np.linalg.cond(matrix), np.linalg.norm(matrix, 2)
        left = np.linalg.norm(side - matrix @ y)
        roundings = matrix.size * (kappa * np.linalg.norm(y) + kappa**2 * left / size)
        assert np.linalg.norm(y - f(x)) <= 2 * roundings * np.finfo(float).eps
        assert y_dot.dtype == complex
        y_bar = rng.standard_normal(2) + 1j * rng.standard_normal(2)
        x_bar = rg.vjp(f, x)[1](y_bar)[0]
        assert x_bar.dtype == float
        assert abs(np.sum(x_bar * x) - np.sum(np.conjugate(y_bar) * y_dot).real) <= 2**10 * np.finfo(
            float
        ).eps * np.sum(np.abs(y_bar))


def test_a_complex_limit_is_refused() -> None:
    with pytest.raises(NoRuleError, match="rcond and rtol are real numbers, got a complex one"):
        rg.vjp(lambda a: np.linalg.pinv(a, 1e-9j), np.eye(2))


def test_a_traced_limit_of_small_singular_values_is_a_constant() -> None:
    a, b = np.diag([3.0, 2.0, 1.0]), np.arange(3.0)

    def solved(t: Any) -> Any:
        limit = np.sum(t) * 1e-10
        return (
            np.linalg.pinv(t * a, limit) @ b
            + np.linalg.lstsq(t * a, b, limit)[0]
            + np.linalg.matrix_rank(t * a, limit)
        )

    y, y_dot = rg.jvp(solved, (np.array(2.0),), (np.array(1.0),))
    assert np.allclose(y, b / np.diag(a) + 3)
    assert np.allclose(y_dot, -b / np.diag(a) / 2)


@pytest.mark.parametrize("kind", ["plain", "columns of many sizes", "near lower rank", "without residual"])
def test_float32_results_of_lapack_lie_within_the_bounds(kind: str) -> None:
    """LAPACK's lstsq by the singular values, and the bound of the composition with the pseudo-inverse."""
    rng, fmt, compared = np.random.default_rng(3), FORMATS["float32"], 0
    for _ in range(12):
        m, n = rng.integers(2, 6, 2)
        a = rng.standard_normal((m, n))
        if kind == "columns of many sizes":
            a *= 10.0 ** rng.uniform(-2, 2, (1, n))
        if kind == "near lower rank":
            a[:, 0] = a[:, 1] + 1e-3 * rng.standard_normal(m)
        a = a.astype(np.float32)
        exactly = a @ rng.standard_normal((n, 2)).astype(np.float32)
        b = exactly if kind == "without residual" else rng.standard_normal((m, 2)).astype(np.float32)
        found = np.linalg.lstsq(a, b, rcond=None)
        bounds: Any = np.linalg.lstsq(exact(a, fmt), exact(b, fmt))
        for k in (0, 1, 3):
            if found[k].size == parts(bounds[k])[0].size:
                compared += assert_within(found[k], bounds[k])
    assert compared > 100


def test_singular_values_of_zero_lie_within_the_bound() -> None:
    rng, fmt = np.random.default_rng(4), FORMATS["float32"]
    for n in (2, 3, 5):
        a = (rng.standard_normal((n, 1)) @ rng.standard_normal((1, n))).astype(np.float32)
        found, bound = np.linalg.svd(a, compute_uv=False), np.linalg.svdvals(exact(a, fmt))
        assert assert_within(found, bound) == n
        assert np.all(parts(bound)[1] < 1e-4 * found[0])  # so the zero is known beside the largest
