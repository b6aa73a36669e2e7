"""Padding: values beside np.pad, derivatives by the third judge, errors by name."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import nn
from refgrad.errors import ArgumentError
from tests.nn.derivative_checks import check_derivatives

NUMPYS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def drawn(*shape):
    return np.random.default_rng(sum(shape)).integers(-8, 9, shape) / 4.0


def test_constants():
    x = drawn(2, 3, 5)
    assert np.array_equal(nn.pad(x, (1, 2)), np.pad(x, [(0, 0), (0, 0), (1, 2)]))
    assert np.array_equal(
        nn.pad(x, (1, 2, 0, 3), value=0.5), np.pad(x, [(0, 0), (0, 3), (1, 2)], constant_values=0.5)
    )
    assert np.array_equal(nn.pad(x, (-1, 2, 1, -2)), np.pad(x[:, :1, 1:], [(0, 0), (1, 0), (0, 2)]))
    assert nn.pad(x, (-5, 0)).shape == (2, 3, 0)
    assert np.array_equal(nn.pad(x, ()), x)
    assert check_derivatives(lambda x: nn.pad(x, (1, -2, 0, 3), value=0.5), x)


@pytest.mark.parametrize("mode", NUMPYS)
def test_modes(mode):
    x = drawn(2, 3, 5)
    for pad in ((2, 1), (4, 4, 2, 0)):
        pairs = [(0, 0)] * (3 - len(pad) // 2) + [(pad[k], pad[k + 1]) for k in range(len(pad) - 2, -1, -2)]
        assert np.array_equal(nn.pad(x, pad, mode=mode), np.pad(x, pairs, mode=NUMPYS[mode]))
        assert check_derivatives(lambda x, pad=pad: nn.pad(x, pad, mode=mode), x)


X = np.ones((2, 3, 5))
REFUSED = {
    "an odd number": (
        lambda: nn.pad(X, (1, 2, 3)),
        "two widths for each padded axis.*at most 3 axes, got 3 widths",
    ),
    "too many": (lambda: nn.pad(X, (1,) * 8), "got 8 widths"),
    "fractions": (lambda: nn.pad(X, (1.5, 0)), r"must be integers, got \(1.5, 0\)"),
    "another mode": (lambda: nn.pad(X, (1, 1), mode="edge"), "mode must be one of.*got 'edge'"),
    "a value": (lambda: nn.pad(X, (1, 1), mode="reflect", value=1.0), 'value=1.0 is for mode "constant"'),
    "too far to mirror": (
        lambda: nn.pad(X, (5, 0), mode="reflect"),
        r"widths from 0 to 4 are expected for axis 2 of 5 elements, got \(5, 0\)",
    ),
    "too far round": (lambda: nn.pad(X, (6, 0), mode="circular"), "from 0 to 5"),
    "cut while mirrored": (lambda: nn.pad(X, (-1, 0), mode="replicate"), r"got \(-1, 0\)"),
    "more than there is": (
        lambda: nn.pad(X, (-3, -3)),
        r"widths \(-3, -3\) take away more than the 5 elements",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_name_what_was_given(name):
    call, message = REFUSED[name]
    with pytest.raises(ArgumentError, match=message):
        call()
