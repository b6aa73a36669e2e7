"""D3: vectors and matrices, differentiated without ever forming a Jacobian."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np
import torch

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.tracing.ball import exact

from .large import Limits
from .networks import relu, step
from .outcome import CLOSED, FORWARD, REVERSE, TORCH, Outcome
from .record import Array, Item, Problem, lifted, spread

VECTOR, ABOVE = np.array([1.0, -2.0, 3.0, -1.0]), np.array([4.0, -1.0, 5.0, 9.0])

X = np.array([[2.0, 1.0, -3.0], [-3.0, 4.0, 2.0]])
W = np.array([[3.0, 2.0, 1.0, -1.0], [2.0, 1.0, 3.0, 2.0], [3.0, 2.0, 1.0, -2.0]])
UP = np.array([[2.0, 3.0, -3.0, 9.0], [-8.0, 1.0, 4.0, 6.0]])
PRINTED = [[13, 9, -2, -6], [5, 2, 17, 1]]  # as in the deck: six entries are wrong
TRUE = [[-1, -1, 2, 6], [5, 2, 11, 7]]

N, SIDE, BLOCK = 64, 4096, 256
SAMPLED = 5  # of an ordinary run, the first of so many blocks is judged; a full run judges all
GIB = 2**30
MIB = 2**20


def product(x: Array, w: Array) -> Array:
    """y = x w."""
    return x @ w


def product_closed(up: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """dL/dx = dL/dy w^T, dL/dw = x^T dL/dy."""
    return up @ np.transpose(w), np.transpose(x) @ up


def relu_of_the_lecture(outcome: Outcome) -> None:
    """The gradient that the lecture prints, and that no array of the Jacobian's size was made on the way."""
    x, up = lifted((VECTOR, ABOVE), "float64")
    outcome.prints("relu of [1, -2, 3, -1]", [1, 0, 3, 0], relu(x))
    outcome.prints("gradient", [4, 0, 5, 0], rg.vjp(relu, x)[1](up)[0])
    graph = rg.Graph.record(lambda x, up: rg.vjp(relu, x)[1](up)[0], VECTOR, ABOVE)
    largest = max(np.size(v) for v in graph.run(VECTOR, ABOVE) if v is not None)
    outcome.state(
        largest == VECTOR.size, f"an array of {largest} elements was formed for a vector of {VECTOR.size}"
    )


def misprint(outcome: Outcome) -> None:
    """The product as it is, and as the lecture prints it."""
    y = product(*lifted((X, W), "float64"))
    outcome.prints("x w", TRUE, y)
    outcome.prints("x w as the lecture has it", PRINTED, y, misprints=6)


# --- a Jacobian that nobody could store ----------------------------------------------------------------------------------


def large(outcome: Outcome) -> None:
    """y = x w with 64 rows and 4096 columns in float32: dL/dx, dL/dw and a tangent, with the memory that it took."""
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(shape, np.float32) for shape in ((N, SIDE), (SIDE, SIDE)))
    up = rng.standard_normal((N, SIDE), np.float32)
    jacobian = (N * SIDE) * (N * SIDE) * x.itemsize
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before, start = tracemalloc.get_traced_memory()[0], time.perf_counter()
    d_x, d_w = rg.vjp(product, x, w)[1](up)
    seconds, used = time.perf_counter() - start, tracemalloc.get_traced_memory()[1] - before
    if not tracing:
        tracemalloc.stop()
    arrays = 3 * up.nbytes + 2 * w.nbytes  # y, its gradient and dL/dx; dL/dw, and a copy of a matrix at most
    outcome.state(
        used <= arrays, f"{used} bytes were used, more than the {arrays} of the arrays involved", "float32"
    )
    outcome.table(
        f"y = x w, x of shape ({N}, {SIDE}), w of shape ({SIDE}, {SIDE}), float32", ("what", "memory"),
        [
            ("the Jacobian dy/dx, if it were formed", f"{jacobian / GIB:.0f} GiB"),
            ("x, w, upstream gradient", f"{(x.nbytes + w.nbytes + up.nbytes) / MIB:.0f} MiB"),
        ],
    )  # fmt: skip
    outcome.measure("memory that reverse mode used at most", f"{used / MIB:.0f} MiB")
    outcome.measure("time that it took", f"{seconds:.2f} s")
    tensors = [torch.from_numpy(a) for a in (x, w)]
    for t in tensors:
        t.requires_grad_()
    found = torch.autograd.grad(tensors[0] @ tensors[1], tensors, torch.from_numpy(up))
    ways = {REVERSE: (d_x, d_w), CLOSED: product_closed(up, x, w), TORCH: tuple(g.numpy() for g in found)}
    _, y_dot = rg.jvp(product, (x, w), (up, np.ones_like(w)))
    _in_blocks(outcome, (x, w, up), ways, y_dot)


def _in_blocks(
    outcome: Outcome, arrays: tuple[Array, Array, Array], ways: dict[str, Any], tangent: Array
) -> None:
    """Compare a block of columns at a time, so that the bounds, which take double precision, need no more memory than the run.

    An ordinary run compares one in SAMPLED blocks, the first and the last among them.

    dL/dx = sum over blocks of up[:, block] w[:, block]^T would round in another order; it is judged in blocks of its own columns.
    """
    fmt, (x, w, up) = FORMATS["float32"], arrays
    for start in range(0, SIDE, BLOCK if outcome.full else SAMPLED * BLOCK):
        part = slice(start, start + BLOCK)
        block = exact(w[:, part], fmt)
        _, pullback = rg.vjp(lambda b: product(exact(x, fmt), b), block)
        d_w = pullback(exact(up[:, part], fmt))[0]
        d_x = exact(up, fmt) @ np.transpose(exact(w[part], fmt))
        y_dot = rg.jvp(product, (exact(x, fmt), block), (exact(up, fmt), exact(np.ones(block.shape), fmt)))[1]
        forward, *gradients = (Limits(ball, fmt) for ball in (y_dot, d_x, d_w))
        outcome.brief(FORWARD, f"{FORWARD}: tangent, columns from {start}", tangent[:, part], forward)
        for way, got in ways.items():
            for name, array, limits in zip(("dL/dx", "dL/dw"), got, gradients, strict=True):
                outcome.brief(way, f"{way}: {name}, columns from {start}", array[:, part], limits)


ITEMS = (
    Item(
        "D3-relu-vector", "ReLU of a vector without its Jacobian",
        "dL/dx = dL/dy where x > 0, else 0: [4, -1, 5, 9] at [1, -2, 3, -1] gives [4, 0, 5, 0]",
        (Problem(relu, (VECTOR,), lambda up, x: up * step(x), torch.relu, upstream=ABOVE),), relu_of_the_lecture,
    ),
    Item(
        "D3-matrix-product", "Product of two matrices", "y = x w: dL/dx = dL/dy wᵀ, dL/dw = xᵀ dL/dy",
        (Problem(product, (X, W), product_closed, torch.matmul, upstream=UP),), misprint,
    ),
    Item(
        "D3-implicit-jacobian", "A Jacobian of 256 GB that is never formed",
        "y = x w with N = 64, D = M = 4096: dL/dx = dL/dy wᵀ and dL/dw = xᵀ dL/dy need the size of x and w",
        (Problem(product, (spread((2, 3), 1), spread((3, 3), 2)), product_closed, torch.matmul, upstream=UP[:, :3]),), large, ("float32",),
    ),
)  # fmt: skip
