"""Recurrent cells, and layers that run them along a sequence, with torch's order of gates and of parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.nn.activations import relu, sigmoid
from refgrad.nn.arguments import array_of

Cell = Callable[..., Any]


def rnn_tanh_cell(
    input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """tanh(w_ih x + b_ih + w_hh h + b_hh): shapes (n, i), (n, h), (h, i), (h, h), (h,) and (h,) to (n, h). Also without n.

    Raises ArgumentError where the shapes do not fit.
    """
    return np.tanh(_sum_of_both("rnn_tanh_cell", 1, input, hx, w_ih, w_hh, b_ih, b_hh))


def rnn_relu_cell(
    input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """relu(w_ih x + b_ih + w_hh h + b_hh), with the shapes and errors of rnn_tanh_cell."""
    return relu(_sum_of_both("rnn_relu_cell", 1, input, hx, w_ih, w_hh, b_ih, b_hh))


def lstm_cell(
    input: Array,
    hx: Sequence[Array],
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
) -> tuple[Array, Array]:
    """The pair (h', c') of c' = sigmoid(f) c + sigmoid(i) tanh(g) and h' = sigmoid(o) tanh(c').

    i, f, g, o are the quarters of w_ih x + b_ih + w_hh h + b_hh, in this order. ``hx`` is the pair (h, c). Shapes (n, i), (n, h) twice,
    (4h, i), (4h, h), (4h,) and (4h,) to (n, h) twice. Also without n.
    Hochreiter, Schmidhuber, "Long short-term memory" (1997); Gers, Schmidhuber, Cummins, "Learning to forget" (2000).

    Raises ArgumentError where the shapes do not fit.
    """
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise ArgumentError("lstm_cell: hx must be the pair (h, c)")
    h, c = array_of(hx[0]), array_of(hx[1])
    if h.shape != c.shape:
        raise ArgumentError(f"lstm_cell: h and c must have one shape, got {h.shape} and {c.shape}")
    gates = _sum_of_both("lstm_cell", 4, input, h, w_ih, w_hh, b_ih, b_hh)
    i, f, g, o = np.split(gates, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(
    input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """(1 - z) n + z h with r = sigmoid(a_r + b_r), z = sigmoid(a_z + b_z) and n = tanh(a_n + r b_n).

    a_r, a_z, a_n are the thirds of w_ih x + b_ih, and b_r, b_z, b_n those of w_hh h + b_hh, in this order. Shapes (n, i), (n, h),
    (3h, i), (3h, h), (3h,) and (3h,) to (n, h). Also without n.
    Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014).

    Raises ArgumentError where the shapes do not fit.
    """
    z, n, h = _gates_of_gru(input, hx, w_ih, w_hh, b_ih, b_hh)
    return (1 - z) * n + z * h


def gru_cell_by_difference(
    input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """gru_cell as n + z (h - n), with one product less."""
    z, n, h = _gates_of_gru(input, hx, w_ih, w_hh, b_ih, b_hh)
    return n + z * (h - n)


def _gates_of_gru(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Array, ...]:
    """z, n and h."""
    given, h, recurrent = _both("gru_cell", 3, input, hx, w_ih, w_hh, b_ih, b_hh)
    (ar, az, an), (br, bz, bn) = [np.split(y, 3, axis=-1) for y in (given, recurrent)]
    return sigmoid(az + bz), np.tanh(an + sigmoid(ar + br) * bn), h


def rnn_tanh(
    input: Array,
    hx: Array,
    params: Sequence[Array],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """rnn_tanh_cell along a sequence: the pair of all outputs of the last layer, and the last states of all layers.

    Shapes (t, n, i) and (layers, n, h) to (t, n, h) and (layers, n, h); (n, t, i) and (n, t, h) with ``batch_first``; also without n.
    ``params`` holds w_ih, w_hh, and with ``has_biases`` b_ih and b_hh, for each layer in turn. With ``bidirectional`` each layer has a
    second set, for the sequence read from its end; the outputs of both stand side by side, and their states follow each other.

    Raises ArgumentError where the number of parameters or a shape does not fit, NoRuleError for a dropout in training.
    """
    return run_layers(
        "rnn_tanh",
        rnn_tanh_cell,
        itself,
        input,
        hx,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
    )


def rnn_relu(
    input: Array,
    hx: Array,
    params: Sequence[Array],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """rnn_relu_cell along a sequence, with the shapes, parameters and errors of rnn_tanh."""
    return run_layers(
        "rnn_relu",
        rnn_relu_cell,
        itself,
        input,
        hx,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
    )


def gru(
    input: Array,
    hx: Array,
    params: Sequence[Array],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple[Array, Array]:
    """gru_cell along a sequence, with the shapes, parameters and errors of rnn_tanh."""
    return run_layers(
        "gru",
        gru_cell,
        itself,
        input,
        hx,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
    )


def lstm(
    input: Array,
    hx: Sequence[Array],
    params: Sequence[Array],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple[Array, Array, Array]:
    """lstm_cell along a sequence: all outputs of the last layer, and the last h and c of all layers.

    ``hx`` is the pair (h, c). Shapes, parameters and errors are those of rnn_tanh.
    """
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise ArgumentError("lstm: hx must be the pair (h, c)")
    pair = np.stack([array_of(hx[0]), array_of(hx[1])], axis=-1)
    y, states = run_layers(
        "lstm",
        _lstm_step,
        _hidden,
        input,
        pair,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
    )
    return y, states[..., 0], states[..., 1]


def _lstm_step(x: Array, pair: Array, *weights: Array) -> Array:
    """lstm_cell with h and c as one array."""
    return np.stack(lstm_cell(x, (pair[..., 0], pair[..., 1]), *weights), axis=-1)


def _both(
    who: str, gates: int, input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any
) -> tuple[Array, Array, Array]:
    """w_ih x + b_ih, h, and w_hh h + b_hh."""
    x, h, w_ih, w_hh = [array_of(z) for z in (input, hx, w_ih, w_hh)]
    if x.ndim not in (1, 2) or h.ndim != x.ndim or x.shape[:-1] != h.shape[:-1]:
        raise ArgumentError(
            f"{who}: an input (n, i) and a state (n, h) are expected, got {x.shape} and {h.shape}"
        )
    rows = gates * h.shape[-1]
    if w_ih.shape != (rows, x.shape[-1]) or w_hh.shape != (rows, h.shape[-1]):
        raise ArgumentError(
            f"{who}: w_ih of shape {(rows, x.shape[-1])} and w_hh of shape {(rows, h.shape[-1])} are expected for an input of shape "
            f"{x.shape} and a state of shape {h.shape}, got {w_ih.shape} and {w_hh.shape}"
        )
    return _biased(x @ w_ih.T, b_ih, "b_ih", who), h, _biased(h @ w_hh.T, b_hh, "b_hh", who)


def _sum_of_both(
    who: str, gates: int, input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any
) -> Array:
    given, _, recurrent = _both(who, gates, input, hx, w_ih, w_hh, b_ih, b_hh)
    return given + recurrent


def _biased(y: Array, bias: Any, name: str, who: str) -> Array:
    if bias is None:
        return y
    bias = array_of(bias)
    if bias.shape != y.shape[-1:]:
        raise ArgumentError(f"{who}: {name} must have shape {y.shape[-1:]}, got {bias.shape}")
    return y + bias


def run_layers(
    who: str,
    cell: Cell,
    output: Callable[[Array], Array],
    input: Any,
    hx: Any,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Array, Array]:
    """Every layer over the whole sequence. Axis 0 is time, and axis 0 of the states layers and directions."""
    if dropout and train and num_layers > 1:
        raise NoRuleError(
            f"{who}: dropout={dropout} in training would be random and has no rule; give 0, or run one layer at a time with a mask"
        )
    x, states = array_of(input), array_of(hx)
    single = x.ndim == 2
    x = x[:, np.newaxis] if single else np.swapaxes(x, 0, 1) if batch_first and x.ndim == 3 else x
    states = states[:, np.newaxis] if single else states
    directions, each = 1 + bidirectional, 2 + 2 * has_biases
    count = num_layers * directions
    if num_layers < 1 or len(params) != count * each:
        raise ArgumentError(
            f"{who}: {each} parameters for each of {num_layers} layers in {directions} directions are expected, got {len(params)}"
        )
    if x.ndim != 3 or not x.shape[0] or states.shape[:2] != (count, x.shape[1]):
        raise ArgumentError(
            f"{who}: an input of 2 or 3 dimensions with at least one step, and a state for each of {count} layers and directions of each "
            f"sample are expected, got shapes {np.shape(input)} and {np.shape(hx)}"
        )
    last: list[Array] = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            weights = params[k * each : (k + 1) * each]
            state, steps = states[k], []
            for t in range(x.shape[0])[:: -1 if direction else 1]:
                state = cell(x[t], state, *weights)
                steps.append(state)
            last.append(state)
            steps = steps[::-1] if direction else steps
            outputs.append(np.stack([output(s) for s in steps]))
        x = outputs[0] if directions == 1 else np.concatenate(outputs, axis=-1)
    y = x[:, 0] if single else np.swapaxes(x, 0, 1) if batch_first else x
    final = np.stack(last)
    return y, final[:, 0] if single else final


def itself(state: Array) -> Array:
    """The output of a cell whose state is one array."""
    return state


def _hidden(state: Array) -> Array:
    return state[..., 0]
