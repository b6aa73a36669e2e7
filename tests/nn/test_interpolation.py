"""Interpolation: values by definition, derivatives by the third judge, errors by name."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from refgrad import nn
from refgrad.bounds.formats import FORMATS
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.tracing.ball import exact
from tests.nn.derivative_checks import check_derivatives
from tests.within import assert_within

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
    "bilinear with antialias": lambda x: nn.interpolate(x, (1, 3), mode="bilinear", antialias=True),
    "bicubic with antialias": lambda x: nn.interpolate(x, scale_factor=0.6, mode="bicubic", antialias=True),
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


def kernel(mode, d):
    """The triangle, and the cubic kernel of Keys with its parameter -1/2, at one distance."""
    if mode == "bilinear":
        return max(1 - d, 0)
    return (3 * d - 5) * d * d / 2 + 1 if d < 1 else max(2 - d, 0) ** 2 * (1 - d) / 2


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "factor"), [(3, None), (8, None), (4, 0.7), (1, None)])
def test_antialias_weighs_all_elements_that_a_widened_kernel_reaches(mode, size, factor):
    """By the definition in rational numbers, along a row and along a column."""
    x = np.random.default_rng(2).standard_normal(6)
    step = Fraction(6, size) if factor is None else 1 / Fraction(factor)
    due = []
    for k in range(size):
        place = (k + Fraction(1, 2)) * step - Fraction(1, 2)
        weights = [kernel(mode, abs(place - j) / max(step, 1)) for j in range(6)]
        terms = [w * Fraction(v) for w, v in zip(weights, x, strict=True)]
        due.append(float(sum(terms) / sum(weights)))
    for axis in (2, 3):
        across = [1 if k == axis - 2 else 0 for k in range(2)]
        sizes = {"size": tuple([size if on else 1 for on in across])}
        given = sizes if factor is None else {"scale_factor": tuple([factor if on else 1.0 for on in across])}
        image = exact(x.reshape([1, 1, *[6 if on else 1 for on in across]]), FORMATS["float64"])
        found = nn.interpolate(image, mode=mode, antialias=True, **given)
        assert (
            assert_within(due, np.reshape(found, (size,)), mode, FORMATS["float64"].u * np.abs(due)) == size
        )


def test_antialias_goes_with_kernels_alone():
    with pytest.raises(ArgumentError, match="antialias=True goes with bilinear, bicubic"):
        nn.interpolate(IMAGE, 2, antialias=True)
    with pytest.raises(NoRuleError, match="antialias=True with align_corners=True"):
        nn.interpolate(IMAGE, 2, mode="bilinear", align_corners=True, antialias=True)
