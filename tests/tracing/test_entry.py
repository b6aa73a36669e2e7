"""What reverse mode keeps of one application of an op, and the cotangents that come of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgrad.op import REGISTRY
from refgrad.tracing.copies import Copies
from refgrad.tracing.entry import Entry

X1, X2 = np.array([[1.0, 2.0, 3.0]]), np.array([[4.0], [5.0]])


def entry(
    name: str, *values: Any, active: tuple[bool, ...] = (True, True), copies: Copies | None = None
) -> Entry:
    op = REGISTRY[name]
    params = dict(op.signature.defaults)
    return Entry.of(op, range(len(values)), values, params, active, op.forward(*values, **params), copies)


def test_an_edge_for_each_active_operand() -> None:
    assert [edge.position for edge in entry("multiply", X1, X2).edges] == [0, 1]
    assert [edge.position for edge in entry("multiply", X1, X2, active=(False, True)).edges] == [1]
    assert entry("sign", X1, active=(True,)).edges == []


def test_cotangents_have_the_shapes_of_the_operands() -> None:
    y_bar = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    x1_bar, x2_bar = entry("multiply", X1, X2).cotangents(y_bar)
    assert np.array_equal(x1_bar, (y_bar * X2).sum(0, keepdims=True))
    assert np.array_equal(x2_bar, (y_bar * X1).sum(1, keepdims=True))


def test_cotangents_have_the_dtypes_of_the_operands() -> None:
    x1_bar, x2_bar = entry("multiply", X1.astype(np.float32), X2).cotangents(np.ones((2, 3)))
    assert (x1_bar.dtype, x2_bar.dtype) == (np.float32, np.float64)


def test_the_edges_of_a_variadic_op_share_one_answer() -> None:
    op = REGISTRY["concatenate"]
    values = (X1[0], X2[:, 0], X1[0])
    params = dict(op.signature.defaults)
    found = Entry.of(op, (7, 8, 9), values, params, (True, False, True), op.forward(*values, **params))
    assert [edge.place for edge in found.edges] == [7, 9]
    first, last = found.cotangents(np.arange(8.0))
    assert np.array_equal(first, [0.0, 1.0, 2.0])
    assert np.array_equal(last, [5.0, 6.0, 7.0])


@pytest.mark.parametrize("copied", [True, False])
def test_constants_are_copied_where_copies_are_asked_for(copied: bool) -> None:
    factor = X2.copy()
    found = entry("multiply", X1, factor, active=(True, False), copies=Copies() if copied else None)
    factor[:] = 0.0
    (x1_bar,) = found.cotangents(np.ones((2, 3)))
    assert np.array_equal(x1_bar, np.full((1, 3), X2.sum() if copied else 0.0))


def test_pull_adds_to_what_is_there() -> None:
    bars: list[Any] = [np.full(X1.shape, 100.0), None]
    entry("multiply", X1, X2).pull(np.ones((2, 3)), bars)
    assert np.array_equal(bars[0], np.full(X1.shape, 109.0))
    assert np.array_equal(bars[1], np.full(X2.shape, 6.0))
