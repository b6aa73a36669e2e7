"""Traced arrays behave as NumPy's, lead to ops, and refuse by name whatever would lose a derivative."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refgrad import grad, jvp, vjp
from refgrad.errors import TracingError
from refgrad.numeric import complex_step
from refgrad.op import Traced

Array = Any
# Of few binary digits: polynomials of these are exact in float64.
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
V = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])


def both_modes(f: Callable[[Array], Array], x: Array = X, v: Array = V) -> tuple[Array, Array]:
    """f's value as traced, and its derivative along v; forward and reverse mode must tell the same value and number."""
    y, y_dot = jvp(f, (x,), (v,))
    y_reverse, pullback = vjp(f, x)
    assert np.array_equal(y, y_reverse)
    w = np.cos(np.arange(np.size(y), dtype=float)).reshape(np.shape(y))
    forward, reverse = np.sum(w * y_dot), np.sum(pullback(w)[0] * v)
    size = np.sum(np.abs(w * y_dot)) + np.sum(np.abs(pullback(w)[0] * v))
    assert abs(forward - reverse) <= 64 * np.finfo(float).eps * size
    return y, y_dot


OPERATORS: dict[str, Callable[[Array], Array]] = {
    "x + 2": lambda x: x + 2, "2 + x": lambda x: 2 + x, "x + a": lambda x: x + V, "a + x": lambda x: V + x,
    "x - 2": lambda x: x - 2, "2 - x": lambda x: 2 - x, "a - x": lambda x: V - x,
    "x * x": lambda x: x * x, "3 * x": lambda x: 3 * x, "a * x": lambda x: V * x,
    "x / 2": lambda x: x / 2, "2 / x": lambda x: 2 / x, "a / x": lambda x: V / x,
    "x ** 2": lambda x: x**2, "x ** 3": lambda x: x**3, "2 ** x": lambda x: 2.0**x,
    "x @ a": lambda x: x @ V.T, "a @ x": lambda x: V.T @ x,
    "-x": lambda x: -x, "+x": lambda x: +x,
    "x[0]": lambda x: x[0] * x[0], "x[:, ::-1]": lambda x: x[:, ::-1] * x, "x[..., None]": lambda x: x[..., None] * x[:, None],
    "x.T": lambda x: x.T * 2, "x.mT": lambda x: x.mT * 2, "x.sum()": lambda x: x.sum() ** 2, "x.sum(0)": lambda x: x.sum(0) ** 2,
    "x.sum(axis, keepdims)": lambda x: x.sum(axis=1, keepdims=True) * x, "x.mean(-1)": lambda x: x.mean(-1) ** 2,
    "x.prod(axis=0)": lambda x: x.prod(axis=0), "x.var()": lambda x: x.var(), "x.std(0, ddof=1)": lambda x: x.std(0, ddof=1),
    "x.cumsum(1)": lambda x: x.cumsum(1) ** 2, "x.cumprod(1)": lambda x: x.cumprod(1), "x.reshape(3, 2)": lambda x: x.reshape(3, 2) ** 2,
    "x.reshape((3, -1))": lambda x: x.reshape((3, -1)) ** 2, "x.ravel()": lambda x: x.ravel() ** 2,
    "x.flatten()": lambda x: x.flatten() ** 2,
    "x.transpose(1, 0)": lambda x: x.transpose(1, 0) ** 2, "x.transpose((1, 0))": lambda x: x.transpose((1, 0)) ** 2,
    "x.transpose()": lambda x: x.transpose() ** 2, "x.swapaxes": lambda x: x.swapaxes(0, 1) ** 2,
    "x.squeeze": lambda x: x[None].squeeze(0) ** 2, "x.copy()": lambda x: x.copy() * x, "x.dot": lambda x: x.dot(V.T),
    "x.take": lambda x: x.take([0, 0, 2], axis=1) ** 2, "x.repeat": lambda x: x.repeat(2, axis=0) ** 2,
    "x.diagonal": lambda x: x.diagonal() ** 2, "x.trace": lambda x: x.trace() ** 2, "x.real": lambda x: x.real * 2,
    "for row in x": lambda x: sum(row[0] * row[1] for row in x), "len(x)": lambda x: len(x) * x, "x.size": lambda x: x.size * x,
    "x.ndim, x.shape": lambda x: x.ndim * x * x.shape[1], "np.shape(x)": lambda x: np.shape(x)[1] * np.ndim(x) * np.size(x) * x,
    "np.add.reduce": lambda x: np.add.reduce(x) ** 2, "np.add.reduce axis": lambda x: np.add.reduce(x, axis=1, keepdims=True) * x,
    "np.multiply.reduce": lambda x: np.multiply.reduce(x, 1), "np.add.accumulate": lambda x: np.add.accumulate(x, axis=1) ** 2,
    "np.multiply.accumulate": lambda x: np.multiply.accumulate(x, axis=1), "np.multiply.outer": lambda x: np.multiply.outer(x[0], x[1]),
    "np.sum(a, axis tuple)": lambda x: np.sum(x * x, axis=(0, 1)), "np.sum positional": lambda x: np.sum(x, 1) ** 2,
    "np.sum(where=)": lambda x: np.sum(x * x, where=V > 0), "np.sum(initial=)": lambda x: np.sum(x, initial=2.0) ** 2,
    "np.multiply(where=True)": lambda x: np.multiply(x, x, where=True), "np.exp(out=None)": lambda x: np.exp(x, out=None),
    "a list operand": lambda x: x * [1.0, 2.0, 3.0], "a list of traced": lambda x: np.stack([x[0], 2 * x[1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_an_expression_has_numpys_value_and_the_complex_steps_derivative(name: str) -> None:
    f = OPERATORS[name]
    y, y_dot = both_modes(f)
    assert np.allclose(y, f(X), rtol=1e-14, atol=0)
    assert np.shape(y_dot) == np.shape(f(X))
    if name not in {"x.real", "x.var()", "x.std(0, ddof=1)"}:  # NumPy conjugates complex numbers there
        expected = complex_step(f, (X,), (V,))
        assert np.allclose(y_dot, expected, rtol=1e-13, atol=1e-13)


def test_mod_and_floor_division() -> None:
    y, y_dot = both_modes(lambda x: x % 0.75)
    assert np.array_equal(y, X % 0.75)
    assert np.array_equal(y_dot, V)
    y, y_dot = both_modes(lambda x: x * (x // 0.75))
    assert np.array_equal(y_dot, V * (X // 0.75))
    y, _ = both_modes(lambda x: 2.0 % x)
    assert np.array_equal(y, 2.0 % X)


def test_comparisons_give_plain_answers_on_values() -> None:
    seen: list[Any] = []

    def f(x: Array) -> Array:
        seen.extend([x < 0, x <= 0, x > 0, x >= 0, x == 0.5, x != 0.5, x > 0])
        return np.sum(x) if x[0, 0] > 0 else -np.sum(x)

    assert np.array_equal(grad(f)(X), np.ones((2, 3)))
    expected = [X < 0, X <= 0, X > 0, X >= 0, X == 0.5, X != 0.5, X > 0]
    assert all(np.array_equal(a, b) for a, b in zip(seen, expected, strict=True))
    assert not any(isinstance(a, Traced) for a in seen)


def test_an_index_may_come_from_traced_values() -> None:
    _, y_dot = both_modes(lambda x: x[x > 0])
    assert np.array_equal(y_dot, V[X > 0])


# --- in-place operators --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [lambda y: y, lambda y: y.real, np.real], ids=["y", "y.real", "np.real(y)"])
def test_in_place_operators_are_seen_through_every_name(named: Callable[[Array], Array]) -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        alias = named(y)
        y += 1.0
        y -= 3.0 * x
        y *= y
        y /= 2.0
        y **= 2
        assert alias is y
        return alias

    y, y_dot = both_modes(f)
    assert np.array_equal(y, (1 - 2 * X) ** 4 / 4)
    assert np.array_equal(y_dot, -2 * (1 - 2 * X) ** 3 * V)


def test_an_in_place_operator_leaves_the_past_alone() -> None:
    def f(x: Array) -> Array:
        y = x * 1.0
        z = y * y
        y += 1.0
        return z + 0 * y

    assert np.array_equal(both_modes(f)[1], 2 * X * V)


def test_in_place_on_the_argument_itself_is_refused_or_right() -> None:
    # NumPy would change the caller's array.
    def f(x: Array) -> Array:
        x += 1.0
        return np.sum(x * x)

    before = X.copy()
    assert np.array_equal(grad(f)(X), 2 * (X + 1))
    assert np.array_equal(X, before)


def test_in_place_never_changes_the_shape() -> None:
    def f(x: Array) -> Array:
        y = x[0] * 1.0
        y += V
        return np.sum(y)

    with pytest.raises(
        ValueError,
        match=r"in-place \+=.*a result of shape \(2, 3\) does not fit into an array of shape \(3,\)",
    ):
        grad(f)(X)


# --- what would lose a derivative -----------------------------------------------------------------------------------------


def _plain_plus(x: Array) -> Array:
    a = np.zeros((2, 3))
    a += x
    return a


def _fill_all(x: Array) -> Array:
    a = np.zeros((2, 3))
    a[:] = x
    return a


KEPT = {"array": np.array}
LOST: dict[str, tuple[Callable[[Array], Any], str]] = {
    "float(x)": (lambda x: float(x[0, 0]), r"float\(x\) would lose the derivative.*np.sin, not math.sin"),
    "math.sin(x)": (lambda x: math.sin(x[0, 0]), r"float\(x\) would lose the derivative"),
    "int(x)": (lambda x: int(x[0, 0]), r"int\(x\) would lose the derivative"),
    "complex(x)": (lambda x: complex(x[0, 0]), r"complex\(x\) would lose the derivative.*x.astype"),
    "an index": (lambda x: [1, 2, 3][x[0, 0]], "use as an index would lose the derivative"),
    "np.asarray(x)": (np.asarray, "conversion to a plain NumPy array would lose the derivative.*np.stack"),
    "np.array from a table": (
        lambda x: KEPT["array"](x[0, 0]),
        r"would lose the derivative.*np.array\(\[x, ...\], like=x\)",
    ),
    "x.item()": (lambda x: x[0, 0].item(), r"x.item\(\) would lose the derivative"),
    "x.tolist()": (lambda x: x.tolist(), r"x.tolist\(\) would lose the derivative"),
    "a += x": (_plain_plus, "np.add was asked to write a traced result in place.*a = a \\+ x"),
    "a[:] = x": (
        _fill_all,
        r"would write a traced array of shape \(2, 3\) to a plain array.*np.zeros\(n, like=x\)",
    ),
    "np.exp(out=)": (
        lambda x: np.exp(x, out=np.empty((2, 3))),
        "np.exp was asked to write a traced result in place",
    ),
    "np.sum(out=)": (
        lambda x: np.sum(x, axis=0, out=np.empty(3)),
        r"sum\(out=...\) would write to a plain array.*like=x",
    ),
    "np.exp(where=)": (
        lambda x: np.exp(x, where=x > 0),
        r"np.exp\(where=...\) without out= leaves elements uninitialised",
    ),
}


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_what_would_lose_the_derivative_says_so(name: str, mode: str) -> None:
    f, message = LOST[name]
    with pytest.raises(TracingError, match=message):
        jvp(f, (X,), (V,)) if mode == "forward" else vjp(f, X)


def test_writing_one_traced_number_into_a_plain_array_is_refused() -> None:
    def f(x: Array) -> Array:
        a = np.zeros(2)
        a[0] = x[0, 0]
        return a

    # NumPy puts an error of its own in front; it is kept as the cause, for it knows the line.
    with pytest.raises(TracingError, match=r"would write a traced number to a plain array") as caught:
        vjp(f, X)
    assert "setting an array element" in str(caught.value.__cause__)


def test_a_0d_array_has_neither_length_nor_elements() -> None:
    with pytest.raises(TypeError, match="len"):
        grad(lambda x: x * len(x))(1.0)
    with pytest.raises(TypeError, match=r"'numpy.float64' object is not iterable"):
        grad(sum)(1.0)
    with pytest.raises(TypeError, match="iteration over a 0-d"):
        grad(sum)(np.array(1.0))


def test_truth_of_several_elements_is_ambiguous_as_in_numpy() -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        grad(lambda x: np.sum(x) if x else 0.0)(X)


def test_repr_shows_the_value() -> None:
    seen: list[str] = []
    jvp(lambda x: seen.append(repr(x)) or x, (np.array([1.5]),), (np.array([1.0]),))
    assert seen == ["Dual(array([1.5]))"]


@pytest.mark.filterwarnings("ignore:you are shuffling")
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("made", [np.random.default_rng, np.random.RandomState])
def test_rows_are_not_shuffled_as_entries_of_a_list(made: Callable[[int], Any], seed: int) -> None:
    def shuffled(x: Array) -> Array:
        y = x.copy()
        made(seed).shuffle(y)
        return y

    def ordered(x: Array) -> Array:
        y, order = x.copy(), np.arange(len(x))
        made(seed).shuffle(order)
        y[:] = y[order]
        return y

    x, v = np.arange(12.0).reshape(4, 3), np.linspace(-1, 1, 12).reshape(4, 3)
    with pytest.raises(TracingError, match="Draw an order instead"):
        jvp(shuffled, (x,), (v,))
    with pytest.raises(TracingError, match="Draw an order instead"):
        vjp(shuffled, x)
    y, y_dot = both_modes(ordered, x, v)
    assert np.array_equal(y, shuffled(x))
    assert np.array_equal(y_dot, shuffled(v))


def test_rows_may_be_written_by_name() -> None:
    def swapped(x: Array) -> Array:
        y = x.copy()
        operator.setitem(y, 0, y[1])
        y.__setitem__(1, y[0] * 2)
        y[0], y[1] = y[1], y[0]  # of views: both rows are the same then, as in NumPy
        return y

    y, y_dot = both_modes(swapped)
    assert np.array_equal(y, swapped(X))
    assert np.array_equal(y_dot, swapped(V))
