"""Layouts: the same elements elsewhere in memory, with nothing of use between them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refgrad.bounds.formats import FORMATS  # noqa: E402
from refgrad.testing.checks.seeds import EQUAL_FIRST, EQUAL_LAST, EQUAL_SECOND, drawn  # noqa: E402
from refgrad.torch.checking.layouts import (  # noqa: E402
    ALONG,
    ALONG_FIRST,
    ALONG_LAST,
    ALONG_SECOND,
    CHANNELS_LAST,
    CONTIGUOUS,
    EXPANDED,
    GAPS,
    GIVEN,
    HEADS,
    MATRICES,
    OFFSET,
    PERMUTED,
    ROWS_APART,
    SWAPPED,
    arranged,
    cast,
    distinct_layouts,
    expanded_axes,
)

RNG = np.random.default_rng(0)
SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (0, 3), (2, 1)]


@pytest.mark.parametrize(
    "layout",
    [GIVEN, CONTIGUOUS, PERMUTED, SWAPPED, GAPS, ROWS_APART, OFFSET, CHANNELS_LAST, MATRICES, HEADS],
)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.bool])
def test_a_layout_keeps_the_elements(layout, shape, dtype) -> None:
    x = torch.arange(-3, -3 + torch.Size(shape).numel()).reshape(shape).to(dtype)
    place = arranged(x, layout)
    assert place.tensor.shape == x.shape
    assert torch.equal(place.tensor, x)
    assert place.tensor.data_ptr() != x.data_ptr() or x.numel() == 0
    assert place.memory.ndim == 1


def test_strides_are_those_of_the_name() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert arranged(x, PERMUTED).tensor.stride() == (1, 2, 6, 24)
    assert arranged(x, SWAPPED).tensor.stride() == (5, 10, 30, 1)
    assert arranged(x, ROWS_APART).tensor.stride() == (72, 24, 6, 1)
    assert arranged(x, GAPS).tensor.stride() == (120, 40, 10, 2)
    assert arranged(x, OFFSET).tensor.storage_offset() == 2
    assert arranged(x, CHANNELS_LAST).tensor.is_contiguous(memory_format=torch.channels_last)
    assert arranged(torch.full((3, 4), 2.0), EXPANDED).tensor.stride() == (0, 0)
    assert arranged(x, MATRICES).tensor.stride() == (60, 20, 1, 4)
    assert arranged(x, HEADS).tensor.stride() == (60, 5, 15, 1)


@pytest.mark.parametrize(("layout", "axis"), ALONG.items())
def test_one_axis_is_expanded(layout, axis) -> None:
    x = drawn({0: EQUAL_FIRST, 1: EQUAL_SECOND, -1: EQUAL_LAST}[axis], RNG, (2, 3, 4), FORMATS["float64"])
    y = arranged(torch.as_tensor(x), layout)
    assert torch.equal(y.tensor, torch.as_tensor(x))
    assert [n for n, s in zip(x.shape, y.tensor.stride(), strict=True) if s == 0] == [x.shape[axis]]
    assert y.memory.unique().numel() == y.memory.numel() == x.size // x.shape[axis]
    assert arranged(torch.ones(()), layout).tensor.shape == ()


def test_axes_to_expand_are_those_of_sums() -> None:
    assert (
        expanded_axes(torch.zeros(()))
        == expanded_axes(torch.zeros(3))
        == expanded_axes(torch.zeros(1, 3))
        == ()
    )
    assert expanded_axes(torch.zeros(2, 3)) == (ALONG_FIRST, ALONG_LAST)
    assert expanded_axes(torch.zeros(2, 3, 4)) == (ALONG_FIRST, ALONG_SECOND, ALONG_LAST)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:, ::2],
        lambda x: x.t(),
        lambda x: x[1:],
        lambda x: x[2].expand(3, 6),
        lambda x: x[:, :1].expand(4, 6),
        lambda x: x.as_strided((4, 3), (2, 1), 3),
    ],
)
def test_what_the_user_gave_keeps_strides_and_offset_in_another_dtype(view) -> None:
    x = view(torch.randn(4, 6))
    for dtype in (torch.float32, torch.float64):
        y = cast(x, dtype)
        assert torch.equal(y, x.to(dtype))
        assert y.stride() == x.stride()
        z = arranged(y, GIVEN).tensor
        assert torch.equal(z, y)
        assert z.stride() == x.stride()
        assert z.data_ptr() != y.data_ptr()


def test_gaps_hold_nothing_that_passes_for_an_element() -> None:
    assert arranged(torch.randn(3, 4), GAPS).memory.isnan().sum() == 12
    indices = arranged(torch.tensor([0, 2, 1]), GAPS)
    assert set(indices.memory.tolist()) <= {0, 1, 2}  # a kernel that reads them stays in range
    assert indices.memory[1::2].tolist() != [0, 2, 1]


def test_only_layouts_that_differ_are_offered() -> None:
    assert distinct_layouts(torch.zeros(())) == distinct_layouts(torch.zeros(1, 1)) == ()
    assert distinct_layouts(torch.zeros(3)) == (GAPS, OFFSET)
    assert distinct_layouts(torch.zeros(1, 3)) == (GAPS, OFFSET)
    assert distinct_layouts(torch.zeros(2, 3)) == (PERMUTED, ROWS_APART, GAPS, OFFSET)
    assert {SWAPPED, CHANNELS_LAST, MATRICES, HEADS} <= set(distinct_layouts(torch.zeros(2, 3, 4, 4)))
