"""Evaluation of one question in torch: func is called with new tensors in the requested memory layouts, and differentiated.

The memory of all tensors is compared before and after, because func must not write into its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from refgrad.arrays import PlainArray
from refgrad.torch.checking.arguments import tensors_of
from refgrad.torch.checking.complex_tensors import lazy_variants
from refgrad.torch.checking.layouts import CONTIGUOUS, EXPANDED, arranged
from refgrad.torch.checking.memory import GRADIENT, MemoryWatch, fingerprint, places, same_bits
from refgrad.torch.checking.plan import Request
from refgrad.torch.forward_mode import dual_level, make_dual
from refgrad.torch.side_effects import settings_restored

# Calls between the forward and the backward of one: a ring of workspaces has two or three places.
_FURTHER = 4
_DONATED = "donated buffers"  # in torch's message that a compiled backward runs with retain_graph=False alone
# Both stand in torch's message that a reentrant checkpoint is incompatible with .grad().
_CHECKPOINT = ("heckpoint", ".grad()")


class Raised(Exception):  # noqa: N818  it carries the exception of func or torch
    """An exception of func, its backward or torch. ``where`` names the step."""

    def __init__(self, error: Exception, where: str) -> None:
        super().__init__(str(error))
        self.error, self.where = error, where


@dataclass
class Answer:
    """The answer of torch.

    found     gradients in reverse mode, tangents in forward mode
    again     the answer of a second evaluation of the same question, where it differs
    recorded  the answer with create_graph=True, where it was asked for and came
    written   names of the tensors into which func wrote
    """

    outputs: tuple[Tensor, ...]
    found: tuple[Tensor | None, ...] = ()
    again: tuple[Tensor | None, ...] | None = None
    recorded: tuple[Tensor | None, ...] = ()
    written: list[str] = field(default_factory=list)


class Evaluator:
    """Evaluates func and its derivatives at given arguments, tensors of the judged dtype.

    single_backward   whether torch allows one backward for each call: torch.compile donates buffers of the forward to the backward
    by_backward       whether gradients are read from ``.grad``: torch refuses torch.autograd.grad for reentrant checkpoints
    changes           of torch's settings by func and its backward, which are undone. A seed may be set, so that dropout draws the same
    """

    def __init__(self, func: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self.func, self.arguments = func, tuple(arguments)
        self.single_backward = self.by_backward = False
        self.changes: list[str] = []
        self._places: set[int] = set()

    def outputs(self, request: Request) -> Answer:
        """The outputs. Raises Raised."""
        watch = MemoryWatch()
        return Answer(
            self._call(self._arranged(request, request.question.active, watch)), written=watch.written()
        )

    def reverse(
        self,
        request: Request,
        cotangents: Sequence[PlainArray | None],
        *,
        twice: bool = False,
        recorded: bool = False,
    ) -> Answer:
        """The outputs, and the gradients of the inputs at ``question.active``. Raises Raised.

        cotangents   one for each output; None for one that is not given
        twice        whether the backward runs a second time
        recorded     whether it runs with create_graph=True, too; a RuntimeError then says that it is not differentiable, and is no answer
        """
        watch = MemoryWatch()
        active = request.question.active
        arguments = self._arranged(request, active, watch)
        answer = Answer(self._call(arguments, request.lazily), written=watch.written())
        seeds = self._seeds(request, answer.outputs, cotangents, watch)
        used_outputs = [answer.outputs[k] for k in seeds]

        def gradients(*, record: bool = False) -> tuple[Tensor | None, ...]:
            given = list(seeds.values())
            try:
                found = self._grad(
                    used_outputs,
                    [arguments[k] for k in active],
                    [x.detach().requires_grad_() for x in given] if record else given,
                    retain_graph=not self.single_backward,
                    create_graph=record,
                )
            except RuntimeError as error:
                if not self.single_backward and not record and _DONATED in str(error):
                    self.single_backward = True
                raise
            return tuple(
                g if g is None or g.layout == torch.strided else g.detach().to_dense() for g in found
            )

        if not used_outputs:
            return answer
        where = "backward"
        try:
            once = self.single_backward
            try:
                answer.found = gradients()
            except RuntimeError:
                if self.single_backward == once:
                    raise
                answer.found = gradients()  # torch refused the first time, before it freed anything
            answer.written = watch.written() + [
                GRADIENT.format(k) for k in active if arguments[k].grad is not None
            ]
            if twice:
                answer.found = tuple(None if g is None else g.clone() for g in answer.found)
                where = "a second backward of one graph, with retain_graph=True,"
                again = self.reverse(request, cotangents).found if self.single_backward else gradients()
                if not all(map(_same, answer.found, again)):
                    answer.again = again
        except Raised:
            raise
        except Exception as error:
            raise Raised(error, where) from error
        if recorded and not self.single_backward and not self.by_backward:
            try:
                found = gradients(record=True)
                answer.recorded = tuple(None if g is None else g.detach().clone() for g in found)
            except RuntimeError:
                pass  # torch's own word that a backward is not differentiable, which it need not be
            except Exception as error:
                raise Raised(error, "backward") from error
        return answer

    def between_calls(
        self, request: Request, cotangents: Sequence[PlainArray | None], others: Sequence[Any]
    ) -> Answer:
        """The gradients of a call whose backward runs after further calls of func, with ``others`` for the arguments. Raises Raised.

        ``written`` names the results of the first call whose elements the further calls, or their backwards, have changed. The further
        backwards have negated cotangents: the gradient of a linear function depends on nothing else.
        """
        active, watch = request.question.active, MemoryWatch()
        arguments = self._arranged(request, active, watch)
        second = self._arranged(request, active, watch, others)
        answer = Answer(self._call(arguments))
        before = [fingerprint(y) for y in answer.outputs]
        further = [self._call(second) for _ in range(_FURTHER)]

        answer.written = [
            f"output {k}"
            for k, (y, bits) in enumerate(zip(answer.outputs, before, strict=True))
            if fingerprint(y) != bits
        ]
        try:
            kept = self._gradients(request, answer.outputs, arguments, cotangents)
            answer.found = tuple(None if g is None else g.clone() for g in kept)
            for outputs in further:
                # Another shape is right where it depends on the numbers.
                pairs = zip(outputs, cotangents, strict=False)
                negated = [None if x is None else -np.resize(x, y.shape) for y, x in pairs]
                self._gradients(request, outputs, second, negated)
        except Exception as error:
            raise Raised(error, "backward") from error
        answer.written += [
            f"the gradient of input {k}"
            for k, now, own in zip(active, kept, answer.found, strict=True)
            if now is not None and own is not None and fingerprint(now) != fingerprint(own)
        ]
        return answer

    def overwriting(
        self, request: Request, cotangents: Sequence[PlainArray | None], others: Sequence[Any]
    ) -> tuple[Answer, Answer]:
        """The answers of two calls with the same tensors, which hold ``others`` in the first call. Raises Raised.

        Neither the tensors nor their memory had a call before: func could find there what it kept of that call.
        """
        seen, alive = frozenset(self._places), []
        for _ in range(len(seen) + 1):  # as long as one is alive, nothing else has its place
            alive.append(xs := self._arranged(request, request.question.active, MemoryWatch(), others))
            if not places(xs) & seen:
                break
        first = self.differentiated(request, xs, cotangents)
        first.outputs = tuple(y.detach().clone() for y in first.outputs)  # one may be a view of an input
        first.found = tuple(None if g is None else g.clone() for g in first.found)
        with torch.no_grad():
            for k in request.question.active:
                xs[k].copy_(self.arguments[k])
        return first, self.differentiated(request, xs, cotangents)

    def after_writing(
        self,
        request: Request,
        cotangents: Sequence[PlainArray | None],
        k: int,
        factor: float,
        *,
        output: bool,
    ) -> tuple[Tensor | None, ...]:
        """The gradients of a call, with input k (or output k) multiplied in place before the backward. Raises Raised."""
        xs = self._arranged(request, request.question.active, MemoryWatch())
        outputs = self._call(xs)
        try:
            with torch.no_grad():
                (outputs if output else xs)[k].mul_(factor)
            return self._gradients(request, outputs, xs, cotangents)
        except Exception as error:
            raise Raised(error, "backward") from error

    def after_another(
        self,
        request: Request,
        cotangents: Sequence[PlainArray | None],
        former: Sequence[PlainArray | None],
    ) -> tuple[Tensor | None, ...]:
        """The gradients of a call whose backward has run for the cotangents ``former`` before. Raises Raised."""
        xs = self._arranged(request, request.question.active, MemoryWatch())
        outputs = self._call(xs)
        try:
            self._gradients(request, outputs, xs, former, retain_graph=True)
            return self._gradients(request, outputs, xs, cotangents)
        except Exception as error:
            raise Raised(error, "backward") from error

    def differentiated(
        self, request: Request, xs: list[Any], cotangents: Sequence[PlainArray | None]
    ) -> Answer:
        """The answer of a call with these tensors. Raises Raised."""
        answer = Answer(self._call(xs))
        try:
            answer.found = self._gradients(request, answer.outputs, xs, cotangents)
        except Exception as error:
            raise Raised(error, "backward") from error
        return answer

    def _gradients(
        self,
        request: Request,
        outputs: Sequence[Tensor],
        xs: Sequence[Any],
        cotangents: Sequence[PlainArray | None],
        *,
        retain_graph: bool = False,
    ) -> tuple[Tensor | None, ...]:
        active, seeds = request.question.active, self._seeds(request, outputs, cotangents, MemoryWatch())
        if not seeds:
            return (None,) * len(active)
        found = self._grad(
            [outputs[k] for k in seeds],
            [xs[k] for k in active],
            list(seeds.values()),
            retain_graph=retain_graph,
        )
        return tuple(g if g is None or g.layout == torch.strided else g.to_dense() for g in found)

    def _grad(
        self, ys: Sequence[Tensor], xs: Sequence[Tensor], y_bars: Sequence[Tensor], **options: bool
    ) -> tuple[Tensor | None, ...]:
        """The gradients of leaves, by torch.autograd.grad or by ``backward``."""
        with settings_restored("seed") as changes:
            found = self._asked(ys, xs, y_bars, **options)
        self.changes += changes
        return found

    def _asked(
        self, ys: Sequence[Tensor], xs: Sequence[Tensor], y_bars: Sequence[Tensor], **options: bool
    ) -> tuple[Tensor | None, ...]:
        if not self.by_backward:
            try:
                return torch.autograd.grad(ys, xs, y_bars, allow_unused=True, **options)
            except RuntimeError as error:
                if not all(words in str(error) for words in _CHECKPOINT):
                    raise
                self.by_backward = True
        for x in xs:
            x.grad = None
        torch.autograd.backward(ys, y_bars, **options)
        found = tuple(x.grad for x in xs)
        for x in xs:
            x.grad = None
        return found

    def forward(self, request: Request, tangents: Sequence[PlainArray | None]) -> Answer:
        """The outputs and their tangents, for tangents of the inputs at ``seeded``. Raises Raised.

        Where no tangent arrives, func is called once more with inputs that require a gradient: torch then says that an op has no forward
        mode. An op of ``torch.library.custom_op`` drops tangents without a word where no input requires one.
        """
        watch = MemoryWatch()
        arguments = self._arranged(request, (), watch)
        try:
            with dual_level():
                for k, tangent in zip(request.seeded, tangents, strict=True):
                    assert tangent is not None, "a seeded input has a tangent"
                    seed = arranged(
                        self._tensor(tangent, arguments[k]), request.question.seed_layout or CONTIGUOUS
                    )
                    watch.add(seed, f"the tangent of input {k}")
                    arguments[k] = make_dual(arguments[k], seed.tensor)
                outputs = self._call(arguments)
                found = tuple(forward_ad.unpack_dual(y).tangent for y in outputs)
                if all(tangent is None for tangent in found):
                    self._call([_requiring(x) for x in arguments])
                return Answer(outputs, found, written=watch.written())
        except Raised as raised:
            raised.where = "forward mode"
            raise
        except Exception as error:
            raise Raised(error, "forward mode") from error

    def _arranged(
        self,
        request: Request,
        active: Sequence[int],
        watch: MemoryWatch,
        arguments: Sequence[Any] | None = None,
    ) -> list[Any]:
        """New arguments in the requested layouts; those at ``active`` require a gradient."""
        found: list[Any] = []
        given = self.arguments if arguments is None else arguments
        for k, (x, layout) in enumerate(zip(given, request.layouts, strict=True)):
            if not isinstance(x, Tensor) or x.layout != torch.strided:
                found.append(x)
                continue
            placed = arranged(x, layout)
            if isinstance(self.arguments[k], Parameter):
                found.append(Parameter(placed.tensor, k in active))
            else:
                found.append(placed.tensor.requires_grad_(k in active))
            watch.add(placed, f"input {k}")
        self._places |= places(found)
        return found

    def _seeds(
        self,
        request: Request,
        outputs: Sequence[Tensor],
        cotangents: Sequence[PlainArray | None],
        watch: MemoryWatch,
    ) -> dict[int, Tensor]:
        """The cotangents as tensors, by output."""
        seeds: dict[int, Tensor] = {}
        for k, y in enumerate(outputs):
            if not y.requires_grad or (k not in request.seeded and not request.zeros):
                continue
            given = cotangents[k] if k in request.seeded else None
            values = torch.zeros_like(y) if given is None else self._tensor(given, y)
            layout = request.question.seed_layout or CONTIGUOUS
            placed = arranged(
                values, CONTIGUOUS if request.lazily or (given is None and layout == EXPANDED) else layout
            )
            watch.add(placed, f"the cotangent of output {k}")
            seeds[k] = placed.tensor
        return seeds

    @staticmethod
    def _tensor(x: PlainArray, like: Tensor) -> Tensor:
        return torch.as_tensor(np.asarray(x)).to(like.device, like.dtype)

    def _call(self, arguments: list[Any], lazily: str = "") -> tuple[Tensor, ...]:
        func = lazy_variants(self.func)[lazily] if lazily else self.func
        try:
            with settings_restored("seed") as changes:
                y = func(*arguments)
        except Exception as error:
            raise Raised(error, "call") from error
        self.changes += changes
        return tensors_of(y)


def _requiring(x: Any) -> Any:
    """A dual tensor, with a primal that requires a gradient."""
    if not isinstance(x, Tensor) or not (x.is_floating_point() or x.is_complex()):
        return x
    primal, tangent = forward_ad.unpack_dual(x)
    primal = primal.detach().requires_grad_()
    return primal if tangent is None else forward_ad.make_dual(primal, tangent)


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else same_bits(a, b)
