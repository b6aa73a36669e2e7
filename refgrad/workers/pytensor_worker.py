"""PyTensor, the successor of Theano, as a worker: a graph is declared with variables, differentiated, compiled, and bound to data last.

Without an argument the graph runs as it was declared, op by op, so each reported value is the one that the next op received. The arguments
``rewritten`` and ``numba`` choose the rewrites of the default mode, run by NumPy or compiled by Numba. Rewrites replace what stands
between the inputs and an output (``log(exp(x))`` becomes ``x``), so these two are ``fused``.
"""

import os
import sys
import tempfile

import serving

channel = serving.take_channel()

WAY = next((way for way in ("rewritten", "numba") if way in sys.argv[1:]), "")
FLAGS = {
    "": "cxx=,linker=py,optimizer=None",
    "rewritten": "cxx=,linker=py,optimizer=fast_run",
    "numba": "cxx=,linker=numba,optimizer=fast_run",
}
os.environ["PYTENSOR_FLAGS"] = f"{FLAGS[WAY]},base_compiledir={tempfile.mkdtemp(prefix='pytensor')}"

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.gradient import grad, pushforward
from pytensor.graph.basic import Variable

DTYPES = ("float64", "float32")
SOURCE = "PyTensor 3.3.8 by NumPy 2.5.5 and SciPy 1.18.1, x86-64 with AVX-512: python -m benchmarks.ulp, a million numbers and more each"
FIGURES = {  # NumPy's and SciPy's loops, the largest error in ULP
    "float32": {
        "exp": 2.5, "exp2": 2.0, "expm1": 2.5, "log": 3.0, "log2": 2.0, "log10": 2.5, "log1p": 2.0, "sqrt": 0.5, "reciprocal": 0.5,
        "sin": 1.5, "cos": 1.5, "tan": 3.5, "arcsin": 3.0, "arccos": 2.0, "arctan": 2.0, "sinh": 1.5, "cosh": 2.5, "tanh": 1.5,
        "arcsinh": 1.0, "arccosh": 1.0, "arctanh": 1.5, "power": 1.0, "arctan2": 3.5,
    },
}  # fmt: skip  # a table of figures reads by rows


def held(value, dtype):
    """A constant of the case in its dtype; Python's numbers as they are."""
    if not hasattr(value, "dtype"):
        return value
    return pt.constant(value.astype(dtype) if value.dtype.kind == "f" else value)


def constant(y, dtype):
    """The value of a node that is one of Python's numbers."""
    return None if y is None else np.asarray(y, dtype if isinstance(y, float) else None)


def real(x):
    """Whether x is a variable of a floating-point dtype."""
    return isinstance(x, Variable) and x.type.dtype in DTYPES


# --- the ops ----------------------------------------------------------------------------------------------------------


def reduced(f):
    """A reduction. PyTensor's take no mask."""

    def call(x, axis, keepdims, where=True, initial=None):
        if where is not True or initial is not None:
            raise serving.Unsupported("op", f"{f.__name__} with where or initial")
        return f(x, axis=axis, keepdims=keepdims)

    return call


def spread(f):
    """Variance or standard deviation."""

    def call(x, axis, ddof, keepdims, where=True):
        if where is not True:
            raise serving.Unsupported("op", f"{f.__name__} with where")
        return f(x, axis=axis, ddof=ddof, keepdims=keepdims)

    return call


def indexed(x, key):
    """x[key]."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(k, (bool, np.bool_)) for k in parts):
        raise serving.Unsupported("op", "getitem with a boolean")
    if any(isinstance(k, np.ndarray) and k.dtype == bool and not k.size for k in parts):
        # It is taken for positions (docs/findings).
        raise serving.Unsupported("op", "getitem with a mask of no elements")
    return x[tuple(key) if isinstance(key, tuple) else key]


def rolled(x, shift, axis):
    """Elements moved round, along one axis or several."""
    if not x.ndim:
        raise serving.Unsupported("op", "roll of a 0-d array")
    if axis is None or np.ndim(axis) == np.ndim(shift) == 0:
        return pt.roll(x, shift if np.ndim(shift) == 0 else sum(shift), axis)
    for n, k in zip(*(np.ravel(a).tolist() for a in np.broadcast_arrays(shift, axis))):
        x = pt.roll(x, n, k)
    return x


def norm(x, ord, axis, keepdims):  # noqa: A002 - the op's parameter
    """The norm of vectors."""
    if not x.ndim or not (isinstance(axis, int) or (axis is None and x.ndim == 1)):
        raise serving.Unsupported("op", "norm of numbers or over several axes")  # a norm of matrices
    return pt.linalg.norm(x, ord, axis, keepdims)


def padded(x, pad_width, constant_values):
    """x with a margin."""
    widths = [(int(a), int(b)) for a, b in np.broadcast_to(pad_width, (x.ndim, 2))]
    return pt.pad(x, widths, constant_values=constant_values) if x.ndim else x


def cross_entropy(x, labels, axis):
    """The mean of -log softmax(x) at the labels."""
    labels = np.asarray(labels)
    logs = pt.moveaxis(pt.special.log_softmax(x, axis), axis, -1)
    rows = np.indices(labels.shape)
    return -pt.mean(logs[(*rows, labels)])


def softplus(x, threshold=None):
    """log(1 + exp(x)), beyond a threshold x itself."""
    return pt.softplus(x) if threshold is None else pt.switch(x > threshold, x, pt.softplus(x))


def solved(a, b):
    """The solution of a x = b; a vector b in NumPy's sense."""
    return pt.linalg.solve(a, b, b_ndim=1 if b.ndim == 1 else 2)


OTHERS = ("deg2rad", "exp2", "rad2deg", "sigmoid", "where", "isnan", "isinf", "floor", "ceil", "trunc", "abs")
TWINS = {
    **{name: getattr(pt, name) for name in (*FIGURES["float32"], *OTHERS, "maximum", "minimum", "sign")},
    **{name: reduced(getattr(pt, name)) for name in ("sum", "mean", "max", "min", "prod")},
    **{name: spread(getattr(pt, name)) for name in ("var", "std")},
    "add": lambda a, b: a + b,
    "broadcast_to": lambda x, shape: pt.broadcast_to(x, shape),
    "clip": lambda x, low, high: pt.minimum(pt.maximum(x, low), high),  # pt.clip differs where low > high
    "concatenate": lambda *xs, axis: pt.concatenate(xs, axis),
    "cross_entropy": cross_entropy,
    "cumprod": lambda x, axis: pt.cumprod(x, axis),
    "cumsum": lambda x, axis: pt.cumsum(x, axis),
    "det": pt.linalg.det,
    "divide": lambda a, b: a / b,
    "einsum": lambda *xs, subscripts: pt.einsum(subscripts, *xs),
    "elu": lambda x, alpha: pt.switch(x > 0, x, alpha * pt.expm1(pt.minimum(x, 0))),
    "equal": pt.eq,
    "fan_in": serving.fan_in,
    "flip": lambda x, axis: pt.flip(x, axis),
    "floor_divide": lambda a, b: a // b,
    "getitem": indexed,
    "greater": pt.gt,
    "greater_equal": pt.ge,
    "inv": pt.linalg.inv,
    "less": pt.lt,
    "less_equal": pt.le,
    "log_sigmoid": lambda x: -pt.softplus(-x),
    "log_softmax": lambda x, axis: pt.special.log_softmax(x, axis),
    "logabsdet": lambda a: pt.linalg.slogdet(a)[1],
    "logaddexp": pt.logaddexp,
    "logical_and": pt.and_,
    "logical_not": pt.invert,
    "logical_or": pt.or_,
    "logical_xor": pt.xor,
    "logit": pt.special.logit,
    "logsumexp": lambda x, axis, keepdims: pt.logsumexp(x, axis=axis, keepdims=keepdims),
    "matmul": pt.matmul,
    "multiply": lambda a, b: a * b,
    "negative": lambda x: -x,
    "norm": norm,
    "not_equal": pt.neq,
    "pad": padded,
    "relu": lambda x: pt.maximum(x, 0),
    "remainder": pt.mod,
    "reshape": lambda x, shape: pt.reshape(x, shape if np.ndim(shape) else (shape,)),
    "rint": pt.round,
    "roll": rolled,
    "softmax": lambda x, axis: pt.special.softmax(x, axis),
    "softplus": softplus,
    "solve": solved,
    "sort": lambda x, axis: pt.sort(x, axis),
    "square": pt.square,
    "stop_gradient": pytensor.gradient.disconnected_grad,
    "subtract": lambda a, b: a - b,
    "tensordot": lambda a, b, axes: pt.tensordot(a, b, axes),
    "transpose": lambda x, axes: pt.transpose(x, axes and [k % x.ndim for k in axes]),  # negative axes raise
    "xlog1py": pt.special.xlog1py,
    "xlogy": pt.special.xlogy,
}


# --- a case -----------------------------------------------------------------------------------------------------------


def observe(case):
    """Values and tangents of all nodes, gradients of all nodes and of their uses."""
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    with pytensor.config.change_flags(floatX=case.dtype):  # the dtype that Python's numbers take
        return observed(case)


def observed(case):
    """The answer, under the flags of the case's dtype."""
    answer, taps = {"unavailable": {}}, {}
    data = {name: x.astype(case.dtype) if x.dtype.kind == "f" else x for name, x in case.inputs.items()}
    symbols = {name: pt.tensor(name, dtype=x.dtype.name, shape=x.shape) for name, x in data.items()}

    def use(k, position, x):
        if not real(x):
            return x
        taps[k, position] = pt.tensor_copy(x)
        return taps[k, position]

    try:
        nodes = case.run(
            TWINS,
            lambda name, value: symbols[name] if name else held(value, case.dtype),
            lambda k, y: pt.tensor_copy(y) if real(y) else y,  # an op may return its operand
            use,
        )
        own = {k: y for k, y in enumerate(nodes) if isinstance(y, Variable)}
        values = run(symbols, data, own)
    except serving.Failed as error:
        return {"unavailable": {"value": serving.reason(error)}}
    except ValueError as error:
        if "Runtime broadcasting not allowed" not in str(error):
            raise
        raise serving.Unsupported(
            "op", "broadcasting along an axis of a length that is not declared"
        ) from error
    answer["values"] = [serving.sent(values.get(k, constant(y, case.dtype))) for k, y in enumerate(nodes)]
    above = pt.tensor("cotangent", dtype=case.dtype, shape=case.cotangent.shape)
    wrt = {**{(k, -1): y for k, y in own.items() if real(y)}, **taps}
    bars, dots = {}, {}
    try:
        found = grad(
            None,
            list(wrt.values()),
            known_grads={nodes[case.output]: above},
            disconnected_inputs="ignore",
            return_disconnected="none",
        )
        asked = {at: g for at, g in zip(wrt, found) if g is not None}
        bars = run({**symbols, "": above}, {**data, "": case.cotangent.astype(case.dtype)}, asked)
    except Exception as error:
        answer["unavailable"]["reverse"] = serving.reason(error, refused(error))
    try:
        dots = pushed(case, symbols, data, own)
    except Exception as error:
        answer["unavailable"]["forward"] = serving.reason(error, refused(error))
    return {**answer, **serving.derivatives(case, bars, dots)}


def pushed(case, symbols, data, own):
    """The tangents of all nodes, op by op. Without ``use_op_pushforward`` those of x + y are wrong (docs/findings)."""
    moving = [name for name in symbols if real(symbols[name])]
    tangents = {name: pt.tensor(f"d{name}", dtype=case.dtype, shape=data[name].shape) for name in moving}
    asked = {}
    for k, y in own.items():
        if real(y) and moving:
            asked[k] = pushforward(
                y,
                [symbols[name] for name in moving],
                [tangents[name] for name in moving],
                disconnected_outputs="ignore",
                return_disconnected="none",
                use_op_pushforward=True,
            )
    asked = {k: y_dot for k, y_dot in asked.items() if y_dot is not None}
    given = {f"d{name}": case.tangents[name].astype(case.dtype) for name in moving}
    return run({**symbols, **{f"d{n}": v for n, v in tangents.items()}}, {**data, **given}, asked)


def refused(error):
    """Whether the framework says that it has no such derivative."""
    if isinstance(error.__cause__ or error, pytensor.gradient.NullTypeGradError):
        return True
    return serving.refused(
        error, *(f"{what} not implemented for" for what in ("pushforward", "pullback", "grad"))
    )


def run(symbols, data, asked):
    """Compile a function of the symbols, and call it with their data. The results stand under the keys of ``asked``."""
    if not asked:
        return {}
    f = pytensor.function(list(symbols.values()), list(asked.values()), on_unused_input="ignore")
    return dict(zip(asked, map(np.asarray, f(*(data[name] for name in symbols)))))


def hello():
    """What the worker says of itself."""
    return {
        "framework": "pytensor" + (f"-{WAY}" if WAY else ""),
        "version": pytensor.__version__,
        "ops": sorted(TWINS),
        "dtypes": {"cpu": list(DTYPES)},
        "modes": {"value": "function", "reverse": "grad", "forward": "pushforward"},
        # The rewrites bring nested sums into one form (AlgebraicCanonizer), whatever their order was.
        "profile": {
            "fused": bool(WAY),
            "reassociating": bool(WAY),
            **({} if WAY == "numba" else {"ulp": FIGURES, "source": SOURCE}),
        },
        "environment": {"numpy": np.__version__, "flags": FLAGS[WAY]},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
