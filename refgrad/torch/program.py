"""A case's graph as a torch program, and arrays as tensors and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from refgrad.arrays import Operand, PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Node
from refgrad.testing.cases.case import CHANNELS_LAST, EXPANDED, Case
from refgrad.torch.processor import keep_subnormals
from refgrad.torch.replacement import TORCH, Namespaces

# The dtypes of torch that NumPy lacks.
LACKING = frozenset(
    getattr(torch, fmt.storage)
    for fmt in FORMATS.values()
    if fmt.storage != fmt.carrier and hasattr(torch, fmt.storage)
)


class Program:
    """The case's graph as a torch program. ``at`` is the current node of a run, -1 after its end.

    ``namespaces`` holds the torch module of each op that another function computes (replacement.py). ``behind`` is that of ``laid_out``.
    """

    def __init__(
        self,
        case: Case,
        where: torch.device,
        dtype: torch.dtype,
        namespaces: Namespaces = TORCH,
        *,
        behind: bool = True,
    ) -> None:
        self.graph, self.where, self.dtype, self.namespaces = case.graph, where, dtype, namespaces
        self.order = case.graph.order()
        self.fan_out = Counter(j for k in self.order for j in case.graph.nodes[k].of)
        self.leaves = {
            name: laid_out(tensor(x, where, dtype), case.layouts.get(name, "contiguous"), behind=behind)
            for name, x in case.inputs.items()
        }
        self.parts: dict[tuple[int, int], Tensor | None] = {}
        self.primals: list[Tensor | None] = []
        self.at = -1
        self.cotangent = laid_out(tensor(case.cotangent, where, dtype), case.cotangent_layout, behind=behind)
        for leaf in self.leaves.values():
            if leaf.is_floating_point():
                leaf.requires_grad_()

    def run(self, leaves: dict[str, Tensor]) -> list[Tensor | None]:
        """Values of all nodes. Each use of a value with several users is a tensor of its own (``uses``), whose gradient can be observed."""
        self.uses: dict[tuple[int, int], Tensor] = {}
        values: list[Tensor | None] = [None] * len(self.graph.nodes)
        for k in self.order:
            node, self.at = self.graph.nodes[k], k
            if node.op is None:
                values[k] = leaves[node.name] if node.name else tensor(node.value, self.where, self.dtype)
            else:
                operands = [values[j] for j in node.of]
                for position, (j, x) in enumerate(zip(node.of, operands, strict=True)):
                    if self.fan_out[j] > 1 and x is not None and x.requires_grad:
                        operands[position] = self.uses[k, position] = x.view_as(x)
                y = self.call(node, operands)
                # An op that returns its operand itself (positive) would share its gradient; a view has its own.
                values[k] = y.view_as(y) if any(y is x for x in operands) else y
        self.at = -1
        return values

    def call(self, node: Node, operands: Sequence[Tensor | None]) -> Tensor:
        """The value of one op of the graph for these operands. Raises NotImplementedError where torch has no counterpart."""
        assert node.op is not None
        if node.op.torch is None:
            raise NotImplementedError(f"op {node.op.name!r} has no torch twin")
        y: Tensor = node.op.torch(self.namespaces.get(node.op.name, torch), *operands, **node.params)
        return y


def tensor(x: Operand, where: torch.device, dtype: torch.dtype) -> Tensor:
    """An array as a tensor: floating-point arrays in the dtype judged, integers and booleans as they are."""
    copied = np.array(x, order="C")  # torch takes neither read-only arrays nor negative strides
    made = torch.from_numpy(copied)
    return made.to(where, dtype) if copied.dtype.kind == "f" else made.to(where)


def laid_out(t: Tensor, layout: str, *, behind: bool = True) -> Tensor:
    """The same elements with another arrangement in memory, behind further numbers: a kernel has to keep to strides and offset.

    Without ``behind`` the first element is the first in memory. Otherwise a transposed tensor is behind two rows, and a contiguous one has
    its usual strides: torch takes an array for complex numbers only where it begins at an even place, and torch 2.8 only
    where the strides of all but the last axis are even, of an axis of one element as well.
    """
    first = int(behind)
    if layout in ("transposed", CHANNELS_LAST) and t.ndim >= 1:
        order = order_in_memory(layout, t.ndim)
        turned = t.permute(order)
        memory = turned.new_zeros(2 * first + turned.shape[0], *turned.shape[1:])[2 * first :]
        found = memory.copy_(turned).permute(sorted(range(t.ndim), key=order.__getitem__))
        return found.view(-1).view(t.shape) if found.is_contiguous() else found
    if layout == "strided" and t.ndim >= 1:
        wide = t.new_zeros(*t.shape[:-1], 2 * t.shape[-1])
        return wide[..., first::2].copy_(t)
    if layout == EXPANDED and t.numel():
        memory = t.new_zeros(2 * first + 1)[2 * first :]
        return memory.copy_(t.flatten()[:1]).expand(t.shape)
    return t


def order_in_memory(layout: str, ndim: int) -> list[int]:
    """The axes of a tensor of one or more axes in the order of memory, the slowest first."""
    axes = list(range(ndim))
    if layout == "transposed":
        axes[0], axes[-1] = axes[-1], axes[0]
    if layout == CHANNELS_LAST and ndim > 2:
        axes.append(axes.pop(1))
    return axes


def as_array_or_none(t: Tensor | None) -> PlainArray | None:
    """As ``as_array``; None where there is no tensor."""
    return None if t is None else as_array(t)


def as_array(t: Tensor) -> PlainArray:
    """The elements as a NumPy array, those of any floating-point dtype in float64, which holds them all exactly."""
    keep_subnormals()
    if t._is_zerotensor():  # forward mode's symbolic zero has no memory
        t = torch.zeros(t.shape, dtype=t.dtype)
    if not t.is_cpu:
        # numpy() takes no tensor of a subclass, as a device written in Python may have them.
        t = t.detach().cpu()
    if t.dtype in LACKING:
        t = t.detach().double()
    x: PlainArray = t.numpy(force=True)
    return x.astype(np.float64, copy=False) if x.dtype.kind == "f" else x
