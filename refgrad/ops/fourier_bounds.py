"""Error bounds of discrete Fourier transforms: the parts of a transform as real ops of the real and imaginary parts of the operand.

Any algorithm forms y_k as a tree of sums of products: x_j times roots of unity, each partial sum at most sum |x_j|. With twiddle factors
and products of complex numbers that are off by at most 4u (Brent, Percival and Zimmermann, Math. Comp. 76, 2007, and two roundings of the
factor), a stage of p terms rounds p + 7 times. One stage of n terms is the plain sum; stages for the prime factors of n are the algorithm
of Cooley and Tukey; stages of larger radices are between the two. So

    |error of y_k| <= c u (sum over the factors p of all lengths n of (p + 7)) sum_j |x_j|          (Higham, ch. 24.1, by elements)

A length with a prime factor above 13 may be transformed as a convolution of a length m >= 2n - 1, a power of two below 4n (Bluestein, IEEE
Trans. Audio 18, 1970): three transforms of m elements and three products, on |x| and on n factors of modulus 1, whose transforms have norms
sqrt(m) |x|_2 and sqrt(2 n m). By Cauchy's inequality the convolution then is off by at most u (27 log2 m + 12) sqrt(2n) sum |x_j|.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.evaluation import Evaluation, Radius
from refgrad.op import Op
from refgrad.ops.by_parts import joined

_LARGEST_RADIX = 13  # with a stage of its own in FFT libraries


def _factors(n: int) -> list[int]:
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p = p + 1 if p * p <= n else n
    return found


@functools.cache
def roundings(n: int) -> float:
    """How many roundings of the sum of magnitudes bound the error of a transform of this length, its scale left out."""
    factors = _factors(n)
    steps = float(sum(p + 7 for p in factors))
    if factors and factors[-1] > _LARGEST_RADIX:
        steps += (27 * math.ceil(math.log2(4 * n)) + 12) * math.sqrt(2 * n)
    return steps


def _scale(lengths: list[int], norm: str, inverse: bool) -> float:
    n = float(math.prod(lengths))
    return 1 / math.sqrt(n) if norm == "ortho" else 1 / n if (norm == "backward") == inverse else 1.0


def _radius(
    run: Evaluation,
    axes: tuple[int, ...],
    lengths: list[int],
    scale: float,
    weights: Any,
    shape: tuple[int, ...],
) -> Radius:
    """Carried radii and roundings, from sums of magnitudes over the axes; ``weights`` multiply the elements of the operand."""
    fmt, (re, im) = run.fmt, run.xs
    e_re, e_im = [np.zeros(re.shape) if e is None else np.broadcast_to(e, re.shape) for e in run.es]
    carried = np.sum(np.hypot(e_re, e_im) * weights, axis=axes, keepdims=True)
    size = np.sum(np.hypot(re, im) * weights, axis=axes, keepdims=True) + carried
    if not np.count_nonzero(size):
        return None
    steps, terms = sum(roundings(n) for n in lengths) + 3, math.prod(lengths)
    radius = scale * (carried + steps * fmt.u * size + steps * terms * fmt.eta) + fmt.eta
    return np.broadcast_to(np.where(size > fmt.max, np.inf, radius), shape)


def _dft_part(
    re: PlainArray,
    im: PlainArray,
    axes: Any = (),
    norm: Any = "backward",
    inverse: bool = False,
    imaginary: bool = False,
) -> Any:
    y = (np.fft.ifftn if inverse else np.fft.fftn)(joined(re, im), axes=axes, norm=norm)
    return (y.imag if imaginary else y.real).copy()


def _dft_rounding(run: Evaluation) -> Radius:
    params, shape = run.params, run.xs[0].shape
    lengths = [shape[k] for k in params["axes"]]
    scale = _scale(lengths, params["norm"], params["inverse"])
    return _radius(run, params["axes"], lengths, scale, 1.0, run.y.shape)


DFT_PART = Op("dft_part", _dft_part, jvp=None, vjp=None, rounding=_dft_rounding, sums=True)


def _irdft_part(re: PlainArray, im: PlainArray, n: int = 1, axis: int = -1, norm: Any = "backward") -> Any:
    return np.fft.irfft(joined(re, im), n, axis=axis, norm=norm)


def _irdft_rounding(run: Evaluation) -> Radius:
    n, axis, norm = run.params["n"], run.params["axis"], run.params["norm"]
    weights = np.full(run.xs[0].shape[axis], 2.0)  # each stands for itself and for its conjugate
    weights[0] = 1.0
    weights = weights.reshape((-1,) + (1,) * (-1 - axis))
    return _radius(run, (axis,), [n], _scale([n], norm, True), weights, run.y.shape)


IRDFT_PART = Op("irdft_part", _irdft_part, jvp=None, vjp=None, rounding=_irdft_rounding, sums=True)
