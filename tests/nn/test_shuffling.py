"""Elements moved between channels and places: which goes where, and errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError

IMAGE = np.arange(16.0).reshape(1, 1, 4, 4)


def test_shuffles_undo_each_other():
    x = np.random.default_rng(0).standard_normal((2, 8, 3, 2))
    y = nn.pixel_shuffle(x, 2)
    assert y.shape == (2, 2, 6, 4)
    assert y[0, 0, 1, 0] == x[0, 2, 0, 0]
    assert np.array_equal(nn.pixel_unshuffle(y, 2), x)
    assert np.array_equal(nn.channel_shuffle(x, 2)[:, :3, 0, 0], x[:, [0, 4, 1], 0, 0])


REFUSED = {
    "no size": (lambda: nn.interpolate(IMAGE), "either size or scale_factor"),
    "a mode for other axes": (lambda: nn.interpolate(IMAGE, 2, mode="linear"), r"\(n, c, d1\) is expected"),
    "aligned corners": (lambda: nn.interpolate(IMAGE, 2, align_corners=True), "leave it away"),
    "nothing left": (lambda: nn.interpolate(IMAGE, scale_factor=0.1), "leaves no element"),
    "a grid of another shape": (lambda: nn.grid_sample(IMAGE, np.zeros((1, 2, 2, 3))), r"got \(1, 1, 4, 4\)"),
    "a place that is not finite": (lambda: nn.grid_sample(IMAGE, np.full((1, 1, 1, 2), np.nan)), "finite"),
    "a map of another shape": (lambda: nn.affine_grid(np.zeros((1, 3, 3)), (1, 1, 2, 2)), r"got \(1, 3, 3\)"),
    "channels": (lambda: nn.pixel_shuffle(IMAGE, 2), "must divide the number of channels"),
    "sizes": (lambda: nn.pixel_unshuffle(IMAGE, 3), "must divide the last two sizes"),
    "groups": (lambda: nn.channel_shuffle(IMAGE, 2), "groups=2 must divide"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()
