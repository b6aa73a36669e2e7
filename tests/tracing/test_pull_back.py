"""The walk back by blocks and at once gives the same, and knows what no output depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.blocks import slices
from refgrad.bounds.formats import FORMATS
from refgrad.op import new_level
from refgrad.tracing.ball import exact, parts
from refgrad.tracing.pull_back import pull_back
from refgrad.tracing.reverse import Tape, walk

FMT = FORMATS["float32"]


def recorded(length: int) -> tuple[Tape, Any, list[Any]]:
    rng = np.random.default_rng(3)
    tape = Tape(new_level())
    inputs = [tape.input(exact(rng.normal(size=length).astype(np.float32), FMT)) for _ in range(3)]
    return tape, np.tanh(inputs[0] * inputs[1]) + inputs[0], inputs


def test_blocks_change_no_number() -> None:
    length = 200_000
    assert slices((length,)) is not None
    tape, y, inputs = recorded(length)
    seeds = [(y._index, exact(np.ones(length, np.float32), FMT))]
    places = [x._index for x in inputs]
    for blocked, whole in zip(pull_back(tape, seeds, places), walk(tape, seeds, places), strict=True):
        assert (blocked is None) == (whole is None)
        if whole is not None:
            for found, expected in zip(parts(blocked), parts(whole), strict=True):
                assert np.array_equal(found, expected)


def test_an_input_on_which_no_output_depends_has_none() -> None:
    tape, y, inputs = recorded(4)
    seeds = [(y._index, exact(np.ones(4, np.float32), FMT))]
    assert [x_bar is None for x_bar in pull_back(tape, seeds, [x._index for x in inputs])] == [
        False,
        False,
        True,
    ]
    assert pull_back(tape, [], [inputs[0]._index]) == [None]
