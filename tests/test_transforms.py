"""grad, value_and_grad, jvp, vjp, jacfwd, jacrev, hessian, hvp: signatures, structures, nesting, errors."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from refgrad import grad, hessian, hvp, jacfwd, jacrev, jvp, value_and_grad, vjp
from refgrad.errors import ArgumentError, DtypeError, TracingError
from refgrad.tracing import buffer_pool

Array = Any
X = np.array([0.5, -1.0, 2.0])
W = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


# --- signatures ----------------------------------------------------------------------------------------------------------


def test_grad_and_value_and_grad() -> None:
    f = lambda x: np.sum(x**3)  # noqa: E731
    value, gradient = value_and_grad(f)(X)
    assert value == f(X)
    assert np.array_equal(gradient, 3 * X**2)
    assert np.array_equal(grad(f)(X), gradient)


def test_jvp_and_vjp() -> None:
    y, y_dot = jvp(lambda x: W @ x, (X,), (np.array([1.0, 0.0, 0.0]),))
    assert np.array_equal(y, W @ X)
    assert np.array_equal(y_dot, W[:, 0])
    y, pullback = vjp(lambda x: W @ x, X)
    assert np.array_equal(y, W @ X)
    (x_bar,) = pullback(np.array([0.0, 1.0]))
    assert np.array_equal(x_bar, W[1])


def test_several_primals_give_several_cotangents() -> None:
    a_bar, b_bar = vjp(lambda a, b: a * b, 3.0, 4.0)[1](1.0)
    assert (a_bar, b_bar) == (4.0, 3.0)
    assert jvp(lambda a, b: a * b, (3.0, 4.0), (1.0, 10.0)) == (12.0, 34.0)


def test_keyword_arguments_are_passed_on() -> None:
    assert np.array_equal(grad(lambda x, power=1: np.sum(x**power))(X, power=3), 3 * X**2)


def test_python_numbers_are_arguments() -> None:
    assert grad(lambda x: x * x)(3.0) == 6.0
    assert grad(np.sin)(0.0) == 1.0


# --- argnums -----------------------------------------------------------------------------------------------------------


def product(a: Array, b: Array, c: Array) -> Array:
    return np.sum(a * b * c)


@pytest.mark.parametrize("transform", [grad, jacfwd, jacrev])
def test_argnums_choose_the_arguments(transform: Callable[..., Any]) -> None:
    args = (2.0, 3.0, 5.0)
    slopes = (15.0, 10.0, 6.0)
    for k in range(3):
        assert transform(product, argnums=k)(*args) == slopes[k]
        assert transform(product, argnums=k - 3)(*args) == slopes[k]
    assert tuple(transform(product, argnums=(2, 0))(*args)) == (6.0, 15.0)
    assert tuple(transform(product, argnums=[1])(*args)) == (10.0,)


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacfwd, jacrev, hessian])
@pytest.mark.parametrize("argnums", [1, -2, (0, 5)])
def test_wrong_argnums_are_named(transform: Callable[..., Any], argnums: Any) -> None:
    with pytest.raises(
        ArgumentError, match=r"argnums=.* names argument .*, but f was called with 1 positional argument"
    ):
        transform(lambda x: x, argnums=argnums)(1.0)


def test_arguments_that_are_not_chosen_may_be_anything() -> None:
    assert grad(lambda x, mode: x * x if mode == "square" else x)(3.0, "square") == 6.0
    assert np.array_equal(grad(lambda x, index: np.sum(x[index] ** 2))(X, np.array([0, 2])), [1.0, 0.0, 4.0])


# --- structures --------------------------------------------------------------------------------------------------------


class Layer(NamedTuple):
    w: Array
    b: Array


PARAMS = {"first": Layer(W, np.array([0.5, -0.5])), "rest": [np.array([2.0, 3.0]), (np.array(4.0),)]}


def network(params: Any, x: Array) -> Array:
    h = np.tanh(params["first"].w @ x + params["first"].b)
    return np.sum(params["rest"][0] * h) * params["rest"][1][0]


def test_a_gradient_has_the_structure_of_its_argument() -> None:
    gradient = grad(network)(PARAMS, 0.1 * X)
    assert isinstance(gradient, dict)
    assert isinstance(gradient["first"], Layer)
    assert isinstance(gradient["rest"], list)
    assert isinstance(gradient["rest"][1], tuple)
    h = np.tanh(W @ (0.1 * X) + PARAMS["first"].b)
    assert np.array_equal(gradient["rest"][0], 4.0 * h)
    assert np.allclose(gradient["first"].b, 4.0 * PARAMS["rest"][0] * (1 - h * h), rtol=1e-14)
    assert np.allclose(gradient["first"].w, np.outer(gradient["first"].b, 0.1 * X), rtol=1e-14)


def test_results_may_be_nested() -> None:
    f = lambda x: {"square": x * x, "both": (np.sum(x), [2 * x])}  # noqa: E731
    y, y_dot = jvp(f, (X,), (np.ones(3),))
    assert np.array_equal(y["both"][1][0], 2 * X)
    assert np.array_equal(y_dot["square"], 2 * X)
    y, pullback = vjp(f, X)
    (x_bar,) = pullback({"square": np.ones(3), "both": (10.0, [np.full(3, 100.0)])})
    assert np.array_equal(x_bar, 2 * X + 10 + 200)
    for jac in (jacfwd, jacrev):
        jacobian = jac(f)(X)
        assert np.array_equal(jacobian["square"], np.diag(2 * X))
        assert np.array_equal(jacobian["both"][0], np.ones(3))
        assert np.array_equal(jacobian["both"][1][0], 2 * np.eye(3))


@pytest.mark.parametrize("jac", [jacfwd, jacrev])
def test_a_jacobian_has_the_results_structure_with_the_arguments_inside(jac: Callable[..., Any]) -> None:
    jacobian = jac(lambda p: (p["a"] * p["b"], p["a"]))({"a": 2.0, "b": 3.0})
    assert jacobian == ({"a": 3.0, "b": 2.0}, {"a": 1.0, "b": 0.0})


def test_constant_results_have_derivative_zero() -> None:
    _y, y_dot = jvp(lambda x: (np.ones(2), 3.0), (X,), (X,))
    assert np.array_equal(y_dot[0], np.zeros(2))
    assert y_dot[1] == 0.0
    assert np.array_equal(vjp(lambda x: np.ones(2), X)[1](np.ones(2))[0], np.zeros(3))
    assert np.array_equal(grad(lambda x: 3.0)(X), np.zeros(3))
    assert np.array_equal(grad(lambda x: np.sum(np.sign(x)))(X), np.zeros(3))


def test_the_argument_itself_as_result() -> None:
    assert np.array_equal(vjp(lambda x: x, X)[1](W[0])[0], W[0])
    assert np.array_equal(jvp(lambda x: x, (X,), (W[0],))[1], W[0])


# --- empty arrays --------------------------------------------------------------------------------------------------------


def test_empty_arrays() -> None:
    empty = np.zeros((0, 3))
    assert grad(np.sum)(empty).shape == (0, 3)
    assert jvp(np.exp, (empty,), (empty,))[1].shape == (0, 3)
    assert jacrev(lambda x: x[:0])(X).shape == (0, 3)
    assert jacfwd(lambda x: x[:0])(X).shape == (0, 3)
    assert jacrev(lambda x: np.sum(x, axis=0))(empty).shape == (3, 0, 3)
    assert jacfwd(lambda x: np.sum(x, axis=0))(empty).shape == (3, 0, 3)
    assert hessian(np.sum)(empty).shape == (0, 3, 0, 3)


# --- nesting -------------------------------------------------------------------------------------------------------------


def test_perturbation_confusion() -> None:
    # Siskind and Pearlmutter 2005: d/dx (x * d/dy (x + y)) at 1 is 1. Mixing up the levels gives 2.
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    inner = lambda x: jvp(lambda y: x + y, (1.0,), (1.0,))[1]  # noqa: E731
    assert jvp(lambda x: x * inner(x), (1.0,), (1.0,))[1] == 1.0
    assert grad(lambda x: x * inner(x))(1.0) == 1.0
    assert jvp(lambda x: x * grad(lambda y: x + y)(1.0), (1.0,), (1.0,))[1] == 1.0


def test_an_inner_derivative_sees_the_outer_variable() -> None:
    # d/dx [ d/dy (x y^2) at y = x ] = d/dx 2x^2 = 4x.
    for inner in (
        lambda x: grad(lambda y: x * y * y)(x),
        lambda x: jvp(lambda y: x * y * y, (x,), (1.0,))[1],
    ):
        assert grad(inner)(3.0) == 12.0
        assert jvp(inner, (3.0,), (1.0,))[1] == 12.0


def test_a_tangent_may_be_traced_by_an_outer_transformation() -> None:
    assert grad(lambda t: jvp(lambda x: x**3, (2.0,), (t,))[1])(1.0) == 12.0
    assert grad(lambda t: vjp(lambda x: x**3, 2.0)[1](t)[0])(1.0) == 12.0


def _forward(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize(
    "modes",
    list(itertools.product([_forward, grad], repeat=3)),
    ids=lambda m: "-".join(t.__name__.strip("_") for t in m),
)
def test_all_nestings_up_to_third_order(modes: tuple[Callable[..., Any], ...]) -> None:
    f = lambda x: np.exp(2 * x) * np.sin(x) / x  # noqa: E731
    x = 0.75
    # (e^{2x} sin x)^(k) = Im (2 + i)^k e^{(2+i)x}, and Leibniz' rule with 1/x.
    e = [((2 + 1j) ** k * np.exp((2 + 1j) * x)).imag for k in range(4)]
    r = [1 / x, -1 / x**2, 2 / x**3, -6 / x**4]
    expected = [
        e[1] * r[0] + e[0] * r[1],
        e[2] * r[0] + 2 * e[1] * r[1] + e[0] * r[2],
        e[3] * r[0] + 3 * e[2] * r[1] + 3 * e[1] * r[2] + e[0] * r[3],
    ]
    for order in range(3):
        f = modes[order](f)
        assert np.isclose(f(x), expected[order], rtol=1e-13, atol=0)


# --- errors ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "outline"), [
    (lambda x: x, r"shape \(3,\)"), (lambda x: (x[0], x[1]), r"\(shape \(\), shape \(\)\)"), (lambda x: {"a": x}, r"\{'a': shape \(3,\)\}"),
    (lambda x: x[:1], r"shape \(1,\)"), (lambda x: np.ones(2), r"shape \(2,\)"),
])  # fmt: skip
def test_grad_wants_one_number(f: Callable[[Array], Any], outline: str) -> None:
    with pytest.raises(
        ArgumentError, match=f"f must return a single number, got {outline}. Use jacrev, or vjp"
    ):
        grad(f)(X)


def test_grad_wants_a_real_number() -> None:
    with pytest.raises(DtypeError, match="f must return a real floating-point number, got dtype int"):
        grad(lambda x: 3)(X)


WRONG_DTYPES = {
    "int": (np.array([1, 2]), r"dtype int64.*x.astype\(float\)"), "python int": (3, r"is an int;.*float\(x\)"),
    "unsigned": (np.array([1], np.uint8), "dtype uint8.*Pass floating-point"), "bool": (np.array([True]), "dtype bool.*argnums"),
    "object": (np.array([object()]), "dtype object.*arrays of numbers"),
    "string": ("a", "is 'a';.*argnums.*dataclass"), "function": (np.sin, "is an ufunc;.*argnums"),
    "set": ({1.0}, r"is a set;.*list\(x\)"),
    "deque": (collections.deque([1.0]), r"is a deque;.*list\(x\)"),
    "user dict": (collections.UserDict(a=1.0), r"is a UserDict;.*dict\(x\)"),
    "plain object": (object(), "is an object;.*make its class a dataclass"), "boolean": (True, "is a bool;.*argnums"),
    "array-like": (memoryview(b"ab"), r"is a memoryview;.*list\(x\)"),
}  # fmt: skip


SETTINGS = {"python int", "string", "function", "boolean"}  # which containers may hold beside arrays


@pytest.mark.parametrize("name", WRONG_DTYPES)
def test_arguments_that_cannot_be_differentiated_are_named(name: str) -> None:
    x, message = WRONG_DTYPES[name]
    with pytest.raises(DtypeError, match=r"grad: argument 0.*" + message):
        grad(lambda x: 1.0)(x)
    if name not in SETTINGS:
        with pytest.raises(DtypeError, match=r"vjp: argument 0\['p'\]\[1\].*" + message):
            vjp(lambda x: 1.0, {"p": (1.0, x)})
    with pytest.raises(DtypeError, match=r"jvp: argument 0.*" + message):
        jvp(lambda x: 1.0, (x,), (x,))


def test_tangents_fit_their_primals() -> None:
    with pytest.raises(
        ArgumentError, match=r"the tangent of argument 0\['a'\] has shape \(2,\), its value has shape \(3,\)"
    ):
        jvp(lambda p: p["a"], ({"a": X},), ({"a": X[:2]},))
    with pytest.raises(
        ArgumentError,
        match=r"tangents have the structure \(shape \(3,\), shape \(3,\)\), primals have \(shape \(3,\)\)",
    ):
        jvp(lambda x: x, (X,), (X, X))
    with pytest.raises(ArgumentError, match="tangents have the structure"):
        jvp(lambda p: p["a"], ({"a": X},), ({"b": X},))
    with pytest.raises(
        ArgumentError, match="primals and tangents are tuples, with one entry for each argument"
    ):
        jvp(lambda x: x, X, X)
    with pytest.raises(
        DtypeError, match=r"tangent of argument .* dtype complex128; a real dtype is expected"
    ):
        jvp(lambda x: x, (X,), (1j * X,))


def test_cotangents_fit_the_value() -> None:
    _, pullback = vjp(lambda x: (x, np.sum(x)), X)
    with pytest.raises(
        ArgumentError,
        match=r"the cotangent has the structure shape \(3,\), the value of f has \(shape \(3,\), shape \(\)\)",
    ):
        pullback(X)
    with pytest.raises(ArgumentError, match=r"a cotangent has shape \(2,\), its value has shape \(3,\)"):
        pullback((X[:2], 1.0))
    with pytest.raises(DtypeError, match="dtype complex128; a real dtype"):
        pullback((1j * X, 1.0))


def test_cotangents_and_tangents_take_the_dtype_of_their_value() -> None:
    x = X.astype(np.float32)
    assert vjp(np.exp, x)[1](np.ones(3))[0].dtype == np.float32
    assert vjp(np.exp, x)[1](np.ones(3, int))[0].dtype == np.float32
    assert jvp(np.exp, (x,), (np.ones(3),))[1].dtype == np.float32


def test_an_error_inside_f_comes_through() -> None:
    def f(x: Array) -> Array:
        raise KeyError("mine")

    for call in (lambda: grad(f)(X), lambda: vjp(f, X), lambda: jvp(f, (X,), (X,))):
        with pytest.raises(KeyError, match="mine"):
            call()


@pytest.mark.parametrize(
    "x", [0.5, np.float64(0.5), np.float32(0.5), np.array(0.5), np.array(0.5, np.float32)], ids=repr
)
def test_a_derivative_is_a_scalar_where_its_argument_is_one(x: Array) -> None:
    kind = np.ndarray if isinstance(x, np.ndarray) else np.float64 if isinstance(x, float) else type(x)

    def added(x: Array) -> Array:
        y = np.zeros_like(x)
        y += x
        return y

    for f in (lambda x: x * x, lambda x: x, lambda x: x[...] * 1.0, lambda x: x.dtype.type(1), added):
        derivatives = [
            grad(f)(x),
            value_and_grad(f)(x)[1],
            vjp(f, x)[1](1.0)[0],
            jacrev(f)(x),
            jacfwd(f)(x),
            hessian(f)(x),
            hvp(f, (x,), (x,))[0],
        ]
        assert [type(d) for d in derivatives] == [kind] * 7
        value, tangent = jvp(f, (x,), (x,))
        assert type(tangent) is type(value)


@pytest.mark.parametrize("size", [4, 50_000])
def test_jvp_refuses_primals_that_change_while_f_runs(size: int) -> None:
    given = np.linspace(0.1, 0.9, size)

    def f(x):
        given[size // 2] = 3.0
        return np.sin(x)

    with pytest.raises(TracingError, match="jvp: argument 0 was changed"):
        jvp(f, (given,), (np.ones(size),))


def test_jvp_copies_no_large_primal() -> None:
    """The copy of the tangent alone is lent from the pool, and given back."""
    x, x_dot = np.linspace(0.1, 0.9, 100_000), np.ones(100_000)
    buffer_pool._STORE.free.clear()
    buffer_pool._STORE.total = 0
    jvp(lambda x: np.sum(np.sin(x)), (x,), (x_dot,))
    assert buffer_pool._STORE.total == x_dot.nbytes
