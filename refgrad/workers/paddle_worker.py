"""Paddle on CPUs as a worker: recorded as it runs. Paddle has no forward mode of its own, so values and gradients are answered."""

import os

import serving

channel = serving.take_channel()
os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np
import paddle
from paddle.autograd import PyLayer
from paddle.nn import functional

paddle.set_device("cpu")
paddle.disable_signal_handler()  # a crash ends the process, and refgrad says by which signal

SOURCE = "measured with Paddle 3.3.1 on x86-64 with AVX-512"
# Functions of float32 numbers: the largest error in ULP, rounded up to the next half. exp was measured at 12 million numbers up to 88.7,
# tanh at 7 million, divide at 4 million quotients, sqrt at 3 million normal numbers, erf at 1.2 million up to 4, and the others by
# `python -m benchmarks.ulp --backend paddle --dtype float32 --every 4001`. Beyond these ranges there are findings.
SINGLE = {
    "exp": 1.5, "expm1": 3.0, "log": 1.0, "log2": 1.0, "log10": 2.0, "log1p": 1.0, "sqrt": 4.0, "reciprocal": 0.5, "sin": 2.5, "cos": 2.5,
    "tan": 1.5, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "sinh": 2.0, "cosh": 1.0, "tanh": 7.0, "arcsinh": 2.0, "arccosh": 2.0,
    "arctanh": 2.0, "power": 1.0, "arctan2": 1.5, "erf": 7.5, "divide": 1.0,
}  # fmt: skip  # a table of figures reads by rows
# Functions of float64 numbers: a million points each by --dtype float64 --count 150000, exp at 3.9 million from -707.5 to 709.5, divide
# at 5 million quotients.
DOUBLE = {
    "exp": 2.0, "expm1": 1.0, "log": 1.0, "log2": 1.0, "log10": 2.0, "log1p": 1.0, "sqrt": 0.5, "reciprocal": 0.5, "sin": 1.0, "cos": 1.0,
    "tan": 1.0, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "sinh": 2.0, "cosh": 1.5, "tanh": 2.5, "arcsinh": 2.0, "arccosh": 2.0,
    "arctanh": 2.0, "power": 1.0, "arctan2": 1.0, "erf": 1.5, "divide": 1.0,
}  # fmt: skip  # a table of figures reads by rows
FIXED = ("where", "initial", "softplus.threshold")  # parameters
NO_FORWARD = {
    "words": "paddle.incubate.autograd.jvp differentiates a gradient; Paddle has no forward mode",
    "refused": True,
    "node": -1,
    "details": "",
}


# --- the ops ----------------------------------------------------------------------------------------------------------


def axes(axis):
    """An axis, or a list of them, as Paddle takes it."""
    return list(axis) if isinstance(axis, tuple) else axis


def reduced(f):
    """A reduction. Paddle's take no mask."""
    return lambda x, axis, keepdims, where=True, initial=None: f(x, axis=axes(axis), keepdim=bool(keepdims))


def spread(f):
    """Variance or standard deviation, by the number of elements or one less."""

    def call(x, axis, ddof, keepdims, where=True):
        if ddof not in (0, 1):
            raise serving.Unsupported("op", f"{f.__name__} with ddof {ddof}")
        return f(x, axis=axes(axis), unbiased=bool(ddof), keepdim=bool(keepdims))

    return call


def first_order(f):
    """A function whose derivatives refgrad has by an order, which Paddle has not."""

    def call(x, order=0):
        if order:
            raise serving.Unsupported("op", f"{f.__name__} with an order")
        return f(x)

    return call


def taken(x, key):
    """x[key]."""
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > 1 and any(isinstance(k, np.ndarray) for k in parts):
        # Shapes are wrong (docs/findings).
        raise serving.Unsupported("op", "getitem with an array beside other indices")
    parts = tuple(paddle.to_tensor(k) if isinstance(k, np.ndarray) else k for k in parts)
    return x[parts if isinstance(key, tuple) else parts[0]]


def norm(x, ord, axis, keepdims):  # noqa: A002 - the op's parameter
    """The norm of vectors."""
    return paddle.linalg.vector_norm(
        x, 2.0 if ord is None else float(ord), axis=axes(axis), keepdim=bool(keepdims)
    )


def padded(x, pad_width, constant_values):
    """x with a margin."""
    widths = np.broadcast_to(pad_width, (x.ndim, 2)).ravel().tolist()
    return functional.pad(x, widths, value=float(constant_values)) if x.ndim else x


def turned(x, axes):
    """x with its axes in another order."""
    return paddle.transpose(x, [k % x.ndim for k in axes] if axes is not None else list(range(x.ndim))[::-1])


def cross_entropy(x, labels, axis):
    """The mean of -log softmax(x) at the labels."""
    labels = paddle.to_tensor(np.expand_dims(np.asarray(labels, np.int64), axis))
    return functional.cross_entropy(x, labels, axis=axis)


def solved(a, b):
    """The solution of a x = b, of stacks that do not broadcast."""
    if a.shape[:-2] != b.shape[:-2] or b.ndim < 2:
        raise serving.Unsupported("op", "solve with a vector, or one that broadcasts")
    return paddle.linalg.solve(a, b)


def turning(x, shift, axis):
    """Elements moved round. Paddle takes one shift for each axis."""
    if isinstance(axis, tuple):
        shift = [int(n) for n in np.broadcast_to(shift, len(axis))]
    return paddle.roll(x, shift, axes(axis)) if x.ndim else x


UNARY = (
    "abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf exp expm1 floor isfinite isinf isnan log log10 "
    "log1p log2 logit negative rad2deg reciprocal sign signbit sin sinh sqrt square tan tanh trunc"
)
BINARY = (
    "add atan2 copysign equal floor_divide fmax fmin heaviside less_equal logaddexp logical_and logical_or logical_xor matmul "
    "maximum minimum multiply not_equal pow remainder subtract greater_equal greater_than less_than"
)
ACTIVATIONS = "hardswish log_sigmoid mish relu relu6 sigmoid silu softsign tanhshrink"
NAMES = {  # refgrad's names where Paddle has others
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "pow": "power", "greater_than": "greater", "less_than": "less",
}  # fmt: skip  # a table reads by rows
TWINS = {
    **{NAMES.get(name, name): getattr(paddle, name) for name in f"{UNARY} {BINARY}".split()},
    **{name: getattr(functional, name) for name in ACTIVATIONS.split()},
    **{name: reduced(getattr(paddle, name)) for name in ("sum", "mean", "max", "min", "prod")},
    **{name: spread(getattr(paddle, name)) for name in ("var", "std")},
    "astype": lambda x, dtype: x.astype(str(dtype)),
    "broadcast_to": lambda x, shape: paddle.broadcast_to(x, list(shape)),
    "clip": lambda x, low, high: paddle.minimum(paddle.maximum(x, low), high),
    "concatenate": lambda *xs, axis: paddle.concat(list(xs), axis),
    "cross_entropy": cross_entropy,
    "cumprod": lambda x, axis: paddle.cumprod(x, axis),
    "cumsum": lambda x, axis: paddle.cumsum(x, axis),
    "det": paddle.linalg.det,
    "divide": lambda a, b: a / b,
    "einsum": lambda *xs, subscripts: paddle.einsum(subscripts, *xs),
    "elu": lambda x, alpha: functional.elu(x, alpha),
    "fan_in": serving.fan_in,
    "flip": lambda x, axis: paddle.flip(x, list(range(x.ndim)) if axis is None else axes(axis)),
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate=True),
    "getitem": taken,
    "hardshrink": lambda x, threshold: functional.hardshrink(x, threshold),
    "hardsigmoid": functional.hardsigmoid,
    "hardtanh": functional.hardtanh,
    "inv": paddle.linalg.inv,
    "leaky_relu": lambda x, slope: functional.leaky_relu(x, slope),
    "log_softmax": lambda x, axis: functional.log_softmax(x, axis),
    "logabsdet": lambda a: paddle.linalg.slogdet(a)[1],
    "logical_not": paddle.logical_not,
    "logsumexp": lambda x, axis, keepdims: paddle.logsumexp(x, axes(axis), bool(keepdims)),
    "norm": norm,
    "pad": padded,
    "positive": paddle.positive,
    "reshape": lambda x, shape: paddle.reshape(x, [int(n) for n in np.atleast_1d(np.asarray(shape, int))]),
    "rint": paddle.round,
    "roll": turning,
    "sinc": first_order(paddle.sinc),
    "softmax": lambda x, axis: functional.softmax(x, axis),
    "softplus": lambda x, threshold: functional.softplus(x),
    "softshrink": lambda x, threshold: functional.softshrink(x, threshold),
    "solve": solved,
    "sort": lambda x, axis: paddle.sort(x, axis),
    "stop_gradient": lambda x: x.detach(),
    "tensordot": lambda a, b, axes: paddle.tensordot(
        a, b, axes if isinstance(axes, int) else [list(np.atleast_1d(k)) for k in axes]
    ),
    "to_integer": lambda x, dtype: x.astype(str(dtype)),
    "transpose": turned,
    "where": lambda condition, a, b: paddle.where(condition.astype("bool"), a, b),
}


# --- a case -----------------------------------------------------------------------------------------------------------


class Tapped(PyLayer):
    """x. Its gradient is noted under ``at``, once all uses of it have arrived."""

    @staticmethod
    def forward(ctx, x, at, notes):
        ctx.at, ctx.notes = at, notes
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        ctx.notes[ctx.at] = g.numpy()
        return g


def refuse_empty(x):
    """Arrays without elements are not asked for: matmul gives them wrong shapes."""
    if isinstance(x, paddle.Tensor) and not x.size:
        raise serving.Unsupported("op", "arrays without elements")


def observe(case):
    """Values of all nodes, gradients of all nodes and of their uses."""
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    bars, values = {}, [None] * len(case.nodes)

    def leaf(name, value):
        x = held(value, case.dtype)
        if name and real(x):
            x.stop_gradient = False
        return x

    def real(x):
        return isinstance(x, paddle.Tensor) and str(x.dtype) == f"paddle.{case.dtype}"

    def tapped(at, x):
        return Tapped.apply(x, at, bars) if real(x) and not x.stop_gradient else x

    def tap(k, y):
        refuse_empty(y)
        values[k] = y.numpy()
        return tapped((k, -1), y)

    try:
        output = case.run(TWINS, leaf, tap, lambda k, position, x: tapped((k, position), x))[case.output]
    except serving.Failed as error:
        return {"unavailable": {"value": serving.reason(error), "forward": NO_FORWARD}}
    answer = {"values": [serving.sent(v) for v in values], "unavailable": {"forward": NO_FORWARD}}
    try:
        if real(output) and not output.stop_gradient:
            output.backward(held(case.cotangent, case.dtype))
    except Exception as error:
        answer["unavailable"]["reverse"] = serving.reason(error, serving.refused(error, "not implemented"))
    return {**answer, **serving.derivatives(case, bars)}


def held(x, dtype):
    """An array or a number in the judged dtype; integers and booleans as they are."""
    x = np.asarray(x)
    return paddle.to_tensor(x.astype(dtype) if x.dtype.kind == "f" else x)


# bfloat16 and float16 are left out: Paddle has no addition in them on CPUs.
DTYPES = ("float64", "float32")
DTYPES = serving.tried(observe, DTYPES)


def hello():
    """What the worker says of itself."""
    return {
        "framework": "paddle",
        "version": paddle.__version__,
        "ops": sorted(TWINS),
        "fixed": list(FIXED),
        "dtypes": {"cpu": DTYPES},
        "modes": {"value": "call", "reverse": "backward"},
        "parts": True,
        "profile": {"ulp": {"float32": SINGLE, "float64": DOUBLE}, "source": SOURCE},
        "environment": {"numpy": np.__version__},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
