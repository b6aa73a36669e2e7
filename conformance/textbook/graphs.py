"""D1: graphs built explicitly and recorded, pruning, and what the two modes cost."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import torch

import refgrad as rg

from .outcome import OTHER, Outcome
from .record import Array, Item, Problem, lifted


def doubled_sum(a: Array, b: Array) -> Array:
    """c = 2 a + b."""
    return 2 * a + b


def declared() -> rg.Graph:
    """The same with symbols first: data is bound afterwards."""
    graph = rg.Graph()
    a, b = graph.input("a"), graph.input("b")
    return graph.output(2 * a + b)


def two_constructions(outcome: Outcome) -> None:
    """Explicit and implicit construction: the same graph, the same value, the same gradients."""
    a, b = np.float64(1.5), np.float64(-0.25)
    explicit, implicit = declared(), rg.Graph.record(doubled_sum, a, b)
    outcome.state(explicit.to_dict() == implicit.to_dict(), "the declared and the recorded graph differ")
    outcome.same(OTHER, "value of the two graphs", explicit.forward(a=a, b=b), implicit.forward(a=a, b=b))
    first, second = explicit.backward(), implicit.backward()
    outcome.state(list(first) == ["a", "b"] == list(second), f"gradients of {list(first)} and {list(second)}")
    for name, due in (("a", 2.0), ("b", 1.0)):
        outcome.same(OTHER, f"gradient of {name} in the declared graph", first[name], np.float64(due))
        outcome.same(OTHER, f"gradient of {name} in the recorded graph", second[name], first[name])


# --- pruning -----------------------------------------------------------------------------------------------------------


def with_dead_branch(x: Array, y: Array) -> tuple[Array, Array]:
    """The wanted result and one that nobody asks for."""
    return np.sin(x * y) + x, np.exp(y) * np.cos(x)


def wanted(x: Array, y: Array) -> Array:
    """sin(x y) + x."""
    return with_dead_branch(x, y)[0]


def pruning(outcome: Outcome) -> None:
    """Without the dead branch: fewer nodes, the same gradients, and nothing there is computed."""
    args = (np.float64(0.75), np.float64(-1.25))
    both = rg.Graph.record(with_dead_branch, *args)
    both.outputs = both.outputs[:1]
    pruned = both.pruned()
    dead = set(range(len(both.nodes))) - set(both.order())
    outcome.state(
        len(pruned.nodes) < len(both.nodes) and len(dead) == len(both.nodes) - len(pruned.nodes),
        "nothing was pruned",
    )
    outcome.state(all(both.run(*args)[k] is None for k in dead), "a node was computed that leads nowhere")
    outcome.state(
        {str(both.nodes[k]) for k in dead} == {"exp", "cos", "multiply"},
        f"pruned: {[str(both.nodes[k]) for k in dead]}",
    )
    outcome.same(OTHER, "value of the pruned graph", pruned.forward(*args), both.forward(*args))
    due = rg.grad(wanted, (0, 1))(*lifted(args, "float64"))
    for (name, x_bar), ball in zip(pruned.backward().items(), due, strict=True):
        outcome.same(OTHER, f"gradient of {name} in the pruned graph", x_bar, ball)
    outcome.table(
        "Nodes",
        ("graph", "nodes"),
        [("as recorded", len(both.nodes)), ("without the dead branch", len(pruned.nodes))],
    )


# --- cost --------------------------------------------------------------------------------------------------------------

LENGTHS = (20, 40, 80)
SIZE = 1 << 14


def chain(length: int) -> Callable[[Array], Array]:
    """sin applied so many times, then the sum."""

    def f(x: Array) -> Array:
        for _ in range(length):
            x = np.sin(x)
        return np.sum(x)

    return f


def chain_closed(x: Array) -> Array:
    """cos(x) cos(sin x) cos(sin sin x): one factor a step."""
    first, second = np.sin(x), np.sin(np.sin(x))
    return np.cos(second) * np.cos(first) * np.cos(x)


def forward_sweep(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """One direction of forward mode."""
    return lambda x: rg.jvp(f, (x,), (np.ones(x.shape),))[1]


def reverse_sweep(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The whole gradient by reverse mode."""
    return rg.grad(f)


def operations(sweep: Callable[[Array], Array], n: int) -> int:
    """How many operations a sweep applies, counted in the graph of the sweep itself."""
    return sum(node.op is not None for node in rg.Graph.record(sweep, np.full(n, 0.5)).nodes)


def peak(sweep: Callable[[Array], Array], x: Array) -> int:
    """The most memory, in bytes, that a sweep held at one moment."""
    sweep(x)  # what is set up once is not the sweep's
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    sweep(x)
    most = tracemalloc.get_traced_memory()[1] - before
    if not already:
        tracemalloc.stop()
    return most


def costs(outcome: Outcome) -> None:
    """Reverse: operations and memory grow with the length. Forward: operations grow with the length, memory does not.

    Memory is judged in whole arrays: forward mode may not hold one array more for a longer program, reverse mode must hold at least
    one more for each step.
    """
    x = np.linspace(0.1, 1.0, SIZE)
    rows, held, counted = [], [], []
    for n in LENGTHS:
        f = chain(n)
        held.append((peak(forward_sweep(f), x), peak(reverse_sweep(f), x)))
        counted.append((operations(f, 3), operations(forward_sweep(f), 3), operations(reverse_sweep(f), 3)))
        rows.append((n, *counted[-1], *(f"{b / x.nbytes:.1f}" for b in held[-1])))
    outcome.table(
        "A chain of n sines of an array; memory in arrays of that size, the most held at once",
        ("n", "operations of f", "forward, one direction", "reverse, whole gradient", "memory forward", "memory reverse"), rows,
    )  # fmt: skip
    for k in range(len(LENGTHS) - 1):
        steps = LENGTHS[k + 1] - LENGTHS[k]
        forward, reverse = (held[k + 1][i] - held[k][i] for i in (0, 1))
        outcome.state(forward < x.nbytes, f"forward mode held {forward} bytes more for {steps} more steps")
        outcome.state(
            reverse >= steps * x.nbytes, f"reverse mode held only {reverse} bytes more for {steps} more steps"
        )
    for name, i in (("f", 0), ("forward", 1), ("reverse", 2)):
        a, b, c = (row[i] for row in counted)
        outcome.state(
            c - b == 2 * (b - a) > 0,
            f"operations of {name} do not grow in step with the length: {a}, {b}, {c}",
        )
    directions(outcome)


def directions(outcome: Outcome) -> None:
    """The whole gradient of n numbers: n sweeps of forward mode, one of reverse mode."""
    f, sizes = chain(5), (2, 8, 14)
    rows = [(n, operations(rg.jacfwd(f), n), operations(reverse_sweep(f), n)) for n in sizes]
    outcome.table(
        "The whole gradient of n inputs through five sines: operations applied",
        ("n", "forward mode", "reverse mode"),
        rows,
    )
    (a, b, c), (d, e, g) = ([row[i] for row in rows] for i in (1, 2))
    outcome.state(
        c - b == b - a > 0, f"forward mode: {a}, {b}, {c} operations for {sizes} inputs are no straight line"
    )
    outcome.state(
        d == e == g, f"reverse mode: {d}, {e}, {g} operations for {sizes} inputs are not one number"
    )


ITEMS = (
    Item(
        "D1-graph-construction", "Explicit and implicit graph construction",
        "c = 2 a + b: declared first and bound later, or recorded as it runs",
        (Problem(doubled_sum, (1.5, -0.25), lambda a, b: (2 + 0 * a, 1 + 0 * b), lambda a, b: 2 * a + b),), two_constructions,
    ),
    Item(
        "D1-pruning", "Pruning of branches that lead nowhere", "z = sin(x y) + x: dz/dx = y cos(x y) + 1, dz/dy = x cos(x y)",
        (
            Problem(
                wanted, (0.75, -1.25), lambda x, y: (y * np.cos(x * y) + 1, x * np.cos(x * y)), lambda x, y: torch.sin(x * y) + x
            ),
        ),
        pruning,
    ),
    Item(
        "D1-cost", "What forward and reverse mode cost",
        "reverse: O(n) operations and O(n) memory; forward: O(n) operations for each direction and O(1) memory",
        (
            Problem(
                chain(3), (np.array([0.2, 0.9, -1.3]),), chain_closed, lambda x: torch.sin(torch.sin(torch.sin(x))).sum()
            ),
        ),
        costs,
    ),
)  # fmt: skip
