"""Every public attribute and method of np.ndarray and np.float64 on a traced array: NumPy's value and derivative, or a refusal by name."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRuleError, RefgradError, TracingError
from refgrad.op import Traced
from refgrad.tracing.unavailable import ATTRIBUTES, METHODS, UNSUPPORTED
from tests.method_calls import NAMES, Use, uses_of
from tests.outcomes import below, outcome

X = np.array([[0.57, -1.28, 2.11], [1.53, 0.72, -0.44]])
V = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
VALUES = {
    "array": X,
    "vector": X[0].copy(),
    "0-d": np.array(1.53),
    "scalar": np.float64(1.53),
    "fortran": np.asfortranarray(X),
}

IN_PLACE = frozenset(
    {f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "pow", "mod", "floordiv", "matmul")}
)
AXES = frozenset({"compress", "cumsum", "repeat", "squeeze"})
NO_NUMBERS = frozenset({"flags", "__format__", "__setattr__"})


def asked(x: Any, name: str, use: Use) -> tuple[Any, Any]:
    """What a method or attribute gives, and x afterwards: some change it."""
    member = getattr(x, name)
    y = member(*use[0], **use[1]) if callable(member) else member
    if name == "__iter__":
        y = list(y)
    if name == "flat":
        y = y[:]
    return y, x


def numbers(y: Any) -> Any:
    """What can be differentiated of a result: one array of all numbers in it."""
    parts = [
        np.ravel(e)
        for e in (y if isinstance(y, (tuple, list)) else [y])
        if isinstance(e, (Traced, np.ndarray, np.generic))
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def refused_in_words(error: Exception, name: str) -> bool:
    """Whether an error is one of refgrad's own, and names what was asked for."""
    named = (name.strip("_"), "pickle", "copy", "conversion", "index", "x.", "np.")
    return isinstance(error, RefgradError) and any(word in str(error) for word in named)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_a_member_has_numpys_value_and_derivative_or_is_refused(name: str, kind: str) -> None:
    if kind == "scalar" and name in IN_PLACE:
        pytest.skip("a scalar is bound anew: its operators do that")
    for use in uses_of(name):
        if np.ndim(VALUES[kind]) == 0 and name in AXES and len(use[0]) > (name in {"compress", "repeat"}):
            continue  # axis 0 of a 0-d array: tested with the functions of that name
        compare(name, kind, use)


def compare(name: str, kind: str, use: Use) -> None:
    """One call on a plain and on a traced array, in both modes."""
    told = f"x.{name}(*{use[0]}, **{use[1]})"
    expected = outcome(lambda: asked(arranged(VALUES[kind], kind), name, use))
    results: list[Any] = []

    def f(x: Any) -> Any:
        y, after = asked(arranged(x, kind), name, use)
        results.append((below(y), below(after)))
        return np.concatenate([numbers(y), np.ravel(after)])

    x = VALUES[kind]
    v = np.resize(V, np.shape(x)) if np.ndim(x) else np.float64(0.75)
    forward, reverse = outcome(lambda: rg.jvp(f, (x,), (v,))), outcome(lambda: rg.vjp(f, x))
    if isinstance(forward, Exception) or isinstance(reverse, Exception):
        assert type(forward) is type(reverse), told
        assert refused_in_words(forward, name) or isinstance(expected, Exception), f"{told}: {forward!r}"
        return
    assert not isinstance(expected, Exception), f"{told}: NumPy raises {expected!r}"
    (value, y_dot), (value_reverse, pullback) = forward, reverse
    assert np.array_equal(value, value_reverse, equal_nan=True), told
    if name not in NO_NUMBERS:
        for y, after in results:
            same(y, expected[0], told)
            same(after, expected[1], f"{told}, x afterwards")
    if not np.isfinite(value).all():  # of one number, no variance with one degree of freedom
        return
    w = np.cos(np.arange(value.size, dtype=float))
    assert np.isclose(np.sum(w * y_dot), np.sum(pullback(w)[0] * v), rtol=1e-12, atol=1e-12), told
    numerical = differences(lambda t: plainly(t, name, use, kind), x, v)
    assert np.allclose(y_dot, numerical, rtol=1e-5, atol=1e-5), told


def arranged(x: Any, kind: str) -> Any:
    """A copy of x, as the kind of array says."""
    return x.copy("F" if kind == "fortran" else "C")


def plainly(x: Any, name: str, use: Use, kind: str) -> Any:
    y, after = asked(arranged(np.asarray(x) if kind == "0-d" else x, kind), name, use)
    return np.concatenate([numbers(y), np.ravel(after)])


def differences(f: Callable[[Any], Any], x: Any, v: Any) -> Any:
    h = 2.0**-20
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


def same(got: Any, expected: Any, what: str) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(got) == len(expected), what
        for a, b in zip(got, expected, strict=True):
            same(a, b, what)
        return
    assert type(got) is type(expected), f"{what}: {type(got)}, NumPy: {type(expected)}"
    if isinstance(expected, (np.ndarray, np.generic)):
        assert got.dtype == expected.dtype, what
        assert np.array_equal(got, expected, equal_nan=True), what
    elif not hasattr(expected, "__name__"):
        assert got == expected, what


# --- copies ---------------------------------------------------------------------------------------------------------------


def test_copies_keep_their_derivative_and_share_nothing() -> None:
    def f(x: Any) -> Any:
        a, b = copy.copy(x), copy.deepcopy({"w": [x, x]})
        a += 1.0
        b["w"][0][...] = 2.0
        return np.sum(x * a + x * b["w"][0] + x * x.copy())

    assert np.allclose(rg.grad(f)(X), (2 * X + 1) + 2.0 + 2 * X)


def test_a_copy_has_the_layout_of_numpys() -> None:
    def f(x: Any) -> Any:
        for y in (x, x.T, x[:, ::2]):
            for order in "CFAK":
                seen.append([y.copy(order).flags[k] for k in ("C_CONTIGUOUS", "F_CONTIGUOUS")])
        flat = (turned := x.T.copy()).reshape(-1)
        flat[0] = 5.0
        return np.sum(turned * turned)

    seen: list[Any] = []
    rg.grad(f)(X)
    traced, seen = seen, []
    f(X.copy())
    assert traced == seen
    expected = 2 * X
    expected[0, 0] = 0.0
    assert np.allclose(rg.grad(f)(X), expected)


COPIED: dict[str, Callable[[Any], Any]] = {
    "a column": lambda x: x[:, :1].copy(), "every other": lambda x: x[0, ::2].copy(), "flattened": lambda x: x[0, ::2].flatten(),
    "reversed": lambda x: x[:, ::-1].copy(), "raveled": lambda x: x[0, ::2].ravel(), "a diagonal": lambda x: np.diagonal(x).copy(),
    "reshaped": lambda x: np.reshape(x[1, ::2], (2, 1), copy=True), "for Fortran": lambda x: x[:, ::2].copy("F").T,
}  # fmt: skip


@pytest.mark.parametrize("name", COPIED)
def test_a_copy_has_no_gaps_between_its_elements(name: str) -> None:
    def f(x: Any) -> Any:
        y = COPIED[name](x * 1.0)
        flat = y.ravel()  # a view, therefore
        flat *= 3.0
        return np.sum(y * y) + np.sum(flat)

    value, gradient = rg.value_and_grad(f)(X)
    expected = differences(f, X, V)
    assert value == f(X)
    assert np.allclose([np.sum(gradient * V), rg.jvp(f, (X,), (V,))[1]], expected)


def test_a_copy_of_a_0d_array_can_be_written_to() -> None:
    def f(x: Any) -> Any:
        y = x.copy()
        z = y
        y += 1.0
        return z * z

    def g(x: Any) -> Any:
        y = z = np.copy(x)  # a 0-d array also of a number
        y += 1.0
        return z * z

    assert f(np.array(1.5)) == g(1.5) == 6.25
    assert rg.grad(f)(np.array(1.5)) == rg.grad(g)(1.5) == rg.jvp(g, (1.5,), (1.0,))[1] == 5.0


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_traced_arrays_are_not_stored(protocol: int) -> None:
    with pytest.raises(TracingError, match=r"pickle of x would lose.*store its result"):
        rg.grad(lambda x: pickle.dumps([x], protocol))(X)


# --- refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(METHODS) + sorted(ATTRIBUTES) + sorted(UNSUPPORTED))
def test_a_refusal_says_what_to_do_instead(name: str) -> None:
    x = np.float64(1.5) if not hasattr(np.ndarray, name) else X
    told = METHODS.get(name) or ATTRIBUTES.get(name) or (UNSUPPORTED[name], "")
    for kind in (lambda f: rg.grad(f)(x), lambda f: rg.jvp(f, (x,), (np.ones_like(x),))):
        with pytest.raises((TracingError, NoRuleError)) as caught:
            kind(lambda v: member() if callable(member := getattr(v, name)) else member)
        assert all(words in str(caught.value) for words in told)


WRITTEN: dict[str, Callable[[Any], Any]] = {
    "x.shape = ...": lambda x: setattr(x, "shape", (6,)), "x.dtype = ...": lambda x: setattr(x, "dtype", int),
    "x.strides = ...": lambda x: setattr(x, "strides", (8,)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_an_attribute_that_changes_an_array_in_place_is_refused(name: str) -> None:
    with pytest.raises(TracingError, match=name.replace(".", r"\.") + r".*x = x\."):
        rg.grad(WRITTEN[name])(X)


def test_real_part_of_python_numbers_and_of_arrays() -> None:
    assert np.array_equal(rg.grad(lambda x: np.sum(x.real * x.conj() + x.imag * x.conjugate()))(X), 2 * X)
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        rg.grad(lambda x: operator.setitem(x.imag, 0, 1.0))(X)
