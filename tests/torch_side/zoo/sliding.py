"""Scans, convolutions and pooling: directions, carries, borders, tails of blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from refgrad import nn

from .record import Array, Kind, Specimen, function, normal, together, uniform

BLOCK = 4


# --- running sums and recurrences ---


def running_sum(ctx, x):
    return torch.cumsum(x, 0)


def running_sum_backward(ctx, g):
    return g.flip(0).cumsum(0).flip(0)


def running_sum_forwards(ctx, g):
    return g.cumsum(0)


def running_sum_of_blocks(ctx, g):
    """The carry from the block behind is not added."""
    return torch.cat([part.flip(0).cumsum(0).flip(0) for part in g.split(BLOCK)])


def recur(ctx, a, x):
    h, hs = torch.zeros_like(x[0]), []
    for a_i, x_i in zip(a, x, strict=True):
        h = a_i * h + x_i
        hs.append(h)
    ctx.save_for_backward(a, torch.stack(hs))
    return torch.stack(hs)


def _recur_backward(ctx, g, decay):
    a, h = ctx.saved_tensors
    carry, bars = torch.zeros_like(g[0]), []
    for i in reversed(range(len(a))):
        carry = g[i] + (decay(a, i) * carry if i + 1 < len(a) else 0)
        bars.append(carry)
    x_bar = torch.stack(bars[::-1])
    return x_bar * torch.cat([torch.zeros_like(h[:1]), h[:-1]]), x_bar


def recur_backward(ctx, g):
    return _recur_backward(ctx, g, lambda a, i: a[i + 1])


def recur_decay_of_the_same_step(ctx, g):
    return _recur_backward(ctx, g, lambda a, i: a[i])


def recur_new_state_for_old(ctx, g):
    _, h = ctx.saved_tensors
    x_bar = recur_backward(ctx, g)[1]
    return x_bar * h, x_bar


def recur_reference(a: Array, x: Array) -> Array:
    h, hs = 0 * x[0], []
    for i in range(x.shape[0]):
        h = a[i] * h + x[i]
        hs.append(h)
    return np.stack(hs)


def averaged(ctx, x, start):
    """y_i = (y_(i-1) + x_i) / 2."""
    ys = [start]
    for x_i in x:
        ys.append(0.5 * (ys[-1] + x_i))
    return torch.stack(ys[1:])


def averaged_backward(ctx, g):
    carry, bars = torch.zeros_like(g[0]), []
    for g_i in g.flip(0):
        carry = 0.5 * (g_i + carry)
        bars.append(carry)
    return torch.stack(bars[::-1]), carry


def averaged_start_dropped(ctx, g):
    return averaged_backward(ctx, g)[0], torch.zeros_like(g[0])


def averaged_reference(x: Array, start: Array) -> Array:
    ys = [start]
    for i in range(x.shape[0]):
        ys.append(0.5 * (ys[-1] + x[i]))
    return np.stack(ys[1:])


# --- a kernel in blocks of four, with 10 elements ---


def squares(ctx, x):
    ctx.save_for_backward(x)
    return x * x


def squares_backward(ctx, g):
    return 2 * g * ctx.saved_tensors[0]


def squares_whole_blocks(ctx, g):
    out, n = torch.zeros_like(g), len(g) // BLOCK * BLOCK
    out[:n] = squares_backward(ctx, g)[:n]
    return out


def squares_tail_of_first_block(ctx, g):
    """The masked load of the tail reads from the start of the array."""
    (x,) = ctx.saved_tensors
    tail = len(g) % BLOCK
    return 2 * g * torch.cat([x[:-tail], x[:tail]])


# --- a causal convolution of (T,) by three taps, with dilation 2 ---

DILATION = 2


def convolve(ctx, x, k):
    ctx.save_for_backward(x, k)
    p = F.pad(x, (2 * DILATION, 0))
    return sum(k[j] * p[j * DILATION : j * DILATION + len(x)] for j in range(3))


def _taps(ctx, g, dilation):
    x, k = ctx.saved_tensors
    n = len(g)
    q, p = F.pad(g, (0, 2 * DILATION)), F.pad(x, (2 * DILATION, 0))
    x_bar = sum(k[j] * q[(2 - j) * dilation : (2 - j) * dilation + n] for j in range(3))
    return x_bar, torch.stack([(g * p[j * DILATION : j * DILATION + n]).sum() for j in range(3)])


def convolve_backward(ctx, g):
    return _taps(ctx, g, DILATION)


def convolve_dilation_forgotten(ctx, g):
    return _taps(ctx, g, 1)


def convolve_taps_flipped(ctx, g):
    x_bar, k_bar = _taps(ctx, g, DILATION)
    return x_bar, k_bar.flip(0)


def convolve_reference(x: Array, k: Array) -> Array:
    p, n = np.pad(x, (2 * DILATION, 0)), x.shape[0]
    return k[0] * p[:n] + k[1] * p[DILATION : DILATION + n] + k[2] * p[2 * DILATION : 2 * DILATION + n]


# --- depthwise scale and bias of (N, C, L) ---


def depthwise(ctx, x, w, b):
    ctx.save_for_backward(x, w)
    return x * w[:, None] + b[:, None]


def depthwise_backward(ctx, g):
    x, w = ctx.saved_tensors
    return g * w[:, None], (g * x).sum((0, 2)), g.sum((0, 2))


def depthwise_first_of_batch(ctx, g):
    x, w = ctx.saved_tensors
    return g * w[:, None], (g * x).sum((0, 2)), g[0].sum(-1)


# --- pooling of (N, 6) ---


def pool_max(ctx, x):
    y, where = x.reshape(len(x), 2, 3).max(-1)
    ctx.save_for_backward(where)
    return y


def pool_max_backward(ctx, g):
    (where,) = ctx.saved_tensors
    return (F.one_hot(where, 3).to(g.dtype) * g[..., None]).reshape(len(g), 6)


def pool_max_in_first_window(ctx, g):
    """The index inside a window is taken for the index inside the row."""
    (where,) = ctx.saved_tensors
    return g.new_zeros(len(g), 6).scatter_add(1, where, g)


def pool_max_reference(x: Array) -> Array:
    return np.max(x.reshape(x.shape[0], 2, 3), -1)


def pool_average(ctx, x):
    """Windows of 3 with stride 2 and padding 1; the padding does not count."""
    return F.avg_pool1d(x[:, None], 3, 2, 1, count_include_pad=False)[:, 0]


def _spread(g, counts):
    out = g.new_zeros(len(g), 8)
    for k in range(3):
        out[:, 2 * k : 2 * k + 3] += (g[:, k] / counts[k])[:, None]
    return out[:, 1:7]


def pool_average_backward(ctx, g):
    return _spread(g, (2, 3, 3))


def pool_average_padding_counts(ctx, g):
    return _spread(g, (3, 3, 3))


def pool_average_reference(x: Array) -> Array:
    return np.stack([np.mean(x[:, :2], -1), np.mean(x[:, 1:4], -1), np.mean(x[:, 3:6], -1)], -1)


def shuffle(ctx, x):
    """(N, 2 L) to (N, L, 2): two channels side by side."""
    return x.reshape(len(x), 2, -1).mT.contiguous()


def shuffle_backward(ctx, g):
    return g.mT.reshape(len(g), -1)


def shuffle_not_permuted(ctx, g):
    return g.reshape(len(g), -1)


def shuffle_reference(x: Array) -> Array:
    return np.swapaxes(x.reshape(x.shape[0], 2, -1), -1, -2)


def _of(name, forward, right, wrong, reference, inputs):
    return Specimen(
        name, Kind.MATHEMATICS, function(forward, right), function(forward, wrong), reference, inputs
    )


_RECUR = (recur_reference, together(uniform(0.25, 1, (7,)), normal((7,))))

SPECIMENS = (
    _of("running sum not reversed", running_sum, running_sum_backward, running_sum_forwards, np.cumsum, normal((9,))),
    _of("running sum in blocks without a carry", running_sum, running_sum_backward, running_sum_of_blocks, np.cumsum, normal((10,))),
    _of("recurrence, decay of the wrong step", recur, recur_backward, recur_decay_of_the_same_step, *_RECUR),
    _of("recurrence, new state for the old", recur, recur_backward, recur_new_state_for_old, *_RECUR),
    _of("moving average, start without a gradient", averaged, averaged_backward, averaged_start_dropped, averaged_reference,
        normal((5,), ())),
    _of("tail of the blocks left out", squares, squares_backward, squares_whole_blocks, np.square, normal((10,))),
    _of("tail of the blocks read from the start", squares, squares_backward, squares_tail_of_first_block, np.square, normal((10,))),
    _of("convolution, dilation forgotten", convolve, convolve_backward, convolve_dilation_forgotten, convolve_reference,
        normal((9,), (3,))),
    _of("convolution, taps flipped", convolve, convolve_backward, convolve_taps_flipped, convolve_reference, normal((9,), (3,))),
    _of("bias of the first of the batch", depthwise, depthwise_backward, depthwise_first_of_batch,
        lambda x, w, b: x * w[:, None] + b[:, None], normal((3, 2, 4), (2,), (2,))),
    _of("max pooling into the first window", pool_max, pool_max_backward, pool_max_in_first_window, pool_max_reference, normal((3, 6))),
    _of("average pooling, padding counted", pool_average, pool_average_backward, pool_average_padding_counts, pool_average_reference,
        normal((3, 6))),
    _of("pixels not shuffled back", shuffle, shuffle_backward, shuffle_not_permuted, shuffle_reference, normal((2, 8))),
    _of("relu of the negative side", lambda ctx, x: squares(ctx, x.clamp(min=0)), lambda ctx, g: 2 * g * ctx.saved_tensors[0],
        lambda ctx, g: g * ctx.saved_tensors[0], lambda x: nn.relu(x) ** 2, normal((9,))),
)  # fmt: skip
