"""Products and norms of matrices: matmul, tensordot, einsum, norm.

Determinants, inverses and linear systems are in solving.py. Formulas: Giles, "Collected matrix derivative results for
forward and reverse mode algorithmic differentiation" (2008).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.bounds import splitting
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.errors import ArgumentError, NoRuleError
from refgrad.formula import Formula
from refgrad.op import Op, register, shape_of
from refgrad.op.traits import HOLOMORPHIC, PARAMETRISED, SEVERAL, InGraphs, Notation
from refgrad.ops import by_parts, complex_numbers, params_in_graphs
from refgrad.ops.undefined import at_cusp

# --- matmul ----------------------------------------------------------------------------------------------------------


def _matmul(x1: PlainArray, x2: PlainArray) -> Array:
    try:
        return splitting.matmul(x1, x2)
    except ValueError as e:
        raise ArgumentError(f"matmul: shapes {shape_of(x1)} and {shape_of(x2)} do not fit: {e}") from e


def _matmul_vjp_x1(y_bar: Array, x1_shape: tuple[int, ...], x2: Array) -> Array:
    """Y = A B: A_bar = Y_bar B^T. A vector stands for one row (A) or one column (B)."""
    if len(x1_shape) == 1:
        return (
            y_bar * x2
            if x2.ndim == 1
            else np.tensordot(x2, y_bar, axes=(_but(x2.ndim, -2), tuple(range(y_bar.ndim))))
        )
    return y_bar[..., None] * x2 if x2.ndim == 1 else np.matmul(y_bar, x2.T if x2.ndim == 2 else x2.mT)


def _matmul_vjp_x2(y_bar: Array, x1: Array, x2_shape: tuple[int, ...]) -> Array:
    """Y = A B: B_bar = A^T Y_bar; one long contraction where B was used for every matrix of a stack."""
    if x1.ndim == 1:
        return x1 * y_bar if len(x2_shape) == 1 else x1[:, None] * y_bar[..., None, :]
    if x1.ndim == 2 and y_bar.ndim <= 2:
        return np.matmul(x1.T, y_bar)
    if len(x2_shape) <= 2:
        axes = tuple(range(x1.ndim - 1))
        return np.tensordot(x1, y_bar, axes=(axes, axes))
    return np.matmul(x1.T if x1.ndim == 2 else x1.mT, y_bar)


def _but(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple([k for k in range(ndim) if k != axis % ndim])


def _matmul_rounding(run: Evaluation) -> Any:
    return bounds.bilinear(run, np.shape(run.xs[0])[-1])


def _as_part_of_one_sum(a: Array, b: Array) -> Array:
    """The product of two matrices or vectors as one half of a sum of twice as many products; the other half is zeros here."""
    along = max(b.ndim - 2, 0)
    a2, b2 = np.zeros(shape_of(a)), np.zeros(shape_of(b))
    return np.matmul(np.concatenate([a, a2], axis=-1), np.concatenate([b, b2], axis=along))


_MATMUL_SHAPES = (
    ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((5, 2, 3), (3, 2)), ((5, 2, 3), (5, 3, 1)),
    ((4, 1, 2, 3), (5, 3, 2)), ((2, 3), (4, 3, 2)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,)), ((2, 0), (0, 3)), ((0, 2), (2, 2)),
    ((1, 1), (1, 1)), ((3, 3), (3, 3)),
)  # fmt: skip


def _draw_matmul(rng: np.random.Generator) -> Any:
    a, b = _MATMUL_SHAPES[int(rng.integers(len(_MATMUL_SHAPES)))]
    return (rng.standard_normal(a), rng.standard_normal(b)), {}


matmul = register(
    "matmul", _matmul,
    jvp={"x1": lambda x1_dot, x2: x1_dot @ x2, "x2": lambda x2_dot, x1: x1 @ x2_dot},
    vjp={"x1": _matmul_vjp_x1, "x2": _matmul_vjp_x2},
    rounding=_matmul_rounding,
    torch=lambda torch, x1, x2: torch.matmul(x1, x2),
    # dY = dA B + A dB. A product that is added into the other one continues its sum: there are 2k products, in some order, and the first
    # ones take part in all further additions, so that the error is at most 2k u (|dA||B| + |A||dB|) (Higham, section 3.1), and not
    # k u (|dA||B| + |A||dB|) + u |dY|. Where one operand alone moves, the bound is twice what is needed.
    usual=(
        Formula(
            "the tangent's second product is added into the first one: MLX computes it by addmm",
            jvp={"x1": lambda x1_dot, x2: _as_part_of_one_sum(x1_dot, x2), "x2": lambda x2_dot, x1: _as_part_of_one_sum(x1, x2_dot)},
            vjp={"x1": _matmul_vjp_x1, "x2": _matmul_vjp_x2},
        ),
    ),
    numpy=(np.matmul,),
    domain=sampled(_draw_matmul),
    broadcasts=True,
    core=2, sums=True,
    notation=Notation("@"),
    in_graphs=InGraphs(SEVERAL, 0),
    complex_rules=HOLOMORPHIC, by_parts=by_parts.contracted,
)  # fmt: skip


# --- tensordot -------------------------------------------------------------------------------------------------------


def _tensordot(x1: PlainArray, x2: PlainArray, axes: Any = 2) -> Array:
    try:
        return splitting.tensordot(x1, x2, axes)
    except (ValueError, IndexError) as e:
        raise ArgumentError(
            f"tensordot: shapes {shape_of(x1)} and {shape_of(x2)} do not fit axes={axes!r}: {e}"
        ) from e


def _contracted(axes: Any, ndim1: int, ndim2: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Axes contracted in x1 and x2, pair by pair, then the free ones of each in order."""
    if isinstance(axes, (int, np.integer)):
        first, second = list(range(ndim1 - int(axes), ndim1)), list(range(int(axes)))
    else:
        first, second = list(_axes(_tupled(axes[0]), ndim1)), list(_axes(_tupled(axes[1]), ndim2))
    return (
        first,
        second,
        [k for k in range(ndim1) if k not in first],
        [k for k in range(ndim2) if k not in second],
    )


def _tupled(axes: Any) -> tuple[int, ...]:
    return (int(axes),) if isinstance(axes, (int, np.integer)) else tuple([int(a) for a in axes])


def _reorder(z: Array, source: list[int]) -> Array:
    """Bring axes to the operand's order; ``source[k]`` is the operand's axis that axis k of z holds."""
    order = sorted(range(len(source)), key=source.__getitem__)
    return z if order == list(range(len(order))) else np.transpose(z, order)


def _tensordot_vjp_x1(y_bar: Array, x1_shape: tuple[int, ...], x2: Array, axes: Any) -> Array:
    """Contract y_bar with the free axes of x2: what is left are the free axes of x1 and the contracted ones, in x2's order."""
    first, second, free1, free2 = _contracted(axes, len(x1_shape), x2.ndim)
    z = np.tensordot(y_bar, x2, axes=(tuple(range(len(free1), y_bar.ndim)), tuple(free2)))
    return _reorder(z, free1 + [a for _, a in sorted(zip(second, first, strict=True))])


def _tensordot_vjp_x2(y_bar: Array, x1: Array, x2_shape: tuple[int, ...], axes: Any) -> Array:
    first, second, free1, free2 = _contracted(axes, x1.ndim, len(x2_shape))
    z = np.tensordot(x1, y_bar, axes=(tuple(free1), tuple(range(len(free1)))))
    return _reorder(z, [a for _, a in sorted(zip(first, second, strict=True))] + free2)


def _tensordot_rounding(run: Evaluation) -> Any:
    fmt, forward, y, xs, params = run.fmt, run.forward, run.y, run.xs, run.params
    shape1, shape2 = np.shape(xs[0]), np.shape(xs[1])
    first = _contracted(params["axes"], len(shape1), len(shape2))[0]
    radius = bounds.bilinear(run, math.prod(shape1[a] for a in first))
    if fmt.u != fmt.u_acc and np.size(y) == 1 and radius is not None:
        # torch multiplies elementwise and sums what it stored, unless memory is contiguous
        radius = radius + fmt.u * (forward(np.abs(xs[0]), np.abs(xs[1]), **params) + radius)
    return radius


_TENSORDOT: tuple[tuple[tuple[int, ...], tuple[int, ...], Any], ...] = (
    ((2, 3), (3, 4), 1), ((2, 3), (2, 3), 2), ((2,), (3,), 0), ((2, 3, 4), (4, 3, 2), ((1, 2), (1, 0))),
    ((2, 3, 4), (5, 4, 2), ((0, -1), (2, 1))), ((2, 3), (4, 3), (1, -1)), ((3, 2, 4), (4, 3), ((2, 0), (0, 1))),
    ((0, 2), (0, 3), ((0,), (0,))),
    ((2, 0), (0, 3), 1), ((), (2,), 0),
)  # fmt: skip


def _draw_tensordot(rng: np.random.Generator) -> Any:
    a, b, axes = _TENSORDOT[int(rng.integers(len(_TENSORDOT)))]
    return (rng.standard_normal(a), rng.standard_normal(b)), {"axes": axes}


def _torch_dims(axes: Any) -> Any:
    return axes if isinstance(axes, int) else [[a] if isinstance(a, int) else list(a) for a in axes]


tensordot = register(
    "tensordot", _tensordot,
    jvp={
        "x1": lambda x1_dot, x2, axes: np.tensordot(x1_dot, x2, axes=axes),
        "x2": lambda x2_dot, x1, axes: np.tensordot(x1, x2_dot, axes=axes),
    },
    vjp={"x1": _tensordot_vjp_x1, "x2": _tensordot_vjp_x2},
    rounding=_tensordot_rounding,
    torch=lambda torch, x1, x2, axes=2: torch.tensordot(x1, x2, dims=_torch_dims(axes)),
    numpy=(np.tensordot,),
    domain=sampled(_draw_tensordot),
    sums=True,
    complex_rules=HOLOMORPHIC, by_parts=by_parts.contracted,
)  # fmt: skip


# --- norm ------------------------------------------------------------------------------------------------------------


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    return (
        tuple(range(ndim))
        if axis is None
        else tuple([a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))])
    )


def _norm(x: Array, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Array:
    """(sum |x|^ord)^(1/ord), scaled by a power of two, so that nothing overflows or vanishes on the way."""
    x = np.abs(x)
    if axis == ():
        return x
    with np.errstate(all="ignore"):
        big = np.max(x, axis=axis, keepdims=True, initial=0)
        scale = np.where(
            (big > 0) & np.isfinite(big), np.ldexp(np.ones((), x.dtype), np.frexp(big)[1] - 1), 1
        ).astype(x.dtype)
        z = x / scale
        total = np.sum(z * z if ord == 2 else z**ord, axis=axis, keepdims=True)
        y = (np.sqrt(total) if ord == 2 else total if ord == 1 else total ** (1 / x.dtype.type(ord))) * scale
    return (y if keepdims else np.squeeze(y, _axes(axis, x.ndim)))[()]


def _restored(y: Array, x_shape: tuple[int, ...], axis: Any, keepdims: bool) -> Array:
    """Put reduced axes back with size 1."""
    axes = _axes(axis, len(x_shape))
    return y if keepdims else np.reshape(y, tuple([1 if k in axes else n for k, n in enumerate(x_shape)]))


def _norm_slope(x: Array, y: Array, ord: float, axis: Any, keepdims: bool) -> Array:
    """d|x|/dx for p = 1, 2: of moderate size however huge or tiny x is; 0 where the norm is 0 (see at_cusp)."""
    if ord == 1:
        return np.sign(x)
    y = _restored(y, x.shape, axis, keepdims)
    return at_cusp(x / np.where(y == 0, 1.0, y), x, y)


def _workable(y: Array, power: float = 1.0) -> Array:
    _, exponent = np.frexp(y)
    return (np.abs(exponent * max(abs(power), 1.0)) < np.finfo(y.dtype).maxexp / 2) | ~np.isfinite(y)


# Whether y^power keeps well inside the range in which we compute, which need not be the one that is judged: no radius counts.
workable = register(
    "workable",
    _workable,
    jvp=None,
    vjp=None,
    rounding=lambda run: None,
    helper=True,
)


def _powers(x: Array, y: Array, ord: float, axis: Any, keepdims: bool) -> tuple[Array, Array]:
    """|x|^(p-1) with the sign of x, and |x|_p^(p-1) with its axes: their quotient is the slope.

    As they are, like kernels form them, so that what underflows there is in the bound; both relative to the norm where they might
    leave the range here.
    """
    y = _restored(y, x.shape, axis, keepdims)
    y = np.where(y == 0, 1.0, y)
    scale = np.where(workable(y, power=ord - 1), 1.0, y)
    x, y = x / scale, y / scale
    if ord > 1:
        # at 0 the power vanishes by itself; its own derivative has a pole below 2, which is not covered up
        return np.sign(x) * np.abs(x) ** (ord - 1), y ** (ord - 1)
    zero = x == 0  # any slope is right there, and its derivative is anything (the record says so)
    safe = np.where(zero, 1.0, x)
    slope = np.where(zero, 0.0, np.sign(safe) * np.abs(safe) ** (ord - 1))
    return slope, y ** (ord - 1)


def _norm_rounding(run: Evaluation) -> Any:
    """Kernels sum |x|^p unscaled, then take the root: underflow of powers is an absolute error of the sum, overflow blinds.

    Carried: the norm is monotone in every |x_i|.
    """
    fmt, forward, xs, es, params = run.fmt, run.forward, run.xs, run.es, run.params
    p, axis = float(params["ord"]), params["axis"]
    x, carried = np.abs(xs[0]), 0.0
    kept = {**params, "keepdims": True}
    center = forward(x, **kept)
    if es[0] is not None:
        ends = (
            np.abs(forward(x + es[0], **kept) - center),
            np.abs(center - forward(np.maximum(x - es[0], 0), **kept)),
        )
        carried = np.maximum(*ends)
        x = x + es[0]
    terms = np.sum(x != 0, axis=axis, keepdims=True)
    if p == 1:
        radius = carried + np.maximum(terms - 1, 0) * fmt.u_acc * (center + carried) + fmt.eta
        if fmt.u != fmt.u_acc:  # half formats: the sum is stored
            radius = radius + fmt.store(center, radius)
    else:
        powers, top = x**p, center + carried
        logs = np.abs(np.log(np.where(x > 0, x, 1)))
        # p itself is rounded.
        inexact = 0 if p == np.rint(p) else p * np.max(logs, axis=axis, keepdims=True, initial=0)
        each = 1.0 if p == 2 else 2 * fmt.ulp("power") + inexact
        total = np.sum(powers, axis=axis, keepdims=True)
        error = (np.maximum(terms - 1, 0) * fmt.u_acc + each * fmt.u) * total + terms * fmt.eta
        low = top - np.maximum(total - error, 0) ** (1 / p)
        root = (
            2 * fmt.ulp("sqrt")
            if p == 2
            else 2 * fmt.ulp("power") + np.abs(np.log(np.where(total > 0, total, 1))) / abs(p)
        )
        radius = carried + np.where(total > 0, np.abs(low), 0) + root * fmt.u * top + fmt.eta
        radius = np.where(total + error < fmt.max, radius, np.inf)
    radius = np.where((terms <= 1) & (p == 1) & (carried == 0), 0.0, radius)
    return radius if params["keepdims"] else np.squeeze(radius, _axes(axis, np.ndim(xs[0])))


_NORM_AXES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((3,), None), ((2, 3), None), ((2, 3), 0), ((2, 3), -1), ((2, 2, 3), (0, -1)), ((1, 4), (0, 1)), ((2, 1), 1), ((0, 3), 1),
)  # fmt: skip


def _draw_norm(rng: np.random.Generator) -> Any:
    shape, axis = _NORM_AXES[int(rng.integers(len(_NORM_AXES)))]
    x = rng.uniform(0.3, 2.0, shape) * rng.choice([-1.0, 1.0], shape)
    return (x,), {
        "ord": [2, 2, 1, 3, 1.5, 0.5][int(rng.integers(6))],
        "axis": axis,
        "keepdims": bool(rng.integers(2)),
    }


def _ordered(ord: Any) -> float:
    if isinstance(ord, bool) or not isinstance(ord, (int, float)) or not 0 < ord < math.inf:
        raise NoRuleError(f"norm: ord={ord!r} is not supported as a p-norm; a finite positive number is")
    return ord


def _p_norm(x: Array, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Array:
    return _norm(x, _ordered(ord), axis, keepdims)


def _norm_jvp(x_dot: Array, x: Array, y: Array, ord: float, axis: Any, keepdims: bool) -> Array:
    if ord in (1, 2):
        return np.sum(_norm_slope(x, y, ord, axis, keepdims) * x_dot, axis=axis, keepdims=keepdims)
    powers, top = _powers(x, y, ord, axis, keepdims)
    return np.reshape(np.sum(powers * x_dot, axis=axis, keepdims=True) / top, y.shape)


def _norm_vjp(y_bar: Array, x: Array, y: Array, ord: float, axis: Any, keepdims: bool) -> Array:
    y_bar = _restored(y_bar, x.shape, axis, keepdims)
    if ord in (1, 2):
        return y_bar * _norm_slope(x, y, ord, axis, keepdims)
    powers, top = _powers(x, y, ord, axis, keepdims)
    return powers * (y_bar / top)


def _torch_norm(torch: Any, x: Any, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Any:
    return torch.linalg.vector_norm(x, ord, axis, keepdims)


_HALF = 0.7071067811865476
norm: Op = register(
    "norm", _p_norm,
    jvp=_norm_jvp,
    vjp=_norm_vjp,
    rounding=_norm_rounding,
    torch=_torch_norm,
    domain=sampled(_draw_norm),
    special=(
        Special(([0.0, 0.0],), 0.0, (([-1.0, -1.0], [1.0, 1.0]),), "cusp: the unit disc"),
        Special(([0.0, 2.0],), 2.0, (([-1.0, 1.0], [1.0, 1.0]),), "kink at 0", (("ord", 1),)),
        Special(([0.0, 0.0],), 0.0, (([-1.0, -1.0], [1.0, 1.0]),), "cusp: the dual unit ball", (("ord", 3),)),
        Special(([0.0, 2.0],), 2.0, (([0.0, 1.0], [0.0, 1.0]),), "flat at 0", (("ord", 1.5),)),
        Special(([0.0, 2.0],), 2.0, (([-np.inf, 1.0], [np.inf, 1.0]),), "vertical on both sides of 0", (("ord", 0.5),)),
        Special(([1e200, 1e200],), 1.414213562373095e200, (([_HALF, _HALF], [_HALF, _HALF]),), "squares overflow"),
        Special(([1e-200, 1e-200],), 1.414213562373095e-200, (([_HALF, _HALF], [_HALF, _HALF]),), "squares underflow"),
        Special((np.zeros(0),), 0.0, ((np.zeros(0), np.zeros(0)),), "an empty sum"),
    ),
    sums=True,
    in_graphs=InGraphs(PARAMETRISED, 16, params=params_in_graphs.norm),
    complex_rules=lambda x, **params: norm(complex_numbers.modulus(x), **params),
)  # fmt: skip
