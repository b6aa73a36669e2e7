"""The exponential of a matrix as torch computes it in half formats: by coefficients in float64 that it reads as numbers of the half format.

torch chooses a Taylor polynomial by the 1-norm of the matrix and evaluates it with few products of matrices (Bader, Blanes and Casas,
Mathematics 7, 2019). The coefficients of degree 4 and above lie in memory as numbers of float64, of eight bytes each. A kernel that asks
for k of them in a half format reads the first 2k bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import Format
from refgrad.testing.deviations.recorded_formula import TANGENT, VALUE, Inputs, Outcomes
from refgrad.tracing.ball import Ball, parts

# The largest 1-norms for the degrees 1, 2, 4, 8 and 12; degree 18 serves up to the last one, and larger matrices are halved until it does.
_NORMS = (
    2.220446049250313e-16,
    2.580956802971767e-08,
    3.397168839976962e-04,
    4.991228871115323e-02,
    2.996158913811580e-01,
)
_LARGEST = 1.090863719290036
_THIRD, _ROOT = 2 / 3, 177.0**0.5
_OF_DEGREE_EIGHT = (
    (_THIRD * (1 + _ROOT) / 88, _THIRD * (1 + _ROOT) / 352),
    (
        (-271 + 29 * _ROOT) / (315 * _THIRD),
        11 * (-1 + _ROOT) / (1260 * _THIRD),
        11 * (-9 + _ROOT) / (5040 * _THIRD),
        (89 - _ROOT) / (5040 * _THIRD),
    ),
    (_THIRD, 1.0),
    (1.0, 1.0, (857 - 58 * _ROOT) / 630, 1.0),
)
_OF_DEGREE_TWELVE = (9.0198e-16, 0.46932117595418237389, -0.20099424927047284052, -0.04623946134063071740)
_OF_DEGREE_EIGHTEEN = (
    0.0,
    -1.00365581030144618291e-01,
    -8.02924648241156932449e-03,
    -8.92138498045729985177e-04,
    0.0,
    0.0,
    3.97849749499645077844e-01,
)


def _read(numbers: Sequence[float], count: int, fmt: Format) -> PlainArray:
    """The first bytes of numbers of float64 as ``count`` numbers of the half format."""
    words = np.array(numbers, "<f8").view("<u2")[:count]
    if fmt.native:
        return words.view(np.dtype(fmt.carrier).newbyteorder("<")).astype(float)
    return np.asarray((words.astype("<u4") << 16).view("<f4"), float)


def _combined(matrices: Sequence[Any], coefficients: PlainArray) -> Any:
    """The sum of the matrices, each times its coefficient, zeros included: 0 times infinity is NaN."""
    total = 0.0
    for x, c in zip(matrices, coefficients, strict=True):
        total = total + float(c) * x
    return total


def _powers(a: Any, count: int) -> list[Any]:
    """I, A, A^2, A^3 and A^6, as many as asked for."""
    square = np.matmul(a, a)
    found = [np.eye(a.shape[-1]) + 0 * a, a, square]
    if count > 3:
        found.append(np.matmul(a, square))
    if count > 4:
        found.append(np.matmul(found[3], found[3]))
    return found[:count]


def _degree_four(a: Any, fmt: Format) -> Any:
    powers = _powers(a, 3)
    inner = _combined(powers, _read([1 / 2, 1 / 6, 1 / 24], 3, fmt))
    return _combined([*powers, np.matmul(powers[2], inner)], _read([1.0, 1.0, 0.0, 1.0], 4, fmt))


def _degree_eight(a: Any, fmt: Format) -> Any:
    powers = _powers(a, 3)
    first, second, third, last = (_read(c, len(c), fmt) for c in _OF_DEGREE_EIGHT)
    fourth = np.matmul(powers[2], _combined(powers[1:], first))
    eighth = np.matmul(_combined([powers[2], fourth], third), _combined([*powers, fourth], second))
    return _combined([*powers, eighth], last)


def _degree_twelve(a: Any, fmt: Format) -> Any:
    powers = _powers(a, 4)
    b0, b1, b2, b3 = (_combined(powers, row) for row in _read(_OF_DEGREE_TWELVE, 16, fmt).reshape(4, 4))
    sixth = b2 + np.matmul(b3, b3)
    return b0 + np.matmul(b1 + sixth, sixth)


def _degree_eighteen(a: Any, fmt: Format) -> Any:
    powers = _powers(a, 5)
    b0, b1, b2, b3, b4 = (_combined(powers, row) for row in _read(_OF_DEGREE_EIGHTEEN, 25, fmt).reshape(5, 5))
    ninth = b3 + np.matmul(b0, b4)
    return b1 + np.matmul(b2 + ninth, ninth)


_DEGREES = (_degree_four, _degree_eight, _degree_twelve)


def _of_one(a: Any, norm: float, fmt: Format) -> Any:
    """The result for one matrix that the kernel takes to have this 1-norm."""
    if a.shape[-1] == 1:
        return np.exp(a)
    one = np.eye(a.shape[-1])
    if norm <= _NORMS[1]:
        return one + a if norm <= _NORMS[0] else one + a + np.matmul(a, a) / 2
    for most, polynomial in zip(_NORMS[2:], _DEGREES, strict=True):
        if norm <= most:
            return polynomial(a, fmt)
    squarings = max(0, int(np.ceil(np.log2(norm / _LARGEST))))
    y = _degree_eighteen(a * 0.5**squarings, fmt)
    for _ in range(squarings):
        y = np.matmul(y, y)
    return y


def _exponential(a: Any) -> list[Ball]:
    """The exponentials of a stack of matrices, once for each end of what rounding makes of their norms."""
    value, radius = (np.asarray(x, float) for x in parts(a))
    fmt, shape = a.fmt, value.shape
    off = 4 * fmt.u  # of the sum, and of its quotient by the largest norm
    found = []
    for share in (1 - off, 1 + off):
        y, reach = np.full(shape, np.nan, fmt.wide), np.full(shape, np.nan, fmt.wide)
        for k in np.ndindex(shape[:-2]):
            norm = share * float(np.max(np.sum(np.abs(value[k]), axis=0), initial=0.0))
            if np.isfinite(norm) and value[k].size:
                y[k], reach[k] = parts(
                    _of_one(Ball(value[k], np.broadcast_to(radius, shape)[k], fmt), norm, fmt)
                )
        found.append(Ball(y, reach, fmt))
    return found


def _block(a: Any, corner: Any) -> Ball:
    """[[A, corner], [0, A]]."""
    (x, e), (y, f) = parts(a), parts(corner)
    none = np.zeros(x.shape)
    value = np.concatenate([np.concatenate([x, y], -1), np.concatenate([none, x], -1)], -2)
    reach = np.concatenate(
        [np.concatenate([none + e, none + f], -1), np.concatenate([none, none + e], -1)], -2
    )
    return Ball(value, reach, a.fmt)


def _turned(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _along(a: Any, direction: Any) -> list[Any]:
    """The derivative at A in a direction: the upper right block of the exponential of [[A, E], [0, A]]."""
    n = a.shape[-1]
    return [y[..., :n, n:] for y in _exponential(_block(a, direction))]


def _gradients(a: Any, corner: Any, cotangent: Any) -> list[Any]:
    """The gradient in [[A, E], [0, A]] of the upper right block of its exponential."""
    return _along(_turned(_block(a, corner)), _block(0 * a, cotangent))


def _halves(a: Any, corner: Any, cotangent: Any) -> list[Any]:
    """The gradient in A of the upper right block of the exponential of [[A, E], [0, A]]."""
    n = a.shape[-1]
    return [k[..., :n, :n] + k[..., n:, n:] for k in _gradients(a, corner, cotangent)]


def _corner(a: Any, corner: Any, cotangent: Any) -> list[Any]:
    """The gradient in E of the upper right block of the exponential of [[A, E], [0, A]]."""
    n = a.shape[-1]
    return [k[..., :n, n:] for k in _gradients(a, corner, cotangent)]


def by_coefficients_of_another_format(inputs: Inputs) -> Outcomes:
    """matrix_exp in half formats: value, first derivatives, and second derivatives in the three orders of the modes.

    The tangent is that of forward mode, or the gradient of the gradient with respect to the cotangent.
    """
    [a], [a_dot], y_bar = inputs.xs, inputs.xs_dot, inputs.y_bar
    if inputs.second:
        n = a.shape[-1]
        forward = [
            y[..., :n, n:] for y in _along(_block(_turned(a), y_bar), _block(_turned(a_dot), 0 * y_bar))
        ]
        reverse = [_turned(x) for x in _halves(_turned(a), y_bar, a_dot)]
        return {0: [*forward, *reverse, *_halves(a, a_dot, y_bar)]}
    found: Outcomes = {VALUE: [*_exponential(a)]}
    if y_bar is not None:
        found[0] = _along(_turned(a), y_bar)
    if a_dot is not None:
        found[TANGENT] = _along(a, a_dot)
    if y_bar is not None and a_dot is not None:
        found[TANGENT] += _corner(_turned(a), y_bar, a_dot)
    return found
