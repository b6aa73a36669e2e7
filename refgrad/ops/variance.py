"""Spread about the mean: var and std."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import PARAMETRISED, InGraphs, Mistakes
from refgrad.ops import params_in_graphs, samplers
from refgrad.ops.complex_numbers import imag, real
from refgrad.ops.reduction import dims, expanded, masked, mean, number, torch_mean, torch_sum
from refgrad.ops.shape import Axis, count, spread
from refgrad.ops.undefined import at_cusp


def _var(x: Array, axis: Axis = None, ddof: Any = 0, keepdims: bool = False, where: Any = True) -> Array:
    return np.var(x, axis=axis, ddof=ddof, keepdims=keepdims, where=where)


def _std(x: Array, axis: Axis = None, ddof: Any = 0, keepdims: bool = False, where: Any = True) -> Array:
    return np.std(x, axis=axis, ddof=ddof, keepdims=keepdims, where=where)


def _freedom(shape: tuple[int, ...], axis: Axis, ddof: Any, where: Any) -> Any:
    """n - ddof with reduced axes kept, and not below 0 (the value is then not finite), as in NumPy."""
    return np.maximum(number(shape, axis, True, where) - ddof, 0) * 1.0


def _centred(x: Array, axis: Axis, where: Any) -> Array:
    return masked(x - mean(x, axis=axis, keepdims=True, where=where), where)


def _var_radius(
    fmt: Any, y: Array, xs: Any, es: Any, axis: Axis, ddof: Any, keepdims: bool, where: Any
) -> Any:
    """Each deviation carries the error of the mean. One-pass kernels (Welford; Chan, Golub and LeVeque, 1983) stay within the same."""
    e: Array
    x, e = xs[0], np.broadcast_to(bounds.zero(es[0]), np.shape(xs[0]))
    n, left = number(np.shape(x), axis, True, where), _freedom(np.shape(x), axis, ddof, where)
    centre = mean(x, axis=axis, keepdims=True, where=where)
    size = mean(np.abs(x) + e, axis=axis, keepdims=True, where=where)
    deviation = np.abs(masked(x - centre, where))
    e_mean = mean(e, axis=axis, keepdims=True, where=where) + (n + 1) * fmt.u_acc * size
    e = masked(e + e_mean + fmt.u_acc * (deviation + e), where)
    terms = 2 * deviation * e + e * e + (n + 3) * fmt.u_acc * (deviation + e) ** 2 + fmt.eta
    total = np.add.reduce(terms, axis=axis, keepdims=True) / left
    total = total if keepdims else total.reshape(np.shape(y))
    most = np.add.reduce((deviation + e) ** 2, axis=axis, keepdims=True).reshape(np.shape(total))
    return np.where((most > fmt.max) & (np.abs(y) - total < fmt.max), np.inf, total)


def _accumulating(fmt: Any, where: Any) -> Any:
    """With a mask there is no single kernel: each step stores what the next one takes up."""
    return fmt if where is True else replace(fmt, u_acc=fmt.u)


def _var_rounding(run: Evaluation) -> Any:
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    fmt = _accumulating(fmt, params["where"])
    radius = _var_radius(fmt, y, xs, es, **params)
    return radius + 2 * fmt.store(y, radius)


def _std_rounding(run: Evaluation) -> Any:
    """sqrt of the interval of the variance; its squares may underflow or overflow where the deviation itself does not."""
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    fmt, variance = _accumulating(fmt, params["where"]), y * y
    radius = _var_radius(fmt, variance, xs, es, **params) + 2 * fmt.store(variance)
    carried = np.where(
        radius < variance,
        radius / (y + np.sqrt(np.maximum(variance - radius, 0.0))),
        np.sqrt(variance + radius),
    )
    return np.where(variance > fmt.max, np.inf, carried + 2 * fmt.store(y, carried))


def _torch_var(torch: Any, f: Any, x: Any, axis: Axis, ddof: Any, keepdims: bool, where: Any) -> Any:
    if where is True:
        return f(x, dims(x, axis), correction=ddof, keepdim=keepdims)
    shape = tuple(x.shape)
    # A NaN that does not count stays out of the products.
    x = torch.where(torch.as_tensor(np.asarray(where), device=x.device), x, torch.zeros_like(x))
    mean = torch_mean(torch, x, axis, True, where)
    y = torch_sum(torch, (x - mean) ** 2, axis, keepdims, None, where)
    left = torch.as_tensor(_freedom(shape, axis, ddof, where), device=x.device).to(x.dtype).reshape(y.shape)
    return y / left if f is torch.var else torch.sqrt(y / left)


def _balanced(x_bar: Array, axis: Axis, where: Any) -> Array:
    """With a mask kernels are composed of smaller ones, and what they send through the mean comes to zero up to rounding."""
    return x_bar if where is True else _centred(x_bar, axis, where)


# y = sum (x - m)^2/(n - ddof); the mean moves too, but the deviations sum to zero: dy = 2 sum (x - m) dx/(n - ddof).
var: Op = register(
    "var", _var, complex_rules=lambda x, **params: var(real(x), **params) + var(imag(x), **params),
    jvp=lambda x_dot, x, axis, ddof, keepdims, where: 2
    * np.add.reduce(_centred(x, axis, where) * x_dot / _freedom(x.shape, axis, ddof, where), axis=axis, keepdims=keepdims),
    vjp=lambda y_bar, x, axis, ddof, keepdims, where: _balanced(
        spread(y_bar, x.shape, axis, keepdims) * (2 / _freedom(x.shape, axis, ddof, where)) * _centred(x, axis, where), axis, where
    ),
    rounding=_var_rounding,
    torch=lambda torch, x, axis=None, ddof=0, keepdims=False, where=True: _torch_var(torch, torch.var, x, axis, ddof, keepdims, where),
    domain=sampled(lambda rng: samplers.variance(rng)),
    special=(
        Special((np.array([3.0, 3.0, 3.0]),), 0.0, ((0.0, 0.0),), "constant"),
        Special((np.array([3.0]),), np.nan, (None,), "0/0", (("ddof", 1),)),
    ),
    sums=True,
    mistakes=Mistakes(terms=lambda shape, axis, **_: count(shape, axis)),
    in_graphs=InGraphs(PARAMETRISED, 5, params=params_in_graphs.axes),
)  # fmt: skip


def _unit(x: Array, y: Array, axis: Axis, ddof: Any, keepdims: bool, where: Any) -> Array:
    """dy/dx = (x - m)/((n - ddof) y); 0, one of many acceptable ones, where all x are equal."""
    top = expanded(y, x, axis, keepdims)
    slope = np.where(
        top == 0,
        0.0,
        _centred(x, axis, where) / (np.where(top == 0, 1.0, top) * _freedom(x.shape, axis, ddof, where)),
    )
    return at_cusp(slope, x, top)


def _half(slope: Array, y: Array) -> Array:
    """slope/(2 y), the derivative of a root; 0 where y is 0, as in _unit."""
    return np.where(y == 0, 0.0, slope / (2 * np.where(y == 0, 1.0, y)))


def _sent_by_variance(
    y_bar: Array, x: Array, y: Array, axis: Axis, ddof: Any, keepdims: bool, where: Any
) -> Array:
    """The root and the variance one after the other, factor by factor."""
    shares = spread(_half(y_bar, y), x.shape, axis, keepdims) * (2 / _freedom(x.shape, axis, ddof, where))
    return _balanced(shares * _centred(x, axis, where), axis, where)


def _moved_by_variance(
    x_dot: Array, x: Array, y: Array, axis: Axis, ddof: Any, keepdims: bool, where: Any
) -> Array:
    terms = _centred(x, axis, where) * x_dot / _freedom(x.shape, axis, ddof, where)
    return _half(2 * np.sum(terms, axis=axis, keepdims=keepdims), y)


std: Op = register(
    "std", _std, complex_rules=lambda x, **params: np.hypot(std(real(x), **params), std(imag(x), **params)),
    jvp=lambda x_dot, x, y, axis, ddof, keepdims, where: np.add.reduce(
        _unit(x, y, axis, ddof, keepdims, where) * x_dot, axis=axis, keepdims=keepdims
    ),
    vjp=lambda y_bar, x, y, axis, ddof, keepdims, where: _balanced(
        spread(y_bar, x.shape, axis, keepdims) * _unit(x, y, axis, ddof, keepdims, where), axis, where
    ),
    rounding=_std_rounding,
    torch=lambda torch, x, axis=None, ddof=0, keepdims=False, where=True: _torch_var(torch, torch.std, x, axis, ddof, keepdims, where),
    domain=sampled(lambda rng: samplers.variance(rng)),
    special=(
        Special((np.array([3.0, 3.0, 3.0]),), 0.0, ((-(0.5**0.5), 0.5**0.5),), "constant: the centred ball", (("ddof", 1),)),
        Special((np.array([3.0]),), np.nan, (None,), "0/0", (("ddof", 1),)),
        Special((np.array([3.0]),), 0.0, ((0.0, 0.0),), "a constant function"),
    ),
    usual=(
        Formula(
            "y_bar/(2 y) times the derivative of the variance: its first factors may be subnormal where the product is not",
            jvp=_moved_by_variance,
            vjp=_sent_by_variance,
        ),
    ),
    sums=True,
    in_graphs=InGraphs(PARAMETRISED, 6, params=params_in_graphs.axes),
)  # fmt: skip
