"""Polynomials by their coefficients: NumPy's values and errors, the third judge's derivatives in both modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from tests.function_checks import in_any_nesting, values_and_derivatives

Array = Any
U, V = np.array([1.3, 0.25, 0.4, 2.2]), np.array([0.5, -1.5, 2.5])

CALLS: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "polyval": (np.polyval, [V, U]),
    "polyval of a poly1d": (lambda p, x: np.poly1d(p)(x), [V, U]),
    "poly1d arithmetic": (lambda p, q: (np.poly1d(p) * np.poly1d(q) + np.poly1d(p) ** 2 - 1.0).coeffs, [V, U[:2]]),
    "polyder of a poly1d": (lambda p: np.polyder(np.poly1d(p), 2).coeffs, [V]),
    "polyint of a poly1d": (lambda p, k: np.polyint(p=np.poly1d(p), m=2, k=k).coeffs, [V, U[:2]]),
    "polyval by a poly1d": (lambda p, x: np.polyval(np.poly1d(p), x), [V, U]),
    "polydiv of poly1ds": (lambda p, q: np.polydiv(np.poly1d(p), np.poly1d(q))[0].coeffs, [V, U[:2]]),
    "sums of poly1ds": (lambda p, q: np.polymul(np.polyadd(np.poly1d(p), q), np.polysub(1.0, np.poly1d(q))).coeffs, [V, U[:2]]),
    "poly1d deriv": (lambda p: np.poly1d(p).deriv().coeffs, [V]),
    "poly1d integ": (lambda p: np.poly1d(p).integ(2, 1.5).coeffs, [V]),
    "polyadd": (np.polyadd, [V, U]),
    "polysub": (np.polysub, [U, V]),
    "polymul": (np.polymul, [U, V]),
    "polydiv": (lambda u, v: np.concatenate(np.polydiv(u, v)), [U, V]),
    "polydiv by a longer one": (lambda u, v: np.concatenate(np.polydiv(u, v)), [V, U]),
    "polyder": (lambda p: np.polyder(p, 2), [U]),
    "polyder to nothing": (lambda p: np.concatenate([np.polyder(p, 4), p]), [V]),
    "polyint": (lambda p, k: np.polyint(p, 2, k), [V, U[:2]]),
    "polyint of one constant": (lambda p, k: np.polyint(p, 3, k), [V, np.array(0.7)]),
    "poly": (np.poly, [V]),
    "chebval": (lambda c, x: np.polynomial.chebyshev.chebval(x, c), [V, U]),
    "hermint": (lambda c: np.polynomial.hermite.hermint(c, 2, [1.0, 0.5], 0.3), [V]),
    "polydiv of series": (lambda c, d: np.polynomial.polynomial.polydiv(c, d)[1], [U, V[:2]]),
    "vander": (lambda x: np.vander(x, 3, increasing=True), [U]),
}  # fmt: skip


# Of factorizations, for which NumPy has no long double. Their first derivatives are held in tests/test_every_argument.py.
FACTORED: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "roots": (np.roots, [np.array([2.0, 0.3, -1.1])]),
    "roots of a cubic": (lambda r: np.roots(np.poly(r)), [V]),
    "polyfit": (lambda x, y: np.polyfit(x, y, 1), [U, U[::-1] * U]),
    "polyfit with weights": (lambda y, w: np.polyfit(U, y, 2, w=w), [U * U + 1, U + 1]),
    "polyfit and the errors": (lambda y: np.polyfit(U, y, 1, cov=True)[1], [U * U]),
    "polyfit of columns": (lambda x, y: np.polyfit(x, np.stack([y, y * y], 1), 1, full=True)[0], [U, U * U]),
    "legfit": (lambda x, y: np.polynomial.legendre.legfit(x, y, 1), [U, U[::-1] * U]),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTORED)
def test_second_derivatives_of_factorizations(name: str) -> None:
    in_any_nesting(*FACTORED[name])


@pytest.mark.parametrize("name", CALLS)
def test_derivatives(name: str) -> None:
    f, xs = CALLS[name]
    values_and_derivatives(f, xs)
    in_any_nesting(f, xs)


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises
        return type(error)


@pytest.mark.filterwarnings("ignore")
def test_values_dtypes_and_errors_are_numpys() -> None:
    rng, compared = np.random.default_rng(3), 0
    functions: list[Callable[..., Any]] = [np.polyadd, np.polysub, np.polymul, np.polydiv, np.polyval]
    functions += [lambda a, b, m=m: np.polyder(a, m) for m in (-1, 0, 1, 2)]
    functions += [lambda a, b, m=m: np.polyint(a, m, b) for m in (-1, 0, 1, 2)]
    for _ in range(40):
        a, b = [
            rng.standard_normal(rng.integers(0, 5)).astype([np.float64, np.float32][rng.integers(2)])
            for _ in "ab"
        ]
        for x in (a, b):
            if x.size and rng.random() < 0.3:
                x[[0, -1][rng.integers(2)]] = 0.0  # leading zeros are trimmed, trailing ones are not
        for f in functions:
            due = outcome(lambda f=f, a=a, b=b: f(a, b))
            got = outcome(lambda f=f, a=a, b=b: rg.vjp(f, a, b)[0])
            if isinstance(due, type):
                assert got is due
                continue
            for x, y in zip(got, due, strict=True) if isinstance(due, tuple) else [(got, due)]:
                compared += 1
                assert np.asarray(x).dtype == np.asarray(y).dtype
                if f is np.polymul:  # NumPy adds up in an order of its own, which depends on the processor
                    reach = min(a.size, b.size) * np.finfo(y.dtype).eps * np.polymul(np.abs(a), np.abs(b))
                    assert x.shape == y.shape
                    assert np.all(np.abs(x - y) <= reach)
                else:
                    assert np.array_equal(x, y, equal_nan=True)
    assert compared > 200
