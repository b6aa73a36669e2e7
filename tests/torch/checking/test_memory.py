"""The memory of tensors: bits are told apart, and not numbers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch.checking.layouts import CONTIGUOUS, arranged  # noqa: E402
from refgrad.torch.checking.memory import MemoryWatch, fingerprint, places, same_bits  # noqa: E402


def test_bits_and_not_numbers_are_compared() -> None:
    nan = torch.tensor([float("nan"), 1.0])
    assert same_bits(nan, nan.clone())
    assert not same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not same_bits(torch.ones(2), torch.ones(3))
    assert not same_bits(torch.ones(2), torch.ones(2, dtype=torch.float64))
    assert same_bits(torch.ones(2, 2, dtype=torch.bfloat16).t(), torch.ones(2, 2, dtype=torch.bfloat16))


def test_a_fingerprint_tells_bits_apart() -> None:
    nan, x = torch.tensor([float("nan"), 1.0]), torch.arange(6.0).view(2, 3)
    assert fingerprint(nan) == fingerprint(nan.clone())
    assert fingerprint(torch.tensor([0.0])) != fingerprint(torch.tensor([-0.0]))
    assert fingerprint(x.t()) == fingerprint(x.t().contiguous()) != fingerprint(x)
    for dtype in (torch.bfloat16, torch.float16, torch.bool, torch.complex64):
        assert fingerprint(torch.ones(3, dtype=dtype)) != fingerprint(torch.zeros(3, dtype=dtype))
    assert fingerprint(torch.ones(())) == fingerprint(torch.ones(1))
    assert fingerprint(torch._efficientzerotensor((2,))) == fingerprint(torch.zeros(2))
    assert fingerprint(torch.zeros(0, 3)) == fingerprint(torch.zeros(0))
    assert fingerprint(torch.ones(()).expand(1, 1)) == fingerprint(torch.ones(1))
    large = torch.zeros(2**19)
    before = fingerprint(large)
    assert len(before) == 32
    large[-1] = -0.0
    assert fingerprint(large) != before


def test_a_watch_names_what_has_changed() -> None:
    watch, x, y = MemoryWatch(), *(arranged(torch.ones(2), CONTIGUOUS) for _ in range(2))
    watch.add(x, "x")
    watch.add(y, "y")
    y.tensor[0] = 2
    assert watch.written() == ["y"]


def test_a_tensor_is_found_by_its_identity_and_by_its_memory() -> None:
    x = torch.ones(3)
    assert places([x]) & places([x.view(3)]) == {x.data_ptr()}
    assert id(x) in places([x, 1, torch.empty(0)])
    assert len(places([1, torch.empty(0)])) == 0
