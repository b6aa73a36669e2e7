"""Interpolation: values by definition, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError, NoRuleError
from tests.nn.derivative_checks import check_derivatives

IMAGE = np.arange(16.0).reshape(1, 1, 4, 4)


def test_interpolation_of_a_ramp():
    ramp = np.arange(4.0).reshape(1, 1, 4)
    assert np.array_equal(nn.interpolate(ramp, 8)[0, 0], [0, 0, 1, 1, 2, 2, 3, 3])
    assert np.array_equal(nn.interpolate(ramp, 2, mode="nearest-exact")[0, 0], [1, 3])
    assert np.array_equal(nn.interpolate(ramp, 7, mode="linear", align_corners=True)[0, 0], np.arange(7) / 2)
    assert np.array_equal(nn.interpolate(ramp, scale_factor=2, mode="linear")[0, 0, :3], [0, 0.25, 0.75])
    assert np.array_equal(nn.interpolate(ramp, 2, mode="area")[0, 0], [0.5, 2.5])


FUNCTIONS = {
    "bilinear": lambda x: nn.interpolate(x, (3, 5), mode="bilinear"),
    "bicubic": lambda x: nn.interpolate(x, scale_factor=1.5, mode="bicubic"),
    "nearest": lambda x: nn.interpolate(x, 3),
    "pixel_unshuffle": lambda x: nn.pixel_unshuffle(x, 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_in_the_image(name):
    assert check_derivatives(FUNCTIONS[name], np.random.default_rng(1).standard_normal((1, 2, 2, 4)))


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


def test_antialiasing_is_refused():
    with pytest.raises(NoRuleError, match="antialias"):
        nn.interpolate(IMAGE, 2, mode="bilinear", antialias=True)
