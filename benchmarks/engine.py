"""What a gradient costs: against the gradient written out by hand, HIPS autograd and torch."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import refgrad as rg
from benchmarks.pairs import interleaved, show

Array = Any


def chain(np_: Any, x: Array, ops: int = 1000) -> Array:
    """ops operations in a row: sine, product, hyperbolic tangent, sum, in turn."""
    y = x
    for _ in range(ops // 4):
        y = np_.sin(y)
        y = y * x
        y = np_.tanh(y)
        y = y + 0.5
    return np_.sum(y)


def chain_by_hand(x: Array, ops: int = 1000) -> Array:
    """Value and gradient of the chain, as one would write them out, keeping what the rules need: three arrays in four ops."""
    y, kept = x, []
    for _ in range(ops // 4):
        s = np.sin(y)
        t = np.tanh(s * x)
        kept.append((y, s, t))
        y = t + 0.5
    y_bar, x_bar = np.ones_like(y), np.zeros_like(x)
    for y, s, t in reversed(kept):
        y_bar = y_bar * (1 - t * t)
        x_bar += y_bar * s
        y_bar = y_bar * x
        y_bar = y_bar * np.cos(y)
    return x_bar + y_bar


def run_chain(n: int, rounds: int) -> None:
    """The chain against the peers that are installed."""
    x = np.linspace(0.1, 0.9, n)
    contestants: dict[str, Callable[[], object]] = {
        "by hand": lambda: chain_by_hand(x),
        "refgrad": lambda: rg.value_and_grad(lambda x: chain(np, x))(x),
    }
    try:
        import autograd
        import autograd.numpy as anp

        hips = autograd.value_and_grad(lambda x: chain(anp, x))
        contestants["HIPS autograd"] = lambda: hips(x)
    except ImportError:
        print("HIPS autograd is not installed: not compared")
    try:
        import torch

        torch.set_num_threads(1)

        def eager() -> object:
            t = torch.tensor(x, requires_grad=True)
            return torch.autograd.grad(chain(torch, t), t)

        contestants["torch eager"] = eager
    except ImportError:
        print("torch is not installed: not compared")
    base = "HIPS autograd" if "HIPS autograd" in contestants else "by hand"
    times = interleaved(contestants, rounds)
    show(f"chain of 1,000 ops on {n} numbers, value and gradient", times, base)
    show("the same", times, "by hand")


def network(p: list[Array], x: Array, target: Array) -> Array:
    h = x
    for k in range(0, len(p), 2):
        h = h @ p[k] + p[k + 1]
        if k < len(p) - 2:
            h = np.tanh(h)
    return np.mean((h - target) ** 2)


def network_by_hand(p: list[Array], x: Array, target: Array) -> tuple[Array, list[Array]]:
    hs = [x]
    for k in range(0, len(p), 2):
        z = hs[-1] @ p[k] + p[k + 1]
        hs.append(np.tanh(z) if k < len(p) - 2 else z)
    error = hs[-1] - target
    value = np.mean(error**2)
    gradients: list[Array] = [None] * len(p)
    z_bar = (2 / error.size) * error
    for k in range(len(p) - 2, -1, -2):
        h = hs[k // 2]
        gradients[k], gradients[k + 1] = h.T @ z_bar, z_bar.sum(axis=0)
        if k:
            z_bar = (z_bar @ p[k].T) * (1 - h * h)
    return value, gradients


def run_network(dtype: str, rounds: int = 41) -> None:
    rng = np.random.default_rng(0)
    sizes = (784, 512, 256, 10)
    p: list[Array] = []
    for m, n in itertools.pairwise(sizes):
        p += [(rng.standard_normal((m, n)) / np.sqrt(m)).astype(dtype), np.zeros(n, dtype)]
    x, target = rng.standard_normal((256, 784)).astype(dtype), rng.standard_normal((256, 10)).astype(dtype)
    mine, hand = rg.value_and_grad(network)(p, x, target), network_by_hand(p, x, target)
    assert all(
        a.dtype == dtype and np.array_equal(a.shape, b.shape) for a, b in zip(mine[1], hand[1], strict=True)
    )
    times = interleaved(
        {
            "by hand": lambda: network_by_hand(p, x, target),
            "refgrad": lambda: rg.value_and_grad(network)(p, x, target),
        },
        rounds,
    )
    show(f"MLP 784-512-256-10, batch 256, {dtype}, value and gradient", times, "by hand")


def run_memory(n: int = 100_000) -> None:
    x = np.linspace(0.1, 0.9, n)
    peaks = {}
    for name, call in {
        "by hand": lambda: chain_by_hand(x),
        "refgrad": lambda: rg.grad(lambda x: chain(np, x))(x),
    }.items():
        tracemalloc.start()
        call()
        peaks[name] = tracemalloc.get_traced_memory()[1] / x.nbytes
        tracemalloc.stop()
    needed = 750  # of four ops sine keeps its operand, the product both of its, tanh its value, the sum nothing; x is kept once
    print(
        f"\npeak memory of reverse mode, 1,000 ops on {n} numbers, in vectors (the rules must keep {needed})"
    )
    for name, peak in peaks.items():
        print(f"  {name:<28} {peak:8.1f}   {peak / needed:6.3f} x what the rules must keep")


def run_million(ops: int = 1_000_000) -> None:
    x = np.linspace(0.1, 0.9, 4)
    start = time.perf_counter()
    gradient = rg.grad(lambda x: chain(np, x, ops))(x)
    seconds = time.perf_counter() - start
    print(
        f"\na graph of {ops:,} nodes: {seconds:.2f} s, {seconds / ops * 1e6:.2f} us a node, gradient {gradient}"
    )


def main() -> None:
    """All of them, in turn."""
    run_chain(4, rounds=101)
    for dtype in ("float64", "float32"):
        run_network(dtype)
    run_memory()
    run_million()
