"""The seeds of second derivatives: how they are drawn, which are left out, and how they lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refgrad.testing.checks.seeds import WHOLE, drawn
from refgrad.torch.checking.asking import same_bits
from refgrad.torch.checking.layouts import CONTIGUOUS, EXPANDED, GIVEN, laid, offered
from refgrad.torch.checking.orders import Seeds
from refgrad.torch.checking.subject import Subject

_ALONE = 4  # inputs and outputs that are asked for alone, at most


@dataclass(frozen=True)
class Draw:
    """One set of questions: seeds, and how the inputs and the seeds lie in memory."""

    many: tuple[Seeds, ...]
    layout: str
    seed_layout: str

    @property
    def seeds(self) -> Seeds:
        """The first of them."""
        return self.many[0]

    @property
    def complete(self) -> bool:
        """Whether no seed is left out by itself."""
        return all(t is not None for t in (*self.seeds.x_dots, *self.seeds.y_bar_dots))


def draws(
    subject: Subject,
    rng: np.random.Generator,
    *,
    repeats: int,
    alone: bool,
    batch: int,
    cotangents: Sequence[Tensor | None] | None = None,
) -> list[Draw]:
    """Seeds of the whole significand: all of them, in ``repeats`` layouts; with ``alone``, each tangent and each cotangent by itself, too.

    batch       how many Seeds a draw holds, for orders that take several at once
    cotangents  those to take in place of random ones, one for each output that has a gradient
    """
    found = []
    for repeat in range(repeats):
        expanded = repeat % 3 == 2
        many = tuple(_drawn(subject, rng, repeat, expanded, cotangents) for _ in range(batch))
        layout = GIVEN if repeat == 0 else _turn(subject.xs, repeat)
        found.append(Draw(many, layout, EXPANDED if expanded else CONTIGUOUS if repeat == 0 else "permuted"))
    if alone:
        found += [
            Draw((part,), GIVEN, CONTIGUOUS)
            for part in _each_alone(_drawn(subject, rng, 0, False, cotangents))
        ]
    return found


def _turn(xs: Sequence[Tensor], repeat: int) -> str:
    """The layout of the inputs in a repeat: each that differs from the contiguous one in turn."""
    names = list(dict.fromkeys(name for x in xs for name in offered(x)))
    return names[(repeat - 1) % len(names)] if names else CONTIGUOUS


def _drawn(
    subject: Subject,
    rng: np.random.Generator,
    repeat: int,
    expanded: bool,
    cotangents: Sequence[Tensor | None] | None,
) -> Seeds:
    def seed(shape: tuple[int, ...], dtype: Any) -> Tensor:
        one = drawn(WHOLE, rng, () if expanded else shape, subject.fmt)
        t = torch.as_tensor(np.array(np.broadcast_to(one, shape))).to(subject.place, dtype)
        names = offered(t)
        if expanded:
            return laid(t, EXPANDED).tensor
        return laid(t, names[(repeat - 1) % len(names)]).tensor if repeat and names else t

    def of_outputs() -> tuple[Tensor, ...]:
        return tuple(seed(shape, dtype) for shape, dtype in zip(subject.shapes, subject.dtypes, strict=True))

    def of_inputs() -> tuple[Tensor, ...]:
        return tuple(seed(tuple(x.shape), x.dtype) for x in subject.xs)

    y_bars = of_outputs() if cotangents is None else tuple(cotangents)
    return Seeds(y_bars, of_inputs(), of_outputs(), of_inputs())


def _each_alone(seeds: Seeds) -> list[Seeds]:
    found = []
    if len(seeds.x_dots) > 1:
        found += [
            replace(seeds, x_dots=_only(seeds.x_dots, k)) for k in range(min(_ALONE, len(seeds.x_dots)))
        ]
    there = [k for k, y_bar in enumerate(seeds.y_bars) if y_bar is not None]
    if len(there) > 1:
        found += [
            replace(seeds, y_bars=_only(seeds.y_bars, k), y_bar_dots=_only(seeds.y_bar_dots, k))
            for k in there[:_ALONE]
        ]
    return found


def _only(given: Sequence[Tensor | None], k: int) -> tuple[Tensor | None, ...]:
    return tuple(t if j == k else None for j, t in enumerate(given))


class Placed:
    """Inputs and seeds in new memory, which is watched: a question may not reach the next one through what func wrote."""

    def __init__(self, subject: Subject, layout: str, many: Sequence[Seeds]) -> None:
        self._watched: list[tuple[Tensor, Tensor, str]] = []
        self.xs = [
            self._laid(x, layout if layout == GIVEN or layout in offered(x) else CONTIGUOUS, f"input {k}")
            for k, x in zip(subject.active, subject.xs, strict=True)
        ]
        names = (
            [f"the cotangent of output {k}" for k in subject.used],
            [f"the tangent of input {k}" for k in subject.active],
            [f"the tangent of cotangent {k}" for k in subject.used],
            [f"the second tangent of input {k}" for k in subject.active],
        )
        self.many = [
            Seeds(
                *[
                    tuple(
                        None if t is None else self._laid(t, GIVEN, name)
                        for t, name in zip(group, some, strict=True)
                    )
                    for group, some in zip(seeds.groups(), names, strict=True)
                ]
            )
            for seeds in many
        ]

    def _laid(self, x: Tensor, layout: str, name: str) -> Tensor:
        place = laid(x, layout)
        self._watched.append((place.memory, place.memory.clone(), name))
        return place.tensor

    def written(self) -> list[str]:
        """The names of what does not hold the same bits any more."""
        return list(dict.fromkeys(name for now, before, name in self._watched if not same_bits(now, before)))
