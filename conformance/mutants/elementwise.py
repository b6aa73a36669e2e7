"""Mutants of elementwise functions: kinks, 0 * inf, lost factors, and numbers at the ends of a format's range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import refgrad
from refgrad import nn
from refgrad.arrays import Array

from .record import Kind, Mutant, Way, normal

BASE = -1.5  # a negative base, whose real logarithm does not exist


def slope(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The derivative of an elementwise function, as a function."""
    return lambda x: refgrad.jvp(f, (x,), (np.ones(x.shape),))[1]


def sinc_second(x: Array, at_zero: float) -> Array:
    """The second derivative of sin(t)/t with t = pi x, in x, from the quotient rule; at_zero where t is 0."""
    t = np.pi * np.where(x == 0, 1.0, x)
    return np.where(x == 0, at_zero, np.pi**2 * ((2 / t**3 - 1 / t) * np.sin(t) - 2 * np.cos(t) / t**2))


def power_vjp(y_bar: Array, x: Array, y: Array, log: Callable[[Array], Array]) -> tuple[Array, Array]:
    """d x^y = y x^(y-1) dx + x^y log(x) dy."""
    return y_bar * y * x ** (y - 1), y_bar * (x**y * log(x))


def log_or_zero(x: Array) -> Array:
    """log x; 0 at 0, where x^y (y > 0) makes the term vanish."""
    return np.where(x == 0, 0.0, np.log(np.where(x == 0, 1.0, x)))


def angle(re: Array, im: Array) -> Array:
    """The argument of re + i im, 0 at the origin."""
    origin = (re == 0) & (im == 0)
    return np.where(origin, 0.0, np.arctan2(im, np.where(origin, 1.0, re)))


def angle_vjp(y_bar: Array, re: Array, im: Array) -> tuple[Array, Array]:
    square = re * re + im * im
    square = np.where(square == 0, 1.0, square)
    return -y_bar * im / square, y_bar * re / square


def angle_unguarded(y_bar: Array, re: Array, im: Array) -> tuple[Array, Array]:
    return -y_bar * im / (re * re + im * im), y_bar * re / (re * re + im * im)


def complex_power(c: Array, d: Array) -> Array:
    """BASE^(c + i d) as real and imaginary part: exp((c + i d)(log|BASE| + i pi))."""
    size = np.exp(c * np.log(-BASE) - d * np.pi)
    turn = d * np.log(-BASE) + c * np.pi
    return np.stack([size * np.cos(turn), size * np.sin(turn)])


def complex_power_vjp(y_bar: Array, c: Array, d: Array, log: float) -> tuple[Array, Array]:
    """With w = w_re + i w_im the value: dw = w (log|BASE| + i pi)(dc + i dd), read as two real rows."""
    size = np.exp(c * np.log(-BASE) - d * np.pi)
    turn = d * np.log(-BASE) + c * np.pi
    along = size * (y_bar[0] * np.cos(turn) + y_bar[1] * np.sin(turn))
    across = size * (y_bar[1] * np.cos(turn) - y_bar[0] * np.sin(turn))
    return log * along + np.pi * across, log * across - np.pi * along


def real_log_of(x: float) -> float:
    """log x in real arithmetic: NaN for a negative x."""
    with np.errstate(invalid="ignore"):
        return float(np.log(np.array(x)))


MUTANTS = (
    Mutant(
        "at-15",
        "https://github.com/BobMcDear/attorch/issues/15",
        "hardshrink",
        Kind.TIE,
        forward=lambda x: np.where(np.abs(x) > 0.5, x, 0.0),
        right=lambda y_bar, x: y_bar * np.where(np.abs(x) > 0.5, 1.0, 0.0),
        wrong=lambda y_bar, x: y_bar * np.where(np.abs(x) >= 0.5, 1.0, 0.0),
        inputs=lambda rng: [(np.array([-0.5, 0.5, 0.25, 2.0]),), normal(rng, (7,))],
        note="the backward must take the branch that the forward took: the value at the edge of the band is 0",
    ),
    Mutant(
        "hips-100",
        "https://github.com/HIPS/autograd/issues/100",
        "abs",
        Kind.NAN,
        forward=np.abs,
        right=lambda y_bar, x: y_bar * np.sign(x),
        wrong=lambda y_bar, x: y_bar * (x / np.abs(x)),
        inputs=lambda rng: [(np.array([0.0, 1.0, -2.0]),), normal(rng, (2, 3))],
    ),
    Mutant(
        "hips-afea209",
        "https://github.com/HIPS/autograd/commit/afea209",
        "nan_to_num",
        Kind.DROPPED,
        forward=np.nan_to_num,
        right=lambda y_bar, x: np.where(np.isfinite(x), y_bar, 0.0),
        wrong=lambda y_bar, x: 0.0 * y_bar,
        inputs=lambda rng: [(np.array([1.0, np.nan]),), normal(rng, (5,))],
    ),
    Mutant(
        "jax-3213",
        "https://github.com/jax-ml/jax/issues/3213",
        "sin(x) y",
        Kind.SIGN,
        forward=lambda x, y: np.sin(x) * y,
        right=lambda y_bar, x, y: (y_bar * np.cos(x) * y, y_bar * np.sin(x)),
        wrong=lambda y_bar, x, y: (y_bar * np.cos(x) * y, -y_bar * np.sin(x)),
        inputs=lambda rng: [normal(rng, (3,), (3,)), normal(rng, (), ())],
    ),
    Mutant(
        "jax-37821",
        "https://github.com/jax-ml/jax/issues/37821",
        "maximum(x, 0) beside relu",
        Kind.TIE,
        forward=lambda x: 0.0 * x,
        right=lambda y_bar, x: y_bar * np.where(x > 0, 1.0, 0.0) - y_bar * np.where(x > 0, 1.0, 0.0),
        wrong=lambda y_bar, x: y_bar * (0.5 * (x > 0) + 0.5 * (x >= 0)) - y_bar * np.where(x > 0, 1.0, 0.0),
        inputs=lambda rng: [(np.array([0.0, 1.0, -1.0]),), normal(rng, (4,))],
        note="any slope in [0, 1] may be chosen, but one: maximum(x, 0) - relu(x) is the zero function",
    ),
    Mutant(
        "jax-40387",
        "https://github.com/jax-ml/jax/issues/40387",
        "softplus, second derivative",
        Kind.RANGE,
        forward=lambda x: np.exp(nn.log_sigmoid(x)),
        right=lambda y_bar, x: y_bar * (nn.sigmoid(x) * nn.sigmoid(-x)),
        wrong=lambda y_bar, x: y_bar * (nn.sigmoid(x) * (1 - nn.sigmoid(x))),
        inputs=lambda rng: [(np.array([37.43, 20.0, 0.5, -3.0]),), normal(rng, (6,))],
        way=Way.KERNEL,
        note="the first derivative is the sigmoid; as exp(log sigmoid) its own derivative does not cancel",
    ),
    Mutant(
        "jax-5054",
        "https://github.com/jax-ml/jax/issues/5054",
        "sinc, second derivative",
        Kind.SECOND,
        forward=slope(np.sinc),
        right=lambda y_bar, x: y_bar * sinc_second(x, -(np.pi**2) / 3),
        wrong=lambda y_bar, x: y_bar * sinc_second(x, 0.0),
        inputs=lambda rng: [(np.array([0.0, 0.5, -1.25]),), (rng.uniform(0.5, 3.0, 4),)],
    ),
    Mutant(
        "mlx-628",
        "https://github.com/ml-explore/mlx/issues/628",
        "power",
        Kind.NAN,
        forward=np.power,
        right=lambda y_bar, x, y: power_vjp(y_bar, x, y, log_or_zero),
        wrong=lambda y_bar, x, y: power_vjp(y_bar, x, y, np.log),
        inputs=lambda rng: [
            (np.array([0.0, 2.0]), np.array([1.0, 3.0])),
            (rng.uniform(0.5, 2, 4), rng.uniform(-2, 2, 4)),
        ],
    ),
    Mutant(
        "pt-27134",
        "https://github.com/pytorch/pytorch/issues/27134",
        "power, in the exponent",
        Kind.NAN,
        forward=lambda y: np.power(np.array([0.0, 0.5, 3.0]), y),
        right=lambda y_bar, y: power_vjp(y_bar, np.array([0.0, 0.5, 3.0]), y, log_or_zero)[1],
        wrong=lambda y_bar, y: power_vjp(y_bar, np.array([0.0, 0.5, 3.0]), y, np.log)[1],
        inputs=lambda rng: [(np.array([1.5, 1.5, 2.0]),), (rng.uniform(1.0, 3.0, 3),)],
    ),
    Mutant(
        "pt-56734",
        "https://github.com/pytorch/pytorch/issues/56734",
        "maximum, minimum",
        Kind.TIE,
        forward=np.positive,
        right=lambda y_bar, x: 0.5 * y_bar + 0.5 * y_bar,
        wrong=lambda y_bar, x: y_bar + y_bar,
        inputs=lambda rng: [(np.array([1.0, -2.0]),), normal(rng, (3,))],
        note="each of two tied operands may get any share, but shares sum to 1: maximum(x, x) is x",
    ),
    Mutant(
        "pt-95111",
        "https://github.com/pytorch/pytorch/issues/95111",
        "power of a negative base, complex exponent",
        Kind.NAN,
        forward=complex_power,
        right=lambda y_bar, c, d: complex_power_vjp(y_bar, c, d, np.log(-BASE)),
        wrong=lambda y_bar, c, d: complex_power_vjp(y_bar, c, d, real_log_of(BASE)),
        inputs=lambda rng: [(np.array(0.5), np.array(-0.25)), normal(rng, (3,), (3,))],
        note="complex numbers as pairs of real ones",
    ),
    Mutant(
        "tf-127226",
        "https://github.com/tensorflow/tensorflow/issues/127226",
        "sinc",
        Kind.NAN,
        forward=np.sinc,
        right=lambda y_bar, x: np.where(
            x == 0, 0.0, y_bar * (np.cos(np.pi * x) - np.sinc(x)) / np.where(x == 0, 1.0, x)
        ),
        wrong=lambda y_bar, x: y_bar * (np.cos(np.pi * x) / x - np.sin(np.pi * x) / (np.pi * x * x)),
        inputs=lambda rng: [(np.array([0.0, 0.5, 2.25]),), (rng.uniform(0.5, 3.0, 4),)],
    ),
    Mutant(
        "tf-50854",
        "https://github.com/tensorflow/tensorflow/issues/50854",
        "angle",
        Kind.NAN,
        forward=angle,
        right=angle_vjp,
        wrong=angle_unguarded,
        inputs=lambda rng: [(np.array([0.0, 1.0]), np.array([0.0, 1.0])), normal(rng, (4,), (4,))],
        note="complex numbers as pairs of real ones; 0 at the origin by convention, which the forward's branch states",
    ),
    Mutant(
        "tf-60736",
        "https://github.com/tensorflow/tensorflow/issues/60736",
        "sign, forward mode",
        Kind.FORWARD,
        forward=np.sign,
        right=lambda args, tangents: 0.0 * tangents[0],
        wrong=lambda args, tangents: None,
        inputs=lambda rng: [(np.array([1.0, -2.0]),), normal(rng, (3,))],
        way=Way.TANGENT,
    ),
    Mutant(
        "tt-6533",
        "https://github.com/tenstorrent/tt-metal/issues/6533",
        "ldexp",
        Kind.DROPPED,
        forward=lambda x, e: x * np.exp2(e),
        right=lambda y_bar, x, e: (y_bar * np.exp2(e), y_bar * x * np.exp2(e) * np.log(2.0)),
        wrong=lambda y_bar, x, e: (np.exp(e) * np.log(2.0), y_bar * x * np.exp2(e) * np.log(2.0)),
        inputs=lambda rng: [(np.array([1.0]), np.array([0.0])), normal(rng, (4,), (4,))],
    ),
)
