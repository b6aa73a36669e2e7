"""Recurrent cells and layers in the form in which a case holds them: every array is an argument, and all results are one array.

The functions of these names in ``refgrad.nn`` take pairs of states and lists of parameters. A case asks torch for the functions of the same
names in the torch module.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.formula import Formula
from refgrad.nn import recurrent, recurrent_draws
from refgrad.op import twin


def _torch_cell(name: str) -> Callable[..., Any]:
    def called(torch: Any, x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
        return getattr(torch, name)(x, hx, w_ih, w_hh, b_ih, b_hh)

    return called


def _torch_lstm_cell(torch: Any, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    return torch.stack(torch.lstm_cell(x, (h, c), w_ih, w_hh, b_ih, b_hh))


def _torch_layers(name: str, gates: int) -> Callable[..., Any]:
    def called(
        torch: Any, x: Any, h: Any, weights: Any, biased: bool, depth: int, both: bool, first: bool
    ) -> Any:
        parts = _parts(weights, gates, x.shape[-1], h.shape[-1], depth, biased, both)
        found = getattr(torch, name)(x, h, parts, biased, depth, 0.0, False, both, first)
        return torch.cat([y.reshape(-1) for y in found])

    return called


def _torch_lstm(
    torch: Any, x: Any, h: Any, c: Any, weights: Any, biased: bool, depth: int, both: bool, first: bool
) -> Any:
    parts = _parts(weights, 4, x.shape[-1], h.shape[-1], depth, biased, both)
    found = torch.lstm(x, (h, c), parts, biased, depth, 0.0, False, both, first)
    return torch.cat([y.reshape(-1) for y in found])


def _parts(
    weights: Any, gates: int, inner: int, hidden: int, depth: int, biased: bool, both: bool
) -> list[Any]:
    """The parameters of layers, cut from one vector."""
    found, start = [], 0
    for rows, width in recurrent_draws.shapes(gates, inner, hidden, depth, biased, both):
        part = weights[start : start + rows * width]
        found.append(part.reshape((rows, width)))
        start += rows * width
    each = 2 + 2 * biased
    return [p.reshape((-1,)) if k % each > 1 else p for k, p in enumerate(found)]


def _saturated(function: Callable[..., Any]) -> tuple[Formula, ...]:
    """The formulas of kernels: the slopes of tanh and sigmoid from their rounded values, which leave no bit far out."""
    return (Formula("slopes as 1 - y^2 and y (1 - y): they cancel far out", function=function, blind=True),)


def _by_difference(function: Callable[..., Any]) -> tuple[Formula, ...]:
    """The formula of kernels for the new state: it is off by a rounding of the larger of n and h, which z may leave out."""
    return (Formula("n + z (h - n): it cancels where n is large beside h", function=function),)


for _cell, _count, _usual in (
    (recurrent.rnn_tanh_cell, 1, _saturated(recurrent.rnn_tanh_cell)),
    (recurrent.rnn_relu_cell, 1, ()),
    (
        recurrent.gru_cell,
        3,
        _saturated(recurrent.gru_cell) + _by_difference(recurrent.gru_cell_by_difference),
    ),
):
    twin(torch=_torch_cell(_cell.__name__), draw=recurrent_draws.cell(_count), usual=_usual)(_cell)


def lstm_cell(
    input: Array,
    h: Array,
    c: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
) -> Array:
    """refgrad.nn.lstm_cell: both states, shape (2, n, h)."""
    return np.stack(recurrent.lstm_cell(input, (h, c), w_ih, w_hh, b_ih, b_hh))


twin(torch=_torch_lstm_cell, draw=recurrent_draws.cell(4, pair=True), usual=_saturated(lstm_cell))(lstm_cell)


def _layers(function: Callable[..., Any], gates: int) -> Callable[..., Array]:
    """Layers with their parameters in one vector: outputs and states, one after the other."""

    def run(
        input: Array,
        h: Array,
        weights: Array,
        has_biases: bool,
        num_layers: int,
        bidirectional: bool,
        batch_first: bool,
    ) -> Array:
        parts = _parts(weights, gates, input.shape[-1], h.shape[-1], num_layers, has_biases, bidirectional)
        found = function(input, h, parts, has_biases, num_layers, 0.0, False, bidirectional, batch_first)
        return np.concatenate([np.reshape(y, (-1,)) for y in found])

    return run


_differing = functools.partial(
    recurrent.run_layers, "gru", recurrent.gru_cell_by_difference, recurrent.itself
)
for _layer, _count in ((recurrent.rnn_tanh, 1), (recurrent.rnn_relu, 1), (recurrent.gru, 3)):
    _run = _layers(_layer, _count)
    _run.__name__ = _layer.__name__
    _usual = () if _layer is recurrent.rnn_relu else _saturated(_run)
    _usual += _by_difference(_layers(_differing, 3)) if _layer is recurrent.gru else ()
    twin(torch=_torch_layers(_layer.__name__, _count), draw=recurrent_draws.layers(_count), usual=_usual)(
        _run
    )


def lstm(
    input: Array,
    h: Array,
    c: Array,
    weights: Array,
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> Array:
    """refgrad.nn.lstm."""

    def paired(x: Array, states: Array, *more: Any) -> tuple[Array, ...]:
        return recurrent.lstm(x, (states, c), *more)

    return _layers(paired, 4)(input, h, weights, has_biases, num_layers, bidirectional, batch_first)


twin(torch=_torch_lstm, draw=recurrent_draws.layers(4, pair=True), usual=_saturated(lstm))(lstm)

__all__: list[str] = []
