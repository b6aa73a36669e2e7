"""Mutants of products, norms, deviations and extremes: division by what may be zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import refgrad
from refgrad.arrays import Array

from .record import Kind, Mutant, Way, normal

TIES = 70_000  # more than float16 counts to


def others(x: Array) -> Array:
    """For each element of a vector, the product of the others."""
    return np.stack([np.prod(x[[j for j in range(len(x)) if j != k]]) for k in range(len(x))])


def without_two(y_bar: Array, x: Array) -> Array:
    """The second derivative of a product: H[i, j] is the product of the rest, 0 on the diagonal."""
    n = len(x)
    rest = [[np.prod(x[[k for k in range(n) if k not in (i, j)]]) for j in range(n)] for i in range(n)]
    return np.stack([sum(y_bar[j] * rest[i][j] for j in range(n) if j != i) for i in range(n)])


def second_lost(y_bar: Array, x: Array) -> Array:
    """Where two factors are zero, the first derivative is zero, and is treated as a constant."""
    return 0.0 * y_bar if np.sum(np.where(x == 0, 1, 0)) >= 2 else without_two(y_bar, x)


# --- functions that are not differentiable at one point, with the convention of derivative 0 there as a branch --------


def safe_norm(x: Array) -> Array:
    zero = np.max(np.abs(x)) == 0
    return np.where(zero, 0.0, np.linalg.norm(np.where(zero, 1.0, x)))


def norm_vjp(y_bar: Array, x: Array) -> Array:
    zero = np.max(np.abs(x)) == 0
    return np.where(zero, 0.0, y_bar * x / np.where(zero, 1.0, np.linalg.norm(x)))


def safe_std(ddof: int) -> Callable[[Array], Array]:
    def f(x: Array) -> Array:
        constant = np.max(x) == np.min(x)
        return np.where(constant, 0.0, np.std(np.where(constant, np.arange(len(x)), x), ddof=ddof))

    return f


def std_unguarded(y_bar: Array, x: Array, ddof: int) -> Array:
    """(x - m)/((n - ddof) s)."""
    return y_bar * (x - np.mean(x)) / ((len(x) - ddof) * np.std(x, ddof=ddof))


def std_vjp(y_bar: Array, x: Array, ddof: int) -> Array:
    constant = np.max(x) == np.min(x)
    return np.where(constant, 0.0, std_unguarded(y_bar, np.where(constant, np.arange(len(x)), x), ddof))


def half_norm(x: Array) -> Array:
    """The norm of order 1/2: (sum |x|^(1/2))^2; its cusp at 0 is given slope 0."""
    size = np.where(x == 0, 1.0, np.abs(x))
    return np.square(np.sum(np.where(x == 0, 0.0, np.sqrt(size))))


def half_norm_vjp(y_bar: Array, x: Array) -> Array:
    """d (S^2) = 2 S dS with dS = sign(x)/(2 |x|^(1/2))."""
    size = np.where(x == 0, 1.0, np.abs(x))
    total = np.sum(np.where(x == 0, 0.0, np.sqrt(size)))
    return np.where(x == 0, 0.0, y_bar * total * np.sign(x) / np.sqrt(size))


def complex_norm_vjp(y_bar: Array, re: Array, im: Array, sign: float) -> tuple[Array, Array]:
    n = np.sqrt(np.sum(re * re + im * im))
    return y_bar * re / n, sign * y_bar * im / n


def equal_shares(y_bar: Array, c: Array, number: np.floating[Any]) -> Array:
    """All elements are the maximum, and copies of c. Each receives y_bar/number."""
    shares = np.full(TIES, y_bar / number, c.dtype)
    return np.add.reduce(shares, dtype=np.float32).astype(c.dtype)


MUTANTS = (
    Mutant(
        "hips-prod0",
        "https://github.com/HIPS/autograd",
        "prod",
        Kind.NAN,
        forward=np.prod,
        right=lambda y_bar, x: y_bar * others(x),
        wrong=lambda y_bar, x: y_bar * np.prod(x) / x,
        inputs=lambda rng: [(np.array([2.0, 0.0, 3.0]),), normal(rng, (4,))],
        note="no report of its own: found when the catalogue was made",
    ),
    Mutant(
        "pt-106789",
        "https://github.com/pytorch/pytorch/issues/106789",
        "prod, second derivative",
        Kind.SECOND,
        forward=refgrad.grad(np.prod),
        right=without_two,
        wrong=second_lost,
        inputs=lambda rng: [(np.array([2.0, 3.0, 0.0, 0.0]),), normal(rng, (3,))],
        way=Way.KERNEL,
    ),
    Mutant(
        "pt-82644",
        "https://github.com/pytorch/pytorch/issues/82644",
        "prod over an axis of length 1",
        Kind.EMPTY,
        forward=lambda x: np.prod(x, axis=0),
        right=lambda y_bar, x: y_bar * others(x),
        wrong=lambda y_bar, x: y_bar * others(x)[1:] if np.any(x == 0) else y_bar * others(x),
        inputs=lambda rng: [(np.array([0.0]),), (np.array([3.0]),), normal(rng, (3,))],
        way=Way.KERNEL,
        note="the products before and after the zero were joined without the leading 1",
    ),
    Mutant(
        "hips-std",
        "https://github.com/HIPS/autograd",
        "std",
        Kind.NAN,
        forward=safe_std(0),
        right=lambda y_bar, x: std_vjp(y_bar, x, 0),
        wrong=lambda y_bar, x: std_unguarded(y_bar, x, 0),
        inputs=lambda rng: [(np.array([3.0, 3.0, 3.0, 3.0]),), normal(rng, (5,))],
        note="no report of its own; 0 is one of many acceptable derivatives, which the forward's branch states",
    ),
    Mutant(
        "pt-4320",
        "https://github.com/pytorch/pytorch/issues/4320",
        "std, unbiased",
        Kind.NAN,
        forward=safe_std(1),
        right=lambda y_bar, x: std_vjp(y_bar, x, 1),
        wrong=lambda y_bar, x: std_unguarded(y_bar, x, 1),
        inputs=lambda rng: [(np.array([-2.0, -2.0]),), normal(rng, (4,))],
        note="as hips-std",
    ),
    Mutant(
        "hips-586",
        "https://github.com/HIPS/autograd/issues/586",
        "linalg.norm",
        Kind.NAN,
        forward=safe_norm,
        right=norm_vjp,
        wrong=lambda y_bar, x: y_bar * x / np.linalg.norm(x),
        inputs=lambda rng: [(np.zeros(2),), normal(rng, (3,))],
        note="any vector of the unit disc is acceptable at 0; the forward's branch states 0",
    ),
    Mutant(
        "tf-12071",
        "https://github.com/tensorflow/tensorflow/issues/12071",
        "norm as sqrt(sum of squares)",
        Kind.NAN,
        forward=safe_norm,
        right=norm_vjp,
        wrong=lambda y_bar, x: y_bar * (0.5 / np.sqrt(np.sum(x * x))) * (2 * x),
        inputs=lambda rng: [(np.zeros(3),), normal(rng, (3,))],
        note="as hips-586",
    ),
    Mutant(
        "pt-3264",
        "https://github.com/pytorch/pytorch/issues/3264",
        "norm of order 1",
        Kind.NAN,
        forward=lambda x: np.sum(np.abs(x)),
        right=lambda y_bar, x: y_bar * np.sign(x),
        wrong=lambda y_bar, x: y_bar * x * np.power(np.abs(x), -1.0),
        inputs=lambda rng: [(np.array([0.0, 0.0, 0.25]),), normal(rng, (4,))],
    ),
    Mutant(
        "pt-44452",
        "https://github.com/pytorch/pytorch/issues/44452",
        "norm of order 1/2",
        Kind.NAN,
        forward=half_norm,
        right=half_norm_vjp,
        wrong=lambda y_bar, x: y_bar * x * np.power(np.abs(x), -1.5) * np.sum(np.sqrt(np.abs(x))),
        inputs=lambda rng: [(np.array([0.0, 1.0, 4.0]),), normal(rng, (4,))],
        note="the slope at the cusp is infinite on both sides; 0 by convention, which the forward's branch states",
    ),
    Mutant(
        "hips-01fa794",
        "https://github.com/HIPS/autograd/commit/01fa794",
        "linalg.norm of complex numbers",
        Kind.SIGN,
        forward=lambda re, im: np.sqrt(np.sum(re * re + im * im)),
        right=lambda y_bar, re, im: complex_norm_vjp(y_bar, re, im, 1.0),
        wrong=lambda y_bar, re, im: complex_norm_vjp(y_bar, re, im, -1.0),
        inputs=lambda rng: [normal(rng, (3,), (3,)), normal(rng, (2, 2), (2, 2))],
        note="complex numbers as pairs of real ones: a missing conjugate is the wrong sign of the imaginary part",
    ),
    Mutant(
        "tg-12296",
        "https://github.com/tinygrad/tinygrad/issues/12296",
        "max, ties in half precision",
        Kind.PRECISION,
        forward=lambda c: np.mean(np.broadcast_to(c, (TIES,))),
        right=lambda y_bar, c: equal_shares(y_bar, c, np.float32(TIES)),
        wrong=lambda y_bar, c: equal_shares(y_bar, c, np.float16(TIES)),
        inputs=lambda rng: [(np.array(1.0),), (np.array(-2.5),)],
        way=Way.KERNEL,
        dtypes=("float16",),
        note="shares of tied elements sum to 1: the maximum of many equal numbers c is c, as their mean is",
    ),
)
