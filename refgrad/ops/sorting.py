"""Sorting: sort, and the two permutations in which its derivatives are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import PlainArray
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.op import Op, register
from refgrad.op.traits import PARAMETRISED, InGraphs, Mistakes
from refgrad.ops import branches, params_in_graphs, samplers


def _order(x: PlainArray, axis: int) -> PlainArray:
    return np.argsort(x, axis, kind="stable")


def _sort(x: PlainArray, axis: int = -1) -> PlainArray:
    return np.sort(x, axis)


@bounds.exact_rule
def _sort_rounding(run: Evaluation) -> Any:
    """Exact, and every order statistic is monotone in every element."""
    forward, y, xs, es, params = run.forward, run.y, run.xs, run.es, run.params
    if es[0] is None:
        return None
    return np.maximum(forward(xs[0] + es[0], **params) - y, y - forward(xs[0] - es[0], **params))


def _in_order(x1: PlainArray, x2: PlainArray, axis: int = -1) -> PlainArray:
    """x1 in the order that sorts x2."""
    return np.take_along_axis(x1, _order(x2, axis), axis)


def _out_of_order(x1: PlainArray, x2: PlainArray, axis: int = -1) -> PlainArray:
    """The inverse: x1, in the order of sorted x2, back where the elements of x2 are."""
    return np.take_along_axis(x1, _order(_order(x2, axis), axis), axis)


def _hulls(
    fmt: Any, v: PlainArray, e: PlainArray, x2: PlainArray, e2: PlainArray, axis: int
) -> tuple[PlainArray, PlainArray]:
    """v and e in sorted order, with the hull of its run wherever the order of x2 is open.

    A run ends where everything before is certainly smaller than everything after; inside, any order may be met.
    """
    if not fmt.kinks and e2 is None:
        return v, e
    radius = np.broadcast_to(bounds.zero(e2), x2.shape)
    order = _order(x2, axis)
    ordered, radius = [np.moveaxis(np.take_along_axis(a, order, axis), axis, -1) for a in (x2, radius)]
    top = np.maximum.accumulate(ordered + radius, -1)[..., :-1]
    bottom = np.flip(np.minimum.accumulate(np.flip(ordered - radius, -1), -1), -1)[..., 1:]
    starts = np.ones(ordered.shape, bool)
    starts[..., 1:] = top < bottom
    if starts.all():
        return v, e
    v, e = [np.moveaxis(a, axis, -1) for a in (v, e)]
    first, run = np.flatnonzero(starts), np.cumsum(starts) - 1
    low = np.minimum.reduceat((v - e).ravel(), first)[run].reshape(v.shape)
    high = np.maximum.reduceat((v + e).ravel(), first)[run].reshape(v.shape)
    alone = (np.bincount(run)[run] == 1).reshape(v.shape)
    v, e = np.where(alone, v, low + (high - low) / 2), np.where(alone, e, (high - low) / 2)
    return np.moveaxis(v, -1, axis), np.moveaxis(e, -1, axis)


def _in_order_rounding(run: Evaluation) -> Any:
    fmt, forward, y, xs, es, params = run
    if y.size == 0:
        return None
    e = forward(np.broadcast_to(bounds.zero(es[0]), y.shape), xs[1], **params)
    return _hulls(fmt, y, e, xs[1], es[1], params["axis"])


def _out_of_order_rounding(run: Evaluation) -> Any:
    fmt, forward, y, xs, es, params = run
    if y.size == 0:
        return None
    v, e = _hulls(fmt, xs[0], np.broadcast_to(bounds.zero(es[0]), y.shape), xs[1], es[1], params["axis"])
    return forward(v, xs[1], **params), forward(e, xs[1], **params)


sort = register(
    "sort", _sort,
    jvp=lambda x_dot, x, axis: in_order(x_dot, x, axis=axis),
    vjp=lambda y_bar, x, axis: out_of_order(y_bar, x, axis=axis),
    rounding=_sort_rounding,
    torch=lambda torch, x, axis=-1: torch.sort(x, dim=axis, stable=True).values,
    domain=sampled(samplers.sort, smooth=False),
    special=(Special((np.array([2.0, 2.0, 1.0]),), [1.0, 2.0, 2.0], ((1.0, 1.0),), "ties"),),
    mistakes=Mistakes(other_branch=branches.mirrored),
    in_graphs=InGraphs(PARAMETRISED, 9, params=params_in_graphs.one_axis),
    selects=True,
)  # fmt: skip

# The order of x2 is constant wherever the derivative exists: no rule for x2.
in_order: Op = register(
    "in_order", _in_order,
    jvp={"x1": lambda x1_dot, x2, axis: in_order(x1_dot, x2, axis=axis)},
    vjp={"x1": lambda y_bar, x2, axis: out_of_order(y_bar, x2, axis=axis)},
    rounding=_in_order_rounding,
    domain=sampled(samplers.ordered, smooth=False),
    helper=True,
)  # fmt: skip

out_of_order: Op = register(
    "out_of_order", _out_of_order,
    jvp={"x1": lambda x1_dot, x2, axis: out_of_order(x1_dot, x2, axis=axis)},
    vjp={"x1": lambda y_bar, x2, axis: in_order(y_bar, x2, axis=axis)},
    rounding=_out_of_order_rounding,
    domain=sampled(samplers.ordered, smooth=False),
    helper=True,
)  # fmt: skip
