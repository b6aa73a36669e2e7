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
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_in_the_image(name):
    assert check_derivatives(FUNCTIONS[name], np.random.default_rng(1).standard_normal((1, 2, 2, 4)))


REFUSED = {
    "no size": (lambda: nn.interpolate(IMAGE), "either size or scale_factor"),
    "a mode for other axes": (lambda: nn.interpolate(IMAGE, 2, mode="linear"), r"\(n, c, d1\) is expected"),
    "aligned corners": (lambda: nn.interpolate(IMAGE, 2, align_corners=True), "leave it away"),
    "nothing left": (lambda: nn.interpolate(IMAGE, scale_factor=0.1), "leaves no element"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_antialiasing_is_refused():
    with pytest.raises(NoRuleError, match="antialias"):
        nn.interpolate(IMAGE, 2, mode="bilinear", antialias=True)
