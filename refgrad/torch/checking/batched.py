"""Batched derivatives, for several seeds at once: ``is_grads_batched`` and vmap in reverse mode, vmap of jvp in forward mode.

``is_grads_batched`` asks no Function for its staticmethod ``vmap``; ``torch.func.vmap`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from refgrad.testing.judging.nested_orders import Nested, stacked
from refgrad.torch.checking.orders import (
    GRADIENTS,
    TANGENTS,
    Answers,
    Function,
    Order,
    Seeds,
    answers,
    by_position,
    leaves_of,
    present,
    replaced,
    reverse_of_gradients,
    single,
)
from refgrad.torch.forward_mode import func_jvp
from refgrad.tracing.ball import Ball

_BATCH = 3  # seeds


def _batched_reverse(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    leaves = leaves_of(xs)
    ys = f(*leaves)
    y_bars = by_position([seeds.y_bars for seeds in many])
    used = [(y, torch.stack(same)) for y, same in present(ys, y_bars) if y.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(xs)
    if used:
        found = torch.autograd.grad(
            [y for y, _ in used],
            leaves,
            [seeds for _, seeds in used],
            allow_unused=True,
            is_grads_batched=True,
        )
    return answers(GRADIENTS, found, xs)


def _mapped_reverse(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    leaves = leaves_of(xs)
    ys = f(*leaves)
    y_bars = by_position([seeds.y_bars for seeds in many])
    used = [(y, torch.stack(same)) for y, same in present(ys, y_bars) if y.requires_grad]

    def gradients(*seeds: Tensor) -> tuple[Tensor, ...]:
        found = torch.autograd.grad([y for y, _ in used], leaves, seeds, allow_unused=True, retain_graph=True)
        return tuple(torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True))

    found: Sequence[Tensor | None] = [None] * len(xs)
    if used:
        found = torch.func.vmap(gradients)(*[seeds for _, seeds in used])
    return answers(GRADIENTS, found, xs)


def _batched_forward(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    x_dots = by_position([seeds.x_dots for seeds in many])
    varied = [k for k, same in enumerate(x_dots) if same is not None]

    def tangents(*directions: Tensor) -> tuple[Tensor, ...]:
        def of_moving(*own: Tensor) -> tuple[Tensor, ...]:
            return f(*replaced(xs, varied, own))

        found: tuple[Tensor, ...] = func_jvp(of_moving, [xs[k] for k in varied], directions)[1]
        return found

    found = torch.func.vmap(tangents)(*[torch.stack(x_dots[k]) for k in varied])
    return answers(TANGENTS, found, f(*xs))


def _reverse_over_reverse_batched(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    return reverse_of_gradients(f, xs, many, at_once=True)


def _stacked_reference(order: str, names: str) -> Callable[[Sequence[Nested], bool], list[Ball]]:
    """The reference values for several sets of seeds, stacked along a new first axis."""

    def expected(many: Sequence[Nested], every: bool) -> list[Ball]:
        found = [single(order, names)([nested], every) for nested in many]
        return [stacked(same, many[0].fmt) for same in zip(*found, strict=True)]

    return expected


def _batched(
    name: str, evaluate: Callable[..., Answers], names: str, varied: str, how: str = "batched"
) -> Order:
    return Order(f"{how} {name}", evaluate, _stacked_reference(name, names), _BATCH, varied)


BATCHED_REVERSE = _batched("reverse", _batched_reverse, "gradient", "y_bars")
MAPPED_REVERSE = _batched("reverse", _mapped_reverse, "gradient", "y_bars", "vmap of")
BATCHED_FORWARD = _batched("forward", _batched_forward, "tangent", "x_dots")
BATCHED_REVERSE_OVER_REVERSE = _batched(
    "reverse over reverse", _reverse_over_reverse_batched, "second_gradient+tangent", "x_dots"
)
