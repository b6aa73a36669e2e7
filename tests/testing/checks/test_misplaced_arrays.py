"""Arrays that may have come in the place of the expected one, and numbers cut to fewer bits."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.bounds.formats import FORMATS
from refgrad.testing.checks.misplaced_arrays import predictions, round_to_bits, shorter_formats
from refgrad.testing.checks.plausibility import Difference
from refgrad.tracing.ball import nearest

RNG = np.random.default_rng(0)


def candidates(x, others=(), seeds=()):
    d = Difference.of(np.zeros(x.shape), x, 1e-15 * np.abs(x), FORMATS["float64"])
    return {
        words: (description, window)
        for words, description, window in predictions(d, others, seeds, "cotangent")
    }


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (3, 3), (2, 3, 4), (2, 2, 2, 2), (1, 5)])
def test_each_has_the_shape_of_what_is_expected(shape) -> None:
    x = RNG.standard_normal(shape)
    for description, window in candidates(x, [("gradient of input 1", x)], [x, None]).values():
        assert np.broadcast_shapes(description.shape, window.shape, shape) == shape


def test_what_is_told_is_what_is_given() -> None:
    x, y = RNG.standard_normal((3, 3)), RNG.standard_normal((3, 4))
    found = candidates(x, [("gradient of input 1", x + 1)], [y, None, RNG.standard_normal((2, 3, 3))])
    wide = x.astype(FORMATS["float64"].wide)  # the format in which candidates are computed
    due = {
        "the answer is the expected array, transposed": x.T,
        "the answer is the expected array, reversed along axis 1": x[:, ::-1],
        "every element is the one expected 1 place before it along axis 0": np.roll(x, 1, 0),
        "every element is the one expected 2 places after it along axis 1": np.roll(x, -2, 1),
        "every element is the mean along axis 0 of the expected array": wide.mean(0, keepdims=True),
        "every element is the sum along axes 0 and 1 of the expected array": wide.sum(keepdims=True),
        "the answer is the expected gradient of input 1": x + 1,
    }
    for words, array in due.items():
        np.testing.assert_array_equal(found[words][0], array)  # the same operations in the same format
    assert "the answer is the mean of the cotangent of output 2 over axis 0" in found
    assert "the answer is the cotangent of output 2 at index 1 of axis 0 alone, not its sum" in found
    assert not any("output 0" in words for words in found)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_cut_rounds_as_the_format_does(dtype: str) -> None:
    x = np.concatenate([RNG.standard_normal(200), [0.0, 1 + 2.0**-8, 1 + 3 * 2.0**-9, -2.5]])
    np.testing.assert_array_equal(
        round_to_bits(x, FORMATS[dtype].bits), np.asarray(nearest(x, FORMATS[dtype]), float)
    )


def test_formats_with_fewer_bits() -> None:
    assert [name for name, _ in shorter_formats("float64")] == ["float32", "float16", "bfloat16"]
    assert shorter_formats("bfloat16") == []
    assert [name for name, _ in shorter_formats("tf32")] == ["float16", "bfloat16"]


def test_a_cotangent_without_rows_is_no_candidate() -> None:
    """A sum over no rows is zero: a wrong gradient of it is explained by no row of the cotangent."""
    assert not any("at index" in words for words in candidates(np.ones(4), (), [np.zeros((0, 4))]))
