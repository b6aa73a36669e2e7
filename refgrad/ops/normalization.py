"""Normalised exponentials: softmax, log_softmax, logsumexp, cross_entropy.

All shift by the maximum, so that huge arguments do not overflow. Goodfellow et al., Deep Learning (2016), section 4.1;
rounding: Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions" (2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad import bounds
from refgrad.arrays import Array, PlainArray
from refgrad.bounds import exactness
from refgrad.bounds.evaluation import Evaluation
from refgrad.domain import Special, sampled
from refgrad.errors import ArgumentError
from refgrad.formula import Formula
from refgrad.op import register
from refgrad.op.traits import PARAMETRISED, InGraphs, Mistakes
from refgrad.ops import params_in_graphs
from refgrad.ops.shifted_means import by_shifted_means, shifted_mean
from refgrad.ops.weighted_rows import count, shift, tamed, tops


def _logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    x = np.asarray(x)
    m = shift(x, axis)
    with np.errstate(divide="ignore"):
        y = np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True)) + m
    return y if keepdims else np.squeeze(y, axis)[()]


def _expand(y: Array, x_shape: tuple[int, ...], axis: Any, keepdims: bool) -> Array:
    """Put reduced axes back with size 1."""
    if keepdims:
        return y
    axes = (
        range(len(x_shape))
        if axis is None
        else [a % len(x_shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
    )
    return np.reshape(y, tuple([1 if k in axes else n for k, n in enumerate(x_shape)]))


def _usual_weights(x: Array, y: Array, axis: Any, keepdims: bool) -> Array:
    """exp(x - y) as kernels form it: the limit 1 for an element +inf, 0 where all elements are -inf."""
    y = _expand(y, x.shape, axis, keepdims)
    top = x == np.inf
    return np.exp(np.where(top, 0.0, np.where(top, 0.0, x) - np.where(y == -np.inf, 0.0, y)))


def _spread(fmt: Any, x: Array, e: Any, axis: Any) -> tuple[Array, Array, Array, Array | float]:
    """What the kernels share: t = x - max, log s, the relative error of the computed s, and log sum w exp(e) carried.

    s = sum exp(t): each t is rounded (relative error u|t| of its exponential), exp has its ULP error, the sum n - 1
    additions. Blanchard, Higham, Higham (2021), section 3. Stored intermediates (half formats) round in u.
    """
    t = x - shift(x, axis)
    log_s = _logsumexp(t, axis, True)
    w = np.exp(t - np.where(np.isfinite(log_s), log_s, 0))
    distance = np.where(w > 0, np.abs(t), 0)
    relative = (
        fmt.u * np.sum(w * distance, axis, keepdims=True)
        + (count(x, axis) - 1) * fmt.u_acc
        + 2 * fmt.ulp("exp") * fmt.u
    )
    relative = relative + (0.0 if fmt.u == fmt.u_acc else 2 * fmt.u) + count(x, axis) * fmt.eta
    carried = 0.0 if e is None else _logsumexp(np.log(w) + np.broadcast_to(e, x.shape), axis, True)
    return t, log_s, relative / (1 - np.minimum(relative, 0.5)), carried


def _logsumexp_rounding(run: Evaluation) -> Any:
    """Carried log sum w exp(e); added: relative error of the sum, log's ULP of log s, the last addition.

    Nothing where one element alone counts: the sum is 1, its logarithm 0.
    """
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    axis, keepdims = params["axis"], params["keepdims"]
    _, log_s, relative, carried = _spread(fmt, xs[0], es[0], axis)
    radius = carried + relative + 2 * fmt.ulp("log") * fmt.u * (np.abs(log_s) + relative)
    radius = radius if keepdims else np.squeeze(radius, axis)
    largest = tops(xs[0], es[0], axis)
    exact = None if largest is None else (largest if keepdims else np.squeeze(largest, axis)) == 1
    return exactness.without(radius + fmt.store(y, radius), exact)


def _draw_logsumexp(rng: np.random.Generator) -> Any:
    shape, axis = _AXES[int(rng.integers(len(_AXES)))]
    return (rng.uniform(-3, 3, shape),), {"axis": axis, "keepdims": bool(rng.integers(2))}


_AXES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((3,), None), ((2, 3), None), ((2, 3), 0), ((2, 3), -1), ((2, 3), (0, 1)), ((2, 1, 3), (-1, 0)), ((2, 1), 1),
    ((4, 0, 2), 2), ((), None),
)  # fmt: skip


def _weights(x: Array, axis: Any = None) -> Array:
    """exp(x)/sum(exp(x)); 0 where all elements are -inf."""
    x = np.asarray(x)
    e = np.exp(tamed(x, axis) - shift(x, axis))
    return np.where(x == -np.inf, 0.0, e / np.sum(e, axis=axis, keepdims=True)).astype(x.dtype, copy=False)


def _weights_rounding(run: Evaluation) -> Any:
    """As for softmax; and the error of the reciprocal of the sum, as the derivative of a logarithm, where a profile has one."""
    fmt, y, xs, params = run.fmt, run.y, run.xs, run.params
    radius = _softmax_rounding(run._replace(forward=None, xs=(tamed(xs[0], params["axis"]),)))
    if fmt.ulp_table["reciprocal"] > 0.5:
        carried = bounds.zero(radius)
        radius = carried + 2 * fmt.ulp("reciprocal") * fmt.u * (y + carried)
    return np.where((xs[0] == -np.inf) & (y == 0), 0.0, bounds.zero(radius))


logsumexp_weights = register(
    "logsumexp_weights", _weights,
    jvp=lambda x_dot, y, axis: y * (x_dot - np.sum(y * x_dot, axis=axis, keepdims=True)),
    vjp=lambda y_bar, y, axis: y * (y_bar - np.sum(y_bar * y, axis=axis, keepdims=True)),
    rounding=_weights_rounding,
    domain=sampled(lambda rng: _draw_weights(rng)),
    helper=True,
)  # fmt: skip


def _draw_weights(rng: np.random.Generator) -> Any:
    xs, params = _draw_logsumexp(rng)
    return xs, {"axis": params["axis"]}


logsumexp = register(
    "logsumexp", _logsumexp,
    jvp=lambda x_dot, x, axis, keepdims: np.sum(x_dot * logsumexp_weights(x, axis=axis), axis=axis, keepdims=keepdims),
    vjp=lambda y_bar, x, axis, keepdims: _expand(y_bar, x.shape, axis, keepdims) * logsumexp_weights(x, axis=axis),
    rounding=_logsumexp_rounding,
    torch=lambda torch, x, axis=None, keepdims=False: torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdims),
    domain=sampled(_draw_logsumexp),
    special=(
        Special(([-np.inf, 0.0],), 0.0, (([0.0, 1.0], [0.0, 1.0]),), "a weight of 0"),
        Special(([-np.inf, -np.inf],), -np.inf, (None,), "log of 0"),
        Special(([np.inf, 0.0],), np.inf, (([1.0, 0.0], [1.0, 0.0]),), "the limit at +inf"),
        Special(([np.inf, np.inf],), np.inf, (None,), "several at +inf: no limit"),
        Special(([1e4, 1e4],), 1e4 + np.log(2), (([0.5, 0.5], [0.5, 0.5]),), "exp overflows without the shift"),
    ),
    usual=(
        Formula(
            "weights exp(x - y) with y = logsumexp(x): the rounding of a large y is many roundings of them",
            jvp=lambda x_dot, x, y, axis, keepdims: np.sum(x_dot * _usual_weights(x, y, axis, keepdims), axis=axis, keepdims=keepdims),
            vjp=lambda y_bar, x, y, axis, keepdims: _expand(y_bar, x.shape, axis, keepdims) * _usual_weights(x, y, axis, keepdims),
            blind=True,
        ),
        by_shifted_means(
            jvp=lambda x_dot, x, y, axis: np.reshape(shifted_mean(x_dot, x, axis), y.shape),
            vjp=lambda y_bar, x, axis, keepdims: _expand(y_bar, x.shape, axis, keepdims) * logsumexp_weights(x, axis=axis),
        ),
    ),
    sums=True, reduces=np.logaddexp,
    in_graphs=InGraphs(PARAMETRISED, 7, params=params_in_graphs.axes),
)  # fmt: skip


# --- softmax ---------------------------------------------------------------------------------------------------------


def _softmax(x: Array, axis: int = -1) -> Array:
    x = np.asarray(x)
    with np.errstate(invalid="ignore"):
        e = np.exp(x - (np.max(x, axis=axis, keepdims=True, initial=-np.inf) if x.size else 0))
        return e / np.sum(e, axis=axis, keepdims=True)


def _softmax_rounding(run: Evaluation) -> Any:
    """y_i exp(e_i + log sum y exp e) - y_i carried; added: |t_i| and the sum's relative error, twice exp, the quotient.

    Nothing where 2^k equal elements alone count: the sum is 2^k.
    """
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    x, e, axis = xs[0], es[0], params["axis"]
    t, _, relative, carried = _spread(fmt, x, e, axis)
    distance = np.where(y > 0, np.abs(t), 0)
    moved = 0.0 if e is None else y * np.expm1(e + carried)
    spread = fmt.u * distance + relative + 2 * fmt.ulp("exp") * fmt.u + fmt.u
    radius = moved + (y + moved) * spread / (1 - np.minimum(spread, 0.5))
    # An exponential below the normal range has an absolute error.
    radius = radius + 2 * fmt.eta + (0.0 if fmt.u == fmt.u_acc else 2 * fmt.store(y, radius))
    largest = tops(x, e, axis)
    if largest is None:
        return radius
    # the wide format may hold a share that is 0 in all others
    exact = bounds.power_of_two(largest) & (largest * fmt.least_normal <= 1) & ((t == 0) | (y == 0))
    return exactness.without(radius, exact)


def _draw_softmax(rng: np.random.Generator) -> Any:
    shape, axis = _ALONG[int(rng.integers(len(_ALONG)))]
    return (rng.uniform(-3, 3, shape),), {"axis": axis}


_ALONG: tuple[tuple[tuple[int, ...], int], ...] = (
    ((3,), -1), ((3,), 0), ((2, 3), -1), ((2, 3), 0), ((2, 3, 2), 1), ((2, 3, 2), -2), ((2, 1), 1), ((4, 0), 1), ((0, 4), -1),
)  # fmt: skip
_ZEROS = (([0.0, 0.0], [0.0, 0.0]),)

# dy_i = y_i (dx_i - sum_j y_j dx_j).
softmax = register(
    "softmax", _softmax,
    jvp=lambda x_dot, y, axis: y * (x_dot - np.sum(y * x_dot, axis=axis, keepdims=True)),
    vjp=lambda y_bar, y, axis: y * (y_bar - np.sum(y_bar * y, axis=axis, keepdims=True)),
    rounding=_softmax_rounding,
    torch=lambda torch, x, axis=-1: torch.softmax(x, axis),
    domain=sampled(_draw_softmax),
    special=(
        Special(([0.0, -np.inf],), [1.0, 0.0], _ZEROS, "a weight of 0"),
        Special(([-np.inf, -np.inf],), [np.nan, np.nan], (None,), "0/0"),
        Special(([1e4, 0.0],), [1.0, 0.0], _ZEROS, "exp overflows without the shift"),
        Special(([1e4, 1e4],), [0.5, 0.5], _ZEROS, "equal huge logits"),
    ),
    usual=(
        Formula(
            "the difference y dx - y sum(y dx) of two products: each loses digits of its own where y is subnormal, and it may cancel",
            jvp=lambda x_dot, y, axis: y * x_dot - y * np.sum(y * x_dot, axis=axis, keepdims=True),
            vjp=lambda y_bar, y, axis: y * y_bar - y * np.sum(y_bar * y, axis=axis, keepdims=True),
        ),
    ),
    sums=True,
    mistakes=Mistakes(incomplete=Formula("without the sum", jvp=lambda x_dot, y: y * x_dot, vjp=lambda y_bar, y: y * y_bar)),
    in_graphs=InGraphs(PARAMETRISED, 11, params=params_in_graphs.one_axis),
)  # fmt: skip

# --- log_softmax -----------------------------------------------------------------------------------------------------


def _log_softmax(x: Array, axis: int = -1) -> PlainArray:
    x = np.asarray(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = x - (np.max(x, axis=axis, keepdims=True, initial=-np.inf) if x.size else 0)
        return t - np.log(np.sum(np.exp(t), axis=axis, keepdims=True))


def _log_softmax_rounding(run: Evaluation) -> Any:
    """e_i + log sum y exp e carried; added: |t_i|, relative error of the sum, log's ULP, the last subtraction.

    In half formats kernels behave as if the sum and its logarithm were stored. Where one element alone counts, the sum is 1 and its
    logarithm 0: nothing for that element, nor for a difference from it that is exact.
    """
    fmt, y, xs, es, params = run.fmt, run.y, run.xs, run.es, run.params
    x, e, axis = xs[0], es[0], params["axis"]
    t, log_s, relative, carried = _spread(fmt, x, e, axis)
    radius = (
        bounds.zero(e)
        + carried
        + fmt.u * np.abs(t)
        + relative
        + 2 * fmt.ulp("log") * fmt.u * (np.abs(log_s) + relative)
    )
    radius = np.where(x == -np.inf, 0.0, radius + (0.0 if fmt.u == fmt.u_acc else fmt.u * np.abs(log_s)))
    radius = radius + np.where(x == -np.inf, 0.0, fmt.store(y, radius))
    largest = tops(x, e, axis)
    if largest is None:
        return radius
    differences = exactness.sums(fmt, np.asarray(t), (x, shift(x, axis)), ())
    exact = t == 0 if differences is None else (t == 0) | differences
    return exactness.without(radius, (largest == 1) & exact)


log_softmax = register(
    "log_softmax", _log_softmax,
    jvp=lambda x_dot, y, axis: x_dot - np.sum(np.exp(y) * x_dot, axis=axis, keepdims=True),
    vjp=lambda y_bar, y, axis: y_bar - np.exp(y) * np.sum(y_bar, axis=axis, keepdims=True),
    rounding=_log_softmax_rounding,
    torch=lambda torch, x, axis=-1: torch.log_softmax(x, axis),
    domain=sampled(_draw_softmax),
    special=(
        Special(([0.0, -np.inf],), [0.0, -np.inf], (([-1.0, 1.0], [-1.0, 1.0]),), "a weight of 0"),
        Special(([-np.inf, -np.inf],), [np.nan, np.nan], (None,), "0/0"),
        Special(([1e4, 1e4],), [-np.log(2), -np.log(2)], _ZEROS, "equal huge logits"),
    ),
    usual=(
        by_shifted_means(
            jvp=lambda x_dot, x, axis: x_dot - shifted_mean(x_dot, x, axis),
            vjp=lambda y_bar, y, axis: y_bar - np.exp(y) * np.sum(y_bar, axis=axis, keepdims=True),
        ),
    ),
    sums=True,
    mistakes=Mistakes(incomplete=Formula("without the sum", jvp=lambda x_dot: x_dot, vjp=lambda y_bar: y_bar)),
    in_graphs=InGraphs(PARAMETRISED, 12, params=params_in_graphs.one_axis),
)  # fmt: skip

# --- cross entropy ---------------------------------------------------------------------------------------------------


def _chosen(x_shape: tuple[int, ...], labels: Any, axis: int) -> Array:
    """Whether each logit is the one its label names.

    Raises ArgumentError unless labels are integers below the number of classes, shaped like logits without that axis.
    """
    labels, classes, rest = (
        np.asarray(labels),
        x_shape[axis],
        x_shape[: axis % len(x_shape)] + x_shape[axis % len(x_shape) + 1 :],
    )
    if labels.shape != rest or labels.dtype.kind not in "iu":
        raise ArgumentError(
            f"cross_entropy: logits of shape {x_shape} need integer labels of shape {rest}, got {labels.dtype} {labels.shape}"
        )
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ArgumentError(
            f"cross_entropy: labels lie between 0 and {classes - 1}, got {labels.min()} to {labels.max()}"
        )
    index = np.arange(classes).reshape(
        [classes if k == axis % len(x_shape) else 1 for k in range(len(x_shape))]
    )
    return np.expand_dims(labels, axis) == index


def _cross_entropy(x: Array, labels: Any = (), axis: int = -1) -> Array:
    x = np.asarray(x)
    chosen = np.where(_chosen(x.shape, labels, axis), _log_softmax(x, axis), 0)
    return (-np.sum(chosen) / x.dtype.type(max(np.size(labels), 1)))[()]


def _cross_entropy_slope(y_bar: Array | float, x: Array, labels: Any, axis: int) -> Array:
    """(softmax - one-hot)/N, formed as exp(log_softmax) s - one-hot s, so that -inf logits stay out of it."""
    scale = y_bar / np.size(labels)
    return np.exp(log_softmax(x, axis=axis)) * scale - np.where(_chosen(x.shape, labels, axis), scale, 0.0)


def _shifted_tangent(x_dot: Array, x: Array, labels: Any, axis: int) -> Array:
    """The mean over all labels of what forward mode takes from the logit of each."""
    moved = shifted_mean(x_dot, x, axis) - x_dot
    return np.sum(np.where(_chosen(x.shape, labels, axis), moved, 0.0)) / np.size(labels)


def _label_weights(x: Array, labels: Any, axis: int) -> Array:
    """softmax/N: the slope without the one-hot."""
    return np.exp(log_softmax(x, axis=axis)) / np.size(labels)


def _cross_entropy_rounding(run: Evaluation) -> Any:
    """log_softmax's error at the labels, summed; then N - 1 additions and the division (half formats store the sum).

    Nothing where the logarithms are exact and on a grid, and N is a power of two.
    """
    fmt, y, xs, params = run.fmt, run.y, run.xs, run.params
    x, axis = xs[0], params["axis"]
    chosen, labels = _chosen(x.shape, params["labels"], axis), max(np.size(params["labels"]), 1)
    logarithms = _log_softmax(x, axis)
    e = bounds.zero(_log_softmax_rounding(run._replace(forward=None, y=logarithms, params={"axis": axis})))
    carried = np.sum(np.where(chosen, e, 0)) / labels
    if fmt.on_grid and carried == 0 and labels & (labels - 1) == 0:
        terms = np.where(chosen, logarithms, 0)
        exact = exactness.total(fmt, np.sum(np.abs(terms)), exactness.unit(terms))
        if exact is not None and exactness.fits(fmt, np.asarray(y)):
            return None
    # Terms are of one sign: their sum is its own size.
    radius = carried + (labels - 1) * fmt.u * (np.abs(y) + carried)
    # The sum overflows before it is divided.
    radius = np.where((np.abs(y) * labels > fmt.max) & (np.abs(y) < fmt.max), np.inf, radius)
    return radius + 2 * fmt.store(y, radius)


def _draw_cross_entropy(rng: np.random.Generator) -> Any:
    shape, axis = [((3,), -1), ((2, 3), -1), ((2, 3), 1), ((3, 2), 0), ((2, 3, 4), 1), ((2, 1), 1)][
        int(rng.integers(6))
    ]
    rest = shape[: axis % len(shape)] + shape[axis % len(shape) + 1 :]
    return (rng.uniform(-3, 3, shape),), {"labels": rng.integers(0, shape[axis], rest), "axis": axis}


def _torch_cross_entropy(torch: Any, x: Any, labels: Any = (), axis: int = -1) -> Any:
    labels = torch.as_tensor(labels, device=x.device)
    return torch.nn.functional.cross_entropy(
        torch.movedim(x, axis, -1).reshape(-1, x.shape[axis]), labels.reshape(-1)
    )


# The mean over all labels of -log softmax(x)[label].
cross_entropy = register(
    "cross_entropy", _cross_entropy,
    jvp=lambda x_dot, x, labels, axis: np.sum(_cross_entropy_slope(1.0, x, labels, axis) * x_dot),
    vjp=_cross_entropy_slope,
    rounding=_cross_entropy_rounding,
    torch=_torch_cross_entropy,
    domain=sampled(_draw_cross_entropy),
    special=(Special(([0.0, -np.inf],), 0.0, _ZEROS, "a weight of 0", (("labels", np.array(0)),)),),
    usual=(by_shifted_means(jvp=_shifted_tangent, vjp=_cross_entropy_slope),),
    sums=True,
    mistakes=Mistakes(
        terms=lambda _, labels, **__: np.size(labels),
        incomplete=Formula(
            "without the one-hot",
            jvp=lambda x_dot, x, labels, axis: np.sum(_label_weights(x, labels, axis) * x_dot),
            vjp=lambda y_bar, x, labels, axis: _label_weights(x, labels, axis) * y_bar,
        ),
    ),
    in_graphs=InGraphs(PARAMETRISED, 18, params=params_in_graphs.labels),
)  # fmt: skip
