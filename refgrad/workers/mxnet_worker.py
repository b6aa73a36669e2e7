"""MXNet as a worker: recorded as it runs, or with the argument ``symbol`` declared first and bound later.

Both constructions use MXNet's NumPy interface and one table of twins. They differ in how the graph comes about, and in who runs it.
"""

import sys

import serving

channel = serving.take_channel()

import mxnet as mx
import numpy as np
from mxnet import autograd, npx
from numpy_twins import twins

npx.set_np()

SYMBOL = "symbol" in sys.argv[1:]
# Under some names MXNet has NumPy's own functions, without a derivative; other names are compositions that it does not offer.
LACKING = (
    "positive",
    "heaviside",
    "signbit",
    "floor_divide",
    "mish",
    "gelu_tanh",
    "tanhshrink",
    "logsumexp",
    "log_sigmoid",
    "silu",
)
SOURCE = (
    "MXNet 1.9.1, x86-64 with AVX-512: python -m benchmarks.ulp, a million numbers and more each; compensated as in its source, "
    "3rdparty/mshadow/mshadow/base.h, and as 9,000 sums show"
)
FIGURES = {  # the largest error in ULP
    "float32": {
        "exp": 1.0, "expm1": 1.0, "log": 1.0, "log2": 1.0, "log10": 2.0, "log1p": 1.0, "sqrt": 0.5, "reciprocal": 0.5,
        "sin": 1.0, "cos": 1.0, "tan": 1.0, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "sinh": 2.0, "cosh": 1.0, "tanh": 2.5,
        "arcsinh": 1.5, "arccosh": 2.0, "arctanh": 2.0, "power": 1.0, "arctan2": 1.5, "hypot": 0.5,
    },
    "float64": {
        "exp": 1.0, "expm1": 1.0, "log": 1.0, "log2": 1.0, "log10": 2.0, "log1p": 1.0, "sqrt": 0.5, "reciprocal": 0.5,
        "sin": 1.0, "cos": 1.0, "tan": 1.0, "arcsin": 1.0, "arccos": 1.0, "arctan": 1.0, "sinh": 2.0, "cosh": 1.5, "tanh": 2.5,
        "arcsinh": 2.0, "arccosh": 2.0, "arctanh": 2.0, "power": 1.0, "arctan2": 1.0, "hypot": 1.0,
    },
}  # fmt: skip  # a table of figures reads by rows
NO_FORWARD = {"words": "MXNet has no forward mode", "refused": True, "node": -1, "details": ""}
BOUND = {}  # the arrays of variables that stand for constants, by name


def bound(x, name):
    """An array as MXNet takes it: the array itself, or a variable that is bound to it later."""
    x = mx.np.array(x, dtype=x.dtype)
    if not SYMBOL:
        return x
    BOUND[name] = x
    return mx.sym.var(name, shape=x.shape, dtype=x.dtype).as_np_ndarray()


def shape(x):
    """The shape. A symbol infers it from the shapes of its variables."""
    return tuple(x.infer_shape()[1][0]) if SYMBOL else x.shape


def rank(x):
    """The number of axes."""
    return len(shape(x))


def index(key):
    """An index as MXNet takes it. Symbols take integers and slices."""
    parts = key if isinstance(key, tuple) else (key,)
    if SYMBOL and not all(isinstance(k, (int, slice)) for k in parts):
        raise serving.Unsupported("op", "getitem of a symbol with an array, an ellipsis or a new axis")
    if any(isinstance(k, (bool, np.bool_)) for k in parts):
        raise serving.Unsupported("op", "getitem with a boolean")
    arrays = [k for k in parts if isinstance(k, np.ndarray)]
    if arrays and None in [k for k in parts if not isinstance(k, np.ndarray)]:
        # The new axis stands elsewhere (docs/findings).
        raise serving.Unsupported("op", "getitem with an array and a new axis")
    if any(k.dtype.kind == "b" or (k < 0).any() for k in arrays):
        # Its gradient may crash.
        raise serving.Unsupported("op", "getitem with an array of negative integers or of booleans")
    parts = tuple(mx.np.array(k, dtype=k.dtype) if isinstance(k, np.ndarray) else k for k in parts)
    return parts if isinstance(key, tuple) else parts[0]


def table(nx):
    """By op, its function in the namespaces ``nx.np`` and ``nx.npx``, which have the same names for arrays and for symbols."""
    xp, npx = nx.np, nx.npx

    def softplus(x, threshold=None):
        y = npx.activation(x, act_type="softrelu")
        return y if threshold is None else xp.where(x > threshold, x, y)

    def leaky_relu(kind):
        def call(x, slope=None, alpha=None):
            if not rank(x):
                raise serving.Unsupported("op", f"{kind} of a 0-d array")
            return npx.leaky_relu(x, act_type=kind, slope=alpha if slope is None else slope)

        return call

    def flip(x, axis):
        axes = range(rank(x)) if axis is None else np.ravel(axis)
        return xp.flip(x, tuple(int(k) % rank(x) for k in axes)) if rank(x) else x  # negative axes raise

    def solve(a, b):
        if shape(a)[:-1] != shape(b)[:-1]:
            raise serving.Unsupported("op", "solve with a vector, or one that broadcasts")
        return xp.linalg.solve(a, b)

    def pad(x, pad_width, constant_values):
        if rank(x) < 2:
            raise serving.Unsupported("op", "pad of a vector")
        widths = tuple((int(a), int(b)) for a, b in np.broadcast_to(pad_width, (rank(x), 2)))
        return xp.pad(x, widths, constant_values=constant_values)

    def norm(x, ord, axis, keepdims):  # noqa: A002 - the op's parameter
        if not rank(x) or not (isinstance(axis, int) or (axis is None and rank(x) == 1)):
            raise serving.Unsupported("op", "norm of numbers or over several axes")  # a norm of matrices
        return xp.linalg.norm(x, ord, axis, keepdims)

    def einsum(*xs, subscripts):
        if any(len(set(one)) < len(one) for one in subscripts.partition("->")[0].split(",")):
            # Its gradient holds memory that nobody wrote (docs/findings).
            raise serving.Unsupported("op", "einsum of a diagonal")
        return xp.einsum(subscripts, *xs)

    def getitem(x, key):
        if not np.zeros(shape(x))[key].size:
            raise serving.Unsupported("op", "arrays without elements")
        taken = index(key)
        return x[taken] if rank(x) else xp.reshape(x, np.zeros(())[key].shape)

    def cumsum(x, axis):
        return xp.cumsum(x, axis if axis is None else axis % rank(x))  # a negative axis raises

    def matmul(a, b):
        one, other = shape(a)[:-2], shape(b)[:-2]
        if one and other and one != other:
            raise serving.Unsupported("op", "matmul that broadcasts")  # its gradient is wrong (docs/findings)
        return xp.matmul(a, b)

    def cross_entropy(x, labels, axis):
        if rank(x) < 2:
            raise serving.Unsupported("op", "cross_entropy of a vector")  # pick takes no 0-d labels
        labels = bound(np.asarray(labels, np.int32), f"labels{len(BOUND)}")
        return -xp.mean(npx.pick(npx.log_softmax(x, axis=axis), labels, axis=axis))

    return {
        **twins(xp, lacking=LACKING),
        "cross_entropy": cross_entropy,
        "cumsum": cumsum,
        "deg2rad": lambda x: xp.radians(x),
        "elu": leaky_relu("elu"),
        "einsum": einsum,
        "flip": flip,
        "getitem": getitem,
        "leaky_relu": leaky_relu("leaky"),
        "log_softmax": lambda x, axis: npx.log_softmax(x, axis=axis),
        "matmul": matmul,
        "norm": norm,
        "pad": pad,
        "rad2deg": lambda x: xp.degrees(x),
        "relu": npx.relu,
        "sigmoid": npx.sigmoid,
        "softmax": lambda x, axis: npx.softmax(x, axis=axis),
        "softplus": softplus,
        "solve": solve,
        "softsign": lambda x: npx.activation(x, act_type="softsign"),
    }


TWINS = table(mx.sym if SYMBOL else mx)


class Taps:
    """Arrays of -0, which are added to values and to operands: x + (-0) is x for every x, both zeros included.

    The gradient of such an array is the gradient of what it is added to. That of node k stands under (k, -1), that of its operand at a
    position under (k, position).
    """

    def __init__(self, dtype):
        self.dtype, self.zeros, self.gradients = dtype, {}, {}

    def added(self, at, x, shape):
        """x, tapped."""
        zeros = mx.np.array(np.full(shape, -0.0), dtype=self.dtype)
        self.gradients[at] = mx.np.zeros(shape, dtype=self.dtype)
        if SYMBOL:
            self.zeros[at] = f"tap_{at[0]}_{at[1] + 1}"
            BOUND[self.zeros[at]] = zeros
            return x + mx.sym.var(self.zeros[at], shape=shape, dtype=self.dtype).as_np_ndarray()
        autograd.mark_variables([zeros], [self.gradients[at]])
        return x + zeros

    def read(self):
        """The gradients by place."""
        return {at: g.asnumpy() for at, g in self.gradients.items()}


def leaves(case):
    """Makes the inputs and constants of a case; floating-point ones in its dtype."""

    def leaf(name, value):
        if not hasattr(value, "dtype"):
            return value  # Python's number, which takes the dtype of what it meets
        return bound(
            value.astype(case.dtype) if value.dtype.kind == "f" else value, name or f"constant{len(BOUND)}"
        )

    return leaf


def recorded(case):
    """The values of all nodes of a program that is recorded as it runs, and a function that gives the gradients by place."""
    taps, values = Taps(case.dtype), [None] * len(case.nodes)

    def real(x):
        return isinstance(x, mx.np.ndarray) and x.dtype == np.dtype(case.dtype)

    def tap(k, y):
        # An exception of the kernel is raised where its result is read.
        values[k] = y.asnumpy() if isinstance(y, mx.np.ndarray) else number(y, case.dtype)
        return taps.added((k, -1), y, y.shape) if real(y) else y

    def use(k, position, x):
        return taps.added((k, position), x, x.shape) if real(x) else x

    with autograd.record():
        output = case.run(TWINS, leaves(case), tap, use)[case.output]

    def pulled(cotangent):
        autograd.backward([output], [cotangent])
        return taps.read()

    return values, pulled


def number(y, dtype):
    """The value of a node that is one of Python's numbers; None for any other."""
    return (
        np.asarray(y, dtype if isinstance(y, float) else None) if isinstance(y, (bool, int, float)) else None
    )


def declared(case):
    """The same of a graph that is declared with variables and bound to its data later."""
    BOUND.clear()
    symbols = case.run(TWINS, leaves(case))
    own = [k for k, s in enumerate(symbols) if isinstance(s, mx.sym.Symbol)]
    group = mx.sym.Group([symbols[k] for k in own], create_fn=type(symbols[own[0]]))
    values = [number(y, case.dtype) for y in symbols]
    for k, y in zip(own, executor(group).forward(is_train=True)):
        values[k] = y.asnumpy()

    def pulled(cotangent):
        BOUND.clear()
        taps = Taps(case.dtype)

        def tapped(at, k, x):
            real = isinstance(x, mx.sym.Symbol) and values[k].dtype == case.dtype
            return taps.added(at, x, values[k].shape) if real else x

        output = case.run(
            TWINS,
            leaves(case),
            lambda k, y: tapped((k, -1), k, y),
            lambda k, position, x: tapped((k, position), case.nodes[k].of[position], x),
        )[case.output]
        running = executor(output, taps)
        running.forward(is_train=True)
        running.backward([cotangent])
        return taps.read()

    return values, pulled


def executor(symbol, taps=None):
    """A symbol bound to its data; with taps, also to the arrays that receive their gradients."""
    names = symbol.list_arguments()
    gradients = {} if taps is None else {name: taps.gradients[at] for at, name in taps.zeros.items()}
    return symbol.bind(
        mx.cpu(),
        {name: BOUND[name] for name in names},
        args_grad={name: g for name, g in gradients.items() if name in names} or None,
        grad_req={name: "write" if name in gradients else "null" for name in names},
    )


def refuse_empty(arrays):
    """Kernels crash on arrays without elements, or leave gradients unwritten (docs/findings)."""
    if any(x.size == 0 for x in arrays):
        raise serving.Unsupported("op", "arrays without elements")


def observe(case):
    """Values of all nodes, gradients of all nodes and of their uses."""
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    refuse_empty(case.inputs.values())
    try:
        values, pulled = (declared if SYMBOL else recorded)(case)
    except serving.Failed as error:
        return {"unavailable": {"value": serving.reason(error)}}
    refuse_empty(v for v in values if v is not None)
    answer = {"values": [serving.sent(v) for v in values], "unavailable": {"forward": NO_FORWARD}}
    bars = {}
    try:
        bars = pulled(mx.np.array(case.cotangent, dtype=case.dtype))
    except Exception as error:
        refused = "non-differentiable" in str(error.__cause__ or error)
        answer["unavailable"]["reverse"] = serving.reason(error, refused)
    return {**answer, **serving.derivatives(case, bars)}


def tried(dtype):
    """Whether a matrix product, a sum and their gradients are computed in the dtype."""
    x = mx.np.ones((2, 2), dtype=dtype)
    x.attach_grad()
    try:
        with autograd.record():
            y = mx.np.matmul(x, mx.np.exp(x)).sum()
        y.backward()
        return x.grad.asnumpy().dtype == dtype
    except mx.MXNetError:
        return False


DTYPES = [dtype for dtype in ("float64", "float32", "float16") if tried(dtype)]


def hello():
    """What the worker says of itself."""
    return {
        "framework": "mxnet-symbol" if SYMBOL else "mxnet",
        "version": mx.__version__,
        "ops": sorted(TWINS),
        "dtypes": {"cpu": DTYPES},
        "modes": {"value": "forward" if SYMBOL else "call", "reverse": "backward"},
        "profile": {"ulp": FIGURES, "compensated": True, "source": SOURCE},
        "environment": {"numpy": np.__version__, "mkldnn": str(mx.runtime.Features().is_enabled("MKLDNN"))},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
