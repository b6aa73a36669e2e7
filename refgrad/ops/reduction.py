"""Reductions: sum, mean, max, min, with NumPy's axis, keepdims, where and initial."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds import exactness
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.formula import Formula
from refgrad.op import Op, register
from refgrad.op.traits import HOLOMORPHIC, PARAMETRISED, InGraphs, Mistakes, Notation
from refgrad.ops import branches, by_parts, params_in_graphs, samplers
from refgrad.ops.shape import Axis, axes_of, count, kept, spread


def masked(x: Array, where: Any, other: float = 0.0) -> Array:
    """x where the mask where= holds, ``other`` elsewhere."""
    return x if where is True else np.where(where, x, other)


def number(shape: tuple[int, ...], axis: Axis, keepdims: Any, where: Any) -> Any:
    """How many elements each result takes together: an int, or with a mask an array."""
    if where is True:
        return count(shape, axis)
    return np.add.reduce(np.broadcast_to(where, shape), axis=axis, keepdims=keepdims, dtype=np.int64)


def expanded(y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """A reduced array with its reduced axes back, of length 1."""
    return y if keepdims else np.reshape(y, kept(x.shape, axis))


# --- for the torch twins ----------------------------------------------------------------------------------------------


def dims(x: Any, axis: Axis) -> tuple[int, ...]:
    """A torch reduction's dim=, always a tuple; empty for NumPy's axis=(), which torch reads as all."""
    return axes_of(axis, x.ndim)


def torch_masked(torch: Any, x: Any, where: Any, other: float) -> Any:
    """x where the mask where= holds, ``other`` elsewhere."""
    if where is True:
        return x
    # An array even where it is a single boolean: of NumPy's own ones torch 2.6 knows nothing.
    mask = torch.as_tensor(np.asarray(where), device=x.device)
    return torch.where(mask, x, torch.full((), other, dtype=x.dtype, device=x.device))


def torch_sum(torch: Any, x: Any, axis: Axis, keepdims: bool, initial: Any, where: Any) -> Any:
    """torch.sum with NumPy's parameters."""
    y = torch_masked(torch, x, where, 0.0)
    y = torch.sum(y, dims(x, axis), keepdim=keepdims) if dims(x, axis) else y.clone()
    return y if initial is None else y + initial


def torch_mean(torch: Any, x: Any, axis: Axis, keepdims: bool, where: Any) -> Any:
    """torch.mean with NumPy's parameters."""
    if where is not True:
        n = torch.as_tensor(number(tuple(x.shape), axis, keepdims, where), device=x.device)
        return torch_sum(torch, x, axis, keepdims, None, where) / n
    return torch.mean(x, dims(x, axis), keepdim=keepdims) if dims(x, axis) else x.clone()


def _torch_extreme(
    torch: Any, reduce: Any, choose: Any, x: Any, axis: Axis, keepdims: bool, initial: Any, where: Any
) -> Any:
    y = x if where is True else torch_masked(torch, x, where, initial)
    y = reduce(y, dims(x, axis), keepdim=keepdims) if dims(x, axis) else y.clone()
    return y if initial is None else choose(y, torch.full_like(y, initial))


# --- sums -------------------------------------------------------------------------------------------------------------


def _sum(x: Array, axis: Axis = None, keepdims: Any = False, initial: Any = None, where: Any = True) -> Array:
    if where is True and initial is None:
        return np.add.reduce(x, axis=axis, keepdims=keepdims)
    return np.sum(x, axis=axis, keepdims=keepdims, initial=0 if initial is None else initial, where=where)


sum = register(
    "sum", _sum,
    jvp=lambda x_dot, axis, keepdims, where: np.add.reduce(masked(x_dot, where), axis=axis, keepdims=keepdims),
    vjp=lambda y_bar, x_shape, axis, keepdims, where: masked(spread(y_bar, x_shape, axis, keepdims), where),
    rounding=bounds.summed,
    torch=lambda torch, x, axis=None, keepdims=False, initial=None, where=True: torch_sum(torch, x, axis, keepdims, initial, where),
    numpy=(np.sum,),
    domain=sampled(lambda rng: samplers.masked_reduction(rng, 0.0)),
    special=(Special((np.zeros(0),), 0.0, ((0.0, 0.0),), "empty"),),
    sums=True, reduces=np.add,
    notation=Notation("Σ"),
    in_graphs=InGraphs(PARAMETRISED, 0, params=params_in_graphs.axes),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


def _mean(x: Array, axis: Axis = None, keepdims: Any = False, where: Any = True) -> Array:
    if where is True and hasattr(x, "dtype") and x.dtype.kind == "f" and x.dtype.itemsize > 2 and x.ndim:
        return np.true_divide(
            np.add.reduce(x, axis=axis, keepdims=keepdims), x.dtype.type(count(x.shape, axis))
        )
    return np.mean(x, axis=axis, keepdims=keepdims, where=where)


def _mean_rounding(run: Evaluation) -> Any:
    """A stored sum, divided by n, or multiplied by the rounded 1/n.

    On a grid a mean of 2^k elements is exact where their sum is, divided before or after (exactness.py). Other n do not count: kernels
    may multiply by the rounded 1/n.
    """
    fmt, y, xs, params = run.fmt, run.y, run.xs, run.params
    n = number(np.shape(xs[0]), params["axis"], params["keepdims"], params["where"])
    exact = None
    if fmt.on_grid and np.size(n) and np.all(bounds.power_of_two(n)):
        size = _sum(np.abs(xs[0]), **params) / n
        exact = exactness.total(fmt, size, exactness.unit(xs[0]) / float(np.max(n)), run.es[0])
        if exact is not None and exact.all():
            return None
    total = y * n
    radius = np.asarray(bounds.zero(bounds.summed(run._replace(forward=_sum, y=total)))) / n
    with np.errstate(over="ignore", invalid="ignore"):  # a sum that overflows, though the mean does not
        radius = np.where((_sum(np.abs(xs[0]), **params) > fmt.max) & (np.abs(y) < fmt.max), np.inf, radius)
    radius = radius + np.where(bounds.power_of_two(n), 0.0, 2 * fmt.u * (np.abs(y) + radius)) + fmt.eta
    return exactness.without(radius, exact)


mean: Op = register(
    "mean", _mean,
    jvp=lambda x_dot, axis, keepdims, where: mean(x_dot, axis=axis, keepdims=keepdims, where=where),
    vjp=lambda y_bar, x_shape, axis, keepdims, where: masked(
        spread(y_bar, x_shape, axis, keepdims) / number(x_shape, axis, True, where), where
    ),
    rounding=_mean_rounding,
    torch=lambda torch, x, axis=None, keepdims=False, where=True: torch_mean(torch, x, axis, keepdims, where),
    numpy=(np.mean,),
    domain=sampled(lambda rng: samplers.mean(rng)),
    special=(Special((np.zeros(0),), np.nan, (None,), "0/0"),),
    usual=(
        Formula(
            "the sum of quotients by n: the transpose of the backward, as forward mode by two backwards has it",
            jvp=lambda x_dot, x_shape, axis, keepdims, where: np.add.reduce(
                masked(x_dot / number(x_shape, axis, True, where), where), axis=axis, keepdims=keepdims
            ),
            vjp=lambda y_bar, x_shape, axis, keepdims, where: masked(
                spread(y_bar, x_shape, axis, keepdims) / number(x_shape, axis, True, where), where
            ),
        ),
    ),
    sums=True,
    mistakes=Mistakes(terms=lambda shape, axis, **_: count(shape, axis)),
    in_graphs=InGraphs(PARAMETRISED, 1, params=params_in_graphs.axes),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.separately,
    selects=True,
)  # fmt: skip


# --- extremes ---------------------------------------------------------------------------------------------------------


def _max(x: Array, axis: Axis = None, keepdims: Any = False, initial: Any = None, where: Any = True) -> Array:
    if where is True and initial is None:
        return np.maximum.reduce(x, axis=axis, keepdims=keepdims)
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims, initial=initial, where=where)


def _min(x: Array, axis: Axis = None, keepdims: Any = False, initial: Any = None, where: Any = True) -> Array:
    if where is True and initial is None:
        return np.minimum.reduce(x, axis=axis, keepdims=keepdims)
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims, initial=initial, where=where)


def _extreme_rounding(run: Evaluation) -> Any:
    """Monotone in every element, and exact."""
    fmt, forward, y, xs, es, params = run
    x, e = xs[0], es[0]
    initial = params["initial"]
    # The format may not hold this constant.
    rounded = 0.0 if initial is None else np.where(y == initial, fmt.u * abs(initial), 0.0)
    if e is None:
        return rounded if np.any(rounded) else None
    radius = np.maximum(np.maximum(forward(x + e, **params) - y, y - forward(x - e, **params)), rounded)
    return np.where(
        np.isnan(radius) & ~np.isnan(y),
        np.where(np.isinf(y) & (np.max(e, initial=0.0) < np.inf), 0.0, np.inf),
        radius,
    )


def _equal_shares(x: Array, y: Array, axis: Axis = None, initial: Any = None, where: Any = True) -> Array:
    tied = x == y if where is True else (x == y) & where
    number = np.add.reduce(tied, axis=axis, keepdims=True, dtype=np.int64)
    if initial is not None:
        number = number + (y == initial)
    shares = tied.astype(y.dtype)
    if np.all(number == 1):
        return shares
    with np.errstate(divide="ignore", invalid="ignore"):  # no element equals a NaN: nothing is defined
        return np.where((number == 0) & np.isnan(y), np.nan, shares / np.maximum(number, 1)).astype(y.dtype)


def _equal_shares_rounding(run: Evaluation) -> Any:
    """Where several elements may be the extreme one, each may get any share: the hull [0, 1]. A single one is certain."""
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    if not (fmt.kinks or bounds.some(es)):
        return fmt.u * y * (y != 1)
    (x, top), (e, e_top), where, initial = xs, es, params["where"], params["initial"]
    with np.errstate(invalid="ignore"):
        reach = bounds.zero(e) + bounds.zero(e_top)
        possible = (x == top) | (np.abs(x - top) <= reach)
        possible = possible if where is True else possible & where
        rivals = np.add.reduce(possible, axis=params["axis"], keepdims=True, dtype=np.int64)
        if initial is not None:
            rivals = rivals + (np.abs(initial - top) <= bounds.zero(e_top))
    open_ = possible & (rivals > 1)
    if not fmt.kinks:
        exact = (x == top) & (reach == 0)
        open_ = open_ & ~exact
    if not open_.any():
        return (np.where(possible | np.isnan(y), y, 0.0), None) if fmt.kinks else fmt.u * y * (y != 1)
    return np.where(open_, 0.5, np.where(np.isnan(y), y, possible)), np.where(open_, 0.5, 0.0)


# The share of each element in the extreme y over an axis: refgrad's convention gives ties equal ones.
equal_shares = register(
    "equal_shares",
    _equal_shares,
    jvp=None,
    vjp=None,
    rounding=_equal_shares_rounding,
    helper=True,
)


def _pick_jvp(x_dot: Array, x: Array, y: Array, axis: Axis, keepdims: Any, initial: Any, where: Any) -> Array:
    shares = equal_shares(x, expanded(y, x, axis, keepdims), axis=axis, initial=initial, where=where)
    return np.add.reduce(np.where(shares == 0, 0.0, x_dot * shares), axis=axis, keepdims=keepdims)


def _pick_vjp(y_bar: Array, x: Array, y: Array, axis: Axis, keepdims: Any, initial: Any, where: Any) -> Array:
    shares = equal_shares(x, expanded(y, x, axis, keepdims), axis=axis, initial=initial, where=where)
    return np.where(shares == 0, 0.0, shares * spread(y_bar, x.shape, axis, keepdims))


max = register(
    "max", _max,
    jvp=_pick_jvp,
    vjp=_pick_vjp,
    rounding=_extreme_rounding,
    torch=lambda torch, x, axis=None, keepdims=False, initial=None, where=True: _torch_extreme(
        torch, torch.amax, torch.maximum, x, axis, keepdims, initial, where
    ),
    numpy=(np.max, np.amax),
    domain=sampled(lambda rng: samplers.extreme(rng, -50.0), smooth=False),
    picks=True,
    special=(
        Special((np.array([2.0, 5.0, 5.0, 1.0]),), 5.0, (([0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]),), "any convex weights on the ties"),
        Special((np.array([1.0, np.nan, 2.0]),), np.nan, (None,), "NaN"),
    ),
    reduces=np.maximum,
    mistakes=Mistakes(other_branch=branches.mirrored),
    in_graphs=InGraphs(PARAMETRISED, 3, params=params_in_graphs.axes),
    selects=True,
)  # fmt: skip

min = register(
    "min", _min,
    jvp=_pick_jvp,
    vjp=_pick_vjp,
    rounding=_extreme_rounding,
    torch=lambda torch, x, axis=None, keepdims=False, initial=None, where=True: _torch_extreme(
        torch, torch.amin, torch.minimum, x, axis, keepdims, initial, where
    ),
    numpy=(np.min, np.amin),
    domain=sampled(lambda rng: samplers.extreme(rng, 50.0), smooth=False),
    picks=True,
    special=(
        Special((np.array([1.0, 3.0, 1.0, 1.0]),), 1.0, (([0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0]),), "any convex weights on the ties"),
    ),
    reduces=np.minimum,
    mistakes=Mistakes(other_branch=branches.mirrored),
    in_graphs=InGraphs(PARAMETRISED, 4, params=params_in_graphs.axes),
    selects=True,
)  # fmt: skip
