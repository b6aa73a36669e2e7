"""What a worker's arithmetic does that profiles state: how quotients, products with sums, and subnormal numbers are rounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.ulp.errors import errors, spacing
from benchmarks.ulp.functions import Array
from benchmarks.ulp.kernels import NoValueError, WorkerKernels
from benchmarks.ulp.points import held
from refgrad.bounds.formats import FORMATS, Format

_ROWS, _COLUMNS = 64, 256


class Finding(NamedTuple):
    """What was asked, the answer in words, and whether the profile denies it."""

    question: str
    answer: str
    denied: bool


def findings(kernels: WorkerKernels, dtype: str, seed: int = 0) -> Iterator[Finding]:
    """The arithmetic of a dtype, one question after the other; those whose ops the worker lacks are left out."""
    for ask in (_quotients, _sums_of_products, _subnormal_numbers):
        try:
            yield from ask(kernels, dtype, np.random.default_rng([seed, 0xD17]))
        except NoValueError as refused:
            yield Finding(ask.__name__.strip("_").replace("_", " "), f"not measured: {refused}", denied=False)


def _quotients(kernels: WorkerKernels, dtype: str, rng: np.random.Generator) -> Iterator[Finding]:
    """Divisors of several shapes: XLA and CUDA kernels multiply by the reciprocal of one that is broadcast."""
    fmt = FORMATS[dtype]
    x = held(rng.uniform(1, 2, (_ROWS, _COLUMNS)), fmt)
    shapes = {"an array": x.shape, "a row": (1, _COLUMNS), "a column": (_ROWS, 1), "a number": ()}
    for name, shape in shapes.items():
        worst = 0.0
        for _ in range(16):
            y = held(rng.uniform(1, 2, shape), fmt)
            (q,) = kernels.run([("divide", (0, 1), {})], dtype, (x, y))
            reference = x.astype(fmt.wide) / y.astype(fmt.wide)
            worst = max(worst, float(errors(q, reference, spacing(reference, fmt), fmt).max()))
        # float32's quotient is rounded again to a half format; a rounded reciprocal is off by a ULP of the accumulator at most.
        again = fmt.u_acc / fmt.u * (0.5 if fmt.u != fmt.u_acc else 0.0)
        by_reciprocal = (
            kernels.profile.fused
            or (kernels.profile.reciprocal and not shape)
            or (kernels.profile.broadcasting_reciprocal and shape != x.shape)
        )
        inverse = fmt.u if dtype in kernels.profile.stored_reciprocal else fmt.u_acc
        allowed = 0.5 + again + (inverse / fmt.u if by_reciprocal else 0.0)
        how = "correctly rounded" if worst <= 0.5 + again else "not correctly rounded"
        yield Finding(f"quotient by {name}", f"{worst:.4f} ULP, {how}", worst > allowed)


def _sums_of_products(kernels: WorkerKernels, dtype: str, rng: np.random.Generator) -> Iterator[Finding]:
    """x * y + z: whether the reported product is the one that is added."""
    fmt = FORMATS[dtype]
    x, y, z = (held(rng.uniform(1, 2, _ROWS * _COLUMNS), fmt) for _ in range(3))
    product, total = kernels.run([("multiply", (0, 1), {}), ("add", (3, 2), {})], dtype, (x, y, -z))
    due = held(product.astype(fmt.wide) - z.astype(fmt.wide), fmt)
    apart = int(np.count_nonzero(total != due))
    answer = (
        f"the sum is not that of the reported product in {apart} of {x.size} elements"
        if apart
        else "not fused"
    )
    yield Finding("x * y - z", answer, bool(apart) and not kernels.profile.fused)


def _subnormal_numbers(kernels: WorkerKernels, dtype: str, rng: np.random.Generator) -> Iterator[Finding]:
    """Whether subnormal results, and subnormal operands, are taken as zero."""
    fmt = FORMATS[dtype]
    tiny = held(rng.uniform(1, 2, _COLUMNS) * fmt.least_normal, fmt)
    quarter = held(np.full(_COLUMNS, 0.25), fmt)
    results = kernels.run([("multiply", (0, 1), {})], dtype, (tiny, quarter))[0]
    operands = kernels.run(
        [("multiply", (0, 1), {})], dtype, (_quartered(tiny, fmt), held(np.full(_COLUMNS, 64.0), fmt))
    )[0]
    for what, y in (("results", results), ("operands", operands)):
        lost = int(np.count_nonzero(y == 0))
        answer = f"{lost} of {y.size} are taken as zero" if lost else "kept"
        yield Finding(f"subnormal {what}", answer, bool(lost) and dtype not in kernels.profile.flushing)


def _quartered(x: Array, fmt: Format) -> Array:
    return held(x.astype(fmt.wide) / 4, fmt)
