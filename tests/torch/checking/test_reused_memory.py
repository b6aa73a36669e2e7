"""Inputs at the place of those of a call that has ended: a copy that is found by its address is caught, what is held is not asked about."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from refgrad.torch import gradcheck  # noqa: E402
from refgrad.torch.checking import reused_memory  # noqa: E402
from refgrad.torch.checking.reused_memory import _Block  # noqa: E402

PACKED = {}  # by address and version


class Linear(torch.autograd.Function):
    """Multiplies by a packed copy of the weight."""

    @classmethod
    def packed(cls, w):
        return w.detach().T.clone()

    @classmethod
    def forward(cls, ctx, x, w):
        ctx.save_for_backward(x, cls.packed(w))
        return x @ w

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, y_bar):
        x, packed = ctx.saved_tensors
        return y_bar @ packed, x.T @ y_bar


class ByAddress(Linear):
    """Finds the copy by the address and the version, which an optimizer that writes in place changes."""

    @classmethod
    def packed(cls, w):
        key = w.data_ptr(), w._version, w.shape, w.dtype
        if key not in PACKED:
            PACKED[key] = super().packed(w)
        return PACKED[key]


HELD = []


class Holding(ByAddress):
    """Holds the weight as well, so that nothing else comes to lie at its address."""

    @classmethod
    def packed(cls, w):
        HELD.append(w.detach())
        return super().packed(w)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("kind", [torch.Tensor.requires_grad_, torch.nn.Parameter])
def test_a_copy_that_is_found_by_its_address_is_caught(kind, dtype: str) -> None:
    PACKED.clear()
    HELD.clear()
    g = torch.Generator().manual_seed(0)
    inputs = kind(torch.randn(4, 5, generator=g)), kind(torch.randn(5, 3, generator=g))
    statuses = [
        gradcheck(func, inputs, reference=lambda x, w: x @ w, dtypes=(dtype,), raise_exception=False).status
        for func in (Linear.apply, Holding.apply)
    ]
    assert statuses == ["agree", "agree"]
    PACKED.clear()
    report = gradcheck(
        ByAddress.apply, inputs, reference=lambda x, w: x @ w, dtypes=(dtype,), raise_exception=False
    )
    assert report.status == "disagree"
    assert "gradient of input 0" in report.summary()


def test_the_words_name_the_memory() -> None:
    kept = {}

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.slope = kept.setdefault((x.data_ptr(), x._version), 2 * x.detach())
            return x * x

        @staticmethod
        def backward(ctx, y_bar):
            return y_bar * ctx.slope

    seen = set()
    for seed in range(8):  # another address may be taken by chance before
        kept.clear()
        x = torch.randn(30, generator=torch.Generator().manual_seed(seed))
        report = gradcheck(
            Double.apply, (x,), reference=lambda x: x * x, dtypes=("float32",), raise_exception=False
        )
        assert report.status == "disagree"
        seen |= {note for _, _, part in report.parts() for note in part.notes}
    assert any("have given back" in note for note in seen)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_block_is_unused_once_no_tensor_lies_in_it(shape, dtype) -> None:
    x = torch.full(shape, 1.5, dtype=dtype)
    block = _Block(x)
    assert block.unused()
    first = block.holding(x)
    address = first.data_ptr()
    assert first.is_leaf
    assert first.requires_grad
    assert torch.equal(first, x)
    alias = first.detach()
    del first
    assert not block.unused()
    del alias
    assert block.unused()
    second = block.holding(2 * x)
    assert (second.data_ptr(), second._version) == (address, 0)
    assert torch.equal(second, 2 * x)


@pytest.mark.parametrize("uncounted", [0, 1, 2, 3])
def test_held_memory_is_not_unused_where_an_interpreter_counts_fewer_references(
    monkeypatch, uncounted
) -> None:
    def count(x: object) -> int:
        return sys.getrefcount(x) - uncounted

    monkeypatch.setattr(reused_memory, "sys", SimpleNamespace(getrefcount=count))
    block = _Block(torch.ones(3))
    held = block.holding(torch.ones(3))
    assert not block.unused()
    del held
    assert block.unused()
