"""Mutants of linear algebra: singular matrices, repeated singular values, diagonals, distances."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array, PlainArray

from .record import Kind, Mutant, Way, normal

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


# --- determinants: the derivative is the matrix of cofactors, which exists for every matrix ---------------------------


def cofactors(x: Array) -> Array:
    if len(x) == 1:
        return np.ones_like(x)
    if len(x) == 2:
        return np.array([[x[1, 1], -x[1, 0]], [-x[0, 1], x[0, 0]]], x.dtype)
    return np.stack([np.cross(x[1], x[2]), np.cross(x[2], x[0]), np.cross(x[0], x[1])])


def det_vjp(y_bar: Array, x: Array) -> Array:
    return y_bar * cofactors(x)


def det_inverse(y_bar: Array, x: Array) -> Array:
    return y_bar * np.linalg.det(x) * np.linalg.inv(x).T


def det_eliminated(y_bar: Array, x: Array) -> Array:
    """Solves x^T z = det(x) by elimination, without a test of the pivots."""
    n = len(x)
    rows = np.concatenate(
        [x.T, y_bar * (x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0]) * np.eye(n, dtype=x.dtype)], axis=1
    )
    for k in range(n):
        rows[k] = rows[k] / rows[k, k]
        for i in range(n):
            if i != k:
                rows[i] = rows[i] - rows[i, k] * rows[k]
    return rows[:, n:]


def small_integers(rng: np.random.Generator, n: int) -> tuple[Array, ...]:
    """A matrix of integers with a determinant other than 0. Its cofactors are exact, and the rounding error of its inverse is small."""
    x = rng.integers(-3, 4, (n, n)).astype(float)
    return (x + 8 * np.eye(n),)


# --- the sum of squares of singular values, a function that repeated ones do not disturb ------------------------------


def squares_vjp(y_bar: Array, x: Array) -> Array:
    u, s, vt = np.linalg.svd(x)
    return (u * (2 * y_bar * s)) @ vt


def squares_by_vectors(y_bar: Array, x: Array) -> Array:
    """The full rule, with the term of the singular vectors: their cotangents, which are 0, divided by s_j^2 - s_i^2."""
    u, s, vt = np.linalg.svd(x)
    gaps = np.square(s)[np.newaxis, :] - np.square(s)[:, np.newaxis] + np.eye(len(s), dtype=x.dtype)
    turn = np.zeros_like(x) / gaps
    return u @ (np.diag(2 * y_bar * s) + turn * s + s[:, np.newaxis] * turn) @ vt


def diagonals(rng: np.random.Generator) -> list[tuple[Array, ...]]:
    """Diagonal up to a permutation, so that the singular vectors are exact."""
    return [(np.diag([1.0, 1.0, 2.0]),), (np.diag([3.0, 1.0, 2.0]),), (np.diag([1.5, -4.0])[::-1].copy(),)]


# --- distances between rows -------------------------------------------------------------------------------------------


def gaps(x: Array, y: Array) -> Array:
    return x[:, np.newaxis, :] - y[np.newaxis, :, :]


def half_distance(x: Array, y: Array) -> Array:
    """The distance of order 1/2. Equal coordinates contribute slope 0, by convention."""
    same = gaps(x, y) == 0
    return np.square(np.sum(np.where(same, 0.0, np.sqrt(np.where(same, 1.0, np.abs(gaps(x, y))))), axis=-1))


def half_distance_vjp(y_bar: Array, x: Array, y: Array) -> tuple[Array, Array]:
    same = gaps(x, y) == 0
    size = np.sqrt(np.where(same, 1.0, np.abs(gaps(x, y))))
    total = np.sum(np.where(same, 0.0, size), axis=-1)
    part = (y_bar * total)[..., np.newaxis] * np.where(same, 0.0, np.sign(gaps(x, y)) / size)
    return np.sum(part, axis=1), -np.sum(part, axis=0)


def half_distance_unguarded(y_bar: Array, x: Array, y: Array) -> tuple[Array, Array]:
    d = gaps(x, y)
    total = np.sum(np.sqrt(np.abs(d)), axis=-1)
    part = (y_bar * total)[..., np.newaxis] * (np.sign(d) * np.power(np.abs(d), -0.5))
    return np.sum(part, axis=1), -np.sum(part, axis=0)


def distance_in_one_dimension(x: Array, y: Array) -> Array:
    return np.sum(np.abs(gaps(x, y)))


def expanded_gradient(y_bar: Array, x: Array, y: Array, incoming: Array) -> tuple[Array, Array]:
    part = incoming[..., np.newaxis] * np.sign(gaps(x, y))
    return np.sum(part, axis=1), -np.sum(part, axis=0)


def one_number_and_what_follows(y_bar: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of a sum is one number with strides of 0. With strides of 1, its neighbours in memory are read, too: here 0."""
    memory = np.zeros(shape, y_bar.dtype)
    memory.flat[0] = y_bar
    return memory


def distance(x: Array, y: Array) -> Array:
    return np.sqrt(np.sum(np.square(gaps(x, y)), axis=-1))


def distance_vjp(y_bar: Array, x: Array, y: Array) -> tuple[Array, Array]:
    part = (y_bar / distance(x, y))[..., np.newaxis] * gaps(x, y)
    return np.sum(part, axis=1), -np.sum(part, axis=0)


def view_of_wider(x: Array) -> PlainArray:
    """x as the first of two layers of a wider array."""
    return np.stack([x, x + 1], axis=1)[:, 0, :]


def first_of_memory(view: PlainArray) -> PlainArray:
    """Consecutive elements of memory from the beginning of the view, as many as the view has."""
    assert view.base is not None
    return view.base.ravel()[: view.size].reshape(view.shape)


MUTANTS = (
    Mutant(
        "hips-549",
        "https://github.com/HIPS/autograd/issues/549",
        "linalg.det",
        Kind.TIE,
        forward=np.linalg.det,
        right=det_vjp,
        wrong=det_inverse,
        inputs=lambda rng: [(SINGULAR,), small_integers(rng, 2)],
        way=Way.KERNEL,
        raises=np.linalg.LinAlgError,
    ),
    Mutant(
        "jax-2380",
        "https://github.com/jax-ml/jax/issues/2380",
        "linalg.det",
        Kind.TIE,
        forward=np.linalg.det,
        right=det_vjp,
        wrong=det_eliminated,
        inputs=lambda rng: [(SINGULAR,), small_integers(rng, 2)],
        way=Way.KERNEL,
    ),
    Mutant(
        "tf-119477",
        "https://github.com/tensorflow/tensorflow/issues/119477",
        "linalg.det",
        Kind.TIE,
        forward=np.linalg.det,
        right=det_vjp,
        wrong=det_inverse,
        inputs=lambda rng: [
            (np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 3.0]]),),
            small_integers(rng, 3),
        ],
        way=Way.KERNEL,
        raises=np.linalg.LinAlgError,
    ),
    Mutant(
        "pt-80761",
        "https://github.com/pytorch/pytorch/issues/80761",
        "linalg.det of one element",
        Kind.TIE,
        forward=np.linalg.det,
        right=det_vjp,
        wrong=lambda y_bar, x: y_bar * np.where(x == 0, 0, 1).astype(x.dtype),
        inputs=lambda rng: [(np.zeros((1, 1)),), normal(rng, (1, 1))],
        way=Way.KERNEL,
    ),
    Mutant(
        "jax-8732",
        "https://github.com/jax-ml/jax/issues/8732",
        "svd",
        Kind.NAN,
        forward=lambda x: np.sum(x * x),
        right=squares_vjp,
        wrong=squares_by_vectors,
        inputs=diagonals,
        way=Way.KERNEL,
        note="a function of all singular values alike is smooth where they meet: the sum of their squares is the sum of x^2",
    ),
    Mutant(
        "hips-25c1b84",
        "https://github.com/HIPS/autograd/commit/25c1b84",
        "trace",
        Kind.DROPPED,
        forward=lambda x: np.trace(x, offset=1),
        right=lambda y_bar, x: y_bar * np.eye(x.shape[0], x.shape[1], k=1),
        wrong=lambda y_bar, x: y_bar * np.eye(x.shape[0]),
        inputs=lambda rng: [normal(rng, (2, 3)), normal(rng, (3, 3))],
    ),
    Mutant(
        "pt-36493",
        "https://github.com/pytorch/pytorch/issues/36493",
        "cdist of order 1/2",
        Kind.NAN,
        forward=half_distance,
        right=half_distance_vjp,
        wrong=half_distance_unguarded,
        inputs=lambda rng: [
            (np.array([[1.0, 2.0]]), np.array([[1.0, 3.0], [2.0, 4.0]])),
            normal(rng, (2, 3), (3, 3)),
        ],
    ),
    Mutant(
        "pt-26076",
        "https://github.com/pytorch/pytorch/issues/26076",
        "cdist, one row",
        Kind.STRIDE,
        forward=distance_in_one_dimension,
        right=lambda y_bar, x, y: expanded_gradient(y_bar, x, y, np.broadcast_to(y_bar, (len(x), len(y)))),
        wrong=lambda y_bar, x, y: expanded_gradient(
            y_bar, x, y, one_number_and_what_follows(y_bar, (len(x), len(y)))
        ),
        inputs=lambda rng: [normal(rng, (1, 1), (2, 1)), normal(rng, (1, 1), (1, 1))],
        way=Way.KERNEL,
    ),
    Mutant(
        "pt-69997",
        "https://github.com/pytorch/pytorch/issues/69997",
        "cdist of views",
        Kind.STRIDE,
        forward=distance,
        right=lambda y_bar, x, y: distance_vjp(y_bar, view_of_wider(x), y),
        wrong=lambda y_bar, x, y: distance_vjp(y_bar, first_of_memory(view_of_wider(x)), y),
        inputs=lambda rng: [normal(rng, (3, 2), (2, 2)), normal(rng, (1, 2), (3, 2))],
        way=Way.KERNEL,
    ),
)
