"""Images of another size, with torch's modes. Each axis is interpolated after the other, the last one first."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.nn import image_draws
from refgrad.nn.arguments import array_of, fixed
from refgrad.nn.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from refgrad.nn.spatial import Numbers, numbers
from refgrad.op import twin

AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
MODES = ("nearest", "nearest-exact", *AXES, "area")
CUBIC = -0.75  # the parameter of the cubic kernel
KEYS = -0.5  # that of Keys, which antialias has
SMOOTHED = ("bilinear", "bicubic")  # the modes that antialias goes with


def _torch_interpolate(
    torch: Any, x: Any, size: Any, factor: Any, mode: Any, align: Any, recompute: Any, antialias: Any
) -> Any:
    return torch.nn.functional.interpolate(x, size, factor, mode, align, recompute, antialias)


@twin(torch=_torch_interpolate, draw=image_draws.interpolation)
def interpolate(
    input: Array,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """``input`` of shape (n, c, d1, ...) with other sizes of its spatial axes, one to three: (n, c, e1, ...); dtype of ``input``.

    Either ``size`` gives e, or ``scale_factor`` gives e = floor(d factor). Place k of the result lies at (k + 1/2)/s - 1/2 of the input,
    or at k (d - 1)/(e - 1) with ``align_corners``. There s is the factor, or e/d where a size is given or with ``recompute_scale_factor``.
    "nearest" reads element floor(k/s), "nearest-exact" element floor((k + 1/2)/s). "linear", "bilinear" and "trilinear" are piecewise
    linear along one, two and three axes. "bicubic" has the kernel of Keys with the parameter -3/4. Beyond the ends the last element
    continues. "area" takes the means of adaptive_avg_pool. ``antialias``, for "bilinear" and "bicubic", widens the kernel by 1/s where
    the result is smaller, divides its weights by their sum over the elements that there are, and has the parameter -1/2 of Keys.
    Keys, "Cubic convolution interpolation for digital image processing" (1981).

    Raises ArgumentError where shapes or parameters do not fit, NoRuleError for ``antialias`` with ``align_corners``.
    """
    x = array_of(input)
    axes = x.ndim - 2
    if mode not in MODES:
        raise ArgumentError(f"interpolate: mode must be one of {MODES}, got {mode!r}")
    if not 1 <= axes <= 3 or AXES.get(mode, axes) != axes:
        expected = {1: "(n, c, d1)", 2: "(n, c, d1, d2)", 3: "(n, c, d1, d2, d3)"}
        shapes = expected[AXES[mode]] if mode in AXES else " or ".join(expected.values())
        raise ArgumentError(
            f"interpolate: an input of shape {shapes} is expected for mode {mode!r}, got shape {x.shape}"
        )
    if antialias and mode not in SMOOTHED:
        raise ArgumentError(f"interpolate: antialias=True goes with {', '.join(SMOOTHED)}, got mode {mode!r}")
    if antialias and align_corners:
        raise NoRuleError(
            "interpolate: antialias=True with align_corners=True is not defined by a kernel at places of the input; leave one of them away"
        )
    if align_corners is not None and mode not in AXES:
        raise ArgumentError(
            f"interpolate: align_corners={align_corners} goes with {', '.join(AXES)}; leave it away for mode {mode!r}"
        )
    if not all(x.shape[1:]):
        raise ArgumentError(f"interpolate: only the batch may be empty, got an input of shape {x.shape}")
    places, factors = _sizes(x.shape[2:], size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[axes - 1](x, places)
    for axis in range(x.ndim - 1, 1, -1):
        n, m, factor = x.shape[axis], places[axis - 2], factors[axis - 2]
        steps: tuple[float, float] = (n, m) if factor is None else (1.0, factor)
        if mode in ("nearest", "nearest-exact"):
            x = x[(slice(None),) * axis + (_nearest(n, m, steps, mode),)]
            continue
        if antialias:
            x = _widened(x, axis, m, steps, cubic=mode == "bicubic")
            continue
        if align_corners:
            steps = (n - 1, max(m - 1, 1))
        x = _smooth(x, axis, m, steps, bool(align_corners), cubic=mode == "bicubic")
    return x


def upsample(
    input: Array,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Array:
    """interpolate, under the name that torch has deprecated."""
    warnings.warn("upsample is deprecated in torch; write interpolate", DeprecationWarning, stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Array, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Array:
    """interpolate with mode "nearest", under the name that torch has deprecated."""
    warnings.warn(
        "upsample_nearest is deprecated in torch; write interpolate", DeprecationWarning, stacklevel=2
    )
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: Array, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Array:
    """interpolate with mode "bilinear" and aligned corners, under the name that torch has deprecated."""
    warnings.warn(
        "upsample_bilinear is deprecated in torch; write interpolate", DeprecationWarning, stacklevel=2
    )
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


def linear_weights(t: Array) -> list[Array]:
    """The weights of the elements at -1, 0 and 1 for a place t between -1/2 and 1/2."""
    before = t < 0
    zero = np.zeros((), t.dtype)
    return [np.where(before, -t, zero), np.where(before, 1 + t, 1 - t), np.where(before, zero, t)]


def cubic_weights(t: Array) -> list[Array]:
    """The weights of the elements at -2 ... 2 for a place t between -1/2 and 1/2."""
    before = t < 0
    zero = np.zeros((), t.dtype)
    return [
        np.where(before, _far(2 + t), zero),
        np.where(before, _near(1 + t), _far(1 + t)),
        np.where(before, _near(-t), _near(t)),
        np.where(before, _far(1 - t), _near(1 - t)),
        np.where(before, zero, _far(2 - t)),
    ]


def _near(d: Array, a: float = CUBIC) -> Array:
    """The cubic kernel of parameter a at a distance d of at most 1."""
    return ((a + 2) * d - (a + 3)) * d * d + 1


def _far(d: Array, a: float = CUBIC) -> Array:
    """The cubic kernel of parameter a at a distance d from 1 to 2."""
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


def _sizes(
    shape: Numbers, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[Numbers, list[float | None]]:
    """The sizes of the result, and the factors where they say which places are read."""
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"interpolate: either size or scale_factor is expected, got size={size!r} and scale_factor={scale_factor!r}"
        )
    if size is not None:
        if recompute:
            raise ArgumentError("interpolate: recompute_scale_factor=True goes with scale_factor, got size")
        return numbers(size, len(shape), 1, "interpolate", "size"), [None] * len(shape)
    several = isinstance(scale_factor, (tuple, list))
    factors = list(scale_factor) if several else [scale_factor] * len(shape)
    real = all(isinstance(f, (int, float, np.integer, np.floating)) and 0 < f < math.inf for f in factors)
    if not real or len(factors) != len(shape):
        raise ArgumentError(
            f"interpolate: scale_factor must be a positive number or {len(shape)} of them, got {scale_factor!r}"
        )
    places = tuple([math.floor(n * float(f)) for n, f in zip(shape, factors, strict=True)])
    if min(places) < 1:
        raise ArgumentError(
            f"interpolate: scale_factor={scale_factor!r} leaves no element of an input with the sizes {tuple(shape)}"
        )
    return places, [None] * len(shape) if recompute else [float(f) for f in factors]


def _nearest(n: int, m: int, steps: tuple[float, float], mode: str) -> PlainArray:
    """The element that each of m places reads; ``steps`` is numerator and denominator of the distance between places."""
    start = Fraction(1, 2) if mode == "nearest-exact" else 0
    step = Fraction(steps[0]) / Fraction(steps[1])
    return np.asarray([min(n - 1, math.floor((k + start) * step)) for k in range(m)])


def _smooth(x: Array, axis: int, m: int, steps: tuple[float, float], align: bool, cubic: bool) -> Array:
    """Sums of neighbours with weights. Which neighbours is exact; the weights are computed in the format of x, as kernels do."""
    n = x.shape[axis]
    half = Fraction(0 if align else 1, 2)
    step = Fraction(steps[0]) / Fraction(steps[1])
    exact = [(k + half) * step - half for k in range(m)]
    number = fixed(x, np.arange(m) + float(half)) * (fixed(x, float(steps[0])) / steps[1])
    place = number if align else number - 0.5
    if not cubic:
        # Beyond the last element kernels read it twice, with weights that round.
        place = np.maximum(place, 0)
        exact = [max(p, Fraction(0)) for p in exact]
    middle = np.asarray([round(p) for p in exact])
    t = place - middle.astype(x.dtype)
    weights = cubic_weights(t) if cubic else linear_weights(t)
    reach = len(weights) // 2
    total: Any = None
    for k, weight in enumerate(weights):
        index = np.clip(middle + k - reach, 0, n - 1)
        term = x[(slice(None),) * axis + (index,)] * np.reshape(weight, (m,) + (1,) * (x.ndim - 1 - axis))
        total = term if total is None else total + term
    return total


def _keys(d: Array) -> Array:
    """The cubic kernel of Keys at any distance d."""
    return np.where(d < 1, _near(d, KEYS), np.where(d < 2, _far(d, KEYS), np.zeros((), d.dtype)))


def _widened(x: Array, axis: int, m: int, steps: tuple[float, float], cubic: bool) -> Array:
    """Sums of all elements that a kernel reaches, at least as wide as the distance between places; its weights are divided by their sum.

    Place k lies at (k + 1/2) step, the middle of element j at j + 1/2.
    """
    n = x.shape[axis]
    step = fixed(x, float(steps[0])) / steps[1]
    places = np.reshape(fixed(x, np.arange(m) + 0.5) * step, (m, 1))
    d = np.abs(places - (np.arange(n) + 0.5).astype(x.dtype))
    d = d / step if steps[0] > steps[1] else d
    weights = _keys(d) if cubic else np.maximum(1 - d, np.zeros((), x.dtype))
    weights = weights / np.sum(weights, axis=1, keepdims=True)
    first = np.swapaxes(x, 0, axis)
    rows = np.matmul(weights, np.reshape(first, (n, -1)))
    return np.swapaxes(np.reshape(rows, (m, *first.shape[1:])), 0, axis)
