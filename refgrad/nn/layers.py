"""Layers with weights."""

from __future__ import annotations

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.formula import Formula
from refgrad.nn.arguments import array_of
from refgrad.op import Draws, Params, twin


def _linear(draw: Draws) -> Params:
    inner, outer = draw.size(), draw.size()
    bias = draw.numbers((outer,)) if draw.choice((True, False)) else None
    x = draw.numbers((*draw.shape(0, 2), inner))
    return {"x": x, "weight": draw.numbers((outer, inner)), "bias": bias}


def _bias_among_products(x: Array, weight: Array, bias: Array | None) -> Array:
    """The bias as one of the products that are summed: in a tangent it may come before the sum over the tangent of the weight."""
    if bias is None:
        return linear(x, weight)
    ones = np.ones_like(x, shape=(*x.shape[:-1], 1))
    return np.concatenate([x, ones], axis=-1) @ np.transpose(
        np.concatenate([weight, np.reshape(bias, (-1, 1))], axis=1)
    )


@twin(
    torch=lambda torch, x, weight, bias: torch.nn.functional.linear(x, weight, bias),
    draw=_linear,
    usual=(Formula("the bias among the products", _bias_among_products),),
)
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x weight^T + bias: shapes (..., n), (m, n), (m,) to (..., m).

    Raises ArgumentError where the shapes do not fit.
    """
    x, weight = array_of(x), array_of(weight)
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ArgumentError(
            f"linear: x of shape (..., n) and weight of shape (m, n) are expected, got {x.shape} and {weight.shape}"
        )
    y = x @ np.transpose(weight)
    if bias is None:
        return y
    bias = array_of(bias)
    if bias.shape != weight.shape[:1]:
        raise ArgumentError(
            f"linear: bias must have shape {weight.shape[:1]} for a weight of shape {weight.shape}, got {bias.shape}"
        )
    return y + bias


def _bilinear(draw: Draws) -> Params:
    first, second, outer, lead = draw.size(), draw.size(), draw.size(), draw.shape(0, 2)
    return {
        "input1": draw.numbers((*lead, first)),
        "input2": draw.numbers((*lead, second)),
        "weight": draw.numbers((outer, first, second)),
        "bias": draw.numbers((outer,)) if draw.choice((True, False)) else None,
    }


@twin(
    torch=lambda torch, input1, input2, weight, bias: torch.nn.functional.bilinear(
        input1, input2, weight, bias
    ),
    draw=_bilinear,
)
def bilinear(input1: Array, input2: Array, weight: Array, bias: Array | None = None) -> Array:
    """input1 weight[k] input2 + bias[k] for each k: shapes (..., m), (..., n), (o, m, n) and (o,) to (..., o).

    Raises ArgumentError where the shapes do not fit; nothing is broadcast.
    """
    a, b, weight = array_of(input1), array_of(input2), array_of(weight)
    if (
        min(a.ndim, b.ndim) < 1
        or weight.ndim != 3
        or a.shape[:-1] != b.shape[:-1]
        or weight.shape[1:] != (a.shape[-1], b.shape[-1])
    ):
        raise ArgumentError(
            "bilinear: input1 of shape (..., m), input2 of shape (..., n) and weight of shape (o, m, n) are expected, got "
            f"{a.shape}, {b.shape} and {weight.shape}"
        )
    y = np.einsum("...i,oij,...j->...o", a, weight, b)
    if bias is None:
        return y
    bias = array_of(bias)
    if bias.shape != weight.shape[:1]:
        raise ArgumentError(
            f"bilinear: bias must have shape {weight.shape[:1]} for a weight of shape {weight.shape}, got {bias.shape}"
        )
    return y + bias
