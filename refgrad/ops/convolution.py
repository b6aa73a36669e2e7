"""Convolutions over any number of axes: three bilinear maps, each the transpose of the others.

All come from one trilinear form (Dumoulin, Visin, "A guide to convolution arithmetic for deep learning", 2016). With batch n, group g,
channels c of the input and o of the output, and along each axis the offset k in the kernel and the place p of a window,

    T(x, w, z) = sum over n g c o k p of x[n, g c, s p + d k - a] w[g o, c, k] z[n, g o, p],

where s is the stride, d the dilation, a the padding at the start, and x is 0 outside its bounds. Then

    conv(x, w) = dT/dz,    conv_transposed(z, w) = dT/dx,    conv_weight(x, z) = dT/dw,

so each derivative of one is one of the other two.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.bounds import splitting
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import sampled
from refgrad.op import Op, register
from refgrad.ops import convolution_draws as draws
from refgrad.ops import torch_convolution
from refgrad.ops.windows import Numbers, overlapped, overlaps, reach, slid

Pairs = tuple[tuple[int, int], ...]
_BLOCK = 2**22  # elements of the matrix of windows that is held at one time


def padded(x: PlainArray, padding: Pairs) -> PlainArray:
    """x with zeros at both ends of its last axes, or cut where a width is negative."""
    if not any(map(any, padding)):
        return x
    lead = x.ndim - len(padding)
    x = np.pad(x, [(0, 0)] * lead + [(max(a, 0), max(b, 0)) for a, b in padding])
    cut = [slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(padding, x.shape[lead:], strict=True)]
    key: Any = (..., *cut)
    return x[key]


def _samples(x: PlainArray, size: Numbers, places: Numbers) -> Iterator[slice]:
    """Runs of samples whose windows make at most _BLOCK elements, or one sample."""
    each = x.shape[1] * math.prod(size) * math.prod(places)
    count = max(1, _BLOCK // max(each, 1))
    return (slice(start, start + count) for start in range(0, x.shape[0], count))


def _rows(x: PlainArray, size: Numbers, stride: Numbers, dilation: Numbers, groups: int) -> PlainArray:
    """The windows of each group as rows of a matrix: shape (g, n p, c/g k)."""
    axes = len(size)
    y = slid(x, size, stride, dilation)
    n, c, *rest = y.shape
    y = y.reshape(n, groups, c // groups, *rest)
    order = (1, 0, *range(3, 3 + axes), 2, *range(3 + axes, 3 + 2 * axes))
    return y.transpose(order).reshape(groups, n * math.prod(rest[:axes]), c // groups * math.prod(size))


def _grouped(z: PlainArray, groups: int) -> PlainArray:
    """(n, o, p...) as (g, n p, o/g)."""
    n, o, *places = z.shape
    z = z.reshape(n, groups, o // groups, math.prod(places))
    return z.transpose(1, 0, 3, 2).reshape(groups, n * math.prod(places), o // groups)


def _places(x: PlainArray, size: Numbers, stride: Numbers, dilation: Numbers) -> Numbers:
    axes = len(size)
    return tuple(
        [
            (n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(x.shape[-axes:], size, stride, dilation, strict=True)
        ]
    )


def _conv(
    x: PlainArray,
    w: PlainArray,
    stride: Numbers = (1,),
    padding: Pairs = ((0, 0),),
    dilation: Numbers = (1,),
    groups: int = 1,
) -> PlainArray:
    size = w.shape[2:]
    x = padded(x, padding)
    places = _places(x, size, stride, dilation)
    matrix = w.reshape(groups, w.shape[0] // groups, -1).swapaxes(1, 2)
    y = np.empty((x.shape[0], w.shape[0], *places), np.result_type(x, w))
    for chosen in _samples(x, size, places):
        part = splitting.matmul(_rows(x[chosen], size, stride, dilation, groups), matrix)
        count = x[chosen].shape[0]
        part = part.reshape(groups, count, math.prod(places), -1).transpose(1, 0, 3, 2)
        y[chosen] = part.reshape(count, w.shape[0], *places)
    return y


def _conv_transposed(
    z: PlainArray,
    w: PlainArray,
    size: Numbers = (1,),
    stride: Numbers = (1,),
    start: Numbers = (0,),
    dilation: Numbers = (1,),
    groups: int = 1,
) -> PlainArray:
    kernel, places = w.shape[2:], z.shape[2:]
    whole = reach(kernel, stride, dilation, places)
    ends = tuple([a + n - m for a, n, m in zip(start, size, whole, strict=True)])
    matrix = w.reshape(groups, w.shape[0] // groups, -1)
    channels = w.shape[1]
    y = np.zeros((z.shape[0], groups * channels, *size), np.result_type(z, w))
    if 0 in places:
        return y
    order = (1, 0, 3, 2, *range(4, 4 + len(kernel)))
    for chosen in _samples(y, kernel, places):
        columns = splitting.matmul(_grouped(z[chosen], groups), matrix)
        count = z[chosen].shape[0]
        columns = columns.reshape(groups, count, math.prod(places), channels, *kernel).transpose(order)
        columns = columns.reshape(count, groups * channels, *places, *kernel)
        full = overlapped(columns, whole, stride, dilation)
        y[chosen] = padded(full, tuple([(-a, b) for a, b in zip(start, ends, strict=True)]))
    return y


def _aligned(
    x: PlainArray, places: Numbers, kernel: Numbers, stride: Numbers, start: Numbers, dilation: Numbers
) -> PlainArray:
    """x padded at the start, and at the end padded or cut to where the last window ends."""
    whole = reach(kernel, stride, dilation, places)
    return padded(
        x,
        tuple(
            [(a, m - n - a) for a, m, n in zip(start, whole, x.shape[x.ndim - len(kernel) :], strict=True)]
        ),
    )


def _conv_weight(
    x: PlainArray,
    z: PlainArray,
    kernel: Numbers = (1,),
    stride: Numbers = (1,),
    start: Numbers = (0,),
    dilation: Numbers = (1,),
    groups: int = 1,
) -> PlainArray:
    places = z.shape[2:]
    y = np.zeros((z.shape[1], x.shape[1] // groups, *kernel), np.result_type(x, z))
    if 0 in places:
        return y
    x = _aligned(x, places, kernel, stride, start, dilation)
    for chosen in _samples(x, kernel, places):
        rows = _rows(x[chosen], kernel, stride, dilation, groups)
        y += splitting.matmul(_grouped(z[chosen], groups).swapaxes(1, 2), rows).reshape(y.shape)
    return y


# --- rounding ---------------------------------------------------------------------------------------------------------


def _with_padding(run: Evaluation, padding: Pairs, cleared: dict[str, Any]) -> Evaluation:
    """The same with the zeros of the padding among the elements of x: infinity times such a zero may be NaN, or skipped."""
    x, e = run.xs[0], run.es[0]
    e = None if e is None else padded(np.broadcast_to(e, x.shape), padding)
    return run._replace(
        xs=(padded(x, padding), run.xs[1]), es=(e, run.es[1]), params={**run.params, **cleared}
    )


def _conv_rounding(run: Evaluation) -> Any:
    """An infinite radius where a kernel that skips the padding has a number, and one that multiplies it has NaN."""
    padding = run.params["padding"]
    inner = np.ones(np.shape(run.xs[0]))
    run = _with_padding(run, padding, {"padding": tuple([(0, 0) for _ in padding])})
    radius = bounds.bilinear(run, math.prod(run.xs[1].shape[1:]))
    x, w = run.xs
    if radius is None or not np.isnan(run.y).any() or np.isfinite(w).all():
        return radius
    inside = padded(inner, padding)
    beside = run.forward(1.0 - inside, ~np.isfinite(w) * 1.0, **run.params) > 0
    read = run.forward(np.isnan(x) * 1.0, np.ones(w.shape), **run.params)
    read = read + run.forward(inside, np.isnan(w) * 1.0, **run.params)
    return np.where(beside & (read == 0) & np.isnan(run.y), np.inf, radius)


def _stored_sums(run: Evaluation, radius: Any, terms: int) -> Any:
    """``terms`` partial results that a kernel in a half format stores, and adds in that format."""
    fmt, xs, es = run.fmt, run.xs, run.es
    if radius is None or fmt.u == fmt.u_acc or terms < 2:
        return radius
    size = run.forward(*[np.abs(x) + bounds.zero(e) for x, e in zip(xs, es, strict=True)], **run.params)
    return radius + 2 * terms * (fmt.u * (size + radius) + fmt.eta)


def _conv_transposed_rounding(run: Evaluation) -> Any:
    """Kernels form z w for each place and offset, store the products, and add those that overlap into the result."""
    (z, w), params = run.xs, run.params
    kernel, places = w.shape[2:], z.shape[2:]
    whole = reach(kernel, params["stride"], params["dilation"], places)
    most = overlaps(whole, places, kernel, params["stride"], params["dilation"])
    radius = bounds.bilinear(run, w.shape[0] // params["groups"] * most)
    return _stored_sums(run, radius, most)


def _conv_weight_rounding(run: Evaluation) -> Any:
    """Kernels add sample by sample into the result."""
    (x, z), params = run.xs, run.params
    places = z.shape[2:]
    whole = reach(params["kernel"], params["stride"], params["dilation"], places)
    sizes = zip(params["start"], whole, x.shape[2:], strict=True)
    padding = tuple([(a, m - n - a) for a, m, n in sizes])
    run = _with_padding(run, padding, {"start": tuple([0 for _ in places])})
    return _stored_sums(run, bounds.bilinear(run, z.shape[0] * math.prod(places)), z.shape[0])


# --- derivatives ------------------------------------------------------------------------------------------------------


def _starts(padding: Pairs) -> Numbers:
    return tuple([a for a, _ in padding])


def _conv_of_aligned(
    x: Array, w: Array, places: Numbers, stride: Numbers, start: Numbers, dilation: Numbers, groups: int
) -> Array:
    """conv at so many places, however far x reaches."""
    kernel = w.shape[2:]
    if 0 in places:
        return np.zeros((x.shape[0], w.shape[0], *places), x.dtype)
    whole = reach(kernel, stride, dilation, places)
    padding = tuple([(a, m - n - a) for a, m, n in zip(start, whole, x.shape[2:], strict=True)])
    return conv(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)


# --- torch -----------------------------------------------------------------------------------------------------------


def _torch_conv(
    torch: Any, x: Any, w: Any, stride: Numbers, padding: Pairs, dilation: Numbers, groups: int
) -> Any:
    """Equal widths at both ends are torch's own padding."""
    of = torch.nn.functional
    if any(a != b for a, b in padding):
        x = of.pad(x, list(itertools.chain.from_iterable(padding[::-1])))
        padding = tuple([(0, 0) for _ in padding])
    name = f"conv{len(stride)}d"
    return torch_convolution.conv(name, torch, x, w, None, stride, _starts(padding), dilation, groups)


def _torch_conv_transposed(
    torch: Any, z: Any, w: Any, size: Numbers, stride: Numbers, start: Numbers, dilation: Numbers, groups: int
) -> Any:
    of = torch.nn.functional
    function = (of.conv_transpose1d, of.conv_transpose2d, of.conv_transpose3d)[len(stride) - 1]
    y = function(z, w, None, stride, 0, 0, groups, dilation)
    short = [max(a + n - m, 0) for a, n, m in zip(start, size, y.shape[2:], strict=True)]
    y = of.pad(y, [k for more in short[::-1] for k in (0, more)])
    return y[(..., *[slice(a, a + n) for a, n in zip(start, size, strict=True)])]


conv: Op = register(
    "conv",
    _conv,
    jvp={
        "x": lambda x_dot, w, stride, padding, dilation, groups: conv(
            x_dot, w, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        "w": lambda w_dot, x, stride, padding, dilation, groups: conv(
            x, w_dot, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
    },
    vjp={
        "x": lambda y_bar, x_shape, w, stride, padding, dilation, groups: conv_transposed(
            y_bar,
            w,
            size=tuple(x_shape[2:]),
            stride=stride,
            start=_starts(padding),
            dilation=dilation,
            groups=groups,
        ),
        "w": lambda y_bar, x, w_shape, stride, padding, dilation, groups: conv_weight(
            x,
            y_bar,
            kernel=tuple(w_shape[2:]),
            stride=stride,
            start=_starts(padding),
            dilation=dilation,
            groups=groups,
        ),
    },
    rounding=_conv_rounding,
    torch=_torch_conv,
    domain=sampled(draws.conv),
    sums=True,
)

conv_transposed: Op = register(
    "conv_transposed",
    _conv_transposed,
    jvp={
        "z": lambda z_dot, w, size, stride, start, dilation, groups: conv_transposed(
            z_dot, w, size=size, stride=stride, start=start, dilation=dilation, groups=groups
        ),
        "w": lambda w_dot, z, size, stride, start, dilation, groups: conv_transposed(
            z, w_dot, size=size, stride=stride, start=start, dilation=dilation, groups=groups
        ),
    },
    vjp={
        "z": lambda y_bar, z_shape, w, stride, start, dilation, groups: _conv_of_aligned(
            y_bar, w, tuple(z_shape[2:]), stride, start, dilation, groups
        ),
        "w": lambda y_bar, z, w_shape, stride, start, dilation, groups: conv_weight(
            y_bar, z, kernel=tuple(w_shape[2:]), stride=stride, start=start, dilation=dilation, groups=groups
        ),
    },
    rounding=_conv_transposed_rounding,
    torch=_torch_conv_transposed,
    domain=sampled(draws.conv_transposed),
    sums=True,
)

conv_weight: Op = register(
    "conv_weight",
    _conv_weight,
    jvp={
        "x": lambda x_dot, z, kernel, stride, start, dilation, groups: conv_weight(
            x_dot, z, kernel=kernel, stride=stride, start=start, dilation=dilation, groups=groups
        ),
        "z": lambda z_dot, x, kernel, stride, start, dilation, groups: conv_weight(
            x, z_dot, kernel=kernel, stride=stride, start=start, dilation=dilation, groups=groups
        ),
    },
    vjp={
        "x": lambda y_bar, x_shape, z, stride, start, dilation, groups: conv_transposed(
            z, y_bar, size=tuple(x_shape[2:]), stride=stride, start=start, dilation=dilation, groups=groups
        ),
        "z": lambda y_bar, x, z_shape, stride, start, dilation, groups: _conv_of_aligned(
            x, y_bar, tuple(z_shape[2:]), stride, start, dilation, groups
        ),
    },
    rounding=_conv_weight_rounding,
    domain=sampled(draws.conv_weight),
    sums=True,
    helper=True,
)
