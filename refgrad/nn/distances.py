"""Distances, similarities and the losses of pairs and triplets, with torch's names and parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import ArgumentError
from refgrad.formula import Formula
from refgrad.nn import distance_draws
from refgrad.nn.arguments import array_of, reduced, signs_of
from refgrad.op import twin
from refgrad.ops import activation


def _axis(dim: int, ndim: int, who: str) -> int:
    if not -ndim <= dim < ndim:
        raise ArgumentError(f"{who}: dim {dim} is out of range for an array of {ndim} axes")
    return dim % ndim


@twin(
    torch=lambda torch, x, p, dim, eps: torch.nn.functional.normalize(x, p, dim, eps),
    draw=distance_draws.norms,
)
def normalize(input: Array, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Array:
    """input/max(norm, eps) with the p-norm along ``dim``. Shape and dtype of the input. Raises ArgumentError for an axis out of range."""
    input = array_of(input)
    axis = _axis(dim, input.ndim, "normalize")
    return input / np.maximum(np.linalg.norm(input, ord=p, axis=axis, keepdims=True), eps)


@twin(
    torch=lambda torch, x1, x2, dim, eps: torch.nn.functional.cosine_similarity(x1, x2, dim, eps),
    draw=distance_draws.cosines,
)
def cosine_similarity(x1: Array, x2: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    """The product of x1 and x2 summed along ``dim``, over max(|x1|, eps) max(|x2|, eps). The operands broadcast; the axis is dropped."""
    x1, x2 = array_of(x1), array_of(x2)
    axis = _axis(dim, max(x1.ndim, x2.ndim), "cosine_similarity")
    x1, x2 = np.broadcast_arrays(x1, x2)
    sizes = [np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), eps) for x in (x1, x2)]
    return np.sum((x1 / sizes[0]) * (x2 / sizes[1]), axis=axis)


@twin(
    torch=lambda torch, x1, x2, p, eps, keepdim: torch.nn.functional.pairwise_distance(
        x1, x2, p, eps, keepdim
    ),
    draw=distance_draws.differences,
)
def pairwise_distance(
    x1: Array, x2: Array, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Array:
    """The p-norm of x1 - x2 + eps along the last axis. The operands broadcast."""
    return np.linalg.norm(array_of(x1) - array_of(x2) + eps, ord=p, axis=-1, keepdims=keepdim)


def _by_products(x1: Array, x2: Array, p: float = 2.0) -> Array:
    """cdist as kernels compute it for many rows: the root of |x1|^2 + |x2|^2 - 2 x1 x2."""
    if p != 2 or max(x1.shape[-2], x2.shape[-2]) <= distance_draws.FEW_ROWS:
        return cdist(x1, x2, p)
    first, second = np.sum(x1 * x1, axis=-1)[..., :, np.newaxis], np.sum(x2 * x2, axis=-1)[..., np.newaxis, :]
    return np.sqrt(np.maximum(first + second - 2 * np.matmul(x1, np.swapaxes(x2, -1, -2)), 0.0))


@twin(
    torch=lambda torch, x1, x2, p: torch.cdist(x1, x2, p),
    draw=distance_draws.rows,
    usual=(
        Formula(
            "squares less twice the product, for many rows: they cancel between near rows",
            function=_by_products,
            blind=True,
        ),
    ),
)
def cdist(x1: Array, x2: Array, p: float = 2.0) -> Array:
    """The p-norms of the differences of all rows: shapes (..., P, M) and (..., R, M) to (..., P, R).

    Raises ArgumentError for operands of less than two axes or rows of different lengths.
    """
    x1, x2 = array_of(x1), array_of(x2)
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ArgumentError(
            f"cdist: shapes (..., P, M) and (..., R, M) are expected, got {x1.shape} and {x2.shape}"
        )
    return np.linalg.norm(x1[..., :, np.newaxis, :] - x2[..., np.newaxis, :, :], ord=p, axis=-1)


@twin(
    torch=lambda torch, x, p: torch.nn.functional.pdist(x, p),
    draw=distance_draws.pairs_of_rows,
)
def pdist(input: Array, p: float = 2.0) -> Array:
    """The p-norms of the differences of all pairs of rows, in the order of the upper triangle: shape (N, M) to (N (N - 1)/2).

    Raises ArgumentError for another shape.
    """
    input = array_of(input)
    if input.ndim != 2:
        raise ArgumentError(f"pdist: an input of shape (N, M) is expected, got {input.shape}")
    first, second = np.triu_indices(input.shape[0], 1)
    return np.linalg.norm(input[first] - input[second], ord=p, axis=-1)


@twin(
    torch=lambda torch, x, target, margin, reduction: torch.nn.functional.hinge_embedding_loss(
        x, target.to(x.dtype), margin, reduction=reduction
    ),
    draw=distance_draws.signed("one", (1.0, 0.5, 2.0)),
)
def hinge_embedding_loss(input: Array, target: Array, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The input where the target is 1, max(0, margin - input) where it is -1; reduced. Raises ArgumentError for other targets."""
    input, signs = array_of(input), signs_of(target, "hinge_embedding_loss")
    if input.shape != signs.shape:
        raise ArgumentError(
            f"hinge_embedding_loss: input has shape {input.shape}, target has {signs.shape}; they must be equal"
        )
    each = np.where(signs == 1, input, activation.relu(margin - input))
    return reduced(each, reduction, "hinge_embedding_loss")


@twin(
    torch=lambda torch, x1, x2, target, margin, reduction: torch.nn.functional.margin_ranking_loss(
        x1, x2, target.to(x1.dtype), margin, reduction=reduction
    ),
    draw=distance_draws.signed("two", (0.0, 0.5, 2.0)),
)
def margin_ranking_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """max(0, -target (input1 - input2) + margin) with a target of -1 and 1; reduced. Raises ArgumentError for other targets."""
    input1, input2, signs = array_of(input1), array_of(input2), signs_of(target, "margin_ranking_loss")
    signs = signs.astype(input1.dtype)
    return reduced(activation.relu(-signs * (input1 - input2) + margin), reduction, "margin_ranking_loss")


@twin(
    torch=lambda torch, x1, x2, target, margin, reduction: torch.nn.functional.cosine_embedding_loss(
        x1, x2, target, margin, reduction=reduction
    ),
    draw=distance_draws.embedded,
)
def cosine_embedding_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1, with the cosine along the last axis; reduced.

    Shapes (N, M), (N, M) and (N), or (M), (M) and (). Each sum of squares is enlarged by 1e-12.
    """
    input1, input2, signs = array_of(input1), array_of(input2), signs_of(target, "cosine_embedding_loss")
    if input1.shape != input2.shape or input1.ndim not in (1, 2) or signs.shape != input1.shape[:-1]:
        raise ArgumentError(
            "cosine_embedding_loss: shapes (N, M), (N, M) and (N), or (M), (M) and () are expected, got "
            f"{input1.shape}, {input2.shape} and {signs.shape}"
        )
    squares = [np.sum(x * x, axis=-1) + 1e-12 for x in (input1, input2)]
    cosine = np.sum(input1 * input2, axis=-1) / np.sqrt(squares[0] * squares[1])
    return reduced(
        np.where(signs == 1, 1 - cosine, activation.relu(cosine - margin)), reduction, "cosine_embedding_loss"
    )


@twin(
    torch=lambda torch, anchor, positive, negative, margin, p, eps, swap, reduction: (
        torch.nn.functional.triplet_margin_loss(
            anchor, positive, negative, margin, p, eps, swap, reduction=reduction
        )
    ),
    draw=distance_draws.triplets,
)
def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with d = ``pairwise_distance``; reduced.

    With ``swap`` the second distance is no larger than that of positive and negative. Raises ArgumentError unless margin is positive.
    """

    def distance(x1: Array, x2: Array) -> Array:
        return pairwise_distance(x1, x2, p, eps)

    return _triplets("triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction)


@twin(
    torch=lambda torch, anchor, positive, negative, distance, margin, swap, reduction: (
        torch.nn.functional.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=distance,
            margin=margin,
            swap=swap,
            reduction=reduction,
        )
    ),
    draw=distance_draws.triplets_by_distance,
)
def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    distance_function: Callable[[Array, Array], Array] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """triplet_margin_loss with the distance of your own: a function of two arrays, ``pairwise_distance`` unless given."""
    who, distance = "triplet_margin_with_distance_loss", distance_function or pairwise_distance
    return _triplets(who, anchor, positive, negative, distance, margin, swap, reduction)


def _triplets(
    who: str,
    anchor: Array,
    positive: Array,
    negative: Array,
    distance: Callable[[Array, Array], Array],
    margin: float,
    swap: bool,
    reduction: str,
) -> Array:
    if not margin > 0:
        raise ArgumentError(f"{who}: margin must be positive, got {margin}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = np.minimum(far, distance(positive, negative))
    return reduced(activation.relu(near - far + margin), reduction, who)
