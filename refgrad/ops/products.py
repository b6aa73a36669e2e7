"""Products over axes, and the helper ops that carry how kernels divide a factor out of a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.op import register
from refgrad.op.traits import HOLOMORPHIC, PARAMETRISED, InGraphs, Notation
from refgrad.ops import complex_products, params_in_graphs, reduction, samplers
from refgrad.ops.reduction import dims, masked, torch_masked
from refgrad.ops.shape import Axis, axes_of, concatenate, count, inverse, spread


def _torch_prod(torch: Any, x: Any, axis: Axis, keepdims: bool, initial: Any, where: Any) -> Any:
    """torch.prod takes one axis. Several are laid out as one: in stages, a first product that overflows would meet a zero of the next."""
    y, taken = torch_masked(torch, x, where, 1.0), dims(x, axis)
    if axis is None and not keepdims:
        y = torch.prod(y)
    elif len(taken) == 1:
        y = torch.prod(y, taken[0], keepdim=keepdims)
    elif taken:
        kept = [d for d in range(x.ndim) if d not in taken]
        y = torch.prod(y.permute(*kept, *taken).flatten(len(kept)), -1)
        y = y.reshape([1 if d in taken else n for d, n in enumerate(x.shape)]) if keepdims else y
    return y if initial is None else y * initial


def _prod(
    x: Array, axis: Axis = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Array:
    if where is True and initial is None:
        return np.multiply.reduce(x, axis=axis, keepdims=keepdims)
    return np.prod(x, axis=axis, keepdims=keepdims, initial=1 if initial is None else initial, where=where)


def _prod_rounding(run: Evaluation) -> Any:
    """The bound of a product; ``initial``, a constant that may be rounded, is one more factor."""
    fmt, forward, y, xs, es, params = run
    initial = params["initial"]
    bare, scale = {**params, "initial": None}, 1.0 if initial is None else abs(initial)
    bare_y = y if initial is None else forward(xs[0], **bare)
    radius = bounds.multiplied(
        fmt, bare_y, xs, es, lambda x: reduction.sum.forward(x, **bare), lambda x: forward(x, **bare)
    )
    return radius if scale == 1.0 else scale * radius + 2 * fmt.u * (np.abs(y) + scale * radius) + fmt.eta


def _others(x: Array) -> Array:
    """Along the last axis the product of all other elements, by a tree of products.

    No division, so right at zeros, in every order of derivative.
    """
    n = x.shape[-1]
    if n <= 2:
        return x[..., ::-1] if n == 2 else np.ones(x.shape, x.dtype)
    m = n // 2
    a, b, rest = x[..., :m], x[..., m : 2 * m], x[..., 2 * m :]
    outside = _others(concatenate(a * b, rest, axis=-1) if n % 2 else a * b)
    return concatenate(
        outside[..., :m] * b, outside[..., :m] * a, *([outside[..., m:]] if n % 2 else []), axis=-1
    )


def _exclusive(x: Array, axis: Axis, initial: Any, where: Any) -> Array:
    """d prod(x)/dx: for each element the product of the others that it is multiplied with."""
    factors = masked(x, where, 1.0)
    axes = axes_of(axis, len(x.shape))
    order = tuple([k for k in range(len(x.shape)) if k not in axes]) + axes
    moved = np.transpose(factors, order)
    rows = moved.shape[: len(x.shape) - len(axes)]
    flat = _others(np.reshape(moved, (*rows, count(x.shape, axis))))
    others = np.transpose(np.reshape(flat, moved.shape), inverse(order))
    others = divided_out(others, factors, axis=axis)
    return masked(others if initial is None else others * initial, where)


def _ghost(x: Array, roundings: int = 1) -> Array:
    return np.zeros_like(x)


def _ghost_rounding(run: Evaluation) -> Any:
    fmt, xs, es, params = run.fmt, run.xs, run.es, run.params
    with np.errstate(invalid="ignore"):
        return np.where(
            np.isfinite(xs[0]), params["roundings"] * fmt.u * (np.abs(xs[0]) + bounds.zero(es[0])), 0.0
        )


# Zero, known only up to the rounding of two terms of size |x| that cancel.
ghost = register(
    "ghost",
    _ghost,
    jvp=None,
    vjp=None,
    rounding=_ghost_rounding,
    elementwise=True,
    helper=True,
    complex_rules=HOLOMORPHIC,
    by_parts=complex_products.cancelled,
)


def _loosened(x1: Array, axis: Axis) -> Array:
    """As it passes through the derivative of (x1 x2)/x2: the product, the sum over its n quotients, four roundings more."""
    return x1 + ghost(x1, roundings=2 * count(x1.shape, axis) + 2)


def _left_of_quotient(x1: Array, x2: Array, axis: Axis) -> Array:
    """The derivative in x2 of (x1 x2)/x2: x1/x2 - (x1 x2)/x2^2. Each term has passed through up to 2n and n products and sums."""
    return ghost(x1 / np.where(x2 == 0, 1.0, x2), roundings=3 * count(x2.shape, axis) + 6)


def _divided_out_rounding(run: Evaluation) -> Any:
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    e, size, e2 = bounds.zero(es[0]), np.abs(xs[1]), bounds.zero(es[1])
    over = {"axis": params["axis"], "keepdims": True}
    factors = np.where(size + e2 == 0, 1.0, size)
    lost, unsafe = bounds.product_underflow(
        fmt, factors, e2, count(np.shape(y), params["axis"]), lambda x: np.multiply.reduce(x, **over)
    )
    lost = np.where(
        (y != 0) | (e > 0), lost / np.minimum(np.where(factors > 0, factors, 1.0), 1.0) + fmt.eta, 0.0
    )
    return np.where(unsafe, np.where(np.isfinite(y), np.inf, np.nan), e + 2 * fmt.u * (np.abs(y) + e) + lost)


# The product x1 of the other factors, as kernels compute it: where no factor is zero (x1 x2)/x2, two roundings more and what the whole
# product lost by underflow, divided by x2; elsewhere as a product of two partial products, which may underflow alone. The derivative
# in x2 is zero, which comes as the difference of two equal terms.
divided_out = register(
    "divided_out", lambda x1, x2, axis=None: +x1,
    jvp={"x1": lambda x1_dot, axis: _loosened(x1_dot, axis), "x2": lambda x2_dot, x1, x2, axis: x2_dot * _left_of_quotient(x1, x2, axis)},
    vjp={"x1": lambda y_bar, axis: _loosened(y_bar, axis), "x2": lambda y_bar, x1, x2, axis: y_bar * _left_of_quotient(x1, x2, axis)},
    rounding=_divided_out_rounding,
    domain=sampled(samplers.factored),
    helper=True,
    complex_rules=HOLOMORPHIC, by_parts=complex_products.divided_out,
)  # fmt: skip


prod = register(
    "prod", _prod,
    jvp=lambda x_dot, x, axis, keepdims, initial, where: np.add.reduce(
        x_dot * _exclusive(x, axis, initial, where), axis=axis, keepdims=keepdims
    ),
    vjp=lambda y_bar, x, axis, keepdims, initial, where: spread(y_bar, x.shape, axis, keepdims) * _exclusive(x, axis, initial, where),
    rounding=_prod_rounding,
    torch=lambda torch, x, axis=None, keepdims=False, initial=None, where=True: _torch_prod(torch, x, axis, keepdims, initial, where),
    numpy=(np.prod,),
    domain=sampled(lambda rng: samplers.masked_reduction(rng, 1.0)),
    special=(
        Special((np.array([2.0, 0.0, 3.0]),), 0.0, (([0.0, 6.0, 0.0], [0.0, 6.0, 0.0]),), "one zero"),
        Special((np.array([2.0, 0.0, 0.0]),), 0.0, (([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),), "two zeros"),
        Special((np.zeros(0),), 1.0, ((0.0, 0.0),), "empty"),
    ),
    reduces=np.multiply,
    notation=Notation("Π"),
    in_graphs=InGraphs(PARAMETRISED, 2, params=params_in_graphs.axes),
    complex_rules=HOLOMORPHIC, by_parts=complex_products.product,
)  # fmt: skip
