"""Patches as columns: values by definition, fold as the transpose of unfold, derivatives by the third judge, errors by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError
from tests.nn.derivative_checks import check_derivatives

PARAMETERS = [
    {"kernel_size": 2},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": (2, 3), "padding": (0, 1), "stride": (3, 2)},
    {"kernel_size": (3, 2), "dilation": (1, 3), "padding": 2},
]


def drawn(*shape):
    return np.random.default_rng(sum(shape)).integers(-8, 9, shape) / 4.0


def twice(n):
    return (n, n) if isinstance(n, int) else n


@pytest.mark.parametrize("params", PARAMETERS)
def test_columns_by_definition(params):
    x = drawn(2, 3, 5, 6)
    full = {k: twice(v) for k, v in {"stride": 1, "padding": 0, "dilation": 1, **params}.items()}
    size, stride, around, dilation = full["kernel_size"], full["stride"], full["padding"], full["dilation"]
    padded = np.pad(x, [(0, 0), (0, 0), *[(a, a) for a in around]])
    starts = [
        range(0, n - d * (k - 1), s)
        for n, k, d, s in zip(padded.shape[2:], size, dilation, stride, strict=True)
    ]
    columns = []
    for i, j in itertools.product(*starts):
        patch = padded[
            :,
            :,
            i : i + dilation[0] * (size[0] - 1) + 1 : dilation[0],
            j : j + dilation[1] * (size[1] - 1) + 1 : dilation[1],
        ]
        columns.append(patch.reshape(2, -1))
    found = nn.unfold(x, **params)
    assert np.array_equal(found, np.stack(columns, axis=-1))
    assert np.array_equal(nn.unfold(x[0], **params), found[0])
    z = drawn(*found.shape)
    summed = nn.fold(z, (5, 6), **params)
    assert np.sum(summed * x) == np.sum(z * found)  # multiples of 1/16: exact
    assert np.array_equal(nn.fold(z[0], (5, 6), **params), summed[0])
    assert check_derivatives(lambda x: nn.unfold(x, **params), x)
    assert check_derivatives(lambda z: nn.fold(z, (5, 6), **params), z)


def test_an_empty_batch():
    columns = nn.unfold(np.zeros((0, 3, 5, 6)), 2)
    assert columns.shape == (0, 12, 20)
    assert nn.fold(columns, (5, 6), 2).shape == (0, 3, 5, 6)


X = np.ones((2, 3, 5, 6))
REFUSED = {
    "three dimensions too few": (lambda: nn.unfold(np.ones(3), 2), r"\(n, c, d1, d2\) or \(c, d1, d2\)"),
    "too long a window": (
        lambda: nn.unfold(X, 4, dilation=2),
        r"a window of \(4, 4\) with dilation \(2, 2\) is longer",
    ),
    "patches": (
        lambda: nn.fold(np.ones((2, 12, 19)), (5, 6), 2),
        r"shape \(n, c\*4, 20\) is expected.*got shape \(2, 12, 19\)",
    ),
    "rows": (lambda: nn.fold(np.ones((2, 13, 20)), (5, 6), 2), r"shape \(n, c\*4, 20\) is expected"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()
