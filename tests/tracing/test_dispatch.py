"""NumPy's functions on traced arrays lead to ops, under NumPy's own calling conventions, or are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad import grad, jvp, vjp
from refgrad.errors import NoRuleError
from refgrad.numeric import complex_step, differences
from refgrad.op import Traced
from refgrad.tracing.dispatch import FUNCTIONS, GUARDS, OUT_PLACES, call_function, implements, plain
from refgrad.tree import flatten
from tests.numpy_calls import examples

Array = Any
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
V = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])


CALLS: dict[str, Callable[[Array], Array]] = {
    "a ufunc": np.sin,
    "a ufunc into a larger array": lambda x: np.sin(x[0], out=np.empty_like(x)),
    "a ufunc of a number into an array": lambda x: np.add(x[0, 0], 1.0, out=np.empty_like(x)) * x,
    "a ufunc into a tuple of one": lambda x: np.exp(x, out=(np.empty_like(x),)),
    "add.reduce": np.add.reduce,
    "add.reduce, axis by position": lambda x: np.add.reduce(x, 1),
    "add.reduce over all": lambda x: np.add.reduce(x, axis=None, keepdims=True),
    "multiply.reduce": lambda x: np.multiply.reduce(x, axis=-1),
    "add.accumulate": np.add.accumulate,
    "multiply.accumulate": lambda x: np.multiply.accumulate(x, axis=1),
    "add.reduce, all by position": lambda x: np.add.reduce(x, 0, None, None, True, 0.5, X > 0),
    "add.reduce of a number": lambda x: np.add.reduce(x[0, 0], -1),
    "add.accumulate, all by position": lambda x: np.add.accumulate(x, 1, None, None),
    "add.reduceat": lambda x: np.add.reduceat(x, [0, 2, 1], 1),
    "add.reduceat, first axis": lambda x: np.add.reduceat(x, [1, 0]),
    "multiply.outer": lambda x: np.multiply.outer(x, x[0]),
    "a function": lambda x: np.sum(x, axis=0),
    "a function's axis by position": lambda x: np.sum(x, 1),
    "all of a function's arguments by position": lambda x: np.sum(x, 1, None, None, True),
    "an axis in an array without axes": lambda x: np.add.reduce(x, np.array(1)),
    "a core axis of a product": lambda x: np.vecdot(X, x, axis=0) if hasattr(np, "vecdot") else x[0],
    "tensordot, axes in an array": lambda x: np.tensordot(x, X.T, axes=np.array(1)),
    "matrix_power, an array": lambda x: np.linalg.matrix_power(x[:, :2], np.array(3)),
    "an operand by name": lambda x: np.cumsum(a=x, axis=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_numpys_value_and_the_complex_steps_derivative(name: str) -> None:
    f = CALLS[name]
    y, y_dot = jvp(f, (X,), (V,))
    _, pullback = vjp(f, X)
    w = np.cos(np.arange(y.size)).reshape(y.shape)
    assert np.array_equal(y, f(X))
    expected = complex_step(f, (X,), (V,))
    size = np.max(np.abs(expected)) + np.max(np.abs(X)) * np.max(np.abs(V))
    assert np.all(np.abs(y_dot - expected) <= 8 * np.finfo(float).eps * size)
    assert abs(np.sum(w * y_dot) - np.sum(pullback(w)[0] * V)) <= 64 * np.finfo(float).eps * w.size * size


def test_functions_of_values_alone_stay_plain() -> None:
    def f(x: Array) -> Array:
        order = np.argsort(x[0])
        assert type(order) is np.ndarray
        assert int(np.argmax(x)) == 2
        return x[0][order][0] * x[1][x.argmin(axis=1)[0]]

    for y in (jvp(f, (X,), (V,))[0], vjp(f, X)[0]):
        assert y == -1.25 * 0.75


def test_plain_goes_below_every_level() -> None:
    def f(x: Array) -> Array:
        assert isinstance(x._value, Traced)
        assert type(plain(x)) is np.ndarray
        assert np.array_equal(plain(x), X)
        assert plain([x, (x, 1)])[1][0] is plain(x)
        return np.sum(x * x)

    jvp(grad(f), (X,), (V,))


def test_a_composition_is_found_and_its_arguments_come_as_given() -> None:
    def scaled(x: Array, factor: float) -> Array:
        raise AssertionError("NumPy's own is not called")

    @implements(scaled)
    def composition(x: Array, factor: float) -> Array:
        return factor * x

    try:
        slope = grad(lambda x: np.sum(call_function(scaled, (x,), {"factor": 3.0})))(X)
    finally:
        del FUNCTIONS[scaled]
    assert np.array_equal(slope, np.full((2, 3), 3.0))


def test_a_ufunc_writes_where_its_mask_holds() -> None:
    mask = np.array([[True, False, True], [False, False, True]])

    def f(x: Array) -> Array:
        y = x * 3
        np.divide(1.0, np.where(mask, x, 0.0), out=y, where=mask)  # elsewhere the quotient is infinite
        return y

    y, pullback = vjp(f, X)
    assert np.array_equal(y, f(X))
    assert np.allclose(pullback(np.ones(X.shape))[0], np.where(mask, -1 / X**2, 3.0))


def test_a_dtype_without_rules_is_named() -> None:
    with pytest.raises(NoRuleError, match=r"np\.multiply: argument dtype is int64"):
        grad(lambda x: np.sum(np.multiply(x, 2, dtype=int)))(X)


NO_RULE: dict[str, tuple[Callable[[Array], Any], str]] = {
    "a function": (np.packbits, "packbits has no rule in refgrad"),
    "a ufunc's method": (lambda x: np.power.reduceat(x, [0, 1]), "np.power.reduceat has no rule"),
    "a ufunc's argument": (
        lambda x: np.exp(x, signature="d->d"),
        r"np.exp: argument \['signature'\] is not supported",
    ),
}


@pytest.mark.parametrize("name", NO_RULE)
def test_a_function_without_rule_is_named(name: str) -> None:
    f, message = NO_RULE[name]
    with pytest.raises(NoRuleError, match=message):
        grad(lambda x: np.sum(f(x)))(X)


# --- dtypes ----------------------------------------------------------------------------------------------------------------


def test_dtype_arguments_convert_operands() -> None:
    x = X.astype(np.float32)
    for f in (
        lambda x: np.add(x, 1.0, dtype=np.float64),
        lambda x: np.sum(x, axis=0, dtype=np.float64),
        lambda x: x.astype("float64"),
    ):
        y, y_dot = jvp(f, (x,), (V.astype(np.float32),))
        assert y.dtype == y_dot.dtype == f(x).dtype == np.float64
        _, pullback = vjp(f, x)
        assert pullback(np.ones_like(y))[0].dtype == np.float32


def _into_a_buffer(function: Any, args: Any, kwargs: Any, like: Any) -> tuple[Any, Any]:
    due = function(*args, **kwargs)
    out = np.zeros(np.shape(due), due.dtype, like=like)
    view = out[...]  # an array that shares its memory stays the one that is returned
    y = function(*args, **kwargs, out=out)
    assert np.array_equal(plain(view), plain(out), equal_nan=True)
    return y, out


WRITING = [f for f, guard in GUARDS.items() if FUNCTIONS[f] in OUT_PLACES and guard.rules - {"out"}]


@pytest.mark.parametrize("function", WRITING, ids=lambda f: f.__name__)
def test_a_result_is_written_into_a_traced_buffer(function: Any) -> None:
    """The buffer has NumPy's numbers and the derivative of the result, and it is what the call returns."""
    args, kwargs = examples(function)[0]
    leaves, rebuild = flatten((args, kwargs))
    kwargs.pop("out", None)
    places = [k for k, x in enumerate(leaves) if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim]
    assert places

    def f(x: Any, write: bool) -> Any:
        given_args, given = rebuild([x if k == places[0] else v for k, v in enumerate(leaves)])
        given.pop("out", None)
        if not write:
            return function(*given_args, **given)
        y, out = _into_a_buffer(function, given_args, given, x)
        assert y is out
        return out

    x = leaves[places[0]]
    tangent = np.cos(1.0 + np.arange(x.size)).reshape(x.shape)
    due = f(x, False)
    if due.dtype != x.dtype:
        with pytest.raises(NoRuleError, match="the result has dtype"):
            rg.jvp(lambda x: function(x, out=np.zeros(np.shape(due), like=x)), (x,), (tangent,))
        return
    expected = rg.jvp(lambda x: f(x, False), (x,), (tangent,))
    for got, wanted in zip(rg.jvp(lambda x: f(x, True), (x,), (tangent,)), expected, strict=True):
        assert np.array_equal(got, wanted, equal_nan=True)
    bars = [np.ones(np.shape(due))]
    assert np.array_equal(
        rg.vjp(lambda x: f(x, True), x)[1](*bars)[0], rg.vjp(lambda x: f(x, False), x)[1](*bars)[0]
    )


def test_a_number_is_no_place_to_write_to() -> None:
    for call in (
        lambda x: np.sum(x, out=x[0]),
        lambda x: np.sin(x[0], out=x[1]),
        lambda x: np.median(x, out=x[0]),
    ):
        with pytest.raises(TypeError, match="return arrays must be of ArrayType"):
            rg.grad(call)(np.arange(3.0))


def into(x: Array, ufunc: np.ufunc, *operands: Array, given: str, **kwargs: Any) -> Array:
    """The results of a ufunc of two of them: written to arrays where ``given`` has an a, new ones where it has a dash."""
    out = tuple([np.full_like(x, 0.25) if c == "a" else None for c in given])
    found = ufunc(x, *operands, out=out, **kwargs)
    assert all(y is a or a is None for y, a in zip(found, out, strict=True))
    return found[0] * x + found[1] * X


INTO: dict[str, Callable[[Array], Array]] = {
    "modf into two arrays": lambda x: into(x, np.modf, given="aa"),
    "modf into the second": lambda x: into(x, np.modf, given="-a"),
    "divmod into the first": lambda x: into(x, np.divmod, 0.4, given="a-"),
    "divmod into two, where": lambda x: into(x, np.divmod, 0.4, given="aa", where=X > 0),
}


@pytest.mark.parametrize("name", INTO)
def test_a_ufunc_writes_some_of_its_results(name: str) -> None:
    x = 0.9 * X  # away from whole quotients
    value, slope = jvp(INTO[name], (x,), (V,))
    assert np.array_equal(value, INTO[name](x))
    assert np.allclose(slope, differences(INTO[name], (x,), (V,))[0])
    assert np.isclose(np.sum(X * slope), np.sum(V * vjp(INTO[name], x)[1](X)[0]))


def test_a_result_beside_an_output_has_its_shape() -> None:
    """NumPy broadcasts the operands to the output: the other result, which is given none, is as large."""

    def both(x: Any) -> Any:
        fraction = np.zeros(3, like=x)
        _, whole = np.modf(x, fraction, None)
        return fraction + whole

    assert both(np.array(1.25)).shape == (3,)
    assert np.array_equal(rg.jacfwd(both)(np.array(1.25)), np.ones(3))
    assert np.array_equal(rg.jacrev(both)(np.array(1.25)), np.ones(3))
