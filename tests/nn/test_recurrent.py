"""Recurrent cells and layers: values by their formulas, directions and layers, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError, NoRuleError
from tests.nn.derivative_checks import check_derivatives

CELLS = {
    "rnn_tanh": (nn.rnn_tanh_cell, 1),
    "rnn_relu": (nn.rnn_relu_cell, 1),
    "gru": (nn.gru_cell, 3),
    "lstm": (nn.lstm_cell, 4),
}
LAYERS = {"rnn_tanh": nn.rnn_tanh, "rnn_relu": nn.rnn_relu, "gru": nn.gru, "lstm": nn.lstm}
CLOSE = {"rtol": 64 * np.finfo(float).eps, "atol": 64 * np.finfo(float).eps}


def drawn(*shapes):
    rng = np.random.default_rng(sum(map(sum, shapes)))
    return [rng.standard_normal(shape) for shape in shapes]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(gates, width=2, hidden=3, biased=True):
    return drawn((gates * hidden, width), (gates * hidden, hidden), *[(gates * hidden,)] * (2 * biased))


def test_cells_by_their_formulas():
    x, h, c = drawn((2, 2), (2, 3), (2, 3))
    w, u, a, b = weights(1)
    assert np.allclose(nn.rnn_tanh_cell(x, h, w, u, a, b), np.tanh(x @ w.T + a + h @ u.T + b), **CLOSE)
    assert np.allclose(nn.rnn_relu_cell(x, h, w, u), np.maximum(x @ w.T + h @ u.T, 0), **CLOSE)
    w, u, a, b = weights(4)
    i, f, g, o = np.split(x @ w.T + a + h @ u.T + b, 4, axis=1)
    c_new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    assert np.allclose(nn.lstm_cell(x, (h, c), w, u, a, b), [sigmoid(o) * np.tanh(c_new), c_new], **CLOSE)
    w, u, a, b = weights(3)
    (xr, xz, xn), (hr, hz, hn) = np.split(x @ w.T + a, 3, axis=1), np.split(h @ u.T + b, 3, axis=1)
    z = sigmoid(xz + hz)
    expected = (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h
    assert np.allclose(nn.gru_cell(x, h, w, u, a, b), expected, **CLOSE)
    assert np.allclose(nn.gru_cell(x[0], h[0], w, u, a, b), expected[0], **CLOSE)


@pytest.mark.parametrize("name", CELLS)
def test_derivatives_of_cells(name):
    cell, gates = CELLS[name]
    x, h, c = drawn((2, 2), (2, 3), (2, 3))
    if name == "lstm":
        assert check_derivatives(
            lambda x, h, c, *ws: np.stack(cell(x, (h, c), *ws)), x, h, c, *weights(gates)
        )
    else:
        assert check_derivatives(cell, x, h, *weights(gates), smooth=name != "rnn_relu")


def states(name, count, n=2, hidden=3):
    h, c = drawn((count, n, hidden), (count, n, hidden))
    return (h, c) if name == "lstm" else h


@pytest.mark.parametrize("name", CELLS)
def test_layers_run_their_cell(name):
    cell, gates = CELLS[name]
    (x,) = drawn((4, 2, 2))
    ws, hx = weights(gates), states(name, 1)
    y, *last = LAYERS[name](x, hx, ws, True, 1, 0.0, False, False)
    state = tuple(s[0] for s in hx) if name == "lstm" else hx[0]
    for t in range(4):
        state = cell(x[t], state, *ws)
        assert np.array_equal(y[t], state[0] if name == "lstm" else state)
    assert np.array_equal(last, np.stack(state)[:, np.newaxis] if name == "lstm" else [state[np.newaxis]])
    first = LAYERS[name](x.swapaxes(0, 1), hx, ws, True, 1, 0.0, False, False, True)
    assert np.array_equal(first[0], y.swapaxes(0, 1))
    one = tuple(s[:, 0] for s in hx) if name == "lstm" else hx[:, 0]
    assert np.allclose(LAYERS[name](x[:, 0], one, ws, True, 1, 0.0, False, False)[0], y[:, 0], **CLOSE)


@pytest.mark.parametrize("name", CELLS)
def test_two_layers_in_two_directions(name):
    _, gates = CELLS[name]
    (x,) = drawn((3, 2, 2))
    sets = [weights(gates, width=w) for w in (2, 2, 6, 6)]
    hx = states(name, 4)
    y, *last = LAYERS[name](x, hx, [w for ws in sets for w in ws], True, 2, 0.5, False, True)

    def run(x, k):
        own = tuple(s[k : k + 1] for s in hx) if name == "lstm" else hx[k : k + 1]
        return LAYERS[name](x, own, sets[k], True, 1, 0.0, False, False)

    inner, ends = x, []
    for layer in range(2):
        forth, back = run(inner, 2 * layer), run(inner[::-1], 2 * layer + 1)
        inner = np.concatenate([forth[0], back[0][::-1]], axis=-1)
        ends += [forth[1:], back[1:]]
    assert np.array_equal(y, inner)
    assert np.array_equal(last, [np.concatenate(parts) for parts in zip(*ends, strict=True)])


@pytest.mark.parametrize("name", CELLS)
def test_derivatives_of_layers(name):
    _, gates = CELLS[name]
    (x,) = drawn((2, 1, 2))
    ws = [0.5 * w for w in weights(gates, biased=False) + weights(gates, biased=False)]
    hx = states(name, 2, n=1)
    count = 2 if name == "lstm" else 1

    def f(x, *rest):
        own = rest[0] if count == 1 else rest[:2]
        return np.concatenate(
            [np.ravel(y) for y in LAYERS[name](x, own, rest[count:], False, 1, 0.0, False, True)]
        )

    assert check_derivatives(f, x, *(hx if count == 2 else (hx,)), *ws, smooth=name != "rnn_relu")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype):
    for name, (_, gates) in CELLS.items():
        cast = [z.astype(dtype) for z in weights(gates)]
        hx = np.ones((2, 1, 2, 3), dtype)
        found = LAYERS[name](
            np.ones((3, 2, 2), dtype),
            tuple(hx) if name == "lstm" else hx[0],
            cast,
            True,
            1,
            0.0,
            False,
            False,
        )
        assert all(y.dtype == dtype for y in found)


W, U, A, B = weights(1)
REFUSED = {
    "a state": (
        lambda: nn.rnn_tanh_cell(np.ones((2, 2)), np.ones((3, 3)), W, U),
        r"got \(2, 2\) and \(3, 3\)",
    ),
    "weights": (
        lambda: nn.gru_cell(np.ones((2, 2)), np.ones((2, 3)), W, U),
        r"w_ih of shape \(9, 2\) and w_hh of shape \(9, 3\)",
    ),
    "a bias": (
        lambda: nn.rnn_relu_cell(np.ones((2, 2)), np.ones((2, 3)), W, U, A, np.ones(2)),
        r"b_hh must have shape \(3,\), got \(2,\)",
    ),
    "one state": (
        lambda: nn.lstm_cell(np.ones((2, 2)), np.ones((2, 3)), W, U),
        r"hx must be the pair \(h, c\)",
    ),
    "unequal states": (
        lambda: nn.lstm_cell(np.ones((2, 2)), (np.ones((2, 3)), np.ones((1, 3))), W, U),
        "h and c must have one shape",
    ),
    "parameters": (
        lambda: nn.rnn_tanh(np.ones((4, 2, 2)), np.ones((1, 2, 3)), [W, U], True, 1, 0.0, False, False),
        "4 parameters for each of 1 layers in 1 directions are expected, got 2",
    ),
    "states of layers": (
        lambda: nn.rnn_tanh(np.ones((4, 2, 2)), np.ones((2, 2, 3)), [W, U, A, B], True, 1, 0.0, False, False),
        "a state for each of 1 layers and directions",
    ),
    "no step": (
        lambda: nn.rnn_tanh(np.ones((0, 2, 2)), np.ones((1, 2, 3)), [W, U, A, B], True, 1, 0.0, False, False),
        "at least one step",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_dropout_in_training_is_refused():
    with pytest.raises(NoRuleError, match="in training would be random"):
        nn.rnn_tanh(np.ones((4, 2, 2)), np.ones((2, 2, 3)), [W, U, A, B] * 2, True, 2, 0.5, True, False)
