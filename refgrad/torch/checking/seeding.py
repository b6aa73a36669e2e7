"""Seeds of second derivatives: random draws, missing seeds, and memory layouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from refgrad.testing.checks.seeds import (
    AFTER_NEGATED,
    DRAWS,
    LARGE,
    SINGLE,
    SMALL,
    SPARSE,
    WHOLE,
    WITHOUT_GRADIENT,
    ZERO,
    drawn,
)
from refgrad.torch.checking.layouts import CONTIGUOUS, EXPANDED, GIVEN, arranged, distinct_layouts
from refgrad.torch.checking.memory import same_bits
from refgrad.torch.checking.orders import Seeds
from refgrad.torch.checking.subject import Subject

_ALONE = 4  # inputs, and outputs, that are judged alone, at most
# Where one seed is of such a kind, the other one uses the whole significand: products of two large or small seeds leave the range within
# which a formula keeps its digits, and the elements of two that are mostly zero seldom meet.
_BESIDE_WHOLE = (SINGLE, SPARSE, SMALL, LARGE, ZERO)
_KINDS = [kind for kind in DRAWS if kind != WHOLE]


@dataclass(frozen=True)
class Draw:
    """One or several sets of seeds, with the memory layouts of inputs and seeds."""

    many: tuple[Seeds, ...]
    layout: str
    seed_layout: str
    kind: str = WHOLE

    @property
    def seeds(self) -> Seeds:
        """The first set of seeds."""
        return self.many[0]

    @property
    def ordinary(self) -> bool:
        """Whether all seeds are given, and use the whole significand."""
        return self.kind == WHOLE and all(t is not None for t in (*self.seeds.x_dots, *self.seeds.y_bar_dots))


def draws(
    subject: Subject,
    rng: np.random.Generator,
    *,
    repeats: int,
    alone: bool,
    batch: int,
    cotangents: Sequence[Tensor | None] | None = None,
) -> list[Draw]:
    """Seeds that use the whole significand, and of other kinds.

    repeats      number of complete draws of the whole significand, each in another layout
    alone        whether there is also a draw for each tangent and each cotangent alone, and one of each other kind; for double backward
                 one with frozen inputs, one with cotangents that require no gradient, and one after another of the same graph
    batch        number of sets of seeds in a draw, for orders that take several at once
    cotangents   those to use in place of random ones, one for each output with a gradient
    """
    found = []
    for repeat in range(repeats):
        expanded = repeat % 3 == 2
        many = tuple(_drawn(subject, rng, repeat, expanded, cotangents) for _ in range(batch))
        layout = GIVEN if repeat == 0 else _layout_of_repeat(subject.xs, repeat)
        found.append(Draw(many, layout, EXPANDED if expanded else CONTIGUOUS if repeat == 0 else "permuted"))
    if alone:
        found += [
            Draw((part,), GIVEN, CONTIGUOUS)
            for part in _each_alone(_drawn(subject, rng, 0, False, cotangents))
        ]
        found += [
            Draw((_drawn(subject, rng, 0, False, cotangents, kind),), GIVEN, CONTIGUOUS, kind)
            for kind in _KINDS
        ]
        first = found[0].seeds
        found += [Draw((part,), GIVEN, CONTIGUOUS) for part in _with_frozen_inputs(first)]
        found.append(Draw((replace(first, constant=True),), GIVEN, CONTIGUOUS, WITHOUT_GRADIENT))
        found.append(Draw((replace(first, after_negated=True),), GIVEN, CONTIGUOUS, AFTER_NEGATED))
    return found


def _layout_of_repeat(xs: Sequence[Tensor], repeat: int) -> str:
    """The layout of the inputs in a repeat: the distinct layouts in turn."""
    names = list(dict.fromkeys(name for x in xs for name in distinct_layouts(x)))
    return names[(repeat - 1) % len(names)] if names else CONTIGUOUS


def _drawn(
    subject: Subject,
    rng: np.random.Generator,
    repeat: int,
    expanded: bool,
    cotangents: Sequence[Tensor | None] | None,
    kind: str = WHOLE,
) -> Seeds:
    def seed(shape: tuple[int, ...], dtype: torch.dtype, kind: str) -> Tensor:
        one = drawn(kind, rng, () if expanded else shape, subject.fmt)
        t = torch.as_tensor(np.array(np.broadcast_to(one, shape))).to(subject.torch_device, dtype)
        names = distinct_layouts(t)
        if expanded:
            return arranged(t, EXPANDED).tensor
        return arranged(t, names[(repeat - 1) % len(names)]).tensor if repeat and names else t

    def of_outputs(kind: str) -> tuple[Tensor, ...]:
        return tuple(
            seed(shape, dtype, kind) for shape, dtype in zip(subject.shapes, subject.dtypes, strict=True)
        )

    def of_inputs(kind: str) -> tuple[Tensor, ...]:
        return tuple(seed(tuple(x.shape), x.dtype, kind) for x in subject.xs)

    other = WHOLE if kind in _BESIDE_WHOLE else kind
    y_bars = of_outputs(other) if cotangents is None else tuple(cotangents)
    return Seeds(y_bars, of_inputs(kind), of_outputs(kind), of_inputs(other))


def _each_alone(seeds: Seeds) -> list[Seeds]:
    found = []
    if len(seeds.x_dots) > 1:
        found += [
            replace(seeds, x_dots=_only(seeds.x_dots, k)) for k in range(min(_ALONE, len(seeds.x_dots)))
        ]
    given = [k for k, y_bar in enumerate(seeds.y_bars) if y_bar is not None]
    if len(given) > 1:
        found += [
            replace(seeds, y_bars=_only(seeds.y_bars, k), y_bar_dots=_only(seeds.y_bar_dots, k))
            for k in given[:_ALONE]
        ]
    return found


def _with_frozen_inputs(seeds: Seeds) -> list[Seeds]:
    """The seeds with each input frozen, and with all but each."""
    every = frozenset(range(len(seeds.x_dots)))
    each = [frozenset({k}) for k in range(min(_ALONE, len(every)))]
    some = dict.fromkeys(frozen for k in each for frozen in (k, every - k) if frozen and frozen != every)
    return [
        replace(
            seeds,
            x_dots=tuple(None if k in frozen else t for k, t in enumerate(seeds.x_dots)),
            frozen=frozen,
        )
        for frozen in some
    ]


def _only(given: Sequence[Tensor | None], k: int) -> tuple[Tensor | None, ...]:
    return tuple(t if j == k else None for j, t in enumerate(given))


class Placed:
    """Copies of inputs and seeds in new memory. Writes of func into them are detected, and do not affect the next question."""

    def __init__(self, subject: Subject, layout: str, many: Sequence[Seeds]) -> None:
        self._watched: list[tuple[Tensor, Tensor, str]] = []
        self.xs = [
            self._laid(
                x, layout if layout == GIVEN or layout in distinct_layouts(x) else CONTIGUOUS, f"input {k}"
            )
            for k, x in zip(subject.active, subject.xs, strict=True)
        ]
        names = (
            [f"the cotangent of output {k}" for k in subject.used],
            [f"the tangent of input {k}" for k in subject.active],
            [f"the tangent of cotangent {k}" for k in subject.used],
            [f"the second tangent of input {k}" for k in subject.active],
        )
        self.many = []
        for seeds in many:
            y_bars, x_dots, y_bar_dots, x_dots_again = [
                tuple(
                    None if t is None else self._laid(t, GIVEN, name)
                    for t, name in zip(group, some, strict=True)
                )
                for group, some in zip(seeds.groups(), names, strict=True)
            ]
            self.many.append(
                replace(seeds, y_bars=y_bars, x_dots=x_dots, y_bar_dots=y_bar_dots, x_dots_again=x_dots_again)
            )

    def _laid(self, x: Tensor, layout: str, name: str) -> Tensor:
        place = arranged(x, layout)
        self._watched.append((place.memory, place.memory.clone(), name))
        return place.tensor

    def written(self) -> list[str]:
        """The names of the tensors whose memory has changed."""
        return list(dict.fromkeys(name for now, before, name in self._watched if not same_bits(now, before)))
