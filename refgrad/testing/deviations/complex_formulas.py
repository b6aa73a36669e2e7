"""Formulas of recorded disagreements of functions of complex numbers, whose operands and values are in parts (refgrad/complex)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.ops.complex_numbers import from_parts
from refgrad.ops.solving import cofactor
from refgrad.quiet import quiet
from refgrad.testing.deviations.recorded_formula import (
    TANGENT,
    Formula,
    Inputs,
    Outcomes,
    second_derivative,
)
from refgrad.tracing.ball import Ball, parts
from refgrad.tracing.cotangents import unbroadcast
from refgrad.transforms import vjp


def _parted(y: Any) -> Any:
    return np.stack([y.real, y.imag], -1)


def _joined(xs: Any) -> list[Any]:
    return [from_parts(re, im) for re, im in zip(xs[::2], xs[1::2], strict=True)]


# --- polar ----------------------------------------------------------------------------------------------------------------


def _polar(modulus: Any, angle: Any) -> tuple[Any, Any]:
    """The value, and the value by its modulus; 0 by 0 is 0, without a derivative."""
    y = from_parts(modulus * np.cos(angle), modulus * np.sin(angle))
    zero = y == 0
    return y, np.where(zero, 0.0, y / np.abs(np.where(zero, 1.0, y)))


def _polar_by_its_sign(inputs: Inputs) -> Outcomes:
    """polar: the derivative in the modulus is the value by its modulus, which is lost where the value is 0."""

    def gradient(y_bar: Any, *xs: Any) -> tuple[Any, ...]:
        y, unit = _polar(*xs)
        given = from_parts(y_bar[..., 0], -y_bar[..., 1])
        return (given * unit).real, -(given * y).imag

    if inputs.second:
        return second_derivative(gradient, inputs)
    found: Outcomes = {}
    if inputs.y_bar is not None:
        found |= {k: [x_bar] for k, x_bar in enumerate(gradient(inputs.y_bar, *inputs.xs))}
    if all(t is not None for t in inputs.xs_dot):
        y, unit = _polar(*inputs.xs)
        found[TANGENT] = [_parted(inputs.xs_dot[0] * unit + inputs.xs_dot[1] * (y * 1j))]
    return found


def _polar_in_reverse_mode(inputs: Inputs) -> Outcomes:
    """polar: the gradients by that quotient, and the right tangent."""
    if inputs.second:
        return {}
    found = _polar_by_its_sign(inputs)
    if all(t is not None for t in inputs.xs_dot):
        (modulus, angle), (along, turned) = inputs.xs, inputs.xs_dot
        cos, sin = np.cos(angle), np.sin(angle)
        parted = [along * cos - turned * (modulus * sin), along * sin + turned * (modulus * cos)]
        found[TANGENT] = [np.stack(parted, -1)]
    return found


# --- power ----------------------------------------------------------------------------------------------------------------


def _power_with_its_mask_held(inputs: Inputs) -> Outcomes:
    """power: second derivatives of gradients that are masked by the exponent, the mask held, as those of real numbers (power_formulas.py).

    The gradient in the base is 0 where the exponent is 0, and there its derivative in the exponent, 1/z, is lost.
    """
    if (
        not inputs.second
        or inputs.y_bar is None
        or len(inputs.xs) != 4
        or any(t is None for t in inputs.xs_dot)
    ):
        return {}
    bases, exponents = _complex(inputs.xs[:2]), _complex(inputs.xs[2:])
    known = bases != 0

    def gradient(y_bar: Any, *xs: Any) -> tuple[Any, ...]:
        z, w = _joined(xs)
        z = np.where(known, z, 1.0)
        given = from_parts(y_bar[..., 0], y_bar[..., 1])
        in_base = np.where(exponents == 0, 0.0, given * np.conj(w * np.power(z, w - 1)))
        in_exponent = given * np.conj(np.power(z, w) * np.log(z))
        each = (in_base.real, in_base.imag, in_exponent.real, in_exponent.imag)
        return tuple([unbroadcast(x_bar, np.shape(x)) for x_bar, x in zip(each, xs, strict=True)])

    return second_derivative(gradient, inputs)


# --- factors that are taken for constants -----------------------------------------------------------------------------------


def _factors_held(
    tangent: Callable[[Any, Any, Any], Any], reach: Callable[[Inputs], PlainArray] | None = None
) -> Formula:
    """Reverse over forward mode in which the factors of the matrix are constants.

    ``tangent(fixed, xs, xs_dot)``: the tangent of the value, from the constant matrix and the variable operands, all complex.
    """

    def evaluate(inputs: Inputs) -> Outcomes:
        fixed, xs_dot = _joined(inputs.xs[:2])[0], _joined(inputs.dots)
        x_bars = vjp(lambda *xs: _parted(tangent(fixed, _joined(xs), xs_dot)), *inputs.xs)[1](inputs.y_bar)
        if reach is not None:
            x_bars = tuple([_widened(x_bar, reach(inputs), inputs) for x_bar in x_bars])
        return {k: [x_bar] for k, x_bar in enumerate(x_bars)}

    return evaluate


def _solve_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    a, b = xs
    return np.linalg.solve(fixed, xs_dot[1] - np.matmul(xs_dot[0], np.linalg.solve(a, b)))


def _det_tangent(fixed: Any, xs: Any, xs_dot: Any) -> Any:
    y_dot = np.sum(cofactor(fixed) * xs_dot[0], axis=(-2, -1))
    return np.linalg.det(xs[0]) * (y_dot / np.linalg.det(fixed))


def _complex(pair: Any) -> PlainArray:
    re, im = [np.asarray(parts(x)[0], float) for x in pair]
    return re + 1j * im


def _noise(inputs: Inputs) -> PlainArray:
    """Of each matrix, a normwise bound of what rounding adds to the gradient of a tangent of det, det times the inverse by traces.

    The computed factors are those of a matrix within n^2 u, growth of the pivots included (Higham, ch. 9 and 14), and n of them are
    multiplied. Elements that are zero by the structure of a matrix, or small beside the others, are computed as rounding noise.
    """
    a = _complex(inputs.xs)
    n, size = a.shape[-1], np.linalg.svd(a, compute_uv=False)
    given = np.asarray(parts(inputs.y_bar)[0], float)
    with quiet():  # without bound where the matrix is singular
        noise = n**3 * inputs.fmt.u * size[..., 0] / size[..., -1] * np.prod(size / size[..., -1:], axis=-1)
        slope = np.linalg.norm(_complex(inputs.dots), axis=(-2, -1)) / size[..., -1]
        noise = noise * size[..., -1] ** (n - 1) * np.hypot(given[..., 0], given[..., 1])
        return np.asarray(2 * n * noise * slope)


def _widened(x_bar: Any, noise: PlainArray, inputs: Inputs) -> Ball:
    value, radius = parts(x_bar)
    return Ball(value, radius + noise[..., None, None], inputs.fmt)


COMPLEX_FORMULAS: dict[str, Formula] = {
    "polar by the sign of its value": _polar_by_its_sign,
    "polar by the sign of its value in reverse mode": _polar_in_reverse_mode,
    "power of complex numbers with its mask held": _power_with_its_mask_held,
    "solve of complex matrices with factors held": _factors_held(_solve_tangent),
    "det of complex matrices with factors held": _factors_held(_det_tangent, _noise),
}

__all__ = ["COMPLEX_FORMULAS"]
