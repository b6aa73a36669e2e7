"""Mutants of normalizations: blocks, groups, buffers, layouts, and the format in which sums are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import nn
from refgrad.arrays import Array, PlainArray

from ..families.arrays import rounded  # noqa: TID252 - the suite has another name in a wheel
from .record import Kind, Mutant, Way, as_stored, normal

EPS = 2.0**-10


def unit(x: Array, axis: int | tuple[int, ...] = -1) -> tuple[Array, Array]:
    """x centred and scaled to variance 1, and the reciprocal standard deviation."""
    centred = x - np.mean(x, axis=axis, keepdims=True)
    r = 1 / np.sqrt(np.mean(centred * centred, axis=axis, keepdims=True) + EPS)
    return centred * r, r


def unit_vjp(y_bar: Array, x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """x_bar = r (y_bar - mean(y_bar) - x_hat mean(y_bar x_hat))."""
    hat, r = unit(x, axis)
    along = np.mean(y_bar * hat, axis=axis, keepdims=True)
    return r * (y_bar - np.mean(y_bar, axis=axis, keepdims=True) - hat * along)


def rms(x: Array) -> tuple[Array, Array]:
    """x scaled to mean square 1 along the last axis, and the reciprocal root of its mean square."""
    r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPS)
    return x * r, r


def rms_vjp(y_bar: Array, x: Array) -> Array:
    """x_bar = r (y_bar - x_hat mean(y_bar x_hat))."""
    hat, r = rms(x)
    return r * (y_bar - hat * np.mean(y_bar * hat, axis=-1, keepdims=True))


# --- the gradient of the weight, summed over blocks of two rows -------------------------------------------------------


def layer_norm_vjp(y_bar: Array, x: Array, weight: Array, rows: int) -> tuple[Array, Array]:
    return unit_vjp(y_bar * weight, x), np.sum((y_bar * unit(x)[0])[:rows], axis=0)


# --- one buffer for dY and dX -----------------------------------------------------------------------------------------


def rms_own_buffer(y_bar: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    return rms_vjp(y_bar * weight, x), np.sum(y_bar * rms(x)[0], axis=0)


def rms_in_place(y_bar: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """dX overwrites dY, and the weight's gradient reads it afterwards."""
    y_bar[...] = rms_vjp(y_bar * weight, x)
    return y_bar, np.sum(y_bar * rms(x)[0], axis=0)


# --- bfloat16: a sum over many rows -----------------------------------------------------------------------------------


def summed_rows(x: Array, weight: Array) -> Array:
    return np.sum(rms(x)[0] * weight, axis=0)


def rows_in_float32(y_bar: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    row = np.broadcast_to(y_bar, x.shape)
    return rounded(rms_vjp(row * weight, x), "bfloat16"), rounded(np.sum(row * rms(x)[0], axis=0), "bfloat16")


def rows_in_bfloat16(y_bar: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """The running sum is stored as bfloat16. It does not change where a term is below half a unit of its last place."""
    terms = np.broadcast_to(y_bar, x.shape) * rms(x)[0]
    total: Array = np.zeros_like(y_bar)
    for term in terms:
        total = rounded(total + term, "bfloat16")
    return rows_in_float32(y_bar, x, weight)[0], total


# --- gated, in groups -------------------------------------------------------------------------------------------------


def gated(x: Array, z: Array, weight: Array) -> Array:
    """Two groups, each normalized on its own."""
    h = np.reshape(x * nn.silu(z), (len(x), 2, -1))
    return np.reshape(rms(h)[0], x.shape) * weight


def gated_vjp(y_bar: Array, x: Array, z: Array, weight: Array, groups: int) -> tuple[Array, Array, Array]:
    grouped = (len(x), groups, x.shape[1] // groups)
    h = np.reshape(x * nn.silu(z), grouped)
    h_bar = np.reshape(rms_vjp(np.reshape(y_bar * weight, grouped), h), x.shape)
    s = nn.sigmoid(z)
    return (
        h_bar * nn.silu(z),
        h_bar * x * (s * (1 + z * (1 - s))),
        np.sum(y_bar * np.reshape(rms(h)[0], x.shape), axis=0),
    )


# --- three backward passes into one gradient --------------------------------------------------------------------------


def three_passes(x: Array, gamma: Array, beta: Array) -> Array:
    """One layer on three batches, whose gradient is the sum of the gradients of three passes."""
    return unit(x, axis=1)[0] * gamma + beta


def passes_added(y_bar: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    return (
        unit_vjp(y_bar * gamma, x, axis=1),
        np.sum(y_bar * unit(x, axis=1)[0], axis=(0, 1)),
        np.sum(y_bar, axis=(0, 1)),
    )


def passes_overwritten(y_bar: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Only the gradient of the last pass remains, and that of beta is never written."""
    return unit_vjp(y_bar * gamma, x, axis=1), np.sum((y_bar * unit(x, axis=1)[0])[-1], axis=0), 0.0 * beta


# --- channels last ----------------------------------------------------------------------------------------------------

BATCH_AXES = (0, 2, 3, 4)


def channels_last(x: PlainArray) -> PlainArray:
    """The same array, with the channels next to each other in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


# --- float16: sums that leave the range -------------------------------------------------------------------------------

# A batch of 512 with deviation 9: the upstream gradient sums to more than 65504, the squares of the batch to less, and so do the
# terms of the derivative, which are divided by the deviation before they are summed.
LOUD = 768.0


def loud_batch_norm(x: Array) -> Array:
    centred = x - np.mean(x, axis=0)
    return LOUD * (centred / np.sqrt(np.mean(centred * centred, axis=0) + EPS))


def batch_norm_half(y_bar: Array, x: Array, accumulate: type[np.floating[Any]]) -> Array:
    """The two sums over the batch in the format ``accumulate``, the rest in float32, the result stored as float16."""
    hat, r = unit(x.astype(np.float32), axis=0)
    incoming = (np.float16(LOUD) * y_bar).astype(np.float32)
    total = np.add.reduce(incoming, axis=0, dtype=accumulate).astype(np.float32)
    along = np.add.reduce(incoming * hat, axis=0, dtype=accumulate).astype(np.float32)
    return (r * (incoming - total / len(x) - hat * (along / len(x)))).astype(np.float16)


# --- a residual that is used and returned -----------------------------------------------------------------------------


def pre_norm(x: Array, residual: Array, weight: Array) -> Array:
    h = x + residual
    return np.stack([rms(h)[0] * weight, h])


def pre_norm_vjp(y_bar: Array, x: Array, residual: Array, weight: Array) -> tuple[Array, Array, Array]:
    h_bar = y_bar[1] + rms_vjp(y_bar[0] * weight, x + residual)
    return h_bar, h_bar, np.sum(y_bar[0] * rms(x + residual)[0], axis=0)


def pre_norm_all_normed(y_bar: Array, x: Array, residual: Array, weight: Array) -> tuple[Array, Array, Array]:
    """The residual's gradient passes the normalization too."""
    h_bar = rms_vjp(y_bar[1] + y_bar[0] * weight, x + residual)
    return h_bar, h_bar, np.sum(y_bar[0] * rms(x + residual)[0], axis=0)


MUTANTS = (
    Mutant(
        "at-18",
        "https://github.com/BobMcDear/attorch/issues/18",
        "layer_norm, weight",
        Kind.DROPPED,
        forward=lambda x, weight: unit(x)[0] * weight,
        right=lambda y_bar, x, weight: layer_norm_vjp(y_bar, x, weight, len(x)),
        wrong=lambda y_bar, x, weight: layer_norm_vjp(y_bar, x, weight, len(x) // 2 * 2),
        inputs=lambda rng: [normal(rng, (7, 3), (3,)), normal(rng, (4, 3), (3,))],
    ),
    Mutant(
        "lk-1305",
        "https://github.com/linkedin/Liger-Kernel/pull/1305",
        "rms_norm in place",
        Kind.ALIAS,
        forward=lambda x, weight: rms(x)[0] * weight,
        right=rms_own_buffer,
        wrong=rms_in_place,
        inputs=lambda rng: [normal(rng, (4, 3), (3,)), normal(rng, (1, 5), (5,))],
        way=Way.KERNEL,
    ),
    Mutant(
        "lk-950",
        "https://github.com/linkedin/Liger-Kernel/pull/950",
        "rms_norm, weight",
        Kind.PRECISION,
        forward=summed_rows,
        right=rows_in_float32,
        wrong=rows_in_bfloat16,
        inputs=lambda rng: [
            (rng.uniform(0.5, 2.0, (2048, 3)), rng.uniform(0.5, 2.0, 3)),
            normal(rng, (4, 3), (3,)),
        ],
        way=Way.KERNEL,
        dtypes=("bfloat16",),
    ),
    Mutant(
        "mb-547",
        "https://github.com/state-spaces/mamba/pull/547",
        "gated norm",
        Kind.BROADCAST,
        forward=gated,
        right=lambda y_bar, x, z, weight: gated_vjp(y_bar, x, z, weight, 2),
        wrong=lambda y_bar, x, z, weight: gated_vjp(y_bar, x, z, weight, 1),
        inputs=lambda rng: [normal(rng, (2, 6), (2, 6), (6,)), normal(rng, (1, 4), (1, 4), (4,))],
    ),
    Mutant(
        "mx-18499",
        "https://github.com/apache/mxnet/issues/18499",
        "batch_norm, three passes",
        Kind.ACCUMULATE,
        forward=three_passes,
        right=passes_added,
        wrong=passes_overwritten,
        inputs=lambda rng: [normal(rng, (3, 4, 2), (2,), (2,)), normal(rng, (1, 4, 2), (2,), (2,))],
    ),
    Mutant(
        "pt-107199",
        "https://github.com/pytorch/pytorch/issues/107199",
        "batch_norm, channels last",
        Kind.STRIDE,
        forward=lambda x: unit(x, BATCH_AXES)[0],
        right=lambda y_bar, x: unit_vjp(channels_last(y_bar), x, BATCH_AXES),
        wrong=lambda y_bar, x: unit_vjp(as_stored(channels_last(y_bar)), x, BATCH_AXES),
        inputs=lambda rng: [normal(rng, (2, 3, 1, 2, 2)), normal(rng, (3, 1, 2, 1, 2))],
        way=Way.KERNEL,
    ),
    Mutant(
        "pt-195701",
        "https://github.com/pytorch/pytorch/issues/195701",
        "batch_norm, half precision",
        Kind.PRECISION,
        forward=loud_batch_norm,
        right=lambda y_bar, x: batch_norm_half(y_bar, x, np.float32),
        wrong=lambda y_bar, x: batch_norm_half(y_bar, x, np.float16),
        inputs=lambda rng: [(9 * rng.standard_normal((512, 2)),), normal(rng, (8, 2))],
        way=Way.KERNEL,
        dtypes=("float16",),
    ),
    Mutant(
        "qk-53",
        "https://github.com/Dao-AILab/quack/pull/53",
        "RMS pre-norm with residual",
        Kind.FACTOR,
        forward=pre_norm,
        right=pre_norm_vjp,
        wrong=pre_norm_all_normed,
        inputs=lambda rng: [normal(rng, (2, 3), (2, 3), (3,)), normal(rng, (1, 4), (1, 4), (4,))],
    ),
)
