"""Functions of complex numbers by their parts, for the suite: real operands in pairs, real and imaginary part, and a real result.

A case holds real numbers, and its derivatives are real. So a complex operand z is two operands, z and z_imag, and a complex value has an
axis more, the last one, with the real part and the imaginary part. In between each function is the one of NumPy that users call with
complex numbers, and torch computes in complex64 or complex128. Write np.exp(z) in code of your own.
"""

from __future__ import annotations

from refgrad.complex.algebra import conj, divide, einsum, matmul, multiply, polar, prod, reciprocal, square
from refgrad.complex.elementary import (
    absolute,
    angle,
    cos,
    cosh,
    exp,
    log,
    power,
    sign,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)
from refgrad.complex.fourier import (
    fft,
    fft2,
    fftn,
    hfft,
    ifft,
    ifft2,
    ifftn,
    ihfft,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftn,
)
from refgrad.complex.systems import det, inv, solve

__all__ = [
    "absolute",
    "angle",
    "conj",
    "cos",
    "cosh",
    "det",
    "divide",
    "einsum",
    "exp",
    "fft",
    "fft2",
    "fftn",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ihfft",
    "inv",
    "irfft",
    "irfft2",
    "irfftn",
    "log",
    "matmul",
    "multiply",
    "polar",
    "power",
    "prod",
    "reciprocal",
    "rfft",
    "rfft2",
    "rfftn",
    "sign",
    "sin",
    "sinh",
    "solve",
    "sqrt",
    "square",
    "tan",
    "tanh",
]
