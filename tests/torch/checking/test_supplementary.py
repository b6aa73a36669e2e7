"""Supplementary inputs: equal rows, and numbers that use the whole significand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.bounds.formats import FORMATS  # noqa: E402
from refgrad.torch.checking.supplementary import expanded, with_whole_significand  # noqa: E402

X, LABELS = torch.arange(6.0).reshape(3, 2), torch.arange(3)


def test_rows_are_equal_in_differentiated_inputs_alone() -> None:
    rows, labels = expanded((X, LABELS), (0,))
    assert rows.stride() == (0, 1)
    assert torch.equal(rows, X[:1].expand(3, 2))
    assert labels is LABELS
    one_row = X[:1]
    assert expanded((one_row,), (0,))[0] is one_row


def test_short_numbers_get_a_whole_significand_where_a_shorter_format_holds_them() -> None:
    fine = torch.tensor([1 / 3])
    changed, same, labels = with_whole_significand((X, fine, LABELS), (0, 1), FORMATS["float32"])
    assert same is fine
    assert labels is LABELS
    assert not torch.equal(changed.bfloat16().float()[1:], changed[1:])
    assert torch.allclose(changed, X, rtol=2**-8)  # the factor is 1 - 2^-8/pi
