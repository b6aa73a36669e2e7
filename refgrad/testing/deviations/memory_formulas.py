"""Formulas of recorded disagreements of kernels that read an array by its memory, as if it lay there in another order."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import nn
from refgrad.op import FUNCTIONS
from refgrad.testing.deviations.recorded_formula import PAIRING, TANGENT, VALUE, Formula, Inputs, Outcomes
from refgrad.transforms import jvp, vjp


def _cotangent_by_memory(inputs: Inputs) -> Outcomes:
    """instance_norm: the cotangent is read in the order in which it lies in memory, transposed or with channels last.

    Forward mode is right.
    """
    active = [k for k, x_dot in enumerate(inputs.xs_dot) if x_dot is not None]
    if inputs.second or inputs.y_bar is None or not active:
        return {}
    names = FUNCTIONS["nn.instance_norm"].operands(inputs.params)

    def layer(*moving: Any) -> Any:
        xs = [*inputs.xs]
        for k, x in zip(active, moving, strict=True):
            xs[k] = x
        return nn.instance_norm(**inputs.params, **dict(zip(names, xs, strict=True)))

    primals, dots = ([some[k] for k in active] for some in (inputs.xs, inputs.xs_dot))
    pull = vjp(layer, *primals)[1]
    read = [pull(y_bar) for y_bar in (*_by_memory(inputs.y_bar), inputs.y_bar)]
    y_dot = jvp(layer, primals, dots)[1]
    return {
        **{k: [x_bars[i] for x_bars in read] for i, k in enumerate(active)},
        TANGENT: [y_dot],
        PAIRING: [np.sum(inputs.y_bar * y_dot)],
    }


def _by_memory(x: Any) -> list[Any]:
    """The elements in the order of memory, for an array that lies there transposed or with channels last."""
    axes = list(range(np.ndim(x)))
    orders = (
        {(axes[-1], *axes[1:-1], axes[0]), (0, *axes[2:], 1)} if len(axes) > 2 else set[tuple[int, ...]]()
    )
    return [np.reshape(np.transpose(x, order), np.shape(x)) for order in sorted(orders)]


def _first_row_repeated(inputs: Inputs) -> Outcomes:
    """interpolate with antialias to one column: each row is the first one, in value and tangent. The gradient is right."""
    params = inputs.params
    if inputs.second or not params["antialias"]:
        return {}

    def column(x: Any) -> Any:
        y = nn.interpolate(x, **params)
        return np.broadcast_to(y[:, :, :1], np.shape(y))

    if np.shape(column(inputs.xs[0]))[-1] != 1:
        return {}
    found: Outcomes = {VALUE: [column(inputs.xs[0])]}
    if inputs.xs_dot[0] is not None:
        y_dot = column(inputs.xs_dot[0])
        found[TANGENT] = [y_dot]
        if inputs.y_bar is not None:
            found[PAIRING] = [np.sum(inputs.y_bar * y_dot)]
    return found


MEMORY_FORMULAS: dict[str, Formula] = {
    "instance_norm of a cotangent by its memory": _cotangent_by_memory,
    "interpolate of its first row": _first_row_repeated,
}

__all__ = ["MEMORY_FORMULAS"]
