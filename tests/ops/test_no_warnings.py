"""No floating-point warning comes from a rule, wherever its op is differentiated; nor from a value that refgrad has a formula for.

Infinite and undefined derivatives are answers. A function of NumPy may warn of its value, in NumPy's own words.
"""

from __future__ import annotations

import itertools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import refgrad as rg
from refgrad.bounds.formats import FORMATS
from refgrad.errors import NoRuleError
from refgrad.op import REGISTRY, Op
from refgrad.tracing.ball import exact
from tests.ops.elementwise_draws import OPS

Array = Any
EDGES = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300, 800.0, -800.0, 6e4)
DTYPES = ("float16", "float32", "float64")
ONE = np.ones(())
# No such matrix, no such format there, or a matrix with complex eigenvalues.
REFUSALS = (np.linalg.LinAlgError, ValueError, TypeError, NoRuleError)


def points(op: Op, dtype: str) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Special points, elements of EDGES among others, and, for elementwise ops, EDGES alone."""
    for special in op.special:
        yield special.at, dict(special.params)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        operands, params = op.domain.sample(rng, len(op.signature.operands))
        operands = tuple(np.array(x) for x in operands)
        for x in operands:
            if x.dtype.kind == "f" and x.size:
                x.flat[rng.integers(x.size)] = rng.choice(EDGES)
        yield operands, params
    if op in OPS and op.domain.sampler is None:
        yield from ((at, {}) for at in edges(op, dtype))


def edges(op: Op, dtype: str) -> Iterator[tuple[Array, ...]]:
    """EDGES in all combinations, as arrays: one for all points of whose value NumPy says the same."""
    together = defaultdict(list)
    for at in itertools.product(EDGES, repeat=len(op.signature.operands)):
        xs = [stored(x, dtype) for x in at]
        together[frozenset(said(lambda xs=xs: op(*xs)))].append(at)
    yield from (tuple(np.array(alike).T) for alike in together.values())


def stored(x: Any, dtype: str) -> Array:
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        return x.astype(dtype) if x.dtype.kind == "f" else x


def said(run: Callable[[], object]) -> set[str]:
    """What NumPy says while something runs. A matrix that an op refuses, it refuses before."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run()
        except REFUSALS:
            return set()
    return {str(w.message).replace("scalar ", "") for w in caught}


def program(op: Op, xs: tuple[Array, ...], params: dict[str, Any]) -> tuple[Callable[..., Any], list[Array]]:
    """The op as a function of its real operands, and these."""
    real = [k for k, x in enumerate(xs) if x.dtype.kind == "f"]

    def f(*zs: Any) -> Any:
        full = list(xs)
        for k, z in zip(real, zs, strict=True):
            full[k] = z
        return op(*full, **params)

    return f, [xs[k] for k in real]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "op", [op for op in REGISTRY.values() if op.signature.differentiable], ids=lambda op: op.name
)
def test_derivatives_are_taken_in_silence(op: Op, dtype: str) -> None:
    met = 0
    for at, params in points(op, dtype):
        f, xs = program(op, tuple(stored(x, dtype) for x in at), params)
        own = said(lambda f=f, xs=xs: f(*xs))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                y, pullback = rg.vjp(f, *xs)
        except REFUSALS:  # no such matrix, or no such format there
            continue
        met += 1
        ones = [np.ones_like(x) for x in xs]
        for seed in (1.0, np.inf):
            assert said(lambda y=y, pullback=pullback, seed=seed: pullback(np.full_like(y, seed))) == set(), (
                at,
                params,
            )
        assert said(lambda f=f, xs=xs, ones=ones: rg.jvp(f, tuple(xs), tuple(ones))) <= own, (at, params)
    assert met


@pytest.mark.parametrize(
    "op", [op for op in OPS if not op.numpy and op.signature.differentiable], ids=lambda op: op.name
)
def test_a_formula_of_refgrad_s_own_is_silent(op: Op) -> None:
    for dtype in DTYPES:
        for at, params in points(op, dtype):
            xs = tuple(stored(x, dtype) for x in at)
            assert said(lambda xs=xs, params=params: op(*xs, **params)) == set(), (at, dtype)


@pytest.mark.parametrize(
    "op", [op for op in OPS if op.signature.differentiable and op.domain.smooth], ids=lambda op: op.name
)
def test_second_derivatives_are_silent_too(op: Op) -> None:
    for special in op.special:
        f, xs = program(op, tuple(np.asarray(x, float) for x in special.at), dict(special.params))
        own = said(lambda f=f, xs=xs: f(*xs))

        def gradient(*zs: Any, f: Callable[..., Any] = f) -> Any:
            return rg.vjp(f, *zs)[1](ONE)

        ones = tuple(np.ones_like(x) for x in xs)
        assert said(lambda gradient=gradient, xs=xs, ones=ones: rg.jvp(gradient, tuple(xs), ones)) <= own, (
            special
        )


@pytest.mark.parametrize(
    "op", [op for op in REGISTRY.values() if op.signature.differentiable], ids=lambda op: op.name
)
def test_bounds_are_silent(op: Op) -> None:
    fmt = FORMATS["float32"]
    for at, params in points(op, "float32"):
        f, xs = program(op, tuple(stored(x, "float32") for x in at), params)
        own = said(lambda f=f, xs=xs: f(*xs))
        balls = [exact(x, fmt) for x in xs]

        def both(f: Callable[..., Any] = f, balls: list[Any] = balls) -> None:
            y, pullback = rg.vjp(f, *balls)
            pullback(exact(np.ones(y.shape), fmt))

        assert said(both) <= own, (at, params)


def test_a_graph_goes_back_in_silence() -> None:
    x = np.array([0.0, -1.0, np.inf])
    graph = rg.Graph.record(lambda x: np.sum(np.sqrt(x) + np.log(x)), x)
    with np.errstate(all="ignore"):
        graph.forward(x)
    assert said(graph.backward) == set()
    assert np.isposinf(graph.backward()["x"][0])


def test_what_numpy_itself_says_of_values_is_heard() -> None:
    for run in (lambda: rg.grad(np.log)(0.0), lambda: rg.jvp(np.log, (0.0,), (1.0,))):
        assert said(run) == {"divide by zero encountered in log"}
