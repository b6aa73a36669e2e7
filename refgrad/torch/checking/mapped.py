"""func under torch.func.vmap over its inputs: the values and gradients of each sample, compared with the reference at that sample.

This alone asks a torch.autograd.Function in func for its static method ``vmap``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.testing.checks.aggregation import Aggregation
from refgrad.testing.checks.array_verdict import Question
from refgrad.testing.checks.seeds import WHOLE
from refgrad.testing.judging.verdict import ERROR, UNSUPPORTED, Verdict
from refgrad.torch.checking.arguments import outputs_of
from refgrad.torch.checking.evaluation import Raised
from refgrad.torch.checking.layouts import GIVEN
from refgrad.torch.checking.plan import MOST_ALONE, Request
from refgrad.torch.checking.point import REVERSE, VALUE, Point, integers, numbers
from refgrad.torch.checking.subject import Subject
from refgrad.torch.refusal import described, fails_inside_torch, refuses

MAPPED = "vmap of func"
SAMPLES = 3
_FACTORS = (0.875, 0.625, 0.75)  # of the further samples: positive, so that most domains hold them, too
_STREAM = 3  # distinguishes the generator from one with the same seed that made the user's inputs

# For each active input, then each other tensor, the axis of the samples; None where all samples share the input.
Dims = tuple[int | None, ...]
Arrays = tuple[Tensor, ...]


def verdict(subject: Subject, *, seed: int, demanded: bool, gradients: bool) -> Verdict | None:
    """The verdict on func under vmap; None where nobody asked for it and no Function in func has a rule for vmap.

    demanded    whether the user asked for batched derivatives. Otherwise the question is asked where a Function has a rule
    gradients   whether gradients are judged beside the values
    """
    aggregation = Aggregation(MAPPED, subject.fmt, subject.device, subject.plain)
    aggregation.shapes_decide = True
    try:
        subject.run()
    except Raised as raised:
        aggregation.failed(UNSUPPORTED if refuses(raised.error) else ERROR, described(raised.error))
        return aggregation.verdict() if demanded else None
    if not (demanded or subject.has_rule_for_vmap):
        return None
    mapped = _Mapped(subject, aggregation, np.random.default_rng((seed, _STREAM)), gradients=gradients)
    others = len(mapped.places) - len(subject.active)
    for number, dims in enumerate(_in_dims([x.ndim for x in subject.xs], others)):
        mapped.judge(dims, first=number == 0)
    return aggregation.verdict()


def _in_dims(axes: Sequence[int], others: int = 0) -> Iterator[Dims]:
    """The axes of the samples, for differentiated inputs of so many axes, and for the number of other tensors.

    Of the differentiated ones the first, the last, one input's first and the next one's last, and each alone; then the other tensors, such
    as indices, with these and alone.
    """
    shared: Dims = (None,) * others
    yield (0,) * len(axes) + shared
    if any(axes):
        yield (*axes, *shared)
    if len(axes) > 1:
        if any(axes):
            yield tuple(n if k % 2 else 0 for k, n in enumerate(axes)) + shared
        for k in range(min(len(axes), MOST_ALONE)):
            yield tuple(0 if j == k else None for j in range(len(axes))) + shared
    if others:
        yield (0,) * (len(axes) + others)
        yield (None,) * len(axes) + (0,) * others


class _Mapped:
    """The questions of one subject. Equal samples of several questions have the same reference values.

    places   positions of the inputs that may have samples: the active ones, then the other tensors
    """

    def __init__(
        self, subject: Subject, aggregation: Aggregation, rng: np.random.Generator, *, gradients: bool
    ) -> None:
        self.subject, self.aggregation, self.rng, self.gradients = subject, aggregation, rng, gradients
        others = [
            k for k, x in enumerate(subject.arguments) if isinstance(x, Tensor) and k not in subject.active
        ]
        self.places = (*subject.active, *others)

    def judge(self, dims: Dims, *, first: bool) -> None:
        """Ask with the samples along these axes, and compare every sample. An exception of the first question is the verdict."""
        subject = self.subject
        shared = [f"input {k}" for k, d in zip(subject.active, dims, strict=False) if d is None]
        places = ", ".join(
            f"input {k} along axis {d}" for k, d in zip(self.places, dims, strict=True) if d is not None
        )
        described_as = f"vmap over {places}" + (f", {' and '.join(shared)} shared" if shared else "")
        question = Question(MAPPED, WHOLE, subject.active, subject.used, described_as)
        points, seeds = self._samples(dims)
        request = _request(subject)
        xs = [_stacked([p.arguments[k] for p in points], d) for k, d in zip(self.places, dims, strict=True)]
        y_bars = [
            torch.stack([torch.as_tensor(np.asarray(s[k])).to(subject.torch_device, dtype) for s in seeds])
            for k, dtype in zip(subject.used, subject.dtypes, strict=True)
        ]
        for ask in (self._through_vmap, self._by_sample) if self.gradients else (self._through_vmap,):
            try:
                outputs, found = ask(xs, dims, y_bars)
            except Exception as error:  # noqa: BLE001  it is the verdict; the other questions go on
                self._raised(error, question, first=first)
                continue
            for number, point in enumerate(points):
                self._compare(point, number, outputs, found, question, request, seeds[number])

    def _samples(self, dims: Dims) -> tuple[list[Point], list[Any]]:
        """The reference at each sample, and the cotangents: the given inputs, and the mapped ones times a factor, others turned."""
        subject, points, seeds = self.subject, [], []
        factors = iter(_FACTORS)
        for number in range(SAMPLES):
            point = None
            while number and point is None and (factor := next(factors, None)) is not None:
                point = self._scaled(dims, factor, number) or self._scaled(dims, factor)
            point = point or self._scaled(dims, 1.0) or self._point(tuple(subject.arguments))
            points.append(point)
            seeds.append(point.seeds(REVERSE, _request(subject)))
        return points, seeds

    def _scaled(self, dims: Dims, factor: float, turn: int = 0) -> Point | None:
        """The reference with the mapped inputs times a factor; None where it raises or has no finite value.

        turn   places by which the rows of other mapped tensors move on: indices and masks remain such
        """
        moving = {k for k, d in zip(self.places, dims, strict=True) if d is not None}

        def of_sample(k: int, x: Any) -> Any:
            if k not in moving:
                return x
            if k in self.subject.active:
                return x * factor
            return torch.roll(x, turn, 0) if x.ndim else x

        try:
            point = self._point(tuple(of_sample(k, x) for k, x in enumerate(self.subject.arguments)))
        except Exception:  # noqa: BLE001  a reference may raise anything at inputs that the check constructs
            return None
        values = [getattr(y, "value", y) for y in point.reference.expected]
        return point if factor == 1.0 or all(np.all(np.isfinite(y)) for y in values) else None

    def _point(self, arguments: tuple[Any, ...]) -> Point:
        subject = self.subject
        return Point(subject.func, subject.function, arguments, subject.active, subject.fmt, self.rng)

    def _through_vmap(
        self, xs: Sequence[Tensor], dims: Dims, y_bars: Sequence[Tensor]
    ) -> tuple[Arrays, dict[int, Tensor]]:
        """vmap(func), and the gradient of its outputs by an ordinary backward, for the mapped inputs."""
        active = len(self.subject.active)
        leaves = [x.detach().requires_grad_(self.gradients and k < active) for k, x in enumerate(xs)]
        outputs = torch.func.vmap(self._called, in_dims=dims)(*leaves)
        moving = [k for k, d in enumerate(dims[:active]) if d is not None]
        pairs = [
            (outputs[k], y_bar)
            for k, y_bar in zip(self.subject.used, y_bars, strict=True)
            if outputs[k].requires_grad
        ]
        due = [y_bar.shape for y_bar in y_bars]
        if not (self.gradients and pairs and moving) or [outputs[k].shape for k in self.subject.used] != due:
            # An output of another shape is wrong, and has no gradient for these cotangents.
            return outputs, {}
        gradients = torch.autograd.grad(
            [y for y, _ in pairs], [leaves[k] for k in moving], [w for _, w in pairs], allow_unused=True
        )
        return outputs, {
            k: (torch.zeros_like(leaves[k]) if g is None else g).movedim(dims[k] or 0, 0)
            for k, g in zip(moving, gradients, strict=True)
        }

    def _by_sample(
        self, xs: Sequence[Tensor], dims: Dims, y_bars: Sequence[Tensor]
    ) -> tuple[Arrays, dict[int, Tensor]]:
        """The gradient of each sample: vmap of vjp."""

        def gradients(seeds: Sequence[Tensor], *own: Tensor) -> Arrays:
            mine, others = own[: len(self.subject.active)], own[len(self.subject.active) :]
            _, pull_back = torch.func.vjp(
                lambda *xs: tuple(self._called(*xs, *others)[k] for k in self.subject.used), *mine
            )
            found: Arrays = pull_back(tuple(seeds))
            return found

        found = torch.func.vmap(gradients, in_dims=(0, *dims))(tuple(y_bars), *[x.detach() for x in xs])
        return (), dict(enumerate(found))

    def _called(self, *xs: Tensor) -> Arrays:
        full = list(self.subject.arguments)
        for k, x in zip(self.places, xs, strict=True):
            full[k] = x
        return outputs_of(self.subject.func(*full), "func")

    def _compare(
        self,
        point: Point,
        number: int,
        outputs: Arrays,
        found: dict[int, Tensor],
        question: Question,
        request: Request,
        seeds: Any,
    ) -> None:
        """Compare one sample. Agreement with the further samples, which the check constructs, decides nothing."""
        aggregation = self.aggregation
        aggregation.inputs, aggregation.supplementary = point.plain, number > 0
        for k, (y, due) in enumerate(zip(outputs, point.reference.expected, strict=False)):
            what, got = f"output {k} of sample {number}", y[number].detach()
            compared = (
                integers(got, due, what)
                if k in point.reference.others
                else point.compared(VALUE, got, due, what, k)
            )
            aggregation.add(f"output {k}", compared, question, (), k, _array(got), due)
        if not found:
            return
        expected = point.expected_arrays(REVERSE, request, seeds)
        for place, x_bar in found.items():
            k = self.subject.active[place]
            x_bar_due, got = expected[place], x_bar[number].detach()
            assert x_bar_due is not None, "every active input has an expected gradient"
            what = f"gradient of input {k} of sample {number}"
            compared = point.compared(REVERSE, got, x_bar_due, what, k, request, seeds)
            aggregation.add(
                f"gradient of input {k}", compared, question, tuple(seeds), k, _array(got), x_bar_due
            )
        aggregation.inputs, aggregation.supplementary = self.subject.plain, False

    def _raised(self, error: Exception, question: Question, *, first: bool) -> None:
        """A refusal of torch makes the order unsupported; an exception of a rule is an error, and of further questions a note."""
        words = described(error)
        if not first:
            self.subject.note(f"{self.subject.dtype}: not judged by {question.layout}: func raised {words}")
        elif self.subject.has_rule_for_vmap and not (refuses(error) or fails_inside_torch(error)):
            self.aggregation.failed(ERROR, f"{question.layout} raised {words}")
        else:
            self.aggregation.failed(UNSUPPORTED, words)


def _request(subject: Subject) -> Request:
    question = Question(REVERSE, WHOLE, subject.active, subject.used)
    layouts = tuple(GIVEN if isinstance(x, Tensor) else "" for x in subject.arguments)
    return Request(question, 0, layouts, subject.used)


def _stacked(samples: Sequence[Tensor], axis: int | None) -> Tensor:
    return samples[0].clone() if axis is None else torch.stack([x.contiguous() for x in samples], axis)


def _array(t: Tensor) -> Callable[[], Any]:
    return lambda: numbers(t)
