"""Rows of a table by their numbers, alone and reduced over bags, with torch's parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.errors import ArgumentError, DtypeError, NoRuleError
from refgrad.nn import layer_draws
from refgrad.nn.arguments import array_of
from refgrad.op import Traced, twin
from refgrad.ops.stop_gradient import stop_gradient


@twin(
    torch=lambda torch, x, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse: (
        torch.nn.functional.embedding(x, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    ),
    draw=layer_draws.embedding,
)
def embedding(
    input: Any,
    weight: Array,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    """weight[input]: plain integers of any shape and a table (rows, d) to (..., d); dtype of ``weight``.

    Row ``padding_idx`` counts as a constant: its derivative is 0. A row that is read several times gets the sum of the cotangents.

    Raises DtypeError for indices that are not plain integers, ArgumentError for indices out of range or another shape of the table,
    NoRuleError for ``max_norm`` (it writes into the table), ``scale_grad_by_freq`` (its result is not the derivative) and ``sparse``.
    """
    table = _table(weight, "embedding")
    _refuse(max_norm, norm_type, scale_grad_by_freq, sparse, "embedding")
    rows = _indices(input, table.shape[0], "embedding")
    y = table[rows]
    padding = _padding(padding_idx, table.shape[0], "embedding")
    return y if padding is None else np.where((rows == padding)[..., np.newaxis], stop_gradient(y), y)


def _torch_bag(
    torch: Any,
    rows: Any,
    weight: Any,
    offsets: Any,
    max_norm: Any,
    norm_type: Any,
    by_freq: Any,
    mode: Any,
    sparse: Any,
    samples: Any,
    last: Any,
    padding: Any,
) -> Any:
    return torch.nn.functional.embedding_bag(
        rows, weight, offsets, max_norm, norm_type, by_freq, mode, sparse, samples, last, padding
    )


@twin(torch=_torch_bag, draw=layer_draws.bags)
def embedding_bag(
    input: Any,
    weight: Array,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Array | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """The "mean", "sum" or "max" of rows over bags: a table (rows, d) to (bags, d); dtype of ``weight``.

    ``input`` has shape (bags, n), or (n,) where bag b reaches from ``offsets[b]`` to the next offset, the last one to the end. With
    ``include_last_offset`` the last offset is the end, and starts no bag. ``per_sample_weights``, of the shape of ``input``, multiply
    the rows, for "sum" alone. Row ``padding_idx`` does not count. A bag without rows is 0. Tied elements of a maximum share the
    derivative equally.

    Raises as embedding does, and ArgumentError for offsets that do not start at 0, decrease or leave the input.
    """
    who = "embedding_bag"
    table = _table(weight, who)
    _refuse(max_norm, norm_type, scale_grad_by_freq, sparse, who)
    if mode not in ("mean", "sum", "max"):
        raise ArgumentError(f'{who}: mode must be "mean", "sum" or "max", got {mode!r}')
    rows = _indices(input, table.shape[0], who)
    places, inside = _bags(rows, offsets, include_last_offset, who)
    rows = rows.ravel()
    padding = _padding(padding_idx, table.shape[0], who)
    if padding is not None and rows.size:
        inside = inside & (rows[places] != padding)
    read = rows[places] if rows.size else np.zeros(places.shape, int)
    mask = inside[..., np.newaxis]
    y = table[read]
    if not read.size:
        return np.sum(y, axis=1)  # no bag has a row
    if per_sample_weights is not None:
        y = y * _sample_weights(per_sample_weights, np.shape(input), mode, who)[places][..., np.newaxis]
    number = np.sum(inside, axis=1)[:, np.newaxis]
    if mode == "max":
        largest = np.max(np.where(mask, y, np.asarray(-np.inf, y.dtype)), axis=1)
        return np.where(number > 0, largest, np.zeros((), y.dtype))
    total = np.sum(np.where(mask, y, np.zeros((), y.dtype)), axis=1)
    return total if mode == "sum" else total / np.maximum(number, 1).astype(y.dtype)


def one_hot(labels: Any, num_classes: int = -1) -> PlainArray:
    """1 at the class of each label and 0 elsewhere, as plain integers: (...) to (..., classes), by default the largest label plus 1.

    Raises DtypeError for labels that are not plain integers, ArgumentError for labels out of range, or none and no ``num_classes``.
    """
    found = _plain_integers(labels, "one_hot", "labels")
    if num_classes == -1:
        if not found.size:
            raise ArgumentError("one_hot: no labels to count the classes by; give num_classes=")
        num_classes = int(found.max()) + 1
    _within(found, num_classes, "one_hot", "labels")
    return np.asarray(found[..., np.newaxis] == np.arange(num_classes), np.int64)


def _table(weight: Any, who: str) -> Array:
    weight = array_of(weight)
    if weight.ndim != 2:
        raise ArgumentError(f"{who}: a weight of shape (rows, d) is expected, got shape {weight.shape}")
    return weight


def _refuse(max_norm: Any, norm_type: Any, scale_grad_by_freq: bool, sparse: bool, who: str) -> None:
    if max_norm is not None:
        raise NoRuleError(
            f"{who}: max_norm={max_norm} (norm_type={norm_type}) writes into the weight and has no rule; divide the rows by their norms "
            "before the call"
        )
    if scale_grad_by_freq:
        raise NoRuleError(
            f"{who}: scale_grad_by_freq=True makes the gradient another function than the derivative and has no rule; divide the "
            "gradient by the frequencies after the call"
        )
    if sparse:
        raise NoRuleError(
            f"{who}: sparse=True asks for a sparse gradient, and gradients here are dense; leave it away"
        )


def _plain_integers(given: Any, who: str, name: str) -> PlainArray:
    if isinstance(given, Traced) or (given := np.asarray(given)).dtype.kind not in "iu":
        raise DtypeError(f"{who}: {name} must be a plain array of integers, got dtype {given.dtype}")
    return given


def _within(given: PlainArray, count: int, who: str, name: str) -> None:
    if given.size and not (given.min() >= 0 and given.max() < count):
        raise ArgumentError(
            f"{who}: {name} must lie in 0 ... {count - 1}, got {given.min()} ... {given.max()}"
        )


def _indices(given: Any, count: int, who: str) -> PlainArray:
    found = _plain_integers(given, who, "input")
    _within(found, count, who, "input")
    return found


def _padding(padding_idx: int | None, count: int, who: str) -> int | None:
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise ArgumentError(f"{who}: padding_idx must lie in {-count} ... {count - 1}, got {padding_idx}")
    return padding_idx % count


def _bags(
    rows: PlainArray, offsets: Any, include_last_offset: bool, who: str
) -> tuple[PlainArray, PlainArray]:
    """For each bag places in the flattened input, as many as the longest one has, and which of them belong to it."""
    if rows.ndim == 2:
        if offsets is not None:
            raise ArgumentError(f"{who}: offsets go with an input of one dimension, got shape {rows.shape}")
        return np.arange(rows.size).reshape(rows.shape), np.ones(rows.shape, bool)
    if rows.ndim != 1 or offsets is None:
        raise ArgumentError(
            f"{who}: an input of shape (bags, n), or (n,) with offsets is expected, got shape {rows.shape}"
        )
    starts = _plain_integers(offsets, who, "offsets").astype(np.intp)
    if starts.ndim != 1 or (starts.size and starts[0] != 0) or (include_last_offset and not starts.size):
        raise ArgumentError(
            f"{who}: offsets of one dimension that start at 0 are expected, got {starts.tolist()}"
        )
    ends = starts[1:] if include_last_offset else np.append(starts[1:], rows.size)
    starts = starts[: ends.size]
    if np.any(ends < starts) or (ends.size and ends.max() > rows.size):
        raise ArgumentError(
            f"{who}: offsets must not decrease, nor pass the input's {rows.size} elements, got {np.asarray(offsets).tolist()}"
        )
    lengths = ends - starts
    steps = np.arange(np.max(lengths, initial=0))
    inside = steps < lengths[:, np.newaxis]
    return np.where(inside, starts[:, np.newaxis] + steps, 0), inside


def _sample_weights(given: Any, shape: tuple[int, ...], mode: str, who: str) -> Array:
    given = array_of(given)
    if mode != "sum":
        raise ArgumentError(f'{who}: per_sample_weights go with mode "sum", got mode {mode!r}')
    if given.shape != shape:
        raise ArgumentError(
            f"{who}: per_sample_weights must have the shape of input, {shape}, got {given.shape}"
        )
    return np.reshape(given, (-1,))
