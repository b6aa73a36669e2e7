"""Discrete Fourier transforms: the complex one over any axes, and the two between real numbers and half a spectrum.

With F_jk = exp(-2 pi i jk/n), symmetric, and a real scale c (1, 1/sqrt(n) or 1/n by ``norm``):

    dft     y = c F x. Holomorphic and linear: the rule for F^T = F is the transform itself, and the engine conjugates.
    rdft    y_k = c sum_j x_j F_jk for 0 <= k <= n/2, x real. x_bar_j = c Re sum_k y_bar_k exp(2 pi i jk/n): an inverse transform of
            half a spectrum without its scale, which counts all k but 0 and n/2 twice, so their cotangents are halved before.
    irdft   y_j = c (Re x_0 + sum_k 2 Re(x_k exp(2 pi i jk/n)) + (-1)^j Re x_(n/2)), the last for even n. x_bar_k = c w_k sum_j y_bar_j
            exp(-2 pi i jk/n) with w = 1 at 0 and n/2, else 2; the imaginary parts at 0 and n/2 do not count, and their cotangents are 0.

Source: Van Loan, "Computational Frameworks for the Fast Fourier Transform" (1992), ch. 1 and 4.3. The ops are in no registry: its tests,
cases and drawings are for real operands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, Params, PlainArray
from refgrad.op import Op, shape_of
from refgrad.op.traits import HOLOMORPHIC, REAL_LINEAR
from refgrad.ops.by_parts import Parts, zeros
from refgrad.ops.fourier_bounds import DFT_PART, IRDFT_PART

NUMPY: Any = np.fft  # whose stubs take norms as literals alone
# The norm of the inverse with the same scale.
TRANSPOSED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _dft_by_parts(op: Any, operands: tuple[Parts, ...], params: Params) -> Parts:
    (x,) = operands
    im = zeros(x.re) if x.im is None else x.im
    re, im = (DFT_PART(x.re, im, **params, imaginary=part) for part in (False, True))
    return Parts(re, im)


def _rdft_by_parts(op: Any, operands: tuple[Parts, ...], params: Params) -> Parts:
    """The first half of the spectrum."""
    (x,), axis = operands, params["axis"]
    whole = _dft_by_parts(op, operands, {"axes": (axis,), "norm": params["norm"], "inverse": False})
    half = (..., slice(shape_of(x.re)[axis] // 2 + 1)) + (slice(None),) * (-1 - axis)
    return Parts(whole.re[half], whole.im[half])


def _irdft_by_parts(op: Any, operands: tuple[Parts, ...], params: Params) -> Any:
    (x,) = operands
    return IRDFT_PART(x.re, zeros(x.re) if x.im is None else x.im, **params)


def _dft(x: PlainArray, axes: tuple[int, ...] = (), norm: str = "backward", inverse: bool = False) -> Any:
    return (NUMPY.ifftn if inverse else NUMPY.fftn)(x, axes=axes, norm=norm)


dft: Op = Op(
    "dft", _dft,
    jvp=lambda x_dot, axes, norm, inverse: dft(x_dot, axes=axes, norm=norm, inverse=inverse),
    vjp=lambda y_bar, axes, norm, inverse: dft(y_bar, axes=axes, norm=norm, inverse=inverse),
    rounding=bounds.same,
    sums=True,
    complex_rules=HOLOMORPHIC,
    by_parts=_dft_by_parts,
)  # fmt: skip


def _weights(n: int, axis: int, inner: float, like: Any) -> Array:
    """1 at the frequencies 0 and n/2, ``inner`` at the others, to be multiplied along an axis of half a spectrum."""
    weights = np.full(n // 2 + 1, inner, np.finfo(like).dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights.reshape((-1,) + (1,) * (-1 - axis))


def _rdft(x: PlainArray, axis: int = -1, norm: str = "backward") -> Any:
    return NUMPY.rfft(x, axis=axis, norm=norm)


def _rdft_vjp(y_bar: Array, x_shape: tuple[int, ...], axis: int, norm: str) -> Array:
    n = x_shape[axis]
    return irdft(y_bar * _weights(n, axis, 0.5, y_bar.dtype), n=n, axis=axis, norm=TRANSPOSED[norm])


# The axis is counted from the end.
rdft: Op = Op(
    "rdft", _rdft,
    jvp=lambda x_dot, axis, norm: rdft(x_dot, axis=axis, norm=norm),
    vjp=_rdft_vjp,
    rounding=bounds.same,
    sums=True,
    complex_rules=REAL_LINEAR,
    by_parts=_rdft_by_parts,
)  # fmt: skip


def _irdft(x: PlainArray, n: int = 1, axis: int = -1, norm: str = "backward") -> Any:
    return NUMPY.irfft(x, n, axis=axis, norm=norm)


def _irdft_vjp(y_bar: Array, n: int, axis: int, norm: str) -> Array:
    spectrum = rdft(y_bar, axis=axis, norm=TRANSPOSED[norm])
    return spectrum * _weights(n, axis, 2.0, spectrum.dtype)


irdft: Op = Op(
    "irdft", _irdft,
    jvp=lambda x_dot, n, axis, norm: irdft(x_dot, n=n, axis=axis, norm=norm),
    vjp=_irdft_vjp,
    rounding=bounds.same,
    sums=True,
    complex_rules=REAL_LINEAR,
    by_parts=_irdft_by_parts,
)  # fmt: skip
