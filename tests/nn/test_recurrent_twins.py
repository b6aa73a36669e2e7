"""Recurrent cells and layers in the form of a case: the same numbers as refgrad.nn's, whose arguments are pairs and lists."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.nn.recurrent_draws import shapes
from refgrad.op import FUNCTIONS, Draws
from refgrad.op.draws import Seeded

CELLS = ("rnn_tanh_cell", "rnn_relu_cell", "gru_cell", "lstm_cell")
LAYERS = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}


def drawn(name: str, seed: int) -> dict:
    return dict(FUNCTIONS[f"nn.{name}"].drawn(Draws(Seeded(np.random.default_rng(seed)))))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("seed", range(6))
def test_a_cell_takes_its_states_one_by_one(name: str, seed: int) -> None:
    given = drawn(name, seed)
    found = FUNCTIONS[f"nn.{name}"].composition(**given)
    if name == "lstm_cell":
        given["hx"] = given.pop("h"), given.pop("c")
    assert np.array_equal(found, np.asarray(getattr(nn, name)(**given)))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(8))
def test_layers_take_their_parameters_in_one_vector(name: str, seed: int) -> None:
    given = drawn(name, seed)
    found = FUNCTIONS[f"nn.{name}"].composition(**given)
    h, vector, start, params = given.pop("h"), given.pop("weights"), 0, []
    hx = (h, given.pop("c")) if name == "lstm" else h
    biased, depth, both = given["has_biases"], given["num_layers"], given["bidirectional"]
    inner, hidden = given["input"].shape[-1], h.shape[-1]
    for rows, width in shapes(LAYERS[name], inner, hidden, depth, biased, both):
        part = vector[start : start + rows * width].reshape(rows, width)
        params.append(part[:, 0] if biased and len(params) % 4 > 1 else part)
        start += rows * width
    assert start == vector.size
    outputs = getattr(nn, name)(hx=hx, params=params, dropout=0.0, train=False, **given)
    assert np.array_equal(found, np.concatenate([np.ravel(y) for y in outputs]))
