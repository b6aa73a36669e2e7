"""The rows of the table: what is measured, the goal, and whether it is met. All contestants of a row take turns in one run."""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import refgrad as rg
from benchmarks import peers, programs
from benchmarks.peers import HAND, HIPS, OURS, Calls

Array = Any


@dataclass
class Row:
    """One row: a figure for each column, and refgrad's goal.

    work     what is measured
    unit     what the figures mean, such as "x hand"
    cells    figure by column
    goal     the bound that refgrad's figure is held to; ``most`` says whether it is an upper one
    note     further figures, in words
    """

    work: str
    unit: str
    cells: dict[str, float]
    goal: float
    most: bool = True
    note: str = ""
    texts: dict[str, str] = field(default_factory=dict)  # cells that are shown as text

    @property
    def met(self) -> bool:
        ours = self.cells[OURS]
        return ours <= self.goal if self.most else ours >= self.goal


def fastest(calls: Calls, seconds: float, least: int = 5) -> dict[str, float]:
    """The smallest processor time of each call, in seconds. They take turns until the time is over, ``least`` rounds at the least."""
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    start, rounds = time.perf_counter(), 0
    while rounds < least or time.perf_counter() - start < seconds:
        for name, call in calls.items():
            before = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - before)
        rounds += 1
    return best


def beside(work: str, calls: Calls, goal: float, base: str = HAND, seconds: float = 6.0) -> Row:
    """A row of ratios to the column ``base``."""
    times = fastest(calls, seconds)
    cells = {name: t / times[base] for name, t in times.items()}
    return Row(work, f"x {base}", cells, goal, note=f"{base}: {_seconds(times[base])}")


def _seconds(t: float) -> str:
    return f"{t * 1e6:.1f} µs" if t < 1e-3 else f"{t * 1e3:.1f} ms" if t < 1 else f"{t:.2f} s"


def chains() -> list[Row]:
    rows = []
    for n, ops, goal, seconds in ((4, 1000, 3.1, 8.0), (1_000_000, 40, 1.06, 12.0)):
        x = np.linspace(0.1, 0.9, n)
        calls = peers.gradients(
            lambda np_, x, ops=ops: programs.chain(np_, x, ops),
            lambda x, ops=ops: programs.chain_by_hand(x, ops),
            [x],
        )
        name = f"chain of {ops:,} ops on {n:,} numbers, value and gradient"
        rows.append(beside(name, calls, goal, seconds=seconds))
    hips = rows[0].cells.get(HIPS)
    if hips:
        rows[0].note += f"; refgrad {rows[0].cells[OURS] / hips:.2f} x HIPS autograd"
    return rows


def small() -> Row:
    """What a gradient costs however small its function is, in microseconds."""
    x = np.linspace(0.1, 0.9, 3)
    calls = peers.gradients(lambda np_, x: np_.sum(x * x), lambda x: (np.sum(x * x), 2 * x), [x])
    times = fastest({n: _repeated(c, 50) for n, c in calls.items()}, 3.0)
    return Row("gradient of sum(x * x), 3 numbers", "µs", {n: t / 50 * 1e6 for n, t in times.items()}, 30.0)


def _repeated(call: Callable[[], object], count: int) -> Callable[[], object]:
    def calls() -> None:
        for _ in range(count):
            call()

    return calls


def networks() -> list[Row]:
    w, x, target = programs.two_layers_data()
    calls = peers.gradients(
        lambda np_, w1, w2: programs.two_layers(np_, w1, w2, _of(np_, x), _of(np_, target)),
        lambda w1, w2: programs.two_layers_by_hand(w1, w2, x, target),
        w,
    )
    rows = [beside("two-layer sigmoid network 64 x 1000 x 100 x 10", calls, 1.15, seconds=8.0)]
    for dtype in ("float64", "float32"):
        p, _, x, target = programs.network_data(dtype)
        calls = peers.gradients(
            lambda np_, *p, x=x, target=target: programs.network(np_, p, _of(np_, x), _of(np_, target)),
            lambda *p, x=x, target=target: programs.network_by_hand(list(p), x, target),
            p,
        )
        rows.append(beside(f"perceptron 784-512-256-10, batch 256, {dtype}", calls, 1.08, seconds=12.0))
    return rows


def _of(np_: Any, x: Array) -> Any:
    """A constant as an array of the tool."""
    return np_.asarray(x) if np_ is peers.torch else x


def derivatives() -> list[Row]:
    """JVP and HVP of the perceptron, and a Jacobian."""
    p, p_dot, x, target = programs.network_data("float64")
    count = len(p)

    def program(np_: Any, *p: Array) -> Any:
        return programs.network(np_, p, _of(np_, x), _of(np_, target))

    def jvp(*given: Array) -> object:
        return programs.network_jvp_by_hand(list(given[:count]), list(given[count:]), x, target)

    def hvp(*given: Array) -> object:
        return programs.network_hvp_by_hand(list(given[:count]), list(given[count:]), x, target)

    function = {"function": lambda: program(np, *p)}
    rows = [
        beside(
            "one JVP of that perceptron",
            peers.jvps(program, jvp, p, p_dot) | function,
            2.35,
            "function",
            10.0,
        )
    ]
    gradient = {"hand gradient": lambda: programs.network_by_hand(p, x, target)}
    rows.append(
        beside(
            "Hessian-vector product of it",
            peers.products(program, hvp, p, p_dot) | gradient,
            2.5,
            "hand gradient",
            12.0,
        )
    )
    w, x10 = np.random.default_rng(0).standard_normal((1000, 10)), np.linspace(-0.1, 0.1, 10)
    calls = peers.jacobians(
        lambda np_, x: programs.curves(np_, x, _of(np_, w)),
        lambda x: programs.curves_jacobian_by_hand(x, w),
        x10,
    )
    row = beside("Jacobian R^10 to R^1000", calls, 0.015, HIPS if HIPS in calls else HAND, 8.0)
    row.note += f"; refgrad in reverse mode: {row.cells.pop(f'{OURS} reverse'):.3f}"
    return [*rows, row]


def graphs() -> list[Row]:
    listed, x = programs.instructions(10_000), np.linspace(0.1, 0.9, 4)
    calls = peers.gradients(
        lambda np_, x: programs.graph(np_, x, listed),
        lambda x: programs.graph_by_hand(x, listed),
        [x],
        compiled=False,
    )
    row = beside("random graph of 10,000 nodes on 4 numbers", calls, 3.0, seconds=10.0)
    million = programs.instructions(1_000_000)
    start = time.process_time()
    rg.grad(lambda x: programs.graph(np, x, million))(x)
    row.note += f"; a million nodes: {_seconds((time.process_time() - start) / 1e6)} a node"
    return [row]


__all__ = ["Row", "beside", "chains", "derivatives", "fastest", "graphs", "networks", "pairs", "small"]
