"""Recurrent cells and layers in the form of a case: the same numbers as refgrad.nn's, whose arguments are pairs and lists."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad.functions  # noqa: F401 - Balls know NumPy functions from it
from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.nn.recurrent_draws import shapes
from refgrad.op import FUNCTIONS, Draws
from refgrad.op.draws import Seeded
from refgrad.op.function import split
from refgrad.tracing.ball import exact, parts
from tests.within import assert_within

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


@pytest.mark.parametrize("name", ["gru_cell", "gru"])
def test_kernels_add_the_difference_of_new_and_old_state(name: str) -> None:
    """In exact arithmetic the formula is the same function; in float16 it is off by a rounding of n where z leaves n out."""
    function, fmt = FUNCTIONS[f"nn.{name}"], FORMATS["float16"]
    cell = dict(function.drawn(Draws(Seeded(np.random.default_rng(1)))))
    [formula] = [f for f in function.usual if "n + z (h - n)" in f.why]
    operands, params = split(cell)
    due = function.forward(*operands.values(), **params)
    with_bound = formula.function(*[exact(x, FORMATS["float64"]) for x in operands.values()], **params)
    assert assert_within(due, with_bound) == due.size
    x, h, w, b = np.zeros((1, 1)), np.full((1, 1), 2.0**-11), np.zeros((3, 1)), np.array([0.0, 20.0, -20.0])
    given = (
        (x, h, w, w, b, 0 * b)
        if name == "gru_cell"
        else (x[None], h[None], np.concatenate([w, w, b[:, None], 0 * w]).ravel())
    )
    rest = (
        {}
        if name == "gru_cell"
        else {"has_biases": True, "num_layers": 1, "bidirectional": False, "batch_first": False}
    )
    own, usual = [
        parts(f(*[exact(a, fmt) for a in given], **rest)) for f in (function.forward, formula.function)
    ]
    assert np.all(own[1] < 2.0**-20)
    u = 2.0**-11  # n, h - n, their product and the sum, each of the size of 1
    assert np.all((u <= usual[1]) & (usual[1] <= 4 * u * (1 + 4 * u)))
