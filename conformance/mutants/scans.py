"""Mutants of cumulative products and of the scans of state-space models."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array

from .record import Kind, Mutant, Way, normal

BLOCK = 4


def reverse_cumsum(x: Array) -> Array:
    return np.flip(np.cumsum(np.flip(x, -1), axis=-1), -1)


def cumprod(x: Array) -> Array:
    return np.cumprod(x, axis=-1)


def prefixes(x: Array) -> list[Array]:
    """For each element of the last axis, the product of the elements before it."""
    found: list[Array] = [np.ones(x.shape[:-1], x.dtype)]
    for k in range(x.shape[-1] - 1):
        found.append(found[-1] * x[..., k])
    return found


def cumprod_vjp(y_bar: Array, x: Array) -> Array:
    """Without a division: prefix times tail, with tail[k] = y_bar[k] + x[k + 1] tail[k + 1]."""
    n = x.shape[-1]
    if n == 0:
        return x
    tails = [y_bar[..., n - 1]]
    for k in reversed(range(n - 1)):
        tails.insert(0, y_bar[..., k] + x[..., k + 1] * tails[0])
    return np.stack([p * t for p, t in zip(prefixes(x), tails, strict=True)], axis=-1)


def cumprod_divided(y_bar: Array, x: Array) -> Array:
    return reverse_cumsum(y_bar * cumprod(x)) / x


def cumprod_zero_for_nan(y_bar: Array, x: Array) -> Array:
    """0/0 is replaced by 0, so the gradient of a zero factor is lost."""
    return np.where(x == 0, 0.0, reverse_cumsum(y_bar * cumprod(x)) / np.where(x == 0, 1.0, x))


def exclusive(x: Array) -> Array:
    """For each element, the product of the elements before it."""
    return np.concatenate([np.ones(1), np.cumprod(x[:-1])])


def exclusive_vjp(y_bar: Array, x: Array) -> Array:
    return np.concatenate([cumprod_vjp(y_bar[1:], x[:-1]), np.zeros(1)])


def exclusive_divided(y_bar: Array, x: Array) -> Array:
    after = reverse_cumsum(y_bar * exclusive(x))
    return np.concatenate([after[1:], np.zeros(1)]) / x


def empty_products(x: Array, shift: Array) -> Array:
    """The sum of cumulative products, which may be empty, plus a number, so that there is an element to compare."""
    return shift + np.sum(cumprod(x))


def empty_last_element(y_bar: Array, x: Array, shift: Array) -> tuple[Array, Array]:
    """Begins at the last element; an empty axis has none."""
    tail = np.broadcast_to(y_bar, x.shape)[..., -1]
    return (cumprod_vjp(np.broadcast_to(y_bar, x.shape), x) if tail.size else x), y_bar


# --- y = L x with L[i, j] = exp(a[j + 1] + ... + a[i]) for j <= i -----------------------------------------------------


def decays(a: Array, reach: Array) -> Array:
    """exp(A[i] - A[j]) for A the cumulative sum, where ``reach`` is true; 0 elsewhere."""
    total = np.cumsum(a)
    gap = total[:, np.newaxis] - total[np.newaxis, :]
    return np.where(reach, np.exp(np.where(reach, gap, 0.0)), 0.0)


def lower(n: int) -> Array:
    return np.tri(n, dtype=bool)


def to_the_end_of_the_block(n: int) -> Array:
    """Row i uses the columns up to the end of its block of BLOCK: the part beyond the diagonal is not set to zero."""
    i, j = np.arange(n)[:, np.newaxis], np.arange(n)
    return j < (i // BLOCK + 1) * BLOCK


def decayed(a: Array, x: Array) -> Array:
    return decays(a, lower(len(a))) @ x


def decayed_vjp(y_bar: Array, a: Array, x: Array, reach: Array) -> tuple[Array, Array]:
    """With P[i, j] = y_bar[i] L[i, j] x[j]: A receives row sums minus column sums, and a the sum of the later elements of that."""
    p = y_bar[:, np.newaxis] * decays(a, reach) * x[np.newaxis, :]
    return reverse_cumsum(np.sum(p, axis=1) - np.sum(p, axis=0)), np.transpose(
        decays(a, lower(len(a)))
    ) @ y_bar


def half_integers(rng: np.random.Generator, *shape: int) -> Array:
    return (rng.integers(1, 5, shape) / 2.0) * np.where(rng.random(shape) < 0.5, -1.0, 1.0)


MUTANTS = (
    Mutant(
        "bu-5141",
        "https://github.com/tracel-ai/burn/pull/5141",
        "cumprod",
        Kind.NAN,
        forward=cumprod,
        right=cumprod_vjp,
        wrong=cumprod_divided,
        inputs=lambda rng: [(np.array([2.0, 0.0, 3.0, 4.0]),), (half_integers(rng, 5),)],
    ),
    Mutant(
        "mlx-1167",
        "https://github.com/ml-explore/mlx/pull/1167",
        "cumprod along rows",
        Kind.NAN,
        forward=cumprod,
        right=cumprod_vjp,
        wrong=cumprod_divided,
        inputs=lambda rng: [(np.array([[1.0, 2.0, 3.0], [0.0, -2.0, 5.0]]),), (half_integers(rng, 2, 3),)],
    ),
    Mutant(
        "py-1911",
        "https://github.com/pymc-devs/pytensor/pull/1911",
        "cumprod, several zeros",
        Kind.NAN,
        forward=cumprod,
        right=cumprod_vjp,
        wrong=cumprod_divided,
        inputs=lambda rng: [(np.array([0.0, 3.0, 0.0, 2.0]),), (half_integers(rng, 4),)],
    ),
    Mutant(
        "tf-3862",
        "https://github.com/tensorflow/tensorflow/issues/3862",
        "cumprod, exclusive",
        Kind.NAN,
        forward=exclusive,
        right=exclusive_vjp,
        wrong=exclusive_divided,
        inputs=lambda rng: [(np.array([2.0, 0.0, 3.0, 4.0]),), (half_integers(rng, 4),)],
    ),
    Mutant(
        "tf-119430",
        "https://github.com/tensorflow/tensorflow/issues/119430",
        "cumprod",
        Kind.TIE,
        forward=cumprod,
        right=cumprod_vjp,
        wrong=cumprod_zero_for_nan,
        inputs=lambda rng: [
            (np.array([0.0, 2.0, 3.0]),),
            (np.array([2.0, 0.0, 0.0, 3.0]),),
            (half_integers(rng, 4),),
        ],
    ),
    Mutant(
        "pt-31782",
        "https://github.com/pytorch/pytorch/issues/31782",
        "cumprod of nothing",
        Kind.EMPTY,
        forward=empty_products,
        right=lambda y_bar, x, shift: (cumprod_vjp(np.broadcast_to(y_bar, x.shape), x), y_bar),
        wrong=empty_last_element,
        inputs=lambda rng: [(np.zeros((2, 0)), np.array(1.5)), (half_integers(rng, 2, 3), np.array(1.5))],
        way=Way.KERNEL,
        raises=IndexError,
    ),
    Mutant(
        "mb-537",
        "https://github.com/state-spaces/mamba/pull/537",
        "decays of a state-space model",
        Kind.FACTOR,
        forward=decayed,
        right=lambda y_bar, a, x: decayed_vjp(y_bar, a, x, lower(len(a))),
        wrong=lambda y_bar, a, x: decayed_vjp(y_bar, a, x, to_the_end_of_the_block(len(a))),
        inputs=lambda rng: [normal(rng, (6,), (6,)), normal(rng, (1,), (1,))],
    ),
)
