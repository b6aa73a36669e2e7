"""Which node of a program raised: the one that a run stood at, or the one whose own backward raises."""

from __future__ import annotations

from typing import Any

import torch

from refgrad.torch.program import Program


def raising_node(program: Program) -> int:
    """The node at which a program's last run raised, or whose backward did; -1 where no node raises by itself.

    Reverse mode is repeated one node at a time, from the output on: each op is run by itself on the values that it had, and gets the
    gradient that its users sent.
    """
    if program.at >= 0:
        return program.at
    computed = [k for k in program.order if program.graph.nodes[k].op is not None]
    if len(computed) == 1:  # whatever raises, in whichever mode, it is that op
        return computed[0]
    values = program.run(program.leaves)
    bars: dict[int, Any] = {program.graph.outputs[0]: program.cotangent}
    for k in reversed(computed):
        if k not in bars:
            continue
        try:
            sent = _sent(program, k, values, bars[k])
        except Exception:  # noqa: BLE001 - this is the node
            return k
        for j, x_bar in sent:
            bars[j] = x_bar if j not in bars else bars[j] + x_bar
    return -1


def _sent(program: Program, k: int, values: list[Any], y_bar: Any) -> list[tuple[int, Any]]:
    """What node k sends to its operands, by the backward of this op alone."""
    node = program.graph.nodes[k]
    assert node.op is not None
    assert node.op.torch is not None
    operands = [values[j] for j in node.of]
    active = []
    for position, x in enumerate(operands):
        if isinstance(x, torch.Tensor):
            operands[position] = x.detach()
            if x.requires_grad:
                operands[position].requires_grad_()
                active.append(position)
    y = node.op.torch(torch, *operands, **node.params)
    if not active or not y.requires_grad:
        return []
    x_bars = torch.autograd.grad(y, [operands[i] for i in active], y_bar, allow_unused=True)
    return [(node.of[i], x_bar) for i, x_bar in zip(active, x_bars, strict=True) if x_bar is not None]
