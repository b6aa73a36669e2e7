"""One question to torch: func is called on new tensors laid out as asked, and differentiated. What it wrote into them is reported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from refgrad.arguments import kind
from refgrad.errors import ArgumentError
from refgrad.torch.checking.layouts import CONTIGUOUS, EXPANDED, Laid, laid
from refgrad.torch.checking.plan import Ask
from refgrad.torch.forward_mode import dual_level

Array = Any
_KEPT = 2**20  # bytes that are remembered as they are
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Raised(Exception):  # noqa: N818  not an error of ours: it carries one
    """func, its backward or torch raised; ``where`` says in which of the steps."""

    def __init__(self, error: Exception, where: str) -> None:
        super().__init__(str(error))
        self.error, self.where = error, where


@dataclass
class Answer:
    """What torch gave: outputs, and gradients (reverse mode) or tangents (forward mode) where they were asked for."""

    outputs: tuple[Tensor, ...]
    found: tuple[Tensor | None, ...] = ()
    again: tuple[Tensor | None, ...] | None = (
        None  # the answer to the same question, asked a second time, where it is another one
    )
    written: list[str] = field(default_factory=list)  # what was written into, in words


class Asker:
    """Asks torch about func at given arguments, tensors of the judged dtype."""

    def __init__(self, func: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self.func, self.arguments = func, tuple(arguments)

    def outputs(self, ask: Ask) -> Answer:
        """The value alone. Raises Raised."""
        watch = _Watch()
        return Answer(self._call(self._arranged(ask, ask.question.active, watch)), written=watch.written())

    def reverse(self, ask: Ask, cotangents: Sequence[Array | None], *, twice: bool = False) -> Answer:
        """The gradients of ``ask.question.active``. Raises Raised."""
        watch = _Watch()
        active = ask.question.active
        arguments = self._arranged(ask, active, watch)
        answer = Answer(self._call(arguments), written=watch.written())
        seeds = self._seeds(ask, answer.outputs, cotangents, watch)
        asked = [answer.outputs[k] for k in seeds]

        def gradients() -> tuple[Tensor | None, ...]:
            return tuple(
                torch.autograd.grad(
                    asked,
                    [arguments[k] for k in active],
                    list(seeds.values()),
                    retain_graph=True,
                    allow_unused=True,
                )
            )

        if not asked:
            return answer
        try:
            answer.found = gradients()
            answer.written = watch.written()
            if twice:
                answer.found = tuple(None if g is None else g.clone() for g in answer.found)
                again = gradients()
                if not all(map(_same, answer.found, again)):
                    answer.again = again
        except Exception as error:
            raise Raised(error, "backward") from error
        return answer

    def forward(self, ask: Ask, tangents: Sequence[Array | None]) -> Answer:
        """The tangents of the outputs, by tangents of ``ask.seeded``. Raises Raised."""
        watch = _Watch()
        arguments = self._arranged(ask, (), watch)
        try:
            with dual_level():
                for k, tangent in zip(ask.seeded, tangents, strict=True):
                    seed = laid(self._tensor(tangent, arguments[k]), ask.question.seed_layout or CONTIGUOUS)
                    watch.over(seed, f"the tangent of input {k}")
                    arguments[k] = forward_ad.make_dual(arguments[k], seed.tensor)
                outputs = self._call(arguments)
                found = tuple(forward_ad.unpack_dual(y).tangent for y in outputs)
                return Answer(outputs, found, written=watch.written())
        except Raised as raised:
            raised.where = "forward mode"
            raise
        except Exception as error:
            raise Raised(error, "forward mode") from error

    def _arranged(self, ask: Ask, active: Sequence[int], watch: _Watch) -> list[Any]:
        """New arguments in the layouts asked for; those at ``active`` require a gradient."""
        found: list[Any] = []
        for k, (x, layout) in enumerate(zip(self.arguments, ask.layouts, strict=True)):
            if not isinstance(x, Tensor) or x.layout != torch.strided:
                found.append(x)
                continue
            place = laid(x, layout)
            found.append(place.tensor.requires_grad_() if k in active else place.tensor)
            if x.is_floating_point():
                watch.over(place, f"input {k}")
        return found

    def _seeds(
        self, ask: Ask, outputs: Sequence[Tensor], cotangents: Sequence[Array | None], watch: _Watch
    ) -> dict[int, Tensor]:
        """The cotangents as tensors, by output."""
        seeds: dict[int, Tensor] = {}
        for k, y in enumerate(outputs):
            if not y.requires_grad or (k not in ask.seeded and not ask.zeros):
                continue
            given = cotangents[k] if k in ask.seeded else None
            values = torch.zeros_like(y) if given is None else self._tensor(given, y)
            layout = ask.question.seed_layout or CONTIGUOUS
            place = laid(values, CONTIGUOUS if given is None and layout == EXPANDED else layout)
            watch.over(place, f"the cotangent of output {k}")
            seeds[k] = place.tensor
        return seeds

    @staticmethod
    def _tensor(x: Array, like: Tensor) -> Tensor:
        return torch.as_tensor(np.asarray(x)).to(like.device, like.dtype)

    def _call(self, arguments: list[Any]) -> tuple[Tensor, ...]:
        try:
            y = self.func(*arguments)
        except Exception as error:
            raise Raised(error, "call") from error
        outputs = tuple(y) if isinstance(y, (tuple, list)) else (y,)
        for x in outputs:
            if not isinstance(x, Tensor):
                raise ArgumentError(f"func returned {kind(x)}; a tensor, or a tuple of tensors, is expected")
        return outputs


class _Watch:
    """Remembers what memory held, gaps included."""

    def __init__(self) -> None:
        self.places: list[tuple[Tensor, bytes, str]] = []

    def over(self, place: Laid, name: str) -> None:
        self.places.append((place.memory, fingerprint(place.memory), name))

    def written(self) -> list[str]:
        """The names of what does not hold the same bits any more."""
        return [name for now, before, name in self.places if fingerprint(now) != before]


def fingerprint(t: Tensor) -> bytes:
    """What tells tensors of one shape and dtype apart by their bits, NaN included: these bits, or a hash where they are many."""
    t = t.detach()
    if t._is_zerotensor():  # forward mode's symbolic zero has no memory
        t = torch.zeros(t.shape, dtype=t.dtype)
    dense = t.resolve_conj().resolve_neg().contiguous()
    flat = dense.as_strided((dense.numel(),), (1,))  # of a single element the stride may be anything
    bits = flat.view(torch.uint8).numpy(force=True)
    return bits.tobytes() if bits.size <= _KEPT else hashlib.sha256(bits).digest()


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else same_bits(a, b)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one shape and dtype hold the same bits, NaN included."""
    kind_of = _BITS.get(a.element_size())
    a, b = a.detach(), b.detach()
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if kind_of is None or a.dtype == torch.bool or not (a.is_contiguous() and b.is_contiguous()):
        return bool(torch.equal(a, b))
    return bool(torch.equal(a.view(kind_of), b.view(kind_of)))
