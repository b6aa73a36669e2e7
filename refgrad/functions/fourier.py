"""np.fft: all transforms as compositions of three ops (refgrad/ops/fourier.py), and the shifts of spectra.

An axis is cut, or padded with zeros, to the length that is asked for before the op transforms it. NumPy's own functions, applied to zeros,
raise what NumPy raises for the same arguments.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array
from refgrad.functions.registry import implements, operand
from refgrad.op import shape_of
from refgrad.ops.fourier import TRANSPOSED, dft, irdft, rdft

NUMPY: Any = np.fft
Axes = Sequence[int] | None


def _checked(function: Callable[..., Any], a: Array, n: Any, axis: Any, norm: Any) -> None:
    """Raises and warns as ``function`` does of an array of this shape and dtype. Of ordinary arguments it need not be called."""
    shape, lengths, axes = shape_of(a), _several(n), _several(axis)
    ordinary = (
        (norm is None or norm in TRANSPOSED)
        and all(type(k) is int and -len(shape) <= k < len(shape) for k in axes)
        and all(k is None or (type(k) is int and k > 0) for k in lengths)
        and (n is None or len(lengths) == len(axes))
        and all(shape[k] > 1 for k in axes)
    )
    if not ordinary:
        function(np.zeros(shape, a.dtype), n, axis, norm)


def _several(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list, range)) else () if x is None else (x,)


def _norm(norm: str | None) -> str:
    return "backward" if norm is None else norm


def _resized(a: Array, n: int, axis: int) -> Array:
    """An array with n elements along an axis: cut, or padded with zeros."""
    length = shape_of(a)[axis]
    if n == length:
        return a
    if n < length:
        cut: Array = a[(slice(None),) * (axis % a.ndim) + (slice(n),)]
        return cut
    return np.pad(a, [(0, n - length if k == axis % a.ndim else 0) for k in range(a.ndim)])


def _lengths(a: Array, s: Axes, axes: Axes) -> tuple[list[int], list[int]]:
    """The lengths to transform, and the axes, non-negative. As in NumPy: without axes the last ones; -1 leaves a length as it is."""
    shape = shape_of(a)
    if axes is None:
        axes = range(len(shape)) if s is None else range(-len(s), 0)
    places = [operator.index(k) % len(shape) for k in axes]
    if s is None:
        return [shape[k] for k in places], places
    return [shape[k] if n is None or n == -1 else int(n) for n, k in zip(s, places, strict=True)], places


def _real(function: str, a: Array) -> Array:
    """An array of real numbers. Raises NumPy's TypeError for complex ones."""
    if a.dtype.kind == "c":
        getattr(NUMPY, function)(np.zeros(shape_of(a), a.dtype))
    return a


def _complex(a: Array) -> Array:
    """Real numbers as complex ones of their precision; half precision becomes single, as in NumPy."""
    return a if a.dtype.kind == "c" else a.astype(np.result_type(a.dtype, np.complex64))


def _along(a: Array, n: Any, axis: Any, norm: str | None, inverse: bool) -> Array:
    axis = operator.index(axis)
    a = _resized(a, shape_of(a)[axis] if n is None else operator.index(n), axis)
    return dft(a, axes=(axis % a.ndim,), norm=_norm(norm), inverse=inverse)


def _over(a: Array, s: Axes, axes: Axes, norm: str | None, inverse: bool) -> Array:
    lengths, places = _lengths(a, s, axes)
    for n, k in zip(lengths, places, strict=True):
        a = _resized(a, n, k)
    if not places:  # NumPy transforms nothing then, and a real array stays one
        return a
    if len(set(places)) == len(places):
        return dft(a, axes=tuple(places), norm=_norm(norm), inverse=inverse)
    for k in places[::-1]:  # an axis that is named twice is transformed twice
        a = dft(a, axes=(k,), norm=_norm(norm), inverse=inverse)
    return a


# --- one axis ---------------------------------------------------------------------------------------------------------


@implements(np.fft.fft)
def fft(a: Any, n: Any = None, axis: Any = -1, norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.fft, a, n, axis, norm)
    return _along(a, n, axis, norm, inverse=False)


@implements(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: Any = -1, norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.ifft, a, n, axis, norm)
    return _along(a, n, axis, norm, inverse=True)


@implements(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: Any = -1, norm: str | None = None, out: None = None) -> Array:
    a = _real("rfft", operand(a))
    _checked(NUMPY.rfft, a, n, axis, norm)
    return _half_spectrum(a, n, axis, norm)


@implements(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: Any = -1, norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.irfft, a, n, axis, norm)
    return _from_half_spectrum(a, n, axis, norm)


@implements(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: Any = -1, norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.hfft, a, n, axis, norm)
    return _from_half_spectrum(
        np.conjugate(a) if a.dtype.kind == "c" else a, n, axis, TRANSPOSED[_norm(norm)]
    )


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: Any = -1, norm: str | None = None, out: None = None) -> Array:
    a = _real("ihfft", operand(a))
    _checked(NUMPY.ihfft, a, n, axis, norm)
    return np.conjugate(_half_spectrum(a, n, axis, TRANSPOSED[_norm(norm)]))


def _half_spectrum(a: Array, n: Any, axis: Any, norm: str | None) -> Array:
    axis = operator.index(axis)
    a = _resized(a, shape_of(a)[axis] if n is None else operator.index(n), axis)
    return rdft(a, axis=axis % a.ndim - a.ndim, norm=_norm(norm))


def _from_half_spectrum(a: Array, n: Any, axis: Any, norm: str | None) -> Array:
    axis = operator.index(axis)
    n = 2 * (shape_of(a)[axis] - 1) if n is None else operator.index(n)
    y = irdft(_resized(_complex(a), n // 2 + 1, axis), n=n, axis=axis % a.ndim - a.ndim, norm=_norm(norm))
    return y if a.dtype.itemsize > 2 else y.astype(NUMPY.irfft(np.zeros(2, a.dtype)).dtype)


# --- several axes -----------------------------------------------------------------------------------------------------


@implements(np.fft.fftn)
def fftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.fftn, a, s, axes, norm)
    return _over(a, s, axes, norm, inverse=False)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.ifftn, a, s, axes, norm)
    return _over(a, s, axes, norm, inverse=True)


@implements(np.fft.fft2)
def fft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.fft2, a, s, axes, norm)
    return _over(a, s, axes, norm, inverse=False)


@implements(np.fft.ifft2)
def ifft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.ifft2, a, s, axes, norm)
    return _over(a, s, axes, norm, inverse=True)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: None = None) -> Array:
    a = _real("rfftn", operand(a))
    _checked(NUMPY.rfftn, a, s, axes, norm)
    return _half_spectra(a, s, axes, norm)


@implements(np.fft.rfft2)
def rfft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: None = None) -> Array:
    a = _real("rfft2", operand(a))
    _checked(NUMPY.rfft2, a, s, axes, norm)
    return _half_spectra(a, s, axes, norm)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.irfftn, a, s, axes, norm)
    return _from_half_spectra(a, s, axes, norm)


@implements(np.fft.irfft2)
def irfft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: None = None) -> Array:
    a = operand(a)
    _checked(NUMPY.irfft2, a, s, axes, norm)
    return _from_half_spectra(a, s, axes, norm)


def _half_spectra(a: Array, s: Axes, axes: Axes, norm: str | None) -> Array:
    """The last axis by rdft, the others by dft."""
    lengths, places = _lengths(a, s, axes)
    y = _half_spectrum(a, lengths[-1], places[-1], norm)
    return _over(y, lengths[:-1], places[:-1], norm, inverse=False) if places[:-1] else y


def _from_half_spectra(a: Array, s: Axes, axes: Axes, norm: str | None) -> Array:
    lengths, places = _lengths(a, s, axes)
    if s is None or s[-1] in (None, -1):
        lengths[-1] = 2 * (shape_of(a)[places[-1]] - 1)
    y = _over(a, lengths[:-1], places[:-1], norm, inverse=True) if places[:-1] else a
    return _from_half_spectrum(y, lengths[-1], places[-1], norm)


# --- shifts -----------------------------------------------------------------------------------------------------------


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Array:
    """The frequency zero moves to the middle."""
    return _shifted(operand(x), axes, lambda n: n // 2)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Array:
    """The inverse of fftshift."""
    return _shifted(operand(x), axes, lambda n: -(n // 2))


def _shifted(x: Array, axes: Any, by: Callable[[int], int]) -> Array:
    places = (
        tuple(range(x.ndim))
        if axes is None
        else (int(axes),)
        if isinstance(axes, (int, np.integer))
        else tuple(axes)
    )
    return np.roll(x, tuple([by(shape_of(x)[k]) for k in places]), places)
