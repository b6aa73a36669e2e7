"""MLX on CPUs as a worker: op by op, both modes of the whole program, with a tap around each value."""

import serving

channel = serving.take_channel()

from importlib.metadata import version

import mlx.core as mx
import numpy as np
from mlx import nn
from numpy_twins import twins

mx.set_default_device(mx.cpu)

# NumPy's names that are compositions in MLX, which refgrad writes out in its cases.
COMPOSED = ("softsign", "tanhshrink")
# Functions of float32 numbers: the largest error in ULP, rounded up to the next half. exp was measured at all 167 million numbers of
# size 0.03125 to 88, where it is finite, sin and cos at all 97 million from 0.03125 to 100, and the others by
# `python -m benchmarks.ulp --backend mlx --dtype float32 --every 4001`. The error of exp grows with the operand: it is 1.5 up to 1
# and 8 up to 8. Beyond these ranges there are findings.
SINGLE = {
    "exp": 64.5, "expm1": 1.0, "log": 1.0, "log2": 1.0, "log10": 2.0, "log1p": 1.0, "sqrt": 0.5, "reciprocal": 0.5, "sin": 6.0,
    "cos": 6.0, "tan": 1.5, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "sinh": 2.0, "cosh": 1.0, "tanh": 2.5, "arcsinh": 2.0,
    "arccosh": 2.0, "arctanh": 2.0, "power": 1.0, "arctan2": 1.5, "erfinv": 2.5,
}  # fmt: skip  # a table of figures reads by rows
# Functions of float64 numbers, a million points each: --dtype float64 --count 150000.
DOUBLE = {
    "log": 1.0, "log1p": 1.0, "sqrt": 0.5, "reciprocal": 0.5, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "sinh": 2.0, "cosh": 1.5,
    "tanh": 2.5, "arcsinh": 2.0, "arccosh": 2.0, "arctanh": 2.0, "power": 1.0, "arctan2": 1.0,
}  # fmt: skip  # a table of figures reads by rows
# Half formats, all their numbers: functions are computed in float32 and rounded once, but for these, which are rounded twice.
HALF = {"softplus": 1.5, "log_sigmoid": 1.5}
# Ops of which MLX computes values or slopes of float64 numbers in float32 (docs/findings): they are not judged in float64.
IN_SINGLE = (
    "cos cross_entropy det elu erf erfinv exp expm1 gelu log10 log2 log_sigmoid log_softmax logaddexp logsumexp mish sigmoid silu sin "
    "softmax softplus tan"
)
SOURCE = "measured with MLX 0.32.4 on x86-64 with AVX-512"
# The gradient of a mean is multiplied by 1/n, which is rounded to the format itself; partial sums of cumsum are kept in it.
PROFILE = {
    "ulp": {"float32": SINGLE, "float64": DOUBLE, "bfloat16": HALF, "float16": HALF},
    "reciprocal": True,
    "stored_reciprocal": ["bfloat16", "float16"],
    "scanning": True,
    "source": SOURCE,
}
DTYPES = ("float64", "float32", "bfloat16", "float16")
FIXED = ("where", "initial")  # parameters of reductions
# The words in which MLX says that it has no such derivative.
NOT_IMPLEMENTED = (
    "::vjp] Not implemented for",
    "::jvp] Not implemented for",
    "JVP is not implemented",
    "JVP not yet implemented",
    "Cannot calculate VJP with respect to indices",
)


# --- the ops ----------------------------------------------------------------------------------------------------------


def index(key):
    """An index as MLX takes it: arrays are its own."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(k, (bool, np.bool_)) or (hasattr(k, "dtype") and k.dtype.kind == "b") for k in parts):
        raise serving.Unsupported("op", "getitem with booleans")
    parts = tuple(mx.array(k) if isinstance(k, np.ndarray) else k for k in parts)
    return parts if isinstance(key, tuple) else parts[0]


def placed(x, value, key):
    """A copy of x with the value at the key."""
    y = mx.array(x)
    y[index(key)] = value
    return y


def norm(x, ord, axis, keepdims):  # noqa: A002 - the op's parameter
    """The norm of vectors."""
    if not x.ndim or not (isinstance(axis, int) or (axis is None and x.ndim == 1)):
        raise serving.Unsupported("op", "norm of numbers or over several axes")  # a norm of matrices
    return mx.linalg.norm(x, ord, axis, keepdims)


def padded(x, pad_width, constant_values):
    """x with a margin."""
    widths = [(int(a), int(b)) for a, b in np.broadcast_to(pad_width, (x.ndim, 2))]
    return mx.pad(x, widths, constant_values=constant_values) if x.ndim else x


def softplus(x, threshold=None):
    """log(1 + exp(x)), which MLX has without a threshold."""
    if threshold is not None:
        raise serving.Unsupported("op", "softplus with a threshold")
    return nn.softplus(x)


def log_softmax(x, axis):
    """x less its logsumexp. Along an axis of one element MLX writes where it must not (docs/findings)."""
    if x.ndim and x.shape[axis] == 1:
        raise serving.Unsupported("op", "log_softmax along an axis of one element")
    return nn.log_softmax(x, axis)


def solved(a, b):
    """The solution of a x = b, of stacks that do not broadcast."""
    if a.shape[:-2] != b.shape[:-2] or b.ndim < 2:
        raise serving.Unsupported("op", "solve with a vector, or one that broadcasts")
    return mx.linalg.solve(a, b)


def cast(x, dtype):
    """x in another dtype, by NumPy's name or refgrad's."""
    try:
        return x.astype(getattr(mx, str(dtype)))
    except AttributeError:
        raise serving.Unsupported("dtype", str(dtype)) from None


def extents(entry):
    """A shape as MLX takes it."""
    return [int(n) for n in np.atleast_1d(np.asarray(entry, int))]


def taken(x, key):
    """x[key], which has elements."""
    if not np.zeros(x.shape)[key].size:
        raise serving.Unsupported("op", "arrays without elements")
    return x[index(key)]


TWINS = {
    **twins(mx, lacking=COMPOSED),
    "astype": cast,
    "broadcast_to": lambda x, shape: mx.broadcast_to(x, shape),
    "cast_through": lambda x, through: cast(cast(x, through), x.dtype),
    "clip": mx.clip,
    "cross_entropy": lambda x, labels, axis: nn.losses.cross_entropy(
        x, mx.array(np.asarray(labels)), axis=axis, reduction="mean"
    ),
    "deg2rad": mx.radians,
    "elu": lambda x, alpha: nn.elu(x, alpha),
    "erf": mx.erf,
    "erfinv": mx.erfinv,
    "gelu": nn.gelu,
    "gelu_tanh": nn.gelu_approx,
    "getitem": taken,
    "hardshrink": lambda x, threshold: nn.hard_shrink(x, threshold),
    "hardswish": nn.hardswish,
    "hardtanh": nn.hard_tanh,
    "leaky_relu": lambda x, slope: nn.leaky_relu(x, slope),
    "log_sigmoid": nn.log_sigmoid,
    "log_softmax": log_softmax,
    "logsumexp": lambda x, axis, keepdims: mx.logsumexp(x, axis=axis, keepdims=keepdims),
    "mish": nn.mish,
    "norm": norm,
    "pad": padded,
    "put_add": lambda x, shape, key: mx.zeros(shape, x.dtype).at[index(key)].add(x),
    "rad2deg": mx.degrees,
    "relu": nn.relu,
    "relu6": nn.relu6,
    "reshape": lambda x, shape: mx.reshape(x, extents(shape)),
    "rint": mx.round,
    "roll": lambda x, shift, axis: mx.roll(x, shift, axis),
    "setitem": lambda x, value, key: placed(x, value, key),
    "sigmoid": mx.sigmoid,
    "silu": nn.silu,
    "softmax": lambda x, axis: mx.softmax(x, axis),
    "softplus": softplus,
    "softshrink": lambda x, threshold: nn.softshrink(x, threshold),
    "softsign": nn.softsign,
    "solve": solved,
    "stop_gradient": mx.stop_gradient,
    "tensordot": lambda a, b, axes: mx.tensordot(
        a, b, axes if isinstance(axes, int) else [extents(k) for k in axes]
    ),
    "to_integer": cast,
}


# --- a case -----------------------------------------------------------------------------------------------------------


@mx.custom_function
def tapped(x, dummy):
    """x. The gradient of the dummy is that of x, with all its signs of zero."""
    return x


@tapped.vjp
def _(operands, g, y):
    return g, g


class Program:
    """A case in MLX's words."""

    def __init__(self, case):
        self.case, self.dtype = case, getattr(mx, case.dtype)
        given = {name: held(x, self.dtype) for name, x in case.inputs.items()}
        self.floats = {name: x for name, x in given.items() if x.dtype == self.dtype}
        self.others = {name: x for name, x in given.items() if name not in self.floats}

    def run(self, floats, dummies=()):
        """The values of all nodes; a node, or a use of one, that has a dummy is tapped."""
        inputs = {**floats, **self.others}

        def leaf(name, value):
            return inputs[name] if name else held(value, self.dtype)

        def tap(at, y):
            return tapped(y, dummies[at]) if at in dummies else y

        return self.case.run(
            TWINS, leaf, lambda k, y: tap((k, -1), y), lambda k, position, x: tap((k, position), x)
        )

    def values(self):
        """The values of all nodes, computed; an exception names its node."""

        def computed(k, y):
            refuse_empty([y])
            mx.eval(y)
            return y

        return self.case.run(
            TWINS,
            lambda name, value: {**self.floats, **self.others}[name] if name else held(value, self.dtype),
            computed,
        )

    def real(self, x):
        """Whether a value is an array of the judged dtype."""
        return isinstance(x, mx.array) and x.dtype == self.dtype

    def pulled(self, dummies):
        """The gradients of the dummies, by place."""
        places = list(dummies)

        def output(*arrays):
            return self.run(self.floats, dict(zip(places, arrays)))[self.case.output]

        cotangent = held(self.case.cotangent, self.dtype)
        _, found = mx.vjp(output, [dummies[at] for at in places], [cotangent])
        mx.eval(found)
        return dict(zip(places, found))

    def pushed(self, real):
        """The values and the tangents of the nodes that are named, by node."""
        names = list(self.floats)
        moving = [held(self.case.tangents[name], self.dtype) for name in names]

        def reals(*arrays):
            values = self.run(dict(zip(names, arrays)))
            return [values[k] for k in real]

        primals, found = mx.jvp(reals, [self.floats[name] for name in names], moving)
        mx.eval(primals, found)
        return dict(zip(real, primals)), dict(zip(real, found))


def refuse_empty(arrays):
    """Kernels divide by the size of an array, or raise for one without elements (docs/findings)."""
    if any(isinstance(x, mx.array) and not x.size for x in arrays):
        raise serving.Unsupported("op", "arrays without elements")


def observe(case):
    """Values and tangents of all nodes, gradients of all nodes and of their uses."""
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    for node in case.nodes:
        if node.op in LACKING.get(case.dtype, ()):
            raise serving.Unsupported("op", f"{node.op} in {case.dtype}")
    program, answer = Program(case), {"unavailable": {}}
    try:
        values = program.values()
    except serving.Failed as error:
        return {"unavailable": {"value": why(error)}}
    answer["values"] = [sent(number(v, case.dtype)) for v in values]
    real = [k for k, v in enumerate(values) if program.real(v)]
    uses = [
        (k, i) for k in case.order for i, j in enumerate(case.nodes[k].of) if j in case.shared and j in real
    ]
    dummies = {(k, -1): mx.zeros_like(values[k]) for k in real}  # what a node's users together send back
    dummies.update({(k, i): mx.zeros_like(values[case.nodes[k].of[i]]) for k, i in uses})
    bars, dots = {}, {}
    try:
        if case.output in real:
            bars = program.pulled(dummies)
    except Exception as error:
        answer["unavailable"]["reverse"] = why(error)
    try:
        if program.floats and real:
            primals, dots = program.pushed(real)
            answer["primals"] = [sent(primals.get(k)) for k in range(len(values))]
    except Exception as error:
        answer["unavailable"]["forward"] = why(error)
    return {**answer, **serving.derivatives(case, bars, dots, sent)}


def why(error):
    """The reason of a missing answer. MLX refuses a derivative by a ValueError or a RuntimeError in words of its own."""
    cause = error.__cause__ if isinstance(error, serving.Failed) and error.__cause__ is not None else error
    refused = type(cause) in (ValueError, RuntimeError) and any(
        words in str(cause) for words in NOT_IMPLEMENTED
    )
    return serving.reason(error, refused)


def held(x, dtype):
    """An array in the judged dtype; integers and booleans keep theirs, and Python's numbers stay what they are."""
    if not hasattr(x, "dtype"):
        return x
    return mx.array(x, dtype=dtype) if x.dtype.kind == "f" else mx.array(x)


def number(x, dtype):
    """A value as an array: Python's floats take the dtype of what they meet, which is the judged one."""
    if isinstance(x, (bool, int, float)):
        return mx.array(x, dtype=getattr(mx, dtype)) if isinstance(x, float) else mx.array(x)
    return x


def sent(x):
    """An array as a message. Numbers of bfloat16 travel as float32."""
    if x is None:
        return None
    if x.dtype == mx.bfloat16:
        return serving.sent(np.array(x.astype(mx.float32)), "bfloat16")
    return serving.sent(np.array(x))


def computed(dtype):
    """Whether an exponential of the dtype has its digits. Of float64 numbers MLX computes it in float32 (docs/findings)."""
    x = np.array(mx.exp(mx.array(np.ones(1), dtype=getattr(mx, dtype))))
    return abs(float(x[0]) - np.e) < 4 * np.finfo(dtype).eps


LACKING = {} if computed("float64") else {"float64": IN_SINGLE.split()}
DTYPES = serving.tried(observe, DTYPES)


def hello():
    """What the worker says of itself."""
    return {
        "framework": "mlx",
        "version": version("mlx"),
        "ops": sorted(TWINS),
        "lacking": LACKING,
        "fixed": [*FIXED, "softplus.threshold"],
        "dtypes": {"cpu": DTYPES},
        "modes": {"value": "call", "reverse": "mx.vjp", "forward": "mx.jvp"},
        "parts": True,
        "profile": PROFILE,
        "environment": {"numpy": np.__version__, "device": str(mx.default_device())},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
