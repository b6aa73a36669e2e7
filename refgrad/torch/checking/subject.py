"""A torch callable and its NumPy reference in one dtype, as functions of the differentiated inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.bounds.formats import format_of
from refgrad.errors import ArgumentError
from refgrad.testing.judging.nested_orders import Nested
from refgrad.torch.checking import custom_ops
from refgrad.torch.checking.arguments import tensors_of
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.mixed_dtypes import enclosed, in_dtype
from refgrad.torch.checking.orders import Seeds, functions_of, further_leaves
from refgrad.torch.checking.reference import Reference
from refgrad.torch.program import as_array
from refgrad.tracing.ball import Ball, exact

_NAMED = 4  # further tensors whose shapes a note names, at most


class Subject:
    """A torch callable and its reference in one dtype.

    func            torch callable of ``arguments``, which returns a tensor, or a tuple or list of tensors
    function        the reference, the same function of NumPy arrays
    active          positions of the differentiated arguments
    kept            positions of the inputs that keep their dtype
    count           number of outputs of func; the following are known after ``run``
    used            positions of the outputs with a gradient
    shapes, dtypes  of these outputs
    has_functions   whether a torch.autograd.Function takes part in func
    has_rule_for_vmap  whether one of them, or an op of ``torch.library``, has a rule for vmap, written or generated
    notes           questions that were left out, with reasons
    """

    def __init__(
        self,
        func: Callable[..., Any],
        function: Callable[..., Any],
        arguments: Sequence[Any],
        active: Sequence[int],
        dtype: str,
        kept: frozenset[int] = frozenset(),
    ) -> None:
        self.func, self.function, self.active, self.dtype = func, function, tuple(active), dtype
        self.torch_device = next(x.device for x in arguments if isinstance(x, Tensor))
        self.device = self.torch_device.type
        self.fmt = format_of(dtype, self.device)
        self.torch_dtype = getattr(torch, self.fmt.storage)
        self.arguments = list(in_dtype(arguments, self.torch_dtype, kept))
        self.plain = tuple(as_array(x) if isinstance(x, Tensor) else x for x in self.arguments)
        self.xs = tuple(self.arguments[k] for k in self.active)
        self.count = 0
        self.used: tuple[int, ...] = ()
        self.shapes: tuple[tuple[int, ...], ...] = ()
        self.dtypes: tuple[torch.dtype, ...] = ()
        self.has_functions = True
        self.has_rule_for_vmap = False
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def run(self) -> None:
        """Call func once and determine the outputs with a gradient. Raises Raised where func raises, ArgumentError for other outputs."""
        leaves = [x.clone().requires_grad_() for x in self.xs]
        ys = self._called(leaves)
        self._note_further(further_leaves(ys, leaves))
        floating = [k for k, y in enumerate(ys) if y.is_floating_point()]
        if not floating:
            raise ArgumentError(
                f"func returns tensors of {[str(y.dtype) for y in ys]}; at least one of a floating-point dtype is expected"
            )
        self.count = len(ys)
        self.used = tuple([k for k in floating if ys[k].requires_grad] or floating)
        self.shapes = tuple(tuple(ys[k].shape) for k in self.used)
        self.dtypes = tuple(ys[k].dtype for k in self.used)
        functions = functions_of(ys)
        self.has_functions = bool(functions)
        self.has_rule_for_vmap = any(
            f.generate_vmap_rule or f.vmap is not torch.autograd.Function.vmap for f in functions
        ) or custom_ops.have_rule_for_vmap(functions, lambda: self._called(self.xs))

    def _note_further(self, leaves: Sequence[Tensor]) -> None:
        if leaves:
            shapes = ", ".join(str(tuple(x.shape)) for x in leaves[:_NAMED]) + ", ..." * (
                len(leaves) > _NAMED
            )
            self.note(
                f"func has {len(leaves)} further tensor(s) that require a gradient, of shape {shapes}: their gradients are not judged. "
                "Make inputs of them, those of a module by torch.func.functional_call"
            )

    def compare_shapes(self) -> None:
        """Call the reference once. Raises ArgumentError where its outputs differ from those of func; its exceptions propagate."""
        balls = enclosed(self.arguments, self.plain, self.fmt)
        self.reference = Reference(self.function, balls, self.active, self.fmt)
        self.reference.check_count(self.count)
        for k, shape in zip(self.used, self.shapes, strict=True):
            found = f"shape {self.reference.shape(k)}"
            if k in self.reference.others:
                found = f"dtype {self.reference.others[k].dtype}"
            elif self.reference.shape(k) == shape:
                continue
            raise ArgumentError(
                f"output {k} of reference has {found}, that of func has shape {shape} and requires a gradient; they have to be the same "
                "function"
            )

    def _called(self, xs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        full = list(self.arguments)
        for k, x in zip(self.active, xs, strict=True):
            full[k] = x
        try:
            y = self.func(*full)
        except Exception as error:
            raise Raised(error, "call") from error
        return tensors_of(y)

    def cotangents(self, given: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        """The cotangents of the outputs with a gradient, in their dtypes, from one for each output.

        Raises ArgumentError for a missing cotangent, or one of another shape.
        """
        if len(given) <= max(self.used):
            raise ArgumentError(
                f"grad_outputs has {len(given)} entries, output {max(self.used)} of func has a gradient; one for each output is expected"
            )
        chosen = [given[k] for k in self.used]
        for k, t, shape in zip(self.used, chosen, self.shapes, strict=True):
            if t is not None and tuple(t.shape) != shape:
                raise ArgumentError(
                    f"grad_outputs has shape {tuple(t.shape)} at position {k}; that of output {k} is expected, {shape}"
                )
        return tuple(
            None if t is None else t.detach().to(self.torch_device, self.torch_dtype).to(dtype)
            for t, dtype in zip(chosen, self.dtypes, strict=True)
        )

    def in_torch(self, *xs: Tensor) -> tuple[Tensor, ...]:
        """The outputs with a gradient, computed by torch."""
        ys = self._called(xs)
        return tuple(ys[k] for k in self.used)

    def over_balls(self, *xs: Any) -> tuple[Any, ...]:
        """The outputs with a gradient, computed by the reference over Balls."""
        smooth = dict(zip(self.reference.differentiable, self.reference.smooth(*xs), strict=True))
        return tuple(smooth[k] for k in self.used)

    def derivatives(self, seeds: Seeds) -> Nested:
        """The derivatives of the reference for these seeds."""

        def balls(given: Sequence[Tensor | None], shapes: Sequence[tuple[int, ...]]) -> list[Ball]:
            return [
                exact(np.zeros(shape) if t is None else as_array(t), self.fmt)
                for t, shape in zip(given, shapes, strict=True)
            ]

        shapes = [tuple(x.shape) for x in self.xs]
        return Nested(
            self.over_balls,
            self.fmt,
            [self.reference.balls[k] for k in self.active],
            y_bars=balls(seeds.y_bars, self.shapes),
            x_dots=balls(seeds.x_dots, shapes),
            y_bar_dots=balls(seeds.y_bar_dots, self.shapes),
            x_dots_again=balls(seeds.x_dots_again, shapes),
        )
