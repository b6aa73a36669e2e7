"""The memory of tensors: where it is, which bits it holds, and whether they change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from refgrad.torch.checking.layouts import Arranged

GRADIENT = "the .grad of input {}, to which torch adds what the backward returns"
_KEPT = 2**20  # bytes of memory that are compared directly; more are compared by a hash
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def places(xs: Sequence[Any]) -> set[int]:
    """By what a func could find tensors again: their identities, and the addresses of their memory."""
    tensors = [x for x in xs if isinstance(x, Tensor) and x.layout == torch.strided and x.numel()]
    return {place for x in tensors for place in (id(x), x.data_ptr())}


class MemoryWatch:
    """Compares memory, gaps included, with its former content."""

    def __init__(self) -> None:
        self.places: list[tuple[Tensor, bytes, str]] = []

    def add(self, placed: Arranged, name: str) -> None:
        self.places.append((placed.memory, fingerprint(placed.memory), name))

    def written(self) -> list[str]:
        """The names of the tensors whose memory has changed."""
        return [name for now, before, name in self.places if fingerprint(now) != before]


def wrote_into(name: str) -> str:
    """What is to be said of a tensor that func has written into."""
    meant = f". Where that is meant, as for running statistics, judge a function that clones {name} first"
    return f"func wrote into {name}{meant if name.startswith('input') else ''}"


def fingerprint(t: Tensor) -> bytes:
    """The bits of a tensor, or a hash of them where they are many.

    Tensors of one shape and dtype have equal fingerprints where all bits are equal, those of NaN included.
    """
    t = t.detach()
    if t._is_zerotensor():  # a symbolic zero of forward mode, without memory
        t = torch.zeros(t.shape, dtype=t.dtype)
    dense = t.resolve_conj().resolve_neg().contiguous()
    flat = dense.as_strided((dense.numel(),), (1,))  # the stride of a single element is arbitrary
    bits = flat.view(torch.uint8).numpy(force=True)
    return bits.tobytes() if bits.size <= _KEPT else hashlib.sha256(bits).digest()


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one shape and dtype hold the same bits, NaN included."""
    integer_dtype = _BITS.get(a.element_size())
    a, b = a.detach(), b.detach()
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if integer_dtype is None or a.dtype == torch.bool or not (a.is_contiguous() and b.is_contiguous()):
        return bool(torch.equal(a, b))
    return bool(torch.equal(a.view(integer_dtype), b.view(integer_dtype)))
