"""Matrix products: vector, matrix, batched and broadcast; dimensions of size 1 and 0; wide ones; chains and transposes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.graph import Graph
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source

from .arrays import EXACT, finish, numbers, style_of_case
from .wide import SHARE, with_special_values

SIZES = (2, 1, 3, 5, 16, 4, 9)
_EMPTY = 24  # one case in so many has a size of 0: it shows that shapes are right, and no number
WIDE_SIZES = (64, 255, 128, 33, 65, 200)
BATCHES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((2,), (2,)),
    ((2,), ()),
    ((), (3,)),
    ((2, 1), (3,)),
    ((1,), (2,)),
    ((0,), ()),
)

# Each form: the program, and its operands' shapes for sizes n, k, m.
Form = tuple[Callable[..., PlainArray], Callable[[int, int, int], tuple[tuple[int, ...], ...]]]
FORMS: dict[str, Form] = {
    "matrix matrix": (lambda a, b: a @ b, lambda n, k, m: ((n, k), (k, m))),
    "vector vector": (lambda a, b: a @ b, lambda n, k, m: ((k,), (k,))),
    "vector matrix": (lambda a, b: a @ b, lambda n, k, m: ((k,), (k, m))),
    "matrix vector": (lambda a, b: a @ b, lambda n, k, m: ((n, k), (k,))),
    "transposed": (lambda a, b: a.T @ b.T, lambda n, k, m: ((k, n), (m, k))),
    "affine": (lambda a, b, c: a @ b + c, lambda n, k, m: ((n, k), (k, m), (m,))),
    "chain": (lambda a, b, c: (a @ b) @ c, lambda n, k, m: ((n, k), (k, m), (m, n))),
    "gram": (lambda a: a.T @ a, lambda n, k, m: ((n, k),)),
    "outer": (np.outer, lambda n, k, m: ((n,), (m,))),
    "einsum": (lambda a, b: np.einsum("ij,jk->ki", a, b), lambda n, k, m: ((n, k), (k, m))),
    "tensordot": (lambda a, b: np.tensordot(a, b, axes=1), lambda n, k, m: ((n, k), (k, m))),
}


def matmul(source: Source, dtype: str, exact: bool | None = None) -> Case:
    """A product of two or three factors; batched ones broadcast their batch dimensions.

    With ``exact`` the case is on a grid; by default a share is (arrays.py).
    """
    exact = style_of_case(source, exact, dtype)
    form = source.choice((*FORMS, "batched"))
    sizes = [source.choice(SIZES), source.choice(SIZES), source.choice(SIZES)]
    if source.integer(0, _EMPTY - 1) == _EMPTY - 1:
        sizes[source.integer(0, 2)] = 0
    wide = source.integer(0, SHARE // 2 - 1) == SHARE // 2 - 1
    if wide and form != "batched":
        sizes[source.integer(0, 2)] = source.choice(WIDE_SIZES)
    style = EXACT if exact else source.choice(("normal", "ties", "small"))
    program, shapes_of = FORMS["matrix matrix" if form == "batched" else form]
    shapes = shapes_of(*sizes)
    if form == "batched":
        shapes = tuple((*batch, *shape) for batch, shape in zip(source.choice(BATCHES), shapes, strict=True))
    inputs = {"abc"[k]: numbers(source, shape, dtype, style) for k, shape in enumerate(shapes)}
    if wide and not exact:
        inputs = {k: with_special_values(source, x, dtype, 4.0) for k, x in inputs.items()}
    return finish(source, "matmul", Graph.record(program, *inputs.values()), inputs, dtype, exact=exact)
