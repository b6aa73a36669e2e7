"""The functions that are measured: by the name of their figure, NumPy's function, mpmath's, and the interval on which they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

import refgrad.ops  # noqa: F401 - fills the registry
from refgrad.op import REGISTRY

Array = Any


@dataclass(frozen=True)
class Function:
    """A function. Its name is that of a figure, and of the op.

    forward   NumPy's function, or our own; it is called in the wide format of the reference
    exactly   mpmath's function; None where it has none
    low, high the interval of the first operand in which it is measured
    within    by format, the largest magnitude of the operand up to which libraries state their figure
    composed  the op whose rule bounds it, where no library states a figure: errors are counted in units of that bound
    """

    forward: Callable[..., Array]
    exactly: Callable[..., Any] | None = None
    low: float = -np.inf
    high: float = np.inf
    operands: int = 1
    within: dict[str, float] | None = None
    composed: str = ""


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x: Array) -> Array:
    z = np.exp(-np.abs(x))
    return np.where(x < 0, z, 1) / (1 + z)


def _silu(x: Array) -> Array:
    return np.where(x == 0, x, x * _sigmoid(x))  # the product keeps all digits


# Functions that NumPy lacks: refgrad's own, which the tests compare with mpmath. Of erfcx the square of a negative operand enlarges errors.
_OF_REFGRAD: dict[str, tuple[Callable[..., Any] | None, float]] = {
    "erf": (mpmath.erf, -np.inf),
    "erfc": (mpmath.erfc, -np.inf),
    "erfcx": (lambda x: mpmath.exp(x * x) * mpmath.erfc(x), 0.0),
    "erfinv": (mpmath.erfinv, -1.0),
    "ndtri": (None, 0.0),
}


# SLEEF states its figures for sinh and cosh up to 88.5 in float32: see docs/findings/cosh-and-sinh-in-float32.md.
_GROWING = {"float32": 88.5, "float64": 709.0, "bfloat16": 88.5}
FUNCTIONS = {
    "exp": Function(np.exp, mpmath.exp),
    "exp2": Function(np.exp2, lambda x: mpmath.power(2, x)),
    "expm1": Function(np.expm1, mpmath.expm1),
    "log": Function(np.log, mpmath.log, low=0),
    "log2": Function(np.log2, lambda x: mpmath.log(x, 2), low=0),
    "log10": Function(np.log10, mpmath.log10, low=0),
    "log1p": Function(np.log1p, mpmath.log1p, low=-1),
    "sqrt": Function(np.sqrt, mpmath.sqrt, low=0),
    "cbrt": Function(np.cbrt, lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x))),
    "reciprocal": Function(np.reciprocal, lambda x: 1 / x),
    "sin": Function(np.sin, mpmath.sin),
    "cos": Function(np.cos, mpmath.cos),
    "tan": Function(np.tan, mpmath.tan),
    "arcsin": Function(np.arcsin, mpmath.asin, -1, 1),
    "arccos": Function(np.arccos, mpmath.acos, -1, 1),
    "arctan": Function(np.arctan, mpmath.atan),
    "sinh": Function(np.sinh, mpmath.sinh, within=_GROWING),
    "cosh": Function(np.cosh, mpmath.cosh, within=_GROWING),
    "tanh": Function(np.tanh, mpmath.tanh),
    "arcsinh": Function(np.arcsinh, mpmath.asinh),
    "arccosh": Function(np.arccosh, mpmath.acosh, low=1),
    "arctanh": Function(np.arctanh, mpmath.atanh, -1, 1),
    "power": Function(np.power, mpmath.power, low=0, operands=2),
    "arctan2": Function(np.arctan2, mpmath.atan2, operands=2),
    "hypot": Function(np.hypot, mpmath.hypot, operands=2),
    "sigmoid": Function(_sigmoid, composed="sigmoid"),
    "silu": Function(_silu, composed="silu"),
    "mish": Function(lambda x: x * np.tanh(_softplus(x)), composed="mish"),
    "softplus": Function(_softplus, composed="softplus"),
    "log_sigmoid": Function(lambda x: -_softplus(-x), composed="log_sigmoid"),
    **{name: Function(REGISTRY[name].forward, exactly, low) for name, (exactly, low) in _OF_REFGRAD.items()},
    "i0": Function(REGISTRY["i0"].forward, lambda x: mpmath.besseli(0, x), within=_GROWING),
}  # fmt: skip
