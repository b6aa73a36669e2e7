"""Shape and movement: reshape, transpose, broadcast_to, astype, concatenate, flip, roll, pad."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, Params
from refgrad.bounds.evaluation import Evaluation, Repeated
from refgrad.domain import sampled
from refgrad.errors import OperandError
from refgrad.op import Op, Traced, register
from refgrad.op.traits import HOLOMORPHIC, PARAMETRISED, REAL_LINEAR, SEVERAL, InGraphs
from refgrad.ops import by_parts, params_in_graphs, samplers

Axis = int | tuple[int, ...] | None
_FLOAT, _INT = np.dtype(float), np.dtype(int)


# --- axes, as every family with an axis parameter reads them ----------------------------------------------------------


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as non-negative numbers; None means all."""
    if axis is None:
        return tuple(range(ndim))
    if not ndim:  # of a 0-d array NumPy's reductions accept 0 and -1, and reduce nothing
        return ()
    return tuple([a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))])


def integers(params: Params) -> Params:
    """Parameters of an op, with the integers that arrays without axes hold; NumPy takes these as an axis, and in a tuple of axes."""
    for name, x in params.items():
        if type(x) is np.ndarray:
            params = {**params, name: _integer(x)}
        elif name == "axis" and type(x) is tuple:
            params = {**params, name: tuple(map(_integer, x))}
    return params


def _integer(x: Any) -> Any:
    return int(x) if type(x) is np.ndarray and x.ndim == 0 and x.dtype.kind in "iu" else x


@functools.lru_cache(maxsize=4096)
def kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Shape after a reduction that keeps reduced axes with length 1."""
    axes = axes_of(axis, len(shape))
    return tuple([1 if k in axes else n for k, n in enumerate(shape)])


def count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements a reduction takes together."""
    return math.prod([shape[a] for a in axes_of(axis, len(shape))])


def spread(y: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """A reduced array, repeated over what was reduced: the transpose of a sum over ``axis``."""
    if axis is not None and not keepdims:
        y = y.reshape(kept(shape, axis))
    if isinstance(y, Traced):
        return broadcast_to(y, shape=shape)
    # Faster than a broadcast view, and a gradient that ends here can be written to.
    x = np.empty(shape, y.dtype)
    x[...] = y
    return x


def sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    """Sum over whatever ``shape`` was broadcast along: the transpose of broadcast_to."""
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        [lead + k for k, n in enumerate(shape) if n == 1 and x.shape[lead + k] != 1]
    )
    return np.reshape(np.add.reduce(x, axis=Repeated(axes)), shape) if axes else x


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ``axes``."""
    undone = [0] * len(axes)
    for k, a in enumerate(axes):
        undone[a % len(axes)] = k
    return tuple(undone)


def _tuple(shape: Any) -> tuple[int, ...]:
    return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)


# --- one array, its elements moved ------------------------------------------------------------------------------------


def _reshape(x: Array, shape: Any = (-1,)) -> Array:
    return np.reshape(x, shape)


reshape = register(
    "reshape", _reshape,
    jvp=lambda x_dot, shape: np.reshape(x_dot, shape),
    vjp=lambda y_bar, x_shape: np.reshape(y_bar, x_shape),
    rounding=bounds.moved,
    torch=lambda torch, x, shape=(-1,): torch.reshape(x, _tuple(shape)),
    domain=sampled(samplers.reshape),
    view=True, branch_free=True,
    in_graphs=InGraphs(PARAMETRISED, 13, params=params_in_graphs.reshape),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _transpose(x: Array, axes: Any = None) -> Array:
    return np.transpose(x, axes)


transpose = register(
    "transpose", _transpose,
    jvp=lambda x_dot, axes: np.transpose(x_dot, axes),
    vjp=lambda y_bar, axes: np.transpose(y_bar, None if axes is None else inverse(axes)),
    rounding=bounds.moved,
    torch=lambda torch, x, axes=None: torch.permute(x, tuple(range(x.ndim))[::-1] if axes is None else tuple(axes)),
    domain=sampled(samplers.transpose),
    view=True, branch_free=True,
    in_graphs=InGraphs(PARAMETRISED, 14, params=params_in_graphs.transpose),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _broadcast_to(x: Array, shape: Any = ()) -> Array:
    return np.broadcast_to(x, shape)


broadcast_to = register(
    "broadcast_to", _broadcast_to,
    jvp=lambda x_dot, shape: np.broadcast_to(x_dot, shape),
    vjp=lambda y_bar, x_shape: sum_to(y_bar, x_shape),
    rounding=bounds.moved,
    torch=lambda torch, x, shape=(): torch.broadcast_to(x, _tuple(shape)),
    domain=sampled(samplers.broadcast_to),
    view=True, branch_free=True,
    in_graphs=InGraphs(PARAMETRISED, 21, params=params_in_graphs.broadcast_to),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _astype(x: Array, dtype: Any = _FLOAT) -> Array:
    return x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype)


def _astype_rounding(run: Evaluation) -> Any:
    """The wide value stays; a cast to a narrower format rounds once to it. Of a formula under test the value is rounded.

    Beyond the range of the narrower format nothing is promised.
    """
    fmt, xs, es, params = run.fmt, run.xs, run.es, run.params
    x, e = xs[0], es[0]
    target = bounds.FORMATS.get(np.dtype(params["dtype"]).name)
    x = np.asarray(x).astype(fmt.wide)
    if target is None or target.u <= fmt.u:  # long double, or no narrower than what is judged
        return x, e
    carried = bounds.zero(e)
    off = np.ldexp(np.frexp(x)[0], target.bits)
    exact = (off == np.rint(off)) & (carried == 0) & (np.abs(x) <= target.max)
    radius = carried + np.where(exact, 0.0, target.store(x, carried))
    beyond = np.abs(x) + radius > target.max
    if target.bits < fmt.casts_below:
        y, e = bounds.cast(fmt, target, x, e)
        x, radius = np.where(beyond, x, y), bounds.zero(e)
    return x, np.where(beyond, np.inf, radius)


# The tangent and the cotangent are cast by the engine, which holds them to the dtypes of value and operand.
astype = register(
    "astype", _astype,
    jvp=lambda x_dot, dtype: x_dot.astype(dtype),
    vjp=lambda y_bar: y_bar,
    rounding=_astype_rounding,
    torch=lambda torch, x, dtype=_FLOAT: x.to(getattr(torch, np.dtype(dtype).name)),
    domain=sampled(samplers.astype),
    branch_free=True,
    complex_rules=HOLOMORPHIC, by_parts=by_parts.cast,
    selects=True,
)  # fmt: skip


def _to_integer(x: Array, dtype: Any = _INT) -> Array:
    return x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype)


to_integer = register(
    "to_integer", _to_integer,
    jvp=None,
    vjp=None,
    rounding=lambda run: None,
    torch=lambda torch, x, dtype=_INT: x.to(getattr(torch, np.dtype(dtype).name)),
    complex_rules=REAL_LINEAR,
)  # fmt: skip


def cast(x: Any, dtype: Any) -> Array:
    """``x.astype(dtype)``: differentiable between floating-point types, also to complex ones; a step towards integers and booleans.

    Raises OperandError for a dtype of anything else, in which a derivative would be lost, and for a cast from complex to real numbers.
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "fciub":
        raise OperandError(
            f"astype to {dtype} would lose the derivative; a dtype of numbers is expected. Keep objects and texts out of the "
            "differentiated function."
        )
    if dtype.kind in "fiu" and getattr(x, "dtype", dtype).kind == "c":
        raise OperandError(
            f"astype from {x.dtype} to {dtype} would drop the imaginary part. Write z.real, z.imag or np.abs(z), and cast that."
        )
    return astype(x, dtype=dtype) if dtype.kind in "fc" else to_integer(x, dtype=dtype)


def _flip(x: Array, axis: Axis = None) -> Array:
    return np.flip(x, axis)


flip = register(
    "flip", _flip,
    jvp=lambda x_dot, axis: np.flip(x_dot, axis),
    vjp=lambda y_bar, axis: np.flip(y_bar, axis),
    rounding=bounds.moved,
    torch=lambda torch, x, axis=None: torch.flip(x, axes_of(axis, x.ndim)),
    numpy=(np.flip,),
    domain=sampled(samplers.flip),
    view=True, branch_free=True,
    in_graphs=InGraphs(PARAMETRISED, 19, params=params_in_graphs.flip),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _back(shift: Any) -> Any:
    """The shift that undoes another one, which may be of unsigned integers."""
    return tuple([-int(s) for s in np.ravel(shift)]) if np.ndim(shift) else -int(shift)


def _roll(x: Array, shift: Any = 0, axis: Axis = None) -> Array:
    return np.roll(x, shift, axis)


roll = register(
    "roll", _roll,
    jvp=lambda x_dot, shift, axis: np.roll(x_dot, shift, axis),
    vjp=lambda y_bar, shift, axis: np.roll(y_bar, _back(shift), axis),
    rounding=bounds.moved,
    torch=lambda torch, x, shift=0, axis=None: _torch_roll(torch, x, shift, axis),
    numpy=(np.roll,),
    domain=sampled(samplers.roll),
    branch_free=True,
    in_graphs=InGraphs(PARAMETRISED, 20, params=params_in_graphs.roll),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _torch_roll(torch: Any, x: Any, shift: Any, axis: Any) -> Any:
    if axis is None:
        return torch.roll(x, shift if isinstance(shift, int) else sum(shift))
    shifts, axes = np.broadcast_arrays(shift, axis)
    return torch.roll(x, tuple(shifts.ravel().tolist()), tuple(axes.ravel().tolist()))


def widths(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """NumPy's short forms of pad_width, one (before, after) an axis."""
    return tuple([(int(a), int(b)) for a, b in np.broadcast_to(pad_width, (ndim, 2))])


def _pad(x: Array, pad_width: Any = 0, constant_values: Any = 0.0) -> Array:
    return np.pad(x, pad_width, constant_values=constant_values)


def _pad_rounding(run: Evaluation) -> Any:
    fmt, xs, es, params = run.fmt, run.xs, run.es, run.params
    constants = np.asarray(params["constant_values"], fmt.wide)
    rounded = constants.astype(fmt.accumulator) != constants
    off = np.where(rounded, fmt.u * np.abs(constants), 0.0)
    if es[0] is None and not rounded.any():
        return None
    e = np.zeros(np.shape(xs[0]), fmt.wide) if es[0] is None else np.broadcast_to(es[0], np.shape(xs[0]))
    return np.pad(e, params["pad_width"], constant_values=off.tolist())


def _torch_pad(torch: Any, x: Any, pad_width: Any, constant_values: Any) -> Any:
    flat = [n for pair in reversed(widths(pad_width, x.ndim)) for n in pair]
    return torch.nn.functional.pad(x, flat, value=float(constant_values))


pad: Op = register(
    "pad", _pad,
    jvp=lambda x_dot, pad_width: pad(x_dot, pad_width=pad_width),
    vjp=lambda y_bar, x_shape, pad_width: y_bar[
        tuple([slice(before, before + n) for (before, _), n in zip(widths(pad_width, len(x_shape)), x_shape, strict=True)])
    ],
    rounding=_pad_rounding,
    torch=lambda torch, x, pad_width=0, constant_values=0.0: _torch_pad(torch, x, pad_width, constant_values),
    domain=sampled(samplers.pad),
    branch_free=True,
    in_graphs=InGraphs(PARAMETRISED, 17, params=params_in_graphs.pad),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


# --- many arrays -----------------------------------------------------------------------------------------------------


def _concatenate(*xs: Array, axis: int = 0) -> Array:
    return np.concatenate(xs, axis)


def _pieces(
    y_bar: Array, shapes: tuple[tuple[int, ...], ...], axis: int, active: tuple[bool, ...]
) -> list[Array | None]:
    lead = (slice(None),) * (axis % y_bar.ndim)
    pieces: list[Array | None] = []
    start = 0
    for shape, a in zip(shapes, active, strict=True):
        stop = start + shape[axis]
        pieces.append(y_bar[(*lead, slice(start, stop))] if a else None)
        start = stop
    return pieces


concatenate: Op = register(
    "concatenate", _concatenate,
    jvp=lambda xs_dot, axis: concatenate(*xs_dot, axis=axis),
    vjp=lambda y_bar, xs_shape, axis, active: _pieces(y_bar, xs_shape, axis, active),
    rounding=bounds.moved,
    torch=lambda torch, *xs, axis=0: torch.cat(xs, axis),
    domain=sampled(samplers.concatenate),
    branch_free=True,
    in_graphs=InGraphs(SEVERAL, 1, weight=2),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip
