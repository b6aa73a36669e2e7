"""NumPy's linear algebra on traced arrays: NumPy's own values, and derivatives by the third judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ArgumentError, TracingError
from refgrad.numeric import differences

RNG = np.random.default_rng(7)
A, B, V, W = (
    RNG.standard_normal((3, 3)),
    RNG.standard_normal((3, 3)),
    RNG.standard_normal(3),
    RNG.standard_normal(3),
)
T = RNG.standard_normal((2, 3, 3))
SQUARE = A + 3 * np.eye(3)


def _unpacked(x):
    sign, logarithm = np.linalg.slogdet(x)
    return sign * logarithm


# (name, function of x, x, whether it runs in long double)
CASES = [
    ("dot vectors", lambda x: np.dot(x, W), V, True),
    ("dot matrix vector", lambda x: np.dot(x, W), A, True),
    ("dot stack", lambda x: np.dot(x, T), A, True),
    ("dot scalar", lambda x: np.dot(x, 2.0), A, True),
    ("dot method", lambda x: x.dot(B), A, True),
    ("inner", lambda x: np.inner(x, T), A, True),
    ("inner vectors", lambda x: np.inner(x, x), V, True),
    ("inner scalar", lambda x: np.inner(2.0, x), V, True),
    ("vdot", lambda x: np.vdot(x, B), A, True),
    ("outer", lambda x: np.outer(x, A), V, True),
    ("linalg.outer", lambda x: np.linalg.outer(x, W), V, True),
    ("kron", lambda x: np.kron(x, B), A, True),
    ("kron vector matrix", lambda x: np.kron(x, B), V, True),
    ("kron both", lambda x: np.kron(x, x), V, True),
    ("matmul", lambda x: x @ x, A, True),
    ("rmatmul", lambda x: B @ x, A, True),
    ("linalg.matmul", lambda x: np.linalg.matmul(x, T), A, True),
    ("tensordot", lambda x: np.tensordot(x, T, axes=((0,), (2,))), A, True),
    ("tensordot positional", lambda x: np.tensordot(x, A, 2), B, True),
    ("linalg.tensordot", lambda x: np.linalg.tensordot(T, x, axes=1), A, True),
    ("linalg.vecdot", lambda x: np.linalg.vecdot(x, B, axis=0), A, True),
    ("vecdot", lambda x: np.vecdot(x, B), A, True),
    ("multi_dot", lambda x: np.linalg.multi_dot([x, B, x]), A, False),
    ("matrix_power 5", lambda x: np.linalg.matrix_power(x, 5), A, True),
    ("matrix_power 0", lambda x: np.linalg.matrix_power(x, 0), A, True),
    ("matrix_power -2", lambda x: np.linalg.matrix_power(x, -2), SQUARE, False),
    ("matrix_power 1", lambda x: np.linalg.matrix_power(x, 1), A, True),
    ("einsum", lambda x: np.einsum("ij,bjk->bik", x, T), A, True),
    ("einsum lists of axes", lambda x: np.einsum(x, [0, 3], B, [3, 1], [1, 0]), A, True),
    ("einsum lists, no result", lambda x: np.einsum(x, [2, 0], B, [0, 1]), A, True),
    ("einsum lists, an ellipsis", lambda x: np.einsum(x, [..., 0], W, [0], [...]), A, True),
    ("einsum optimize", lambda x: np.einsum("ij,jk,kl", x, B, x, optimize=True), A, True),
    ("einsum trace", lambda x: np.einsum("ii", x), A, True),
    ("einsum diagonal", lambda x: np.einsum("...ii->...i", x), T, True),
    ("einsum used twice", lambda x: np.einsum("i,i->", x, x), V, True),
    ("einsum broadcast", lambda x: np.einsum("i,i->", x, V), V[:1], True),
    ("norm", np.linalg.norm, A, False),
    ("norm vector", np.linalg.norm, V, False),
    ("norm axis", lambda x: np.linalg.norm(x, axis=1), A, False),
    ("norm keepdims", lambda x: np.linalg.norm(x, axis=0, keepdims=True), A, False),
    ("norm fro", lambda x: np.linalg.norm(x, "fro"), A, False),
    ("norm 1 matrix", lambda x: np.linalg.norm(x, 1), A, False),
    ("norm inf matrix", lambda x: np.linalg.norm(x, np.inf), A, False),
    ("norm -1 matrix", lambda x: np.linalg.norm(x, -1, axis=(1, 2)), T, False),
    ("norm -inf matrix", lambda x: np.linalg.norm(x, -np.inf, (0, 2), True), T, False),
    ("norm inf", lambda x: np.linalg.norm(x, np.inf), V, False),
    ("norm -inf", lambda x: np.linalg.norm(x, -np.inf, axis=0), A, False),
    ("norm 1", lambda x: np.linalg.norm(x, 1), V, False),
    ("norm 3", lambda x: np.linalg.norm(x, 3), V, False),
    ("norm 2 axis", lambda x: np.linalg.norm(x, 2, 1), A, False),
    ("norm 0", lambda x: np.linalg.norm(x, 0), V, False),
    ("norm stack", np.linalg.norm, T, False),
    ("vector_norm", np.linalg.vector_norm, A, False),
    ("vector_norm axes", lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3), T, False),
    ("vector_norm None", lambda x: np.linalg.vector_norm(x, ord=None), A, False),
    ("matrix_norm", np.linalg.matrix_norm, T, False),
    ("det", np.linalg.det, T, False),
    ("inv", np.linalg.inv, SQUARE, False),
    ("slogdet", lambda x: np.linalg.slogdet(x).logabsdet, T, False),
    ("slogdet unpacked", _unpacked, SQUARE, False),
    ("solve matrix", lambda x: np.linalg.solve(x, B), SQUARE, False),
    ("solve vector", lambda x: np.linalg.solve(x, V), SQUARE, False),
    ("solve right", lambda x: np.linalg.solve(SQUARE, x), V, False),
    ("solve stack", lambda x: np.linalg.solve(x, V), T, False),
]


@pytest.mark.parametrize(("f", "x", "wide"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_value_is_numpys_and_derivative_is_right(f, x, wide):
    y, pullback = rg.vjp(f, x)
    np.testing.assert_allclose(y, f(x), rtol=1e-13, atol=1e-14)
    x_dot, y_bar = RNG.standard_normal(x.shape), RNG.standard_normal(np.shape(y))
    if wide:
        expected, error = differences(f, (x,), (x_dot,))
    else:  # NumPy has no long double here; refgrad's own forward has, and its value was compared above
        expected, error = differences(lambda z: rg.vjp(f, z)[0], (x,), (x_dot,))
    tolerance = 1e-10 * np.max(np.abs(expected), initial=1) + 10 * error
    assert np.all(np.abs(rg.jvp(f, (x,), (x_dot,))[1] - expected) <= tolerance)
    assert (
        abs(np.sum(pullback(y_bar)[0] * x_dot) - np.sum(expected * y_bar))
        <= np.sum(tolerance * np.abs(y_bar)) + 1e-13
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("number", [2, 2.5, True, np.float32(2.5), np.float64(2.5)])
def test_a_number_in_a_product_has_the_dtype_that_numpy_gives_it(dtype, number):
    x = V.astype(dtype)
    for f in (
        lambda x: np.dot(x, number),
        lambda x: np.inner(number, x),
        lambda x: x.dot(number),
        lambda x: np.dot(x[0], number),
    ):
        value, pullback = rg.vjp(f, x)
        assert value.dtype == f(x).dtype
        assert np.array_equal(value, f(x))
        assert pullback(np.ones_like(value))[0].dtype == dtype


def test_slogdet_returns_numpys_result():
    _, pullback = rg.vjp(lambda x: tuple(np.linalg.slogdet(x)), SQUARE)
    assert rg.vjp(lambda x: np.linalg.slogdet(x).sign, SQUARE)[0] == np.linalg.slogdet(SQUARE).sign
    # Elimination with n pivots: each inverse is off by no more than n**2 roundings, enlarged by the condition (Higham, ch. 14).
    inverse, n = np.linalg.inv(SQUARE), len(SQUARE)
    error = n**2 * np.finfo(float).eps * np.linalg.cond(SQUARE) * np.max(np.abs(inverse))
    assert np.all(np.abs(pullback((1.0, 1.0))[0] - inverse.T) <= 2 * error)


@pytest.mark.parametrize(
    ("f", "x", "error", "match"),
    [
        (lambda x: np.linalg.norm(x, 1), T, ArgumentError, "one or two axes"),
        (lambda x: np.linalg.norm(x, "fro"), V, ArgumentError, "fro"),
        (lambda x: np.einsum("ij->j", x, dtype=np.float16), A, TypeError, "could not be cast"),
        (lambda x: np.dot(x, B, out=np.zeros((3, 3))), A, TracingError, "out"),
        (lambda x: np.linalg.matrix_power(x, 1.5), A, ArgumentError, "1.5"),
        (lambda x: x @ np.ones(4), A, ArgumentError, r"\(3, 3\).*\(4,\)"),
        (lambda x: np.linalg.outer(x, V), A, ArgumentError, r"\(3, 3\)"),
        (lambda x: np.linalg.vecdot(x, np.ones(4)), V, ArgumentError, r"\(4,\)"),
    ],
)
def test_errors_say_what_to_do(f, x, error, match):
    with pytest.raises(error, match=match):
        rg.vjp(f, x)


@pytest.mark.parametrize("subscripts", ["i,i", "i,i,i->", "i->"])
@pytest.mark.parametrize("optimize", [False, True, "greedy"])
def test_a_sum_of_products_is_a_number_or_an_array_as_in_numpy(subscripts: str, optimize: Any) -> None:
    x = np.array([1.0, 2.0])

    def f(x: Any) -> Any:
        return np.einsum(subscripts, *[x] * (subscripts.count(",") + 1), optimize=optimize)

    for y in (rg.jvp(f, (x,), (x,))[0], rg.vjp(f, x)[0]):
        assert type(y) is type(f(x))
