"""Factors of matrices: NumPy's values, derivatives by differences, closed forms, places without a derivative, programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.numeric import differences
from refgrad.tracing.ball import exact
from tests.within import assert_within, balls_of

Array = Any


def positive(n: int, *batch: int) -> Array:
    a = np.random.default_rng(n).standard_normal((*batch, n, n))
    return a @ np.swapaxes(a, -1, -2) + 0.5 * np.eye(n)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shape", [(1,), (2,), (4,), (3, 2), (3, 0)], ids=str)
def test_value_and_derivatives(shape: tuple[int, ...], upper: bool) -> None:
    a = positive(*shape)
    rng = np.random.default_rng(1)
    a_dot = rng.standard_normal(a.shape)

    def f(x: Array) -> Array:
        return np.linalg.cholesky(x, upper=upper)

    y, y_dot = rg.jvp(f, (a,), (a_dot,))
    assert y.shape == a.shape
    assert np.allclose(y, f(a), rtol=1e-12)
    expected, _ = differences(lambda z: rg.vjp(f, z)[0], (a,), (a_dot,))
    assert np.allclose(y_dot, expected, rtol=1e-8, atol=1e-8)
    y_bar = rng.standard_normal(a.shape)
    a_bar = rg.vjp(f, a)[1](y_bar)[0]
    assert np.isclose(np.sum(a_bar * a_dot), np.sum(y_bar * y_dot))
    other = np.tril(a_bar, -1) if upper else np.triu(a_bar, 1)  # the triangle that NumPy does not read
    assert not other.any()


def test_the_product_with_its_transpose_is_the_matrix() -> None:
    a, w = positive(3), np.random.default_rng(2).standard_normal((3, 3))

    def f(x: Array) -> Array:
        low = np.linalg.cholesky(x)
        return np.sum(w * (low @ low.T))

    # L L^T is A with its lower triangle mirrored.
    assert np.allclose(rg.grad(f)(a), np.tril(w + w.T) - np.diag(np.diag(w)))
    second = rg.hessian(f)(a)
    assert np.allclose(second, 0.0, atol=1e-10)


def test_errors() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        rg.grad(lambda x: np.sum(np.linalg.cholesky(x)))(-np.eye(2))
    with pytest.raises(ArgumentError, match=r"\(2, 3\)"):
        rg.grad(lambda x: np.sum(np.linalg.cholesky(x)))(np.ones((2, 3)))


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_covers_lapack(seed: int) -> None:
    n = 2 + seed % 5
    a = positive(n).astype(np.float32) * np.float32(0.3 + seed)
    ball = np.linalg.cholesky(exact(a, FORMATS["float32"]))
    told = np.linalg.cholesky(a)
    assert np.all(np.abs(told - ball.value) <= ball.radius)
    assert np.max(ball.radius) < 1e-3 * np.max(np.abs(told))


# --- eigenvalues, singular values, Q R ------------------------------------------------------------------------------------


def symmetric(n: int, *batch: int) -> Array:
    a = np.random.default_rng(7 + n).standard_normal((*batch, n, n))
    return a + np.swapaxes(a, -1, -2)


def exp_by_eigh(a: Array) -> Array:
    w, v = np.linalg.eigh(a)
    return np.matmul(v * np.exp(w)[..., None, :], np.swapaxes(v, -1, -2))


def product_of_svd(a: Array) -> Array:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.matmul(u * np.square(s)[..., None, :], vh)


def beyond_the_range(a: Array) -> Array:
    u, s, _ = np.linalg.svd(a)
    rest = u[..., s.shape[-1] :]
    return rest @ np.swapaxes(rest, -1, -2)


def inverse_by_eig(a: Array) -> Array:
    w, v = np.linalg.eig(a)
    return np.real(np.matmul(v / w[..., None, :], np.linalg.inv(v)))


REAL = np.diag([1.0, 2.0, 4.0]) + 0.2 * np.random.default_rng(9).standard_normal((3, 3))
FREE_OF_GAUGE: dict[str, tuple[Any, Array]] = {
    "V exp(L) V^T": (exp_by_eigh, symmetric(3, 2)),
    "eigenvalues": (np.linalg.eigvalsh, symmetric(4)),
    "the upper triangle": (lambda a: np.linalg.eigvalsh(a, "U"), symmetric(3)),
    "squares of eigenvectors": (lambda a: np.square(np.linalg.eigh(a)[1]), symmetric(3)),
    "U S^2 V^T": (product_of_svd, np.random.default_rng(2).standard_normal((2, 3, 2))),
    "U S^2 V^T, wide": (product_of_svd, np.random.default_rng(2).standard_normal((2, 4))),
    "singular values": (np.linalg.svdvals, np.random.default_rng(2).standard_normal((3, 4))),
    "the complement of the range": (beyond_the_range, np.random.default_rng(2).standard_normal((4, 2))),
    "singular values of a symmetric matrix": (lambda a: np.linalg.svd(a, hermitian=True)[1], symmetric(3)),
    "Q Q^T": (
        lambda a: np.linalg.qr(a)[0] @ np.linalg.qr(a)[0].T,
        np.random.default_rng(2).standard_normal((4, 2)),
    ),
    "Q and R": (
        lambda a: np.concatenate([np.linalg.qr(a)[0], np.linalg.qr(a)[1]], -1),
        np.random.default_rng(2).standard_normal((2, 3)),
    ),
    "R alone": (lambda a: np.linalg.qr(a, "r"), np.random.default_rng(2).standard_normal((3, 3))),
    "V L^-1 V^-1": (inverse_by_eig, REAL),
    "real eigenvalues": (lambda a: np.real(np.linalg.eigvals(a)), REAL),
}


@pytest.mark.parametrize("name", FREE_OF_GAUGE)
def test_functions_that_no_sign_changes(name: str) -> None:
    f, a = FREE_OF_GAUGE[name]
    rng = np.random.default_rng(1)
    a_dot = rng.standard_normal(a.shape)
    y, y_dot = rg.jvp(f, (a,), (a_dot,))
    assert np.allclose(y, f(a), rtol=1e-12, atol=1e-12)
    expected, error = differences(lambda z: rg.vjp(f, z)[0], (a,), (a_dot,))
    ball, along = rg.jvp(f, balls_of([a], "float64"), balls_of([a_dot], "float64"))
    if name != "the complement of the range":  # about whose rotation nothing is known
        assert assert_within(expected, along, name, error + 2.0**-52 * np.abs(expected)) == y.size
        assert assert_within(f(a), ball, name) == y.size
    y_bar = rng.standard_normal(y.shape)
    a_bar = rg.vjp(f, a)[1](y_bar)[0]
    assert np.allclose(y_dot, expected, rtol=1e-8, atol=1e-8)
    assert np.isclose(np.sum(a_bar * a_dot), np.sum(y_bar * y_dot), rtol=1e-9)


@pytest.mark.parametrize("name", FREE_OF_GAUGE)
def test_second_derivatives_that_no_sign_changes(name: str) -> None:
    f, a = FREE_OF_GAUGE[name]
    rng = np.random.default_rng(1)
    u, v, w = (rng.standard_normal(s) for s in (a.shape, a.shape, np.shape(f(a))))
    slope = rg.grad(lambda x: np.sum(w * f(x)))
    expected, _ = differences(lambda x: np.sum(slope(x) * u), (a,), (v,))
    got = {
        "forward over reverse": np.sum(rg.jvp(slope, (a,), (v,))[1] * u),
        "reverse over reverse": np.sum(rg.grad(lambda x: np.sum(slope(x) * v))(a) * u),
        "forward over forward": np.sum(rg.jvp(lambda x: rg.jvp(f, (x,), (v,))[1], (a,), (u,))[1] * w),
    }
    for nesting, value in got.items():
        assert np.isclose(value, expected, rtol=1e-7, atol=1e-8), nesting


def test_the_symmetric_gradient_agrees_along_symmetric_directions() -> None:
    """The gradient is that of one triangle. Along S it is <G, S> for the symmetric gradient G = V diag(g) V^T."""
    a, g = symmetric(3), np.array([1.0, -2.0, 0.5])
    s = symmetric(3) * np.array([[1.0, 2.0, -1.0], [2.0, 0.5, 3.0], [-1.0, 3.0, 1.0]])
    for uplo in "LU":
        a_bar = rg.grad(lambda x: np.sum(np.linalg.eigvalsh(x, uplo) * g))(a)  # noqa: B023
        v = np.linalg.eigh(a)[1]
        assert np.isclose(np.sum(a_bar * s), np.sum((v * g @ v.T) * s), rtol=1e-12)
        assert not (np.triu(a_bar, 1) if uplo == "L" else np.tril(a_bar, -1)).any()


def test_eigenvalues_of_a_2x2_matrix() -> None:
    """((a + c) -+ root)/2 with root = sqrt((a - c)^2 + 4 b^2)."""
    a, b, c = 1.5, 0.7, -0.4
    root = np.hypot(a - c, 2 * b)
    for k, sign in enumerate((-1, 1)):
        a_bar = rg.grad(lambda x: np.linalg.eigvalsh(x)[k])(np.array([[a, 9.0], [b, c]]))  # noqa: B023
        expected = [
            [0.5 + sign * (a - c) / root / 2, 0.0],
            [sign * 2 * b / root, 0.5 - sign * (a - c) / root / 2],
        ]
        assert np.allclose(a_bar, expected, rtol=1e-14)


def test_cholesky_of_a_2x2_matrix() -> None:
    """L22 = sqrt(c - b^2/a)."""
    a, b, c = 2.0, 0.7, 1.5
    root = np.sqrt(c - b * b / a)
    a_bar = rg.grad(lambda x: np.linalg.cholesky(x)[1, 1])(np.array([[a, 9.0], [b, c]]))
    assert np.allclose(a_bar, [[b * b / a / a / 2 / root, 0.0], [-b / a / root, 0.5 / root]], rtol=1e-14)


@pytest.mark.parametrize("a", [np.eye(3), np.diag([2.0, 2.0, 5.0])], ids=["all equal", "two equal"])
def test_where_eigenvalues_meet_vectors_have_no_derivative(a: Array) -> None:
    """V L V^T is A, whose derivative the cotangents of V and L do not hold: NaN, and no wrong number."""

    def again(x: Array) -> Array:
        w, v = np.linalg.eigh(x)
        return np.sum((v * w) @ v.T * np.arange(9.0).reshape(3, 3))

    assert np.isnan(rg.grad(again)(a)).any()
    assert np.isnan(rg.jvp(again, (a,), (np.ones((3, 3)),))[1])
    # A function of all eigenvalues alike is smooth there: the sum of squares has the gradient 2 A, folded into a triangle.
    assert np.allclose(rg.grad(lambda x: np.sum(np.linalg.eigvalsh(x) ** 2))(a), 2 * a)
    assert np.isnan(rg.grad(lambda x: np.sum(np.linalg.svd(x)[0] * np.arange(9.0).reshape(3, 3)))(a)).any()
    assert np.allclose(rg.grad(lambda x: np.linalg.norm(x, "nuc"))(a), np.eye(3))


def test_what_has_no_rule_is_refused_by_name() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    with pytest.raises(NoRuleError, match="complex eigenvalues, which have neither an error bound"):
        np.linalg.eigvals(exact(turn, FORMATS["float64"]))
    with pytest.raises(NoRuleError, match="mode='complete'"):
        rg.grad(lambda x: np.sum(np.linalg.qr(x, "complete")[0]))(np.ones((3, 2)))
    with pytest.raises(NoRuleError, match="mode='raw'"):
        rg.grad(lambda x: np.sum(np.linalg.qr(x, "raw")[0]))(np.ones((2, 2)))
    with pytest.raises(ValueError, match="UPLO"):
        rg.grad(lambda x: np.sum(np.linalg.eigvalsh(x, "x")))(np.eye(2))
    with pytest.raises(ArgumentError, match=r"svd: matrices are expected.*\(3,\)"):
        rg.grad(lambda x: np.sum(np.linalg.svd(x)[1]))(np.ones(3))


def test_dependent_columns_have_no_derivative() -> None:
    assert np.isnan(rg.grad(lambda x: np.sum(np.linalg.qr(x)[1]))(np.ones((3, 2)))).any()


# --- programs -------------------------------------------------------------------------------------------------------------


def log_likelihood(theta: Array) -> Array:
    """A Gaussian process with a squared-exponential kernel: length, scale and noise as logarithms."""
    x, y = np.linspace(0.0, 2.0, 6), np.sin(3 * np.linspace(0.0, 2.0, 6))
    k = np.exp(theta[1]) * np.exp(-np.square(x[:, None] - x) * np.exp(-theta[0])) + np.exp(theta[2]) * np.eye(
        6
    )
    low = np.linalg.cholesky(k)
    z = rg.linalg.solve_triangular(low, y[:, None], upper=False)
    return -0.5 * np.sum(z * z) - np.sum(np.log(np.diagonal(low)))


def kalman(q: Array) -> Array:
    """The negative log-likelihood of a constant-velocity filter by the noise of its model and of its observations."""
    f, h = np.array([[1.0, 0.5], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    mean, cov, total = np.zeros((2, 1)), np.eye(2), 0.0
    for z in (0.3, 0.9, 1.2, 2.1):
        mean, cov = f @ mean, f @ cov @ f.T + np.exp(q[0]) * np.eye(2)
        s = h @ cov @ h.T + np.exp(q[1]) * np.eye(1)
        rest = z - h @ mean
        gain = np.linalg.solve(s, h @ cov).T
        mean, cov = mean + gain @ rest, cov - gain @ s @ gain.T
        total = total + np.linalg.slogdet(s)[1] + np.sum(rest * np.linalg.solve(s, rest))
    return total


def lost_by_two_components(x: Array) -> Array:
    """What two principal components leave of the variance."""
    centred = np.reshape(x, (5, 3)) - np.mean(np.reshape(x, (5, 3)), axis=0)
    _, _, vh = np.linalg.svd(centred, full_matrices=False)
    kept = centred @ vh[:2].T @ vh[:2]
    return np.sum(np.square(centred - kept))


PROGRAMS: dict[str, tuple[Any, Array]] = {
    "Gaussian process": (log_likelihood, np.array([0.1, -0.2, -1.0])),
    "Kalman filter": (kalman, np.array([-1.0, -0.5])),
    "principal components": (lost_by_two_components, np.random.default_rng(4).standard_normal(15)),
    "log-determinant": (
        lambda t: np.linalg.slogdet(np.outer(t, t) + np.eye(3))[1],
        np.array([0.3, -1.0, 2.0]),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    f, x = PROGRAMS[name]
    v = np.random.default_rng(5).standard_normal(x.shape)
    expected, error = differences(lambda z: rg.vjp(f, z)[0], (x,), (v,))
    (ball,), (v_ball,) = balls_of([x], "float64"), balls_of([v], "float64")
    assert (
        assert_within(expected, np.sum(rg.grad(f)(ball) * v_ball), name, error + 2.0**-52 * abs(expected))
        == 1
    )
    assert (
        assert_within(expected, rg.jvp(f, (ball,), (v_ball,))[1], name, error + 2.0**-52 * abs(expected)) == 1
    )
    assert np.isclose(np.sum(rg.grad(f)(x) * v), expected, rtol=1e-9)


@pytest.mark.parametrize("x", [np.inf, np.nan])
def test_a_matrix_that_is_not_finite_has_no_singular_vectors(x: float) -> None:
    """With an infinity LAPACK's own routine may run for ever."""
    a = np.random.default_rng(0).standard_normal((2, 3, 4))
    a[0, 1, 1] = x
    with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
        rg.vjp(np.linalg.svd, a)
