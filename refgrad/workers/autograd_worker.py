"""HIPS autograd as a worker. It differentiates NumPy's functions, so its dtypes and their rounding are NumPy's."""

import serving

channel = serving.take_channel()

from importlib.metadata import version

import autograd.numpy as xp
import numpy as np
from autograd import make_jvp, make_vjp
from autograd.extend import defjvp, defvjp, primitive
from numpy_twins import twins

try:
    from autograd.scipy import special
except ImportError:  # autograd needs no SciPy
    special = None

DTYPES = ("float64", "float32")
# Of these autograd has the value alone: no derivative, or none in either mode.
CONSTANT = ("positive", "copysign", "heaviside", "flip", "cumprod")
# These NumPy has only as compositions, which refgrad writes out in its cases.
COMPOSED = (
    *("softmax", "log_softmax", "log_sigmoid", "softplus", "silu", "relu", "leaky_relu", "elu"),
    *("mish", "gelu_tanh", "softsign", "tanhshrink", "clip"),
)
TWINS = {
    **twins(xp, lacking=(*CONSTANT, *COMPOSED)),
    "sort": lambda x, axis: xp.sort(x, axis) if np.ndim(x) < 2 else _no_sort(),
}
if special is not None:
    TWINS |= {
        "sigmoid": special.expit,
        "logit": special.logit,
        "logsumexp": lambda x, axis, keepdims: (
            special.logsumexp(x, axis=axis, keepdims=keepdims)
            if np.ndim(x) or not keepdims
            else _no_dimension()
        ),
    }
FIXED = ("where", "initial")  # parameters of reductions
# NumPy's functions of float32 numbers: `python -m benchmarks.ulp --backend autograd --dtype float32`, at two million numbers and more of
# each, rounded up to half a ULP.
SINGLE = {
    "exp": 2.5,
    "exp2": 2.5,
    "expm1": 2.5,
    "log": 4,
    "log2": 2,
    "log10": 2.5,
    "log1p": 2,
    "sin": 1.5,
    "cos": 1.5,
    "tan": 3.5,
    "arcsin": 3,
    "arccos": 2,
    "arctan": 2.5,
    "arctan2": 3.5,
}


def _no_sort():
    # Reverse mode says that it is not implemented. Forward mode gives a tangent of another shape, as the page of findings
    # autograd-sort-of-matrices.md shows.
    raise serving.Unsupported("case", "autograd differentiates sort along a single axis alone")


def _no_dimension():
    raise serving.Unsupported("case", "SciPy's logsumexp of a number has one dimension with keepdims")


@primitive
def noted(x, where, notes):
    """x. Its gradient or tangent is noted under ``where``, once all uses of it have arrived."""
    return x


def _note(g, where, notes):
    notes[where] = np.asarray(g)
    return g


defvjp(noted, lambda ans, x, where, notes: lambda g: _note(g, where, notes), argnums=(0,))
defjvp(noted, lambda g, ans, x, where, notes: _note(g, where, notes), argnums=(0,))


def observe(case):
    """Values, gradients of all nodes and of their uses, tangents of all nodes."""
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    floats = [name for name, x in case.inputs.items() if x.dtype.kind == "f"]
    arguments = tuple(case.inputs[name].astype(case.dtype) for name in floats)

    def run(arguments, tap, use):
        leaves = dict(zip(floats, arguments))

        def leaf(name, value):
            if name in leaves:
                return leaves[name]
            return value.astype(case.dtype) if hasattr(value, "dtype") and value.dtype.kind == "f" else value

        return case.run(TWINS, leaf, tap, use)

    def program(notes):
        def tap(k, y):
            return noted(y, (k, -1), notes) if case.nodes[k].op or case.nodes[k].name in floats else y

        return lambda arguments: run(arguments, tap, lambda k, i, x: noted(x, (k, i), notes))[case.output]

    answer, gradients, tangents = {"unavailable": {}}, {}, {}
    try:
        values = run(arguments, lambda k, y: y, lambda k, i, x: x)
    except serving.Failed as error:
        answer["unavailable"]["value"] = serving.reason(error)
        return answer

    def backward():
        pullback, _ = make_vjp(program(gradients))(arguments)
        pullback(case.cotangent.astype(case.dtype))

    def forward():
        pushed = tuple(case.tangents[name].astype(case.dtype) for name in floats)
        make_jvp(program(tangents))(arguments)(pushed)

    for mode, differentiate in (("reverse", backward), ("forward", forward)):
        try:
            differentiate()
        except Exception as error:
            # autograd says so of a primitive without a derivative in a mode
            answer["unavailable"][mode] = serving.reason(error, serving.refused(error, "VJP of", "JVP of"))
    # A Python number takes the dtype of what it meets.
    answer["values"] = [
        serving.sent(np.asarray(v, case.dtype) if isinstance(v, float) else v) for v in values
    ]
    dots = {k: dot for (k, position), dot in tangents.items() if position < 0}
    return {**answer, **serving.derivatives(case, gradients, dots)}


def hello():
    """What the worker says of itself."""
    return {
        "framework": "autograd",
        "version": version("autograd"),
        "ops": sorted(TWINS),
        "fixed": list(FIXED),
        "dtypes": {"cpu": serving.tried(observe, DTYPES)},
        "modes": {"value": "call", "reverse": "make_vjp", "forward": "make_jvp"},
        "parts": True,
        "profile": {"ulp": {"float32": SINGLE}, "source": "measured with NumPy 2.4 on x86-64 with AVX-512"},
        "environment": {"numpy": np.__version__},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
