"""Finds the node of a program that raised: the current node of a run, or the node whose backward raises."""

from __future__ import annotations

import torch
from torch import Tensor

from refgrad.errors import OUTSIDE
from refgrad.torch.program import Program


def raising_node(program: Program) -> int:
    """The node at which a program's last run raised, or whose backward did; -1 where no node raises by itself.

    Reverse mode is repeated one node at a time, beginning at the output. Each op runs by itself on the values of its operands, and
    receives the sum of its users' gradients.
    """
    if program.at >= 0:
        return program.at
    computed = [k for k in program.order if program.graph.nodes[k].op is not None]
    if len(computed) == 1:  # in every mode it is this op that raises
        return computed[0]
    values = program.run(program.leaves)
    bars: dict[int, Tensor] = {program.graph.outputs[0]: program.cotangent}
    for k in reversed(computed):
        if k not in bars:
            continue
        try:
            for j, x_bar in _sent(program, k, values, bars[k]):
                bars[j] = x_bar if j not in bars else bars[j] + x_bar
        except OUTSIDE:
            raise
        except BaseException:  # noqa: BLE001 - the backward of this node raises, or its gradient fits no other
            return k
    return -1


def _sent(program: Program, k: int, values: list[Tensor | None], y_bar: Tensor) -> list[tuple[int, Tensor]]:
    """The gradients that node k sends to its operands, from the backward of this op alone."""
    node = program.graph.nodes[k]
    operands = [values[j] for j in node.of]
    active: dict[int, Tensor] = {}  # by position, the operands that have a gradient
    for position, x in enumerate(operands):
        if isinstance(x, Tensor):
            operands[position] = leaf = x.detach()
            if x.requires_grad:
                active[position] = leaf.requires_grad_()
    y = program.call(node, operands)
    if not active or not y.requires_grad:
        return []
    x_bars = torch.autograd.grad(y, list(active.values()), y_bar, allow_unused=True)
    return [(node.of[i], x_bar) for i, x_bar in zip(active, x_bars, strict=True) if x_bar is not None]
