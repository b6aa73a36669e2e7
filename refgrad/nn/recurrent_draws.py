"""Draws of the arguments of recurrent cells and layers, for their declarations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refgrad.op import Draws, Params

Drawer = Callable[[Draws], Params]


def cell(gates: int, *, pair: bool = False) -> Drawer:
    """Arguments of one step of a cell with so many gates, and a second state for a pair."""

    def draw(draws: Draws) -> Params:
        lead, inner, hidden = draws.size(), draws.integer(1, 4), draws.integer(1, 3)
        biased = draws.choice((True, False))
        state: dict[str, Any] = {"h": draws.numbers((lead, hidden))}
        if pair:
            state["c"] = draws.numbers((lead, hidden))
        return {
            "input": draws.numbers((lead, inner)),
            **(state if pair else {"hx": state["h"]}),
            "w_ih": draws.numbers((gates * hidden, inner)),
            "w_hh": draws.numbers((gates * hidden, hidden)),
            "b_ih": draws.numbers((gates * hidden,)) if biased else None,
            "b_hh": draws.numbers((gates * hidden,)) if biased else None,
        }

    return draw


def layers(gates: int, *, pair: bool = False) -> Drawer:
    """Arguments of layers of such cells: all parameters lie in one vector."""

    def draw(draws: Draws) -> Params:
        steps, samples = draws.integer(1, 3), draws.integer(1, 3)
        inner, hidden, depth = draws.integer(1, 3), draws.integer(1, 2), draws.integer(1, 2)
        biased, both, first = [draws.choice((False, True)) for _ in range(3)]
        states = (depth * (1 + both), samples, hidden)
        count = sum(rows * width for rows, width in shapes(gates, inner, hidden, depth, biased, both))
        return {
            "input": draws.numbers((samples, steps, inner) if first else (steps, samples, inner)),
            "h": draws.numbers(states),
            **({"c": draws.numbers(states)} if pair else {}),
            "weights": draws.numbers((count,)),
            "has_biases": biased,
            "num_layers": depth,
            "bidirectional": both,
            "batch_first": first,
        }

    return draw


def shapes(
    gates: int, inner: int, hidden: int, depth: int, biased: bool, both: bool
) -> list[tuple[int, int]]:
    """The rows and widths of the parameters in their order; a bias has width 1."""
    rows, found = gates * hidden, []
    for layer in range(depth):
        for _ in range(1 + both):
            width = inner if layer == 0 else (1 + both) * hidden
            found += [(rows, width), (rows, hidden)] + [(rows, 1)] * (2 * biased)
    return found
