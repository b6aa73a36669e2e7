"""Ask torch about a case: the values, gradients and tangents of all nodes of its graph."""

from __future__ import annotations

import functools
import os
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from refgrad.errors import DeviceMissingError, DtypeError
from refgrad.formats import TF32, format_of
from refgrad.testing.anchored import FORWARD, REVERSE, VALUE
from refgrad.testing.case import Case
from refgrad.testing.observation import Observation
from refgrad.torch.blame import raising_node
from refgrad.torch.dual import dual_level
from refgrad.torch.refusal import no_answer

Array = Any
VERSION = str(torch.__version__)
KERNELS = str(torch.backends.cpu.get_cpu_capability())  # the vector unit that CPU kernels are chosen for
KERNELS = str(torch.backends.cpu.get_cpu_capability())  # the vector unit that the CPU kernels are chosen for


def device(name: str) -> torch.device:
    """The torch device of that name. Raises DeviceMissingError where this machine lacks it."""
    kind = name.partition(":")[0]
    try:
        found = torch.device(name)
    except RuntimeError:
        found = None
    if kind == "cpu" and found is not None:
        if found.index is not None:
            raise DeviceMissingError(
                f"device {name!r} was asked for, but torch counts no CPUs: there is one, named 'cpu'"
            )
        return found
    module = getattr(torch, kind, None)
    if found is None or module is None or not hasattr(module, "is_available") or not module.is_available():
        raise DeviceMissingError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees none on this machine"
        )
    there = module.device_count() if hasattr(module, "device_count") else None
    if found.index is not None and there is not None and found.index >= there:
        raise DeviceMissingError(
            f"device {name!r} was asked for, but torch sees {there} of {kind!r}, counted from 0, on this machine"
        )
    return found


def supported(name: str, dtype: str) -> bool:
    """Whether the device computes in the dtype. Raises DeviceMissingError where there is no such device."""
    where = device(name)
    try:
        x = torch.ones(2, 2, dtype=getattr(torch, format_of(dtype, name).storage), device=where)
        x @ x
    except (DtypeError, RuntimeError):
        return False
    return dtype != TF32 or torch.cuda.get_device_capability(where) >= (8, 0)


def describe(name: str) -> str:
    """The device in words, for the report."""
    try:
        found = device(name)
    except DeviceMissingError:
        return f"not present: {name} was not judged"
    if found.type == "cuda":
        major, minor = torch.cuda.get_device_capability(found)
        return f"{torch.cuda.get_device_name(found)}, compute capability {major}.{minor}"
    return f"{os.cpu_count() or 1} core(s), {torch.backends.cpu.get_cpu_capability()}"


def plain_arithmetic(dtype: str = "") -> None:
    """Switch off what the bounds do not cover: reduced-precision reductions on CUDA, and TF32 unless that is the dtype."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == TF32
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False


def observe(case: Case) -> Observation:
    """Run the graph in torch and differentiate it in both modes.

    Reverse mode is asked once, for the gradients of all intermediate values. An exception leaves a mode without an answer, and the
    other modes as they are: it is kept with the node that raised it, as a refusal or not (refgrad.torch.refusal).
    """
    where, dtype = device(case.device), getattr(torch, format_of(case.dtype, case.device).storage)
    if where.type != "cpu":
        plain_arithmetic(case.dtype)
    program = Program(case, where, dtype)
    nothing: list[Any] = [None] * len(case.graph.nodes)
    seen = Observation(list(nothing), list(nothing), list(nothing), dtypes={}, devices={})
    try:
        values = program.run(program.leaves)
        _keep(seen, "values", values)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises is its answer
        seen.unavailable[VALUE] = no_answer(error, program.at)
        return seen
    for part, mode, ask in (("cotangents", REVERSE, _reverse), ("tangents", FORWARD, _forward)):
        try:
            _keep(seen, part, ask(case, program, values))
            seen.parts = {place: as_array(t) for place, t in program.parts.items() if t is not None}
        except Exception as error:  # noqa: BLE001 - see above
            seen.unavailable[mode] = no_answer(error, raising_node(program))
            _keep(seen, part, nothing)
    primals = [as_array(v) for v in program.primals]
    if any(_differ(a, b) for a, b in zip(primals, seen.values, strict=False) if a is not None):
        seen.primals = primals
    if case.order > 1:
        from refgrad.torch.modes import observe_modes  # which needs this module

        seen.modes = observe_modes(case)
    return seen


def _keep(seen: Observation, part: str, tensors: list[Tensor | None]) -> None:
    """The numbers of a part, with their dtypes and devices."""
    setattr(seen, part, [as_array(t) for t in tensors])
    seen.dtypes[part] = [_dtype(t) for t in tensors]
    seen.devices[part] = [_device(t) for t in tensors]


class Program:
    """The case's graph as a torch program. ``at`` is the node that a run stands at, -1 when it has come to its end."""

    def __init__(self, case: Case, where: torch.device, dtype: torch.dtype) -> None:
        self.graph, self.where, self.dtype = case.graph, where, dtype
        self.order = case.graph.order()
        self.fan_out = Counter(j for k in self.order for j in case.graph.nodes[k].of)
        self.leaves = {
            name: laid_out(tensor(x, where, dtype), case.layouts.get(name, "contiguous"))
            for name, x in case.inputs.items()
        }
        self.parts: dict[tuple[int, int], Tensor | None] = {}
        self.primals: list[Tensor | None] = []
        self.at = -1
        self.cotangent = tensor(case.cotangent, where, dtype)
        for leaf in self.leaves.values():
            if leaf.is_floating_point():
                leaf.requires_grad_()

    def run(self, leaves: dict[str, Tensor]) -> list[Tensor | None]:
        """Values of all nodes. Every use of a value that has several gets a tensor of its own (``uses``), to hear what it sends back."""
        self.uses: dict[tuple[int, int], Tensor] = {}
        values: list[Tensor | None] = [None] * len(self.graph.nodes)
        for k in self.order:
            node, self.at = self.graph.nodes[k], k
            if node.op is None:
                values[k] = leaves[node.name] if node.name else tensor(node.value, self.where, self.dtype)
            elif node.op.torch is None:
                raise NotImplementedError(f"op {node.op.name!r} has no torch twin")
            else:
                operands = [values[j] for j in node.of]
                for position, (j, x) in enumerate(zip(node.of, operands, strict=True)):
                    if self.fan_out[j] > 1 and x is not None and x.requires_grad:
                        operands[position] = self.uses[k, position] = x.view_as(x)
                y = node.op.torch(torch, *operands, **node.params)
                # An op that returns its operand itself (positive) would share that node's gradient: give it a node of its own.
                values[k] = y.view_as(y) if any(y is x for x in operands) else y
        self.at = -1
        return values


def _reverse(case: Case, program: Program, values: list[Tensor | None]) -> list[Tensor | None]:
    asked = [k for k, v in enumerate(values) if v is not None and v.requires_grad]
    output = values[case.graph.outputs[0]]
    if output is None or not output.requires_grad:
        return [None] * len(values)
    tensors = [values[k] for k in asked] + list(program.uses.values())
    gradients = torch.autograd.grad(output, tensors, grad_outputs=program.cotangent, allow_unused=True)
    found: list[Tensor | None] = [None] * len(values)
    for k, g in zip(asked, gradients[: len(asked)], strict=True):
        found[k] = g
    program.parts = dict(zip(program.uses, gradients[len(asked) :], strict=True))
    return found


def _forward(case: Case, program: Program, _: list[Tensor | None]) -> list[Tensor | None]:
    with torch.no_grad(), dual_level():
        duals = {}
        for name, leaf in program.leaves.items():
            x_dot = case.tangents[name]
            plain = leaf.detach()
            duals[name] = (
                forward_ad.make_dual(plain, tensor(x_dot, program.where, program.dtype))
                if plain.is_floating_point()
                else plain
            )
        outputs = program.run(duals)
        unpacked = [
            (v, None) if v is None or not v.is_floating_point() else forward_ad.unpack_dual(v)
            for v in outputs
        ]
        program.primals = [primal for primal, _ in unpacked]
        return [tangent for _, tangent in unpacked]


def tensor(x: Array, where: torch.device, dtype: torch.dtype) -> Tensor:
    """An array as a tensor: floating-point arrays in the dtype judged, integers and booleans as they are."""
    x = np.array(x, order="C")  # a copy: torch takes neither read-only arrays nor negative strides
    made = torch.from_numpy(x)
    return made.to(where, dtype) if x.dtype.kind == "f" else made.to(where)


def laid_out(t: Tensor, layout: str) -> Tensor:
    """The same elements with another arrangement in memory."""
    if layout == "transposed" and t.ndim >= 2:
        return t.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "strided" and t.ndim >= 1:
        wide = torch.zeros((*t.shape[:-1], 2 * t.shape[-1]), dtype=t.dtype, device=t.device)
        view = wide[..., ::2]
        view.copy_(t)
        return view
    return t


def as_array(t: Tensor | None) -> Array:
    """The elements as a NumPy array, those of any floating-point dtype in float64, which holds them all exactly."""
    if t is None:
        return None
    if t._is_zerotensor():  # forward mode's symbolic zero has no memory
        t = torch.zeros(t.shape, dtype=t.dtype)
    if t.dtype == torch.bfloat16:  # which NumPy lacks
        t = t.detach().double()
    x = t.numpy(force=True)
    return x.astype(np.float64, copy=False) if x.dtype.kind == "f" else x


def _differ(a: Array, b: Array) -> bool:
    """Whether two arrays of floating-point numbers are of different ones. Mostly they have the same bits."""
    return a.dtype.kind == "f" and a.tobytes() != b.tobytes() and not np.array_equal(a, b, equal_nan=True)


def _dtype(t: Tensor | None) -> str | None:
    return None if t is None or not t.is_floating_point() else _name(t.dtype)


@functools.cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _device(t: Tensor | None) -> str | None:
    return None if t is None else "cpu" if t.is_cpu else t.device.type
