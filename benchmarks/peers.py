"""The tools of the table as columns: how each is asked for a value with its gradient, a JVP, an HVP or a Jacobian of a program.

A program takes the tool's module of NumPy functions and its arrays. A tool that is not installed gives no column, and is reported as
missing.
"""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import refgrad as rg
from benchmarks import floor, floor_forward

__all__ = ["COLUMNS", "gradients", "jacobians", "jvps", "missing", "pairs", "products", "versions"]

Array = Any
Program = Callable[..., Any]
Calls = dict[str, Callable[[], object]]
HAND, TAPE, TORCH, HIPS, JAX, OURS = "hand", "tape", "torch eager", "HIPS autograd", "JAX jit", "refgrad"
COLUMNS = (HAND, TAPE, TORCH, HIPS, JAX, OURS)
_PACKAGES = {TORCH: "torch", HIPS: "autograd", JAX: "jax"}


ONLY = os.environ.get("REFGRAD_BENCHMARK_COLUMN")  # the one peer that a process of its own loads


def _module(column: str) -> Any:
    if ONLY is not None and column != ONLY:
        return None
    try:
        return importlib.import_module(_PACKAGES[column])
    except ImportError:
        return None


torch, autograd, jax = _module(TORCH), _module(HIPS), _module(JAX)
anp = importlib.import_module("autograd.numpy") if autograd else None
if torch:
    torch.set_num_threads(1)
if jax:
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")


def missing() -> list[str]:
    """The columns whose tools are not installed."""
    return [c for c, module in ((TORCH, torch), (HIPS, autograd), (JAX, jax)) if module is None]


def versions() -> str:
    names = ["numpy", *[_PACKAGES[c] for c in (TORCH, HIPS, JAX) if c not in missing()]]
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _tensors(xs: Sequence[Array]) -> list[Any]:
    return [torch.tensor(x, requires_grad=True) for x in xs]


def _all(xs: Sequence[Array]) -> tuple[int, ...]:
    return tuple(range(len(xs)))


def _ready(call: Any, *args: Any) -> Callable[[], object]:
    """A call of a compiled function that waits for its result; compiled here."""
    jax.block_until_ready(call(*args))
    return lambda: jax.block_until_ready(call(*args))


def gradients(program: Program, by_hand: Program, xs: Sequence[Array], *, compiled: bool = True) -> Calls:
    """Value and gradient in all arrays ``xs`` of ``program(module, *xs)``. ``compiled`` says whether JAX takes part."""
    calls: Calls = {
        HAND: lambda: by_hand(*xs),
        TAPE: lambda: floor.value_and_grad(lambda *xs: program(np, *xs), *xs),
        OURS: lambda: rg.value_and_grad(lambda *xs: program(np, *xs), _all(xs))(*xs),
    }
    if torch:
        ts = _tensors(xs)
        calls[TORCH] = lambda: torch.autograd.grad(program(torch, *ts), ts)
    if autograd:
        hips = autograd.value_and_grad(lambda *xs: program(anp, *xs), _all(xs))
        calls[HIPS] = lambda: hips(*xs)
    if jax and compiled:
        js = [jax.numpy.asarray(x) for x in xs]
        calls[JAX] = _ready(jax.jit(jax.value_and_grad(lambda *xs: program(jax.numpy, *xs), _all(xs))), *js)
    return calls


def jvps(
    program: Program, by_hand: Program, xs: Sequence[Array], xs_dot: Sequence[Array], *, compiled: bool = True
) -> Calls:
    """Value and derivative along ``xs_dot``; ``compiled`` as in ``gradients``."""

    def f(*xs: Array) -> Array:
        return program(np, *xs)

    calls: Calls = {
        HAND: lambda: by_hand(*xs, *xs_dot),
        TAPE: lambda: floor_forward.jvp(f, tuple(xs), tuple(xs_dot)),
        OURS: lambda: rg.jvp(f, tuple(xs), tuple(xs_dot)),
    }
    if torch:
        ts, ts_dot = [tuple(torch.tensor(x) for x in some) for some in (xs, xs_dot)]
        calls[TORCH] = lambda: torch.func.jvp(lambda *xs: program(torch, *xs), ts, ts_dot)
    if autograd:
        packed = autograd.builtins.tuple
        hips = autograd.make_jvp(lambda xs: program(anp, *xs))
        calls[HIPS] = lambda: hips(packed(tuple(xs)))(packed(tuple(xs_dot)))
    if jax and compiled:
        js, js_dot = [tuple(jax.numpy.asarray(x) for x in some) for some in (xs, xs_dot)]
        calls[JAX] = _ready(
            jax.jit(lambda p, d: jax.jvp(lambda *xs: program(jax.numpy, *xs), p, d)), js, js_dot
        )
    return calls


def products(program: Program, by_hand: Program, xs: Sequence[Array], xs_dot: Sequence[Array]) -> Calls:
    """The Hessian times ``xs_dot``."""

    def f(*xs: Array) -> Array:
        return program(np, *xs)

    calls: Calls = {
        HAND: lambda: by_hand(*xs, *xs_dot),
        TAPE: lambda: floor_forward.hvp(f, tuple(xs), tuple(xs_dot)),
        OURS: lambda: rg.hvp(f, tuple(xs), tuple(xs_dot)),
    }
    if torch:
        ts, ts_dot = _tensors(xs), [torch.tensor(x) for x in xs_dot]

        def twice() -> object:
            first = torch.autograd.grad(program(torch, *ts), ts, create_graph=True)
            return torch.autograd.grad(first, ts, ts_dot)

        calls[TORCH] = twice
    if autograd:
        packed = autograd.builtins.tuple
        hips = autograd.make_jvp(autograd.grad(lambda xs: program(anp, *xs)))
        calls[HIPS] = lambda: hips(packed(tuple(xs)))(packed(tuple(xs_dot)))
    if jax:
        js, js_dot = [tuple(jax.numpy.asarray(x) for x in some) for some in (xs, xs_dot)]

        def forward_over_reverse(p: Any, d: Any) -> Any:
            return jax.jvp(jax.grad(lambda *xs: program(jax.numpy, *xs), _all(xs)), p, d)[1]

        calls[JAX] = _ready(jax.jit(forward_over_reverse), js, js_dot)
    return calls


def jacobians(program: Program, by_hand: Program, x: Array) -> Calls:
    """The whole Jacobian: of refgrad in both modes, of HIPS autograd by its ``jacobian``, of the others in forward mode."""

    def f(x: Array) -> Array:
        return program(np, x)

    calls: Calls = {
        HAND: lambda: by_hand(x),
        TAPE: lambda: floor_forward.jacobian(f, x),
        OURS: lambda: rg.jacfwd(f)(x),
        f"{OURS} reverse": lambda: rg.jacrev(f)(x),
    }
    if torch:
        t = torch.tensor(x)
        calls[TORCH] = lambda: torch.func.jacfwd(lambda x: program(torch, x))(t)
    if autograd:
        hips = autograd.jacobian(lambda x: program(anp, x))
        calls[HIPS] = lambda: hips(x)
    if jax:
        calls[JAX] = _ready(jax.jit(jax.jacfwd(lambda x: program(jax.numpy, x))), jax.numpy.asarray(x))
    return calls
