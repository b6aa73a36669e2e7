"""Polynomials by their coefficients, highest power first: np.polyval, np.polyfit, np.roots and others, and np.vander."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import implements, operand
from refgrad.ops.shape import cast
from refgrad.tracing.differentiable_arguments import holds_traced, plain
from refgrad.tracing.numpy_copies import copied
from refgrad.tracing.stand_ins import stands_for

NUMPY: Any = np  # of which the plain functions are called with whatever the program gave


def _coefficients(p: Any) -> Array:
    """The coefficients of a polynomial that a program gave as an array, a sequence, a number or a np.poly1d."""
    return np.atleast_1d(operand(p.coeffs if isinstance(p, np.poly1d) else p))


def _kind(*given: Any) -> Any:
    """np.poly1d where an argument is one, as in NumPy; else nothing."""
    return np.poly1d if any(isinstance(p, np.poly1d) for p in given) else lambda y: y


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Array:
    p = _coefficients(p)
    if isinstance(x, np.poly1d):
        y: Any = 0
        for k in range(p.shape[0]):
            y = y * x + p[k]
        return y
    x = operand(x)
    y = np.zeros_like(plain(x))
    for k in range(p.shape[0]):
        y = y * x + p[k]
    return y


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:
    x = operand(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    x = x.astype(np.promote_types(x.dtype, int))
    count = x.shape[0] if N is None else operator.index(N)
    powers = [np.ones_like(plain(x))]
    for _ in range(count - 1):
        powers.append(powers[-1] * x)
    if count < 1:
        return np.vander(plain(x), count)
    return np.stack(powers if increasing else powers[::-1], axis=1)


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    p, q = _aligned(a1, a2)
    return _kind(a1, a2)(p + q)


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    p, q = _aligned(a1, a2)
    return _kind(a1, a2)(p - q)


def _aligned(a1: Any, a2: Any) -> tuple[Array, Array]:
    """Both polynomials with zeros in front, so that equal powers meet."""
    p, q = _coefficients(a1), _coefficients(a2)
    n = max(len(p), len(q))
    found = [np.concatenate([np.zeros(n - len(r), r.dtype), r]) if len(r) < n else r for r in (p, q)]
    return found[0], found[1]


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    parts = [np.trim_zeros(_coefficients(p), "f") for p in (a1, a2)]
    parts = [p if len(p) else np.zeros(1, p.dtype) for p in parts]
    return _kind(a1, a2)(np.convolve(*parts))


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Quotient and remainder, by long division as in NumPy."""
    kind = _kind(u, v)
    u, v = _coefficients(u) + 0.0, _coefficients(v) + 0.0
    dtype = np.result_type(u.dtype, v.dtype)
    n, scale, r = len(v), 1.0 / v[0], cast(u, dtype)
    found = []
    for k in range(len(u) - n + 1):
        d = scale * r[k]
        found.append(d)
        r = np.concatenate([r[:k], r[k : k + n] - d * v, r[k + n :]])
    q = np.stack(found) if found else np.zeros(1, dtype)
    values = plain(r)
    start = 0
    while np.allclose(values[start], 0, rtol=1e-14) and len(values) - start > 1:
        start += 1
    return kind(q), kind(r[start:])


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    kind, y = _kind(p), operand(p.coeffs if isinstance(p, np.poly1d) else p)
    NUMPY.polyder(plain(y), m)  # raises where NumPy does
    for _ in range(int(m)):
        y = y[:-1] * np.arange(len(y) - 1, 0, -1)
    return kind(y)


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    kind, y = _kind(p), operand(p.coeffs if isinstance(p, np.poly1d) else p)
    NUMPY.polyint(plain(y), m, plain(k))  # raises where NumPy does
    m = int(m)
    constants = np.zeros(m) if k is None else np.atleast_1d(operand(k))
    if len(constants) == 1 and m > 1:
        constants = constants[0] * np.ones(m)
    for j in range(m):
        y = np.concatenate([y / np.arange(len(y), 0, -1), constants[j : j + 1]])
    return kind(y)


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Array:
    """The polynomial of its roots, or of a square matrix: of its eigenvalues."""
    roots: Array = np.atleast_1d(operand(seq_of_zeros))
    found = NUMPY.poly(plain(roots))  # raises where NumPy does
    if roots.ndim == 2:
        roots = np.linalg.eigvals(roots)
    if not len(roots):
        return found
    roots = cast(roots, np.result_type(found.dtype, roots.dtype))
    y: Array = np.ones(1, roots.dtype)
    for k in range(len(roots)):
        y = np.concatenate([y, np.zeros(1, y.dtype)]) - np.concatenate([np.zeros(1, y.dtype), roots[k] * y])
    return np.real(y) if y.dtype.kind == "c" and found.dtype.kind != "c" else y


@implements(np.roots)
def roots(p: Any) -> Array:
    """The eigenvalues of the companion matrix. Raises NoRuleError where some are complex."""
    found: Array = copied(np.roots)(p)
    return found


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """Least squares, as NumPy's own code computes them."""
    return copied(np.polyfit)(x, y, deg, rcond, full, w, cov)


def _of_objects(function: Any, rule: Any) -> Any:
    """``function`` by its rule where coefficients are traced: a np.poly1d, which asks for no protocol, may hold them."""

    def call(*args: Any, **kwargs: Any) -> Any:
        given = [*args, *kwargs.values()]
        held = [p.coeffs for p in given if isinstance(p, np.poly1d)]
        return (rule if holds_traced((held, given)) else function)(*args, **kwargs)

    call.__name__ = function.__name__  # as messages name it
    return call


for _function, _rule in (
    (np.polyval, polyval), (np.polyadd, polyadd), (np.polysub, polysub), (np.polymul, polymul), (np.polydiv, polydiv),
    (np.polyder, polyder), (np.polyint, polyint),
):  # fmt: skip
    stands_for(_function)(_of_objects(_function, _rule))
