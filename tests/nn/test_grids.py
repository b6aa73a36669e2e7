"""Images read at places of a grid: values by definition, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError
from tests.nn.derivative_checks import check_derivatives

IMAGE = np.arange(16.0).reshape(1, 1, 4, 4)


def test_a_grid_of_the_identity_returns_the_image():
    theta = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    for align in (True, False):
        grid = nn.affine_grid(theta, IMAGE.shape, align)
        for mode in ("bilinear", "nearest", "bicubic"):
            assert np.allclose(
                nn.grid_sample(IMAGE, grid, mode, align_corners=align), IMAGE, rtol=0, atol=2.0**-40
            )


def test_places_outside_of_the_image():
    grid = np.full((1, 1, 1, 2), [3.0, -1.0])
    found = {
        p: nn.grid_sample(IMAGE, grid, "bilinear", p, True).item() for p in ("zeros", "border", "reflection")
    }
    assert found == {"zeros": 0.0, "border": 3.0, "reflection": 0.0}


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_derivatives_in_image_and_grid(mode, padding):
    rng = np.random.default_rng(2)
    grid = np.array([[[[0.15, -0.4], [0.62, 0.33]]]])
    assert check_derivatives(
        lambda x, g: nn.grid_sample(x, g, mode, padding), rng.standard_normal((1, 1, 4, 4)), grid
    )


REFUSED = {
    "a grid of another shape": (lambda: nn.grid_sample(IMAGE, np.zeros((1, 2, 2, 3))), r"got \(1, 1, 4, 4\)"),
    "a place that is not finite": (lambda: nn.grid_sample(IMAGE, np.full((1, 1, 1, 2), np.nan)), "finite"),
    "a map of another shape": (lambda: nn.affine_grid(np.zeros((1, 3, 3)), (1, 1, 2, 2)), r"got \(1, 3, 3\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()
