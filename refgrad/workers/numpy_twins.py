"""The ops of refgrad in the words of a namespace that follows NumPy: autograd.numpy, jax.numpy.

A name that the namespace lacks is left out. Compositions are written as a user of the framework writes them.
"""

import math

import serving

ALIKE = [
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "sign",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "abs",
    "copysign",
    "where",
    "add",
    "subtract",
    "multiply",
    "negative",
    "positive",
    "power",
    "square",
    "sqrt",
    "reciprocal",
    "remainder",
    "floor_divide",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "matmul",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "arctan2",
    "hypot",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "deg2rad",
    "rad2deg",
    "heaviside",
]


def twins(xp, lacking=(), masks=False):
    """By op, its function in the namespace ``xp``.

    ``lacking`` names ops that the namespace has in name alone; ``masks``: whether its reductions take where and initial.
    """
    found = {name: getattr(xp, name) for name in ALIKE if hasattr(xp, name)}
    found.update(_arithmetic(xp), **_shapes(xp), **_reductions(xp, masks), **_activations(xp), **_linalg(xp))
    return {name: f for name, f in found.items() if f is not None and name not in lacking}


def _arithmetic(xp):
    return {
        "divide": lambda a, b: a / b,
        "fan_in": serving.fan_in,
        "clip": lambda x, low, high: xp.minimum(xp.maximum(x, low), high),
        "einsum": lambda *xs, subscripts: xp.einsum(subscripts, *xs),
        "tensordot": lambda a, b, axes: xp.tensordot(a, b, axes=axes),
    }


def _shapes(xp):
    return {
        "reshape": lambda x, shape: xp.reshape(x, shape),
        "transpose": lambda x, axes: xp.transpose(x, axes),
        "broadcast_to": lambda x, shape: xp.broadcast_to(x, shape),
        "flip": (lambda x, axis: xp.flip(x, axis)) if hasattr(xp, "flip") else None,
        "roll": lambda x, shift, axis: xp.roll(x, shift, axis),
        "concatenate": lambda *xs, axis: xp.concatenate(xs, axis),
        "getitem": lambda x, key: x[key],
        "sort": lambda x, axis: xp.sort(x, axis),
    }


def _reductions(xp, masks):
    def reduced(f, x, axis, keepdims, where, initial):
        more = {k: v for k, v in (("where", where), ("initial", initial)) if v is not True and v is not None}
        if more and not masks:
            raise serving.Unsupported("op", f"a reduction with {' and '.join(more)}")
        return f(x, axis=axis, keepdims=keepdims, **more)

    def of(f):
        return lambda x, axis, keepdims, where=True, initial=None: reduced(
            f, x, axis, keepdims, where, initial
        )

    def spread(f):
        def call(x, axis, ddof, keepdims, where):
            if where is not True and not masks:
                raise serving.Unsupported("op", "a reduction with where")
            return f(
                x, axis=axis, ddof=ddof, keepdims=keepdims, **({} if where is True else {"where": where})
            )

        return call

    def scan(f):
        return lambda x, axis: f(x, axis)

    return {
        **{name: of(getattr(xp, name)) for name in ("sum", "mean", "max", "min", "prod")},
        **{name: spread(getattr(xp, name)) for name in ("var", "std")},
        **{name: scan(getattr(xp, name)) for name in ("cumsum", "cumprod") if hasattr(xp, name)},
    }


def _activations(xp):
    def shifted(x, axis):
        return x - xp.max(x, axis=axis, keepdims=True)

    def softmax(x, axis):
        e = xp.exp(shifted(x, axis))
        return e / xp.sum(e, axis=axis, keepdims=True)

    def log_softmax(x, axis):
        z = shifted(x, axis)
        return z - xp.log(xp.sum(xp.exp(z), axis=axis, keepdims=True))

    def logsumexp(x, axis, keepdims):
        top = xp.max(x, axis=axis, keepdims=True)
        total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
        return total if keepdims else xp.reshape(total, xp.sum(x, axis=axis).shape)

    def sigmoid(x):
        return 1 / (1 + xp.exp(-x))

    def gelu_tanh(x):
        return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

    return {
        "softmax": softmax,
        "log_softmax": log_softmax,
        "logsumexp": logsumexp,
        "sigmoid": sigmoid,
        "silu": lambda x: x * sigmoid(x),
        "softplus": lambda x, threshold: xp.logaddexp(x, 0.0),
        "log_sigmoid": lambda x: -xp.logaddexp(-x, 0.0),
        "relu": lambda x: xp.maximum(x, 0.0),
        "leaky_relu": lambda x, slope: xp.where(x > 0, x, slope * x),
        "elu": lambda x, alpha: xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0.0))),
        "mish": lambda x: x * xp.tanh(xp.logaddexp(x, 0.0)),
        "gelu_tanh": gelu_tanh,
        "softsign": lambda x: x / (1 + xp.abs(x)),
        "tanhshrink": lambda x: x - xp.tanh(x),
    }


def _linalg(xp):
    return {
        "det": lambda a: xp.linalg.det(a),
        "logabsdet": lambda a: xp.linalg.slogdet(a)[1],
        "inv": lambda a: xp.linalg.inv(a),
        "solve": lambda a, b: xp.linalg.solve(a, b),
    }
