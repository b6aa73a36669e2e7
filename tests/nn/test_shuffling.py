"""Elements moved between channels and places: which goes where, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError
from tests.nn.derivative_checks import check_derivatives

IMAGE = np.arange(16.0).reshape(1, 1, 4, 4)


def test_shuffles_undo_each_other():
    x = np.random.default_rng(0).standard_normal((2, 8, 3, 2))
    y = nn.pixel_shuffle(x, 2)
    assert y.shape == (2, 2, 6, 4)
    assert y[0, 0, 1, 0] == x[0, 2, 0, 0]
    assert np.array_equal(nn.pixel_unshuffle(y, 2), x)
    assert np.array_equal(nn.channel_shuffle(x, 2)[:, :3, 0, 0], x[:, [0, 4, 1], 0, 0])


FUNCTIONS = {
    "pixel_shuffle": lambda x: nn.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: nn.pixel_unshuffle(x, 2),
    "channel_shuffle": lambda x: nn.channel_shuffle(x, 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_in_the_image(name):
    assert check_derivatives(FUNCTIONS[name], np.random.default_rng(1).standard_normal((1, 4, 2, 4)))


REFUSED = {
    "channels": (lambda: nn.pixel_shuffle(IMAGE, 2), "must divide the number of channels"),
    "sizes": (lambda: nn.pixel_unshuffle(IMAGE, 3), "must divide the last two sizes"),
    "groups": (lambda: nn.channel_shuffle(IMAGE, 2), "groups=2 must divide"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()
