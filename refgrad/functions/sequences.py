"""Sequences of numbers: interpolation, convolution, gradients by differences, unwrapping, windows, evenly spaced numbers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.errors import NoRuleError
from refgrad.functions.registry import axis_within, implements, moved, operand, reduced
from refgrad.ops import complex_numbers
from refgrad.ops.shape import cast
from refgrad.tracing.differentiable_arguments import holds_traced, plain

NUMPY: Any = np  # of which the plain functions are called with whatever the program gave


def _as_double(x: Any) -> Array:
    """x as NumPy's own code converts it: float64, or long double where it is wider."""
    x = operand(x)
    return cast(x, np.result_type(np.float64, x.dtype))


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Array:
    x, xp, fp = _as_double(x), _as_double(xp), _as_double(fp)
    if "c" in (x.dtype.kind, xp.dtype.kind) or np.iscomplexobj(period):
        raise NoRuleError(
            "np.interp: points x, xp and period are real numbers; values fp may be complex. Write x.real."
        )
    narrow = [np.asarray(plain(a), complex if a.dtype.kind == "c" else float) for a in (x, xp, fp)]
    NUMPY.interp(*narrow, period=None if period is None else float(plain(period)))  # raises where NumPy does
    if fp.dtype.kind == "c":  # NumPy interpolates each part by itself
        edges = [None if edge is None else operand(edge) for edge in (left, right)]
        parts = [
            interp(x, xp, of(fp), *[None if edge is None else of(edge) for edge in edges], period)
            for of in (np.real, np.imag)
        ]
        return complex_numbers.from_parts(*parts)
    if period is not None:
        period = np.abs(operand(period))
        x, xp, left, right = np.remainder(x, period), np.remainder(xp, period), None, None
        order = np.argsort(plain(xp))
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    places, knots, n = np.asarray(plain(x)), plain(xp), xp.shape[0]
    y = _on_line(x, xp, fp) if n > 1 else np.broadcast_to(fp[0], places.shape)
    y = np.where(places < knots[0], fp[0] if left is None else _as_double(left), y)
    y = np.where(places > knots[-1], fp[-1] if right is None else _as_double(right), y)
    return y if y.ndim else y[()]  # a scalar, as in NumPy


def _on_line(x: Array, xp: Array, fp: Array) -> Array:
    """The value at x of the line between two knots, from the left one unless only the right one gives a number.

    A knot has its own value, also beside a knot that is infinite, NaN or at the same place: its slope is that of the other side, or zero.
    """
    places, knots, values = np.asarray(plain(x)), plain(xp), plain(fp)
    k = np.clip(np.searchsorted(knots, places, "right") - 1, 0, len(knots) - 2)
    with np.errstate(all="ignore"):
        slopes = np.diff(values) / np.diff(knots)
        steep = (places == knots[k]) & (places != knots[k + 1]) & ~np.isfinite(slopes[k])
        k = np.where(steep, np.maximum(k - 1, 0), k)
        unknown = np.isnan(slopes[k] * (places - knots[k]) + values[k])
        start = np.where((places == knots[k + 1]) | (unknown & (places != knots[k])), k + 1, k)
        unknown = np.isnan(slopes[k] * (places - knots[start]) + values[start])
        alone = unknown & ((places == knots[start]) | ((values[k] == values[k + 1]) & ~np.isnan(places)))
        slope = (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
        return np.where(alone, fp[start], slope * (x - xp[start]) + fp[start])


# --- sums of products of neighbours ------------------------------------------------------------------------------------


def _all_sums(a: Array, v: Array) -> Array:
    """a correlated with v wherever they overlap: a.size + v.size - 1 sums of products."""
    n, m = a.shape[0], v.shape[0]
    padded = np.pad(a, (m - 1, m - 1))
    return np.matmul(padded[np.arange(n + m - 1)[:, None] + np.arange(m)], v)


def _cut(full: Array, longer: int, shorter: int, mode: Any, name: str) -> Array:
    mode = {0: "valid", 1: "same", 2: "full"}.get(mode, mode)  # NumPy's old names
    if mode == "full":
        return full
    if mode == "valid":
        return full[shorter - 1 : longer]
    if mode == "same":
        start = shorter - 1 - shorter // 2
        return full[start : start + longer]
    raise NoRuleError(f"np.{name}: mode={mode!r} has no rule; 'full', 'same' and 'valid' have one")


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Array:
    np.correlate(plain(a), plain(v), mode)  # raises where NumPy does
    a, v = np.atleast_1d(operand(a)), np.atleast_1d(operand(v))
    v = np.conjugate(v) if v.dtype.kind == "c" else v
    n, m = a.shape[0], v.shape[0]
    if n >= m:
        return _cut(_all_sums(a, v), n, m, mode, "correlate")
    return np.flip(_cut(_all_sums(v, a), m, n, mode, "correlate"))


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Array:
    np.convolve(plain(a), plain(v), mode)  # raises where NumPy does
    a, v = np.atleast_1d(operand(a)), np.atleast_1d(operand(v))
    if v.shape[0] > a.shape[0]:
        a, v = v, a
    return _cut(_all_sums(a, np.flip(v)), a.shape[0], v.shape[0], mode, "convolve")


# --- along an axis -----------------------------------------------------------------------------------------------------


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = operand(f)
    f = f if f.dtype.kind in "fc" else f.astype(float)
    # Raises where NumPy does.
    NUMPY.gradient(np.zeros(f.shape, f.dtype), *[plain(h) for h in varargs], axis=axis, edge_order=edge_order)
    axes = tuple(range(f.ndim)) if axis is None else reduced(axis, f.ndim) or ()
    steps = list(varargs) * len(axes) if len(varargs) == 1 else list(varargs) or [1.0] * len(axes)
    slopes = tuple([_slope(f, step, k, edge_order) for step, k in zip(steps, axes, strict=True)])
    return slopes[0] if len(axes) == 1 else slopes


def _slope(f: Array, step: Any, axis: int, edge_order: int) -> Array:
    """Second-order differences inside, one-sided ones of the given order at both ends; ``step`` is a distance or the places."""
    f = moved(f, axis, -1)
    n = f.shape[-1]
    places = None if np.ndim(step) == 0 else operand(step)
    h = np.broadcast_to(operand(step) if places is None else np.diff(places), (n - 1,))
    if places is None:
        middle = (f[..., 2:] - f[..., :-2]) / (2.0 * operand(step))
    else:
        left, right = h[:-1], h[1:]
        middle = (
            -right / (left * (left + right)) * f[..., :-2]
            + (right - left) / (left * right) * f[..., 1:-1]
            + left / (right * (left + right)) * f[..., 2:]
        )
    first, last = (f[..., 1] - f[..., 0]) / h[0], (f[..., -1] - f[..., -2]) / h[-1]
    if edge_order != 1:  # the slope of the parabola through three points, at its end
        second, before = (f[..., 2] - f[..., 1]) / h[1], (f[..., -2] - f[..., -3]) / h[-2]
        first = first + (first - second) * h[0] / (h[0] + h[1])
        last = last + (last - before) * h[-1] / (h[-1] + h[-2])
    return np.moveaxis(
        np.concatenate([first[..., None], middle, last[..., None]], -1).astype(f.dtype), -1, axis
    )


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Array:
    p = operand(p)
    length = plain(period)
    found = NUMPY.unwrap(plain(p), plain(discont), axis, period=length)
    y = p.astype(found.dtype) + (found - plain(p))  # whole periods, constant wherever the derivative exists
    if not holds_traced(period):
        return y
    return (y + np.rint((found - plain(p)) / length) * (period - length)).astype(found.dtype)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Array, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Array:
    x = operand(x)
    sample = x._sample() if hasattr(x, "_sample") else None
    sample = np.empty(x.shape) if sample is None else sample
    due = np.lib.stride_tricks.sliding_window_view(sample, window_shape, axis)  # raises where NumPy does
    widths = tuple(map(operator.index, window_shape if np.iterable(window_shape) else (window_shape,)))
    axes = (
        tuple(range(x.ndim))
        if axis is None
        else [k % x.ndim for k in (axis if np.iterable(axis) else (axis,))]
    )
    if writeable:
        raise NoRuleError(
            "np.lib.stride_tricks.sliding_window_view: writeable=True has no rule; leave it away"
        )
    # Windows overlap: NumPy copies them where it copies what is not contiguous.
    gap = int(not due.flags.forc)

    def windows(z: Array) -> Array:
        for width, k in zip(widths, axes, strict=True):
            n = z.shape[k]
            places = np.arange(n - width + 1)[:, None] + np.arange(width + gap)
            z = np.moveaxis(z[(*(slice(None),) * k, np.minimum(places, n - 1))], k + 1, -1)[..., :width]
        return z

    return x._view(windows(x), windows, writeable=False) if hasattr(x, "_view") else windows(x)


# --- evenly spaced numbers -----------------------------------------------------------------------------------------------


@implements(np.linspace)
def linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, *,
    device: Any = None,
) -> Any:  # fmt: skip
    found, step_found = NUMPY.linspace(plain(start), plain(stop), num, endpoint, True, dtype, axis)
    if found.dtype.kind not in "fc":
        raise NoRuleError(f"np.linspace: dtype={found.dtype} has no rule; convert the result")
    num = operator.index(num)
    # The dtype that is asked for does not change this one.
    at_work = NUMPY.linspace(plain(start), plain(stop), 1).dtype
    start, stop = [cast(operand(x), at_work) for x in (start, stop)]
    parts, delta = num - 1 if endpoint else num, stop - start
    places = np.arange(num, dtype=at_work).reshape((-1,) + (1,) * (found.ndim - 1))
    step = delta / parts if parts > 0 else step_found
    underflows = parts > 0 and np.any(plain(step) == 0)
    y = (places / parts * delta if underflows else places * (step if parts > 0 else delta)) + start
    if endpoint and num > 1:
        y = np.concatenate([y[:-1], np.broadcast_to(stop, y.shape[1:])[None]])
    y = np.moveaxis(y.astype(found.dtype), 0, axis_within(axis, y.ndim))
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Array:  # fmt: skip
    # Raises where NumPy does.
    found = NUMPY.logspace(plain(start), plain(stop), num, endpoint, plain(base), dtype, axis)
    if np.ndim(base):
        ndim = max(np.ndim(x) for x in (start, stop, base))
        start, stop, base = [
            x.reshape((1,) * (ndim - x.ndim) + x.shape)
            for x in (operand(start), operand(stop), operand(base))
        ]
        base = np.expand_dims(base, axis)
    y: Array = NUMPY.linspace(start, stop, num=num, endpoint=endpoint, axis=axis)
    if not endpoint or operator.index(num) < 2:
        return cast(np.power(base, y), found.dtype)
    # The last exponent is stop, without a derivative in start: a negative base may have none.
    y = moved(y, axis, 0)
    base = base if np.ndim(base) == 0 else moved(np.broadcast_to(base, found.shape), axis, 0)
    before, last = (base, base) if np.ndim(base) == 0 else (base[:-1], base[-1:])
    end = np.broadcast_to(cast(operand(stop), y.dtype), y.shape[1:])[None]
    return cast(moved(np.concatenate([np.power(before, y[:-1]), np.power(last, end)]), 0, axis), found.dtype)


@implements(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Array:  # fmt: skip
    found = NUMPY.geomspace(plain(start), plain(stop), num, endpoint, dtype, axis)  # raises where NumPy does
    start, stop, num = operand(start), operand(stop), operator.index(num)
    at_work = np.result_type(start.dtype, stop.dtype, float(num), np.zeros((), dtype))
    start, stop = cast(start, at_work), cast(stop, at_work)
    sign = np.sign(plain(start))
    start, stop = start / sign, stop / sign
    dims = np.broadcast_shapes(start.shape, stop.shape)
    last = num > 1 and bool(endpoint)
    rows = [np.broadcast_to(start, dims)[None]] if num > 0 else []  # NumPy writes the ends exactly
    if num > 1 + last:
        y: Array = NUMPY.logspace(np.log10(start), np.log10(stop), num, endpoint, 10.0, at_work)
        rows.append(y[1 : num - last])
    if last:
        rows.append(np.broadcast_to(stop, dims)[None])
    y = np.concatenate(rows) if rows else np.zeros((0, *dims), at_work)
    return cast(np.moveaxis(y * sign, 0, axis_within(axis, y.ndim)), found.dtype)
