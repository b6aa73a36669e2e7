"""The ops of refgrad in the words of TensorFlow: tf, tf.math, tf.nn, tf.linalg, and for what these lack tf.experimental.numpy and Keras.

Compositions are written as a user of TensorFlow writes them.
"""

import numpy as np
import serving
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

keras = tf.keras.activations
STORAGE = {"float8_e4m3": "float8_e4m3fn"}  # refgrad's names of formats that are others in TensorFlow


# --- shapes and parts -------------------------------------------------------------------------------------------------


def _axes(axis, ndim):
    """A list of axes; all of them for None."""
    return (
        list(range(ndim)) if axis is None else [int(a) % ndim for a in np.atleast_1d(np.asarray(axis, int))]
    )


def _getitem(x, key):
    parts = key if type(key) is tuple else (key,)
    arrays = [k for k in parts if isinstance(k, (np.ndarray, np.generic, bool))]
    if not arrays:
        return x[key]
    if len(parts) == 1 and np.ndim(parts[0]) and x.shape.rank:
        (index,) = parts
        return (
            tf.boolean_mask(x, index) if index.dtype.kind == "b" else tf.gather(x, index % max(x.shape[0], 1))
        )
    places = np.arange(x.shape.num_elements()).reshape(x.shape)[key]  # TensorFlow has no other index arrays
    return tf.gather(tf.reshape(x, [-1]), places)


def _pad(x, pad_width, constant_values):
    return tf.pad(x, np.broadcast_to(pad_width, (x.shape.rank, 2)), constant_values=float(constant_values))


def _flat(x, axis):
    """The operand of an op along an axis, and the axis: None means the elements in one row."""
    return (tf.reshape(x, [-1]), 0) if axis is None else (x, axis)


def _roll(x, shift, axis):
    """NumPy's: one shift may serve several axes. TensorFlow wants one for each, also in tf.experimental.numpy."""
    if axis is None:
        return tnp.roll(x, shift, axis)
    axes = list(np.atleast_1d(axis))
    return tf.roll(x, list(np.broadcast_to(shift, len(axes))), axes)


def _sorted(x, axis):
    return tf.sort(*_flat(x, axis))


# --- sums and extremes ------------------------------------------------------------------------------------------------


def _of(reduce, filler):
    """A reduction with the mask of NumPy's: elements that do not count are replaced by ``filler``."""

    def call(x, axis, keepdims, where=True, initial=None):
        x = _masked(x, where, filler if initial is None else initial)
        return reduce(x, _axes(axis, x.shape.rank), bool(keepdims))

    return call


def _masked(x, where, filler):
    return x if where is True else tf.where(where, x, tf.constant(filler, x.dtype))


def _sum(x, axis, keepdims, where, initial):
    y = _of(tf.reduce_sum, 0.0)(x, axis, keepdims, where)
    return y if initial is None else y + initial


def _prod(x, axis, keepdims, where, initial):
    y = _of(tf.reduce_prod, 1.0)(x, axis, keepdims, where)
    return y if initial is None else y * initial


def _mean(x, axis, keepdims, where):
    if where is True:
        return tf.reduce_mean(x, _axes(axis, x.shape.rank), bool(keepdims))
    return _sum(x, axis, keepdims, where, None) / tf.cast(_count(x, axis, keepdims, where), x.dtype)


def _count(x, axis, keepdims, where):
    """How many elements each sum has."""
    return np.sum(np.broadcast_to(where, x.shape), tuple(_axes(axis, x.shape.rank)), keepdims=bool(keepdims))


def _extreme(reduce, choose, filler):
    def call(x, axis, keepdims, where, initial):
        y = _of(reduce, filler)(x, axis, keepdims, where, initial)
        return y if initial is None else choose(y, initial)

    return call


def _var(x, axis, ddof, keepdims, where):
    if where is True and ddof == 0:
        return tf.math.reduce_variance(x, _axes(axis, x.shape.rank), bool(keepdims))
    x = _masked(x, where, 0.0)  # a NaN that does not count stays out of the products
    squares = tf.square(x - _mean(x, axis, True, where))
    left = _count(x, axis, keepdims, where) - ddof
    return _sum(squares, axis, keepdims, where, None) / tf.cast(left, x.dtype)


def _std(x, axis, ddof, keepdims, where):
    if where is True and ddof == 0:
        return tf.math.reduce_std(x, _axes(axis, x.shape.rank), bool(keepdims))
    return tf.sqrt(_var(x, axis, ddof, keepdims, where))


def _norm(x, ord, axis, keepdims):  # noqa: A002 - the op's parameter
    """The norm of all elements along the axes; tf.norm takes two axes for those of a matrix."""
    axes = _axes(axis, x.shape.rank)
    if len(axes) < 2:
        return tf.norm(x, ord, axis, keepdims)
    kept = [k for k in range(x.shape.rank) if k not in axes]
    rows = tf.reshape(tf.transpose(x, kept + axes), [*(x.shape[k] for k in kept), -1])
    y = tf.norm(rows, ord, -1)
    return tf.reshape(y, [1 if k in axes else n for k, n in enumerate(x.shape)]) if keepdims else y


# --- matrices ---------------------------------------------------------------------------------------------------------


def _solve(a, b):
    """NumPy's: b is a vector only if it has one dimension. TensorFlow wants stacks of the same shape."""
    if b.shape.rank == 1:
        return tf.squeeze(_solve(a, b[:, None]), -1)
    stack = tf.broadcast_static_shape(a.shape[:-2], b.shape[:-2])
    return tf.linalg.solve(
        tf.broadcast_to(a, [*stack, *a.shape[-2:]]), tf.broadcast_to(b, [*stack, *b.shape[-2:]])
    )


def _matmul(a, b):
    return tf.matmul(a, b) if a.shape.rank > 1 and b.shape.rank > 1 else tnp.matmul(a, b)


def _cross_entropy(x, labels, axis):
    last = x.shape.rank - 1
    rows = x if axis % x.shape.rank == last else tnp.moveaxis(x, axis, -1)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, rows))


def _elu(x, alpha):
    return tf.nn.elu(x) if alpha == 1 else tf.where(x > 0, x, alpha * tf.nn.elu(x))


def _alike(op):
    """The op of two operands, of which one may be an integer constant: TensorFlow wants both in the dtype of the other."""

    def call(a, b):
        a, b = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
        if a.dtype != b.dtype:
            a, b = (tf.cast(a, b.dtype), b) if b.dtype.is_floating else (a, tf.cast(b, a.dtype))
        return op(a, b)

    return call


def _cast(x, dtype):
    return tf.cast(x, np.dtype(dtype).name)


NOT_COMPILED = ("det", "logabsdet")  # XLA has no kernels for them

TWINS = {
    # arithmetic
    "abs": tf.abs,
    "add": _alike(tf.add),
    "subtract": _alike(tf.subtract),
    "multiply": _alike(tf.multiply),
    "divide": _alike(tf.divide),
    "negative": tf.negative,
    "positive": tnp.positive,
    "power": _alike(tf.pow),
    "square": tf.square,
    "sqrt": tf.sqrt,
    "reciprocal": tf.math.reciprocal,
    "remainder": tf.math.floormod,
    "floor_divide": tf.math.floordiv,
    "fan_in": serving.fan_in,
    "sign": tf.sign,
    "floor": tf.floor,
    "ceil": tf.math.ceil,
    "trunc": tnp.fix,
    "rint": tf.math.rint,
    "deg2rad": tnp.deg2rad,
    "rad2deg": tnp.rad2deg,
    # comparisons
    "less": _alike(tf.less),
    "less_equal": _alike(tf.less_equal),
    "greater": _alike(tf.greater),
    "greater_equal": _alike(tf.greater_equal),
    "equal": _alike(tf.equal),
    "not_equal": _alike(tf.not_equal),
    "logical_and": tnp.logical_and,
    "logical_or": tnp.logical_or,
    "logical_xor": tnp.logical_xor,
    "logical_not": tnp.logical_not,
    "isnan": tf.math.is_nan,
    "isinf": tf.math.is_inf,
    "isfinite": tf.math.is_finite,
    "signbit": tnp.signbit,
    # choices
    "where": tf.where,
    "maximum": _alike(tf.maximum),
    "minimum": _alike(tf.minimum),
    "clip": lambda x, low, high: tf.minimum(tf.maximum(x, low), high),  # not clip_by_value: bounds may cross
    "heaviside": tnp.heaviside,
    # elementary functions
    "exp": tf.exp,
    "exp2": tnp.exp2,
    "expm1": tf.math.expm1,
    "log": tf.math.log,
    "log2": tnp.log2,
    "log10": tnp.log10,
    "log1p": tf.math.log1p,
    "logaddexp": tnp.logaddexp,
    "logaddexp2": tnp.logaddexp2,
    "sin": tf.sin,
    "cos": tf.cos,
    "tan": tf.tan,
    "arcsin": tf.asin,
    "arccos": tf.acos,
    "arctan": tf.atan,
    "arctan2": tf.atan2,
    "hypot": tnp.hypot,
    "sinh": tf.sinh,
    "cosh": tf.cosh,
    "tanh": tf.tanh,
    "arcsinh": tf.asinh,
    "arccosh": tf.acosh,
    "arctanh": tf.atanh,
    "sinc": lambda x, order: tnp.sinc(x),  # order 0: the others are its derivatives
    "xlogy": tf.math.xlogy,
    "xlog1py": tf.math.xlog1py,
    # activations
    "sigmoid": tf.sigmoid,
    "softplus": lambda x, threshold: tf.math.softplus(x),  # threshold is fixed: TensorFlow has none
    "log_sigmoid": tf.math.log_sigmoid,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "leaky_relu": lambda x, slope: tf.nn.leaky_relu(x, slope),
    "elu": _elu,
    "silu": tf.nn.silu,
    "mish": keras.mish,
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "hardtanh": keras.hard_tanh,
    "hardsigmoid": keras.hard_sigmoid,
    "hardswish": keras.hard_silu,
    "hardshrink": keras.hard_shrink,
    "softshrink": keras.soft_shrink,
    "softsign": tf.nn.softsign,
    "tanhshrink": keras.tanh_shrink,
    "softmax": lambda x, axis: tf.nn.softmax(x, axis),
    "log_softmax": lambda x, axis: tf.nn.log_softmax(x, axis),
    "logsumexp": lambda x, axis, keepdims: tf.reduce_logsumexp(x, _axes(axis, x.shape.rank), bool(keepdims)),
    "cross_entropy": _cross_entropy,
    # sums
    "sum": _sum,
    "prod": _prod,
    "mean": _mean,
    "max": _extreme(tf.reduce_max, tf.maximum, -np.inf),
    "min": _extreme(tf.reduce_min, tf.minimum, np.inf),
    "var": _var,
    "std": _std,
    "norm": _norm,
    "cumsum": lambda x, axis: tf.cumsum(*_flat(x, axis)),
    "cumprod": lambda x, axis: tf.math.cumprod(*_flat(x, axis)),
    "sort": _sorted,
    # shapes
    "reshape": lambda x, shape: tf.reshape(x, shape),
    "transpose": lambda x, axes: tf.transpose(x, axes),
    "broadcast_to": lambda x, shape: tf.broadcast_to(x, shape),
    "flip": lambda x, axis: tf.reverse(x, _axes(axis, x.shape.rank)),
    "roll": _roll,
    "concatenate": lambda *xs, axis: tf.concat(xs, axis),
    "getitem": _getitem,
    "pad": _pad,
    "astype": _cast,
    "to_integer": _cast,
    "cast_through": lambda x, through: tf.cast(tf.cast(x, STORAGE.get(through, through)), x.dtype),
    "stop_gradient": tf.stop_gradient,
    # matrices
    "matmul": _matmul,
    "einsum": lambda *xs, subscripts: tf.einsum(subscripts, *xs),
    "tensordot": lambda a, b, axes: tf.tensordot(a, b, axes),
    "det": tf.linalg.det,
    "logabsdet": lambda a: tf.linalg.slogdet(a)[1],
    "inv": tf.linalg.inv,
    "solve": _solve,
}
