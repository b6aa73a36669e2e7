"""The third judge for functions of complex numbers: differences of a real program that computes with them inside.

A function of z = a + i b is one of the real arrays a and b, and a complex value is two real ones. So differences in long double
(refgrad.numeric) judge both modes and the second order, and know nothing of conjugates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import refgrad as rg
from refgrad.numeric import differences

Function = Callable[..., Any]


def real_program(f: Function, kinds: Sequence[bool]) -> Function:
    """f as a function of real arrays with real values: two for each complex argument, and a leading axis for the parts of a complex value.

    ``kinds`` says which arguments are complex.
    """

    def call(*parts: Any) -> Any:
        left = list(parts)
        y = f(*[left.pop(0) + 1j * left.pop(0) if c else left.pop(0) for c in kinds])
        return np.stack([y.real, y.imag]) if np.iscomplexobj(y) else y

    return call


def split(xs: Sequence[Any]) -> list[Any]:
    """The real arrays that stand for some arguments."""
    return [p for x in xs for p in ((x.real, x.imag) if np.iscomplexobj(x) else (x,))]


def directions(xs: Sequence[Any], seed: int = 0) -> list[Any]:
    """Arrays of the shapes and dtypes of xs."""
    rng = np.random.default_rng(seed)
    found = []
    for x in xs:
        v = rng.standard_normal(np.shape(x))
        found.append((v + 1j * rng.standard_normal(np.shape(x)) if np.iscomplexobj(x) else v).astype(x.dtype))
    return found


def paired(a: Any, b: Any) -> Any:
    """The real inner product of two arrays, of which complex elements are two real ones."""
    return np.sum(np.real(np.conjugate(a) * b))


def judge(f: Function, xs: Sequence[Any], rtol: float = 1e-9, plain: Function | None = None) -> None:
    """Assert that both modes of refgrad give the derivative of f at xs. ``plain`` is f where NumPy's own function has no long double."""
    xs_dot = directions(xs)
    wide = real_program(plain or f, [np.iscomplexobj(x) for x in xs])
    due, error = differences(wide, split(xs), split(xs_dot))
    y, y_dot = rg.jvp(f, tuple(xs), tuple(xs_dot))
    expected = np.asarray(f(*xs))
    assert np.asarray(y).dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-14)
    scale = 1 + np.max(np.abs(due), initial=0)
    got = np.stack([y_dot.real, y_dot.imag]) if np.iscomplexobj(y) else y_dot
    assert np.all(np.abs(got - due) <= rtol * scale + error), (got, due)
    y, pullback = rg.vjp(f, *xs)
    (y_bar,) = directions([np.asarray(y)], 1)
    bars = pullback(y_bar)
    for x, x_bar in zip(xs, bars, strict=True):
        assert x_bar.dtype == x.dtype
        assert x_bar.shape == np.shape(x)
    sent = sum(paired(x_bar, x_dot) for x_bar, x_dot in zip(bars, xs_dot, strict=True))
    np.testing.assert_allclose(sent, paired(y_bar, y_dot), rtol=1e-11, atol=1e-11)


def judge_second(f: Function, xs: Sequence[Any], rtol: float = 1e-7, plain: Function | None = None) -> None:
    """Assert that all nestings of both modes give the second derivative of a real loss of f along a direction."""

    def loss(*xs: Any) -> Any:
        y = f(*xs)
        weights = np.cos(1.0 + np.arange(y.size)).reshape(y.shape)
        return np.sum(weights * (np.real(y) ** 2 + np.imag(y) * np.real(y) + 3 * np.imag(y)))

    count = tuple(range(len(xs)))
    xs, xs_dot = tuple(xs), tuple(directions(xs))
    gradient = rg.grad(loss, count)

    def slope(*at: Any) -> Any:
        return rg.jvp(loss, at, xs_dot)[1]

    _, over_reverse = rg.jvp(gradient, xs, xs_dot)
    _, pullback = rg.vjp(gradient, *xs)
    results = {
        "forward over reverse": over_reverse,
        "reverse over reverse": pullback(xs_dot),
        "reverse over forward": rg.grad(slope, count)(*xs),
    }
    twice = rg.jvp(slope, xs, xs_dot)[1]

    def wide(*parts: Any) -> Any:
        """The gradient along one argument after the other, as one vector."""
        left = list(parts)
        at = [left.pop(0) + 1j * left.pop(0) if np.iscomplexobj(x) else left.pop(0) for x in xs]
        return np.concatenate([np.ravel(p) for p in split(gradient(*at))])

    due, error = differences(wide, split(xs), split(xs_dot))
    scale = 1 + np.max(np.abs(due))
    for name, found in results.items():
        got = np.concatenate([np.ravel(p) for p in split(found)])
        assert np.all(np.abs(got - due) <= rtol * scale + error), (name, got, due)
    np.testing.assert_allclose(
        twice, sum(paired(a, b) for a, b in zip(over_reverse, xs_dot, strict=True)), rtol=1e-10, atol=1e-10
    )
