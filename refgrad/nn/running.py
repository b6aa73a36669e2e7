"""Running extremes, and the running logarithm of a sum of exponentials, along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.nn.arguments import array_of
from refgrad.op import Draws, twin
from refgrad.ops import running_logsumexp
from refgrad.tracing.differentiable_arguments import plain


def logcumsumexp(input: Array, dim: int) -> Array:
    """log(exp(x_0) + ... + exp(x_k)) for every k along ``dim``, without overflow. Shape and dtype of the input."""
    x = array_of(input)
    return running_logsumexp.logcumsumexp(x, axis=dim) if x.ndim else x * 1


def _drawn(draws: Draws) -> dict[str, Any]:
    x = draws.numbers(draws.shape())
    return {"input": x, "dim": draws.integer(-x.ndim, x.ndim - 1)}


@twin(torch=lambda torch, x, dim: torch.cummax(x, dim).values, draw=_drawn, sums=False, output=0)
def cummax(input: Array, dim: int) -> tuple[Array, Any]:
    """The largest element so far along ``dim``, and as plain integers the last place of it. Shape of the input, twice.

    Each value is the element at one place, and its derivative goes there. At a tie every convex combination over the tied places is a
    derivative; each of them gets a part.
    """
    return _running(np.maximum, input, dim)


@twin(torch=lambda torch, x, dim: torch.cummin(x, dim).values, draw=_drawn, sums=False, output=0)
def cummin(input: Array, dim: int) -> tuple[Array, Any]:
    """The smallest element so far along ``dim``, and as plain integers the last place of it; as cummax."""
    return _running(np.minimum, input, dim)


def _running(ufunc: np.ufunc, input: Array, dim: int) -> tuple[Array, Any]:
    x = array_of(input)
    if not x.ndim:
        return x * 1, np.zeros((), np.int64)
    y = ufunc.accumulate(x, axis=dim)
    there, due = np.asarray(plain(x)), np.asarray(plain(y))
    places = np.arange(x.shape[dim]).reshape([-1 if k == dim % x.ndim else 1 for k in range(x.ndim)])
    found = np.where((there == due) | np.isnan(there), places, 0)
    return y, np.maximum.accumulate(found, axis=dim)
