"""Observes a case in torch: the values, gradients and tangents of all nodes of its graph."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from refgrad.bounds.formats import format_of
from refgrad.errors import OUTSIDE
from refgrad.modes import FORWARD, REVERSE, VALUE
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import Observation
from refgrad.torch.devices import device, plain_arithmetic
from refgrad.torch.forward_mode import dual_level
from refgrad.torch.further_modes import observe_modes
from refgrad.torch.program import Program, as_array, as_array_or_none, tensor
from refgrad.torch.raising_node import raising_node
from refgrad.torch.refusal import no_answer
from refgrad.torch.replacement import TORCH, Namespaces
from refgrad.torch.side_effects import settings_kept


def observe(case: Case, namespaces: Namespaces = TORCH) -> Observation:
    """Run the graph in torch and differentiate it in both modes. ``namespaces`` holds replaced functions (replacement.py).

    Reverse mode runs once, for the gradients of all intermediate values. A mode that raises has no answer: its exception is recorded with
    the node that raised it, and with whether it is a refusal (refgrad.torch.refusal). The other modes are observed all the same.
    Raises DeviceMissingError where torch finds no such device.
    """
    where, dtype = device(case.device), getattr(torch, format_of(case.dtype, case.device).storage)
    if where.type != "cpu":
        plain_arithmetic(case.dtype)
    program = Program(case, where, dtype, namespaces)
    nothing: list[None] = [None] * len(case.graph.nodes)
    seen = Observation(list(nothing), list(nothing), list(nothing), dtypes={}, devices={})
    try:
        with settings_kept():
            values = program.run(program.leaves)
        keep(seen, "values", values)
    except OUTSIDE:
        raise
    except BaseException as error:  # noqa: BLE001 - every exception of a framework is recorded
        seen.unavailable[VALUE] = no_answer(error, program.at)
        return seen
    for part, mode, ask in (("cotangents", REVERSE, _reverse), ("tangents", FORWARD, _forward)):
        try:
            with settings_kept():
                found = ask(case, program, values)
            keep(seen, part, found)
            seen.parts = {place: as_array(t) for place, t in program.parts.items() if t is not None}
        except OUTSIDE:
            raise
        except BaseException as error:  # noqa: BLE001 - see above
            seen.unavailable[mode] = no_answer(error, raising_node(program))
            keep(seen, part, nothing)
    if any(_differ(a, b) for a, b in zip(program.primals, values, strict=False)):
        seen.primals = [as_array_or_none(v) for v in program.primals]
    if case.order > 1:
        seen.modes = observe_modes(case, namespaces)
    return seen


def keep(seen: Observation, part: str, tensors: list[Tensor | None]) -> None:
    """Record the arrays of a part, with the dtypes and devices of their tensors."""
    arrays, dtypes, devices = [], [], []
    for t in tensors:
        arrays.append(as_array_or_none(t))
        dtypes.append(_dtype(t))
        devices.append(_device(t))
    setattr(seen, part, arrays)
    seen.dtypes[part], seen.devices[part] = dtypes, devices


def _reverse(case: Case, program: Program, values: list[Tensor | None]) -> list[Tensor | None]:
    active = [k for k, v in enumerate(values) if v is not None and v.requires_grad]
    output = values[case.graph.outputs[0]]
    if output is None or not output.requires_grad:
        return [None] * len(values)
    tensors = [values[k] for k in active] + list(program.uses.values())
    gradients = torch.autograd.grad(output, tensors, grad_outputs=program.cotangent, allow_unused=True)
    found: list[Tensor | None] = [None] * len(values)
    for k, g in zip(active, gradients[: len(active)], strict=True):
        found[k] = g
    program.parts = dict(zip(program.uses, gradients[len(active) :], strict=True))
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
        with settings_kept():
            outputs = program.run(duals)
        unpacked = [
            (v, None) if v is None or not v.is_floating_point() else forward_ad.unpack_dual(v)
            for v in outputs
        ]
        program.primals = [primal for primal, _ in unpacked]
        return [tangent for _, tangent in unpacked]


def _differ(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two floating-point tensors differ in an element. NaN equals NaN."""
    if a is None or b is None or not a.is_floating_point() or torch.equal(a, b):
        return False
    return not np.array_equal(as_array(a), as_array(b), equal_nan=True)


def _dtype(t: Tensor | None) -> str | None:
    return None if t is None or not t.is_floating_point() else _name(t.dtype)


@functools.cache
def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _device(t: Tensor | None) -> str | None:
    return None if t is None else "cpu" if t.is_cpu else t.device.type
