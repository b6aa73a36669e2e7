"""Functions with a guard: a point at which a formula is singular and another branch is chosen. The references are singular there, too."""

from __future__ import annotations

import numpy as np
import torch

from .record import Array, Kind, Specimen, fixed, function

# --- 1 / r between all pairs of points, 0 on the diagonal ---


def _distances(x, filling):
    d = x[:, None] - x[None, :]
    return torch.where(torch.eye(len(x), dtype=torch.bool), torch.full_like(d, filling), d)


def potential(ctx, x):
    ctx.save_for_backward(x)
    return 1 / _distances(x, torch.inf).abs()


def potential_backward(ctx, g):
    d = _distances(ctx.saved_tensors[0], torch.inf)
    pull = -g * torch.sign(d) / d**2
    return pull.sum(1) - pull.sum(0)


def potential_one_side(ctx, g):
    d = _distances(ctx.saved_tensors[0], torch.inf)
    return (-g * torch.sign(d) / d**2).sum(1)


def potential_by_where(x):
    """The diagonal divides by zero, and is not chosen: the gradient is NaN."""
    d = x[:, None] - x[None, :]
    return torch.where(torch.eye(len(x), dtype=torch.bool), torch.zeros_like(d), 1 / d.abs())


def potential_reference(x: Array) -> Array:
    return np.where(np.eye(len(x), dtype=bool), 0.0, 1 / np.abs(x[:, None] - x[None, :]))


# --- sin(x)/x, 1 at 0; x log(x), 0 where x is not positive ---


def _guarded(value, slope):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return value(x)

    def backward(ctx, g):
        return g * slope(ctx.saved_tensors[0])

    return function(forward, backward)


def _filled(x, singular):
    return torch.where(singular, torch.ones_like(x), x)


def quotient(x):
    return torch.where(x == 0, torch.ones_like(x), torch.sin(x) / _filled(x, x == 0))


def quotient_slope(at_zero):
    def slope(x):
        z = _filled(x, x == 0)
        return torch.where(x == 0, torch.full_like(x, at_zero), torch.cos(x) / z - torch.sin(x) / z**2)

    return slope


def entropy(x):
    return torch.where(x > 0, x * torch.log(_filled(x, x <= 0)), torch.zeros_like(x))


def entropy_slope(elsewhere):
    def slope(x):
        return torch.where(x > 0, torch.log(_filled(x, x <= 0)) + 1, torch.full_like(x, elsewhere))

    return slope


_POINTS = fixed([0.25, 1.5, -1.0, 3.0])

SPECIMENS = (
    Specimen("pairs with a masked diagonal, one side", Kind.MATHEMATICS, function(potential, potential_backward),
             function(potential, potential_one_side), potential_reference, _POINTS),
    Specimen("pairs with a masked diagonal, by where", Kind.NOT_FINITE, function(potential, potential_backward), potential_by_where,
             potential_reference, _POINTS),
    Specimen("slope of sin(x)/x is 1 at its guard", Kind.MATHEMATICS, _guarded(quotient, quotient_slope(0.0)),
             _guarded(quotient, quotient_slope(1.0)), lambda x: np.where(x == 0, 1.0, np.sin(x) / x), fixed([0.0, 1.0, -2.0])),
    Specimen("slope of x log(x) is 1 where x is negative", Kind.MATHEMATICS, _guarded(entropy, entropy_slope(0.0)),
             _guarded(entropy, entropy_slope(1.0)), lambda x: np.where(x > 0, x * np.log(x), 0.0), fixed([0.5, -1.0, 2.0])),
)  # fmt: skip
