"""Functions whose derivative is stated by their makers: straight-through estimators, clipped ones, gradients reversed or stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import refgrad as rg

from .record import Array, Kind, Specimen, function, normal

STRENGTH = 0.5


def stated(
    forward: Callable[[Array], Array], backward: Callable[[Array, Array], Array]
) -> Callable[[Array], Array]:
    """A reference with the value of ``forward`` and the cotangent ``backward(x, y_bar)``."""
    made = rg.custom_vjp(forward)
    made.defvjp(lambda x: (forward(x), x), lambda x, y_bar: (backward(x, y_bar),))
    return made


def saved(forward):
    def save(ctx, x):
        ctx.save_for_backward(x)
        return forward(x)

    return save


def passed_on(ctx, g):
    return g.clone()


def stopped(ctx, g):
    return torch.zeros_like(g)


def reversed_(ctx, g):
    return -STRENGTH * g


def reversed_fully(ctx, g):
    return -g


def clipped(ctx, g):
    return g * (ctx.saved_tensors[0].abs() <= 1).to(g.dtype)


def clipped_outside(ctx, g):
    return g * (ctx.saved_tensors[0].abs() >= 1).to(g.dtype)


# --- x s, with the scale s out of the gradient; and the other way round ---


def scaled(ctx, x, s):
    ctx.save_for_backward(x, s)
    return x * s


def scale_stopped(ctx, g):
    return g * ctx.saved_tensors[1], torch.zeros_like(g)


def scale_not_stopped(ctx, g):
    x, s = ctx.saved_tensors
    return g * s, g * x


def _of(name, forward, right, wrong, reference):
    return Specimen(name, Kind.STATED, function(saved(forward), right), function(saved(forward), wrong), reference,
                    normal((3, 5), scale=2))  # fmt: skip


def _same(x: Any) -> Any:
    return 1 * x


_ROUND = stated(np.round, lambda _, y_bar: y_bar)
_SIGN = stated(np.sign, lambda x, y_bar: np.where(np.abs(x) <= 1, y_bar, 0.0))
_REVERSED = stated(_same, lambda _, y_bar: -STRENGTH * y_bar)

SPECIMENS = (
    _of("straight through, stopped", torch.round, passed_on, stopped, _ROUND),
    _of("straight through, halved", torch.round, passed_on, lambda ctx, g: g / 2, _ROUND),
    _of("binarised, not clipped", torch.sign, clipped, passed_on, _SIGN),
    _of("binarised, clipped on the wrong side", torch.sign, clipped, clipped_outside, _SIGN),
    _of("reversal forgotten", torch.clone, reversed_, passed_on, _REVERSED),
    _of("reversal without its strength", torch.clone, reversed_, reversed_fully, _REVERSED),
    Specimen("scale not stopped", Kind.STATED, function(scaled, scale_stopped), function(scaled, scale_not_stopped),
             lambda x, s: x * rg.stop_gradient(s), normal((3, 4), (3, 4))),
)  # fmt: skip
