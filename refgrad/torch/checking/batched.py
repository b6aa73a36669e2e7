"""Derivatives for several seeds at once by torch's vmap: ``is_grads_batched`` in reverse mode, vmap of jvp in forward mode."""

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
    across,
    answers,
    leaves_of,
    placed,
    reverse_of_gradients,
    single,
    some,
)
from refgrad.torch.forward_mode import func_jvp
from refgrad.tracing.ball import Ball

_TOGETHER = 3  # seeds


def _batched_reverse(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    leaves = leaves_of(xs)
    ys = f(*leaves)
    y_bars = across([seeds.y_bars for seeds in many])
    used = [(y, torch.stack(same)) for y, same in some(ys, y_bars) if y.requires_grad]
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


def _batched_forward(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    x_dots = across([seeds.x_dots for seeds in many])
    moving = [k for k, same in enumerate(x_dots) if same is not None]

    def tangents(*along: Tensor) -> tuple[Tensor, ...]:
        def of_moving(*own: Tensor) -> tuple[Tensor, ...]:
            return f(*placed(xs, moving, own))

        found: tuple[Tensor, ...] = func_jvp(of_moving, [xs[k] for k in moving], along)[1]
        return found

    found = torch.func.vmap(tangents)(*[torch.stack(x_dots[k]) for k in moving])
    return answers(TANGENTS, found, f(*xs))


def _reverse_over_reverse_batched(f: Function, xs: Sequence[Tensor], many: Sequence[Seeds]) -> Answers:
    return reverse_of_gradients(f, xs, many, at_once=True)


def _each(order: str, names: str) -> Callable[[Sequence[Nested], bool], list[Ball]]:
    """What is due along several sets of seeds, with a first axis for these."""

    def due(many: Sequence[Nested], every: bool) -> list[Ball]:
        found = [single(order, names)([nested], every) for nested in many]
        return [stacked(same, many[0].fmt) for same in zip(*found, strict=True)]

    return due


def _batched(name: str, ask: Callable[..., Answers], names: str, varied: str) -> Order:
    return Order(f"batched {name}", ask, _each(name, names), _TOGETHER, varied)


BATCHED_REVERSE = _batched("reverse", _batched_reverse, "gradient", "y_bars")
BATCHED_FORWARD = _batched("forward", _batched_forward, "tangent", "x_dots")
BATCHED_REVERSE_OVER_REVERSE = _batched(
    "reverse over reverse", _reverse_over_reverse_batched, "second_gradient+tangent", "x_dots"
)
