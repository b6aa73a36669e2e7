"""JAX on CPUs as a worker: op by op, or with the argument ``jit`` each program compiled as a whole by XLA.

JAX compiles each op for each shape, which takes most of the time of a case. Compiled programs are kept in the folder that the environment
variable JAX_COMPILATION_CACHE_DIR names, or in that of the run (REFGRAD_COMPILED), and shared with the other workers of the run.
"""

import contextlib
import ctypes
import functools
import itertools
import json
import os
import sys

import serving

channel = serving.take_channel()

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "REFGRAD_COMPILED" in os.environ:
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{os.environ['REFGRAD_COMPILED']}/jax")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # programs of one op are small
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # for the whole process; float32 programs stay float32

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special
from numpy_twins import twins

JIT = "jit" in sys.argv[1:]
VERSION = tuple(int(n) for n in jax.__version__.split(".")[:2])
CASES = 40  # after so many the compiled programs are dropped: they take about 20 MB a case
STORAGE = {"float8_e4m3": "float8_e4m3fn"}  # refgrad's names of formats that are others in JAX


def _norm(x, ord, axis, keepdims):  # noqa: A002 - the op's parameter
    if axis == ():
        raise serving.Unsupported("op", "norm over no axis")
    return jnp.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def _sinc(x, order):
    if order:
        raise serving.Unsupported("op", "sinc with an order")  # its derivatives are ops of their own
    return jnp.sinc(x)


def _softplus(x, threshold):
    if threshold is not None:
        raise serving.Unsupported("op", "softplus with a threshold")
    return jax.nn.softplus(x)


TWINS = {
    **twins(jnp, masks=True),
    "cbrt": jnp.cbrt,
    "clip": jnp.clip,
    "pad": lambda x, pad_width, constant_values: jnp.pad(x, pad_width, constant_values=constant_values),
    "put_add": lambda x, shape, key: jnp.zeros(shape, x.dtype).at[key].add(x),
    "setitem": lambda x, value, key: x.at[key].set(value),
    "astype": lambda x, dtype: x.astype(dtype),
    "to_integer": lambda x, dtype: x.astype(dtype),
    "cast_through": lambda x, through: x.astype(STORAGE.get(through, through)).astype(x.dtype),
    "sinc": _sinc,
    "xlogy": special.xlogy,
    "xlog1py": special.xlog1py,
    "entr": special.entr,
    "logit": special.logit,
    "norm": _norm,
    "sigmoid": jax.nn.sigmoid,
    "softplus": _softplus,
    "log_sigmoid": jax.nn.log_sigmoid,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "leaky_relu": lambda x, slope: jax.nn.leaky_relu(x, slope),
    "elu": lambda x, alpha: jax.nn.elu(x, alpha),
    "silu": jax.nn.silu,
    "mish": jax.nn.mish,
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "hardtanh": jax.nn.hard_tanh,
    "hardsigmoid": jax.nn.hard_sigmoid,
    "hardswish": jax.nn.hard_silu,
    "softsign": jax.nn.soft_sign,
    "softmax": lambda x, axis: jax.nn.softmax(x, axis),
    "log_softmax": lambda x, axis: jax.nn.log_softmax(x, axis),
    "logsumexp": lambda x, axis, keepdims: jax.nn.logsumexp(x, axis, keepdims=keepdims),
    "stop_gradient": jax.lax.stop_gradient,
}


@jax.custom_vjp
def tapped(x, dummy):
    """x. The gradient of the dummy is that of x, with all its signs of zero."""
    return x


tapped.defvjp(lambda x, dummy: (x, None), lambda _, g: (g, g))


class Program:
    """The graph of a case as functions of its inputs: of floats, which are differentiated, and of the others."""

    def __init__(self, case):
        self.case, self.dtype = case, jnp.dtype(case.dtype)
        compiled = jax.jit if JIT else lambda f: f
        self.values = compiled(self._values)
        self.pulled = compiled(self._pulled)
        self.pushed = compiled(self._pushed)

    def run(self, case, inputs, dummies):
        """The values of all nodes; a node whose users, or a use that, has a dummy is tapped."""

        def leaf(name, value):
            return inputs[name] if name else held(value, self.dtype)

        def tap(at, y):
            return tapped(y, dummies[at]) if at in dummies else y

        return case.run(
            TWINS, leaf, lambda k, y: tap((k, -1), y), lambda k, position, x: tap((k, position), x)
        )

    def real(self, values):
        """The nodes with arrays in the judged dtype. NumPy's float64 equals None, so a value without a dtype is left out first."""
        return [k for k, v in enumerate(values) if hasattr(v, "dtype") and v.dtype == self.dtype]

    def outline(self, floats, others):
        """The values, with shapes and dtypes in place of arrays: nothing is compiled. Fails where a program asks for numbers."""
        found = []

        def look(floats, others):
            values = self._values(floats, others)
            found[:] = [jax.ShapeDtypeStruct(v.shape, v.dtype) if hasattr(v, "dtype") else v for v in values]

        jax.eval_shape(look, floats, others)
        return found

    def _values(self, floats, others):
        return self.run(self.case, {**floats, **others}, {})

    def _pulled(self, floats, others, dummies, y_bar):
        def output(dummies):
            values = self.run(self.case, {**floats, **others}, dummies)
            # A compiled program keeps no more than it is asked for.
            return values[self.case.output], {} if JIT else {
                k: v for k, v in enumerate(values) if hasattr(v, "dtype")
            }

        _, pullback, values = jax.vjp(output, dummies, has_aux=True)
        return pullback(y_bar)[0], values

    def _pushed(self, floats, others, moving):
        def reals(floats):
            values = self._values(floats, others)
            return {k: values[k] for k in self.real(values)}

        return jax.jvp(reals, (floats,), (moving,))


@functools.lru_cache(maxsize=64)
def _remembered(key):
    return {}


def program(case):
    """The program of a case. A compiled one serves all cases of its graph, dtype and shapes."""
    if not JIT:
        return Program(case)
    shapes = {k: [list(x.shape), x.dtype.name] for k, x in case.inputs.items()}
    found = _remembered(json.dumps([case.graph, case.dtype, shapes], sort_keys=True))
    if "program" not in found:
        found["program"] = Program(case)
    return found["program"]


asked = itertools.count(1)


def forget():
    """Drop the compiled programs, and return their memory to the system where the C library has a function for it."""
    jax.clear_caches()
    _remembered.cache_clear()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def observe(case):
    """Values and tangents of all nodes, gradients of all nodes and of their uses."""
    if next(asked) % CASES == 0:
        forget()
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    of = program(case)
    given = {k: held(x, of.dtype) for k, x in case.inputs.items()}
    floats = {k: x for k, x in given.items() if x.dtype == of.dtype}
    others = {k: x for k, x in given.items() if k not in floats}
    answer = {"unavailable": {}}
    several = sum(node.op is not None for node in case.nodes) > 1
    values = None
    if several and not JIT:
        # then the values are those that gradients are taken of, and compiling others would take time
        with contextlib.suppress(Exception):
            values = of.outline(floats, others)
    outlined = values is not None and case.output in of.real(values)
    try:
        values = values if outlined else of.values(floats, others)
    except serving.Failed as error:
        return {"unavailable": {"value": why(error)}}
    real = of.real(values)
    uses = [
        (k, i) for k in case.order for i, j in enumerate(case.nodes[k].of) if j in case.shared and j in real
    ]
    dummies = {(k, -1): zeros(values[k]) for k in real}  # what a node's users together send back
    dummies.update({(k, i): zeros(values[case.nodes[k].of[i]]) for k, i in uses})
    bars, dots, differentiated = {}, {}, {}
    try:
        if case.output in real:
            bars, differentiated = of.pulled(floats, others, dummies, held(case.cotangent, of.dtype))
    except Exception as error:
        answer["unavailable"]["reverse"] = why(error)
        try:
            values = of.values(floats, others) if outlined else values
        except serving.Failed as error:
            return {"unavailable": {"value": why(error)}}
    if several:
        # Under differentiation a rule may compute another value (that of det does): gradients follow from these.
        values = [differentiated.get(k, v) for k, v in enumerate(values)]
    answer["values"] = [sent(number(v, of.dtype)) for v in values]
    try:
        moving = {k: held(case.tangents[k], of.dtype) for k in floats}
        primals, dots = of.pushed(floats, others, moving) if floats else ({}, {})
        if (
            several and not JIT
        ):  # the rules of some functions compute other values than the functions themselves
            answer["primals"] = [sent(primals.get(k)) for k in range(len(values))]
    except Exception as error:
        answer["unavailable"]["forward"] = why(error)
    return {**answer, **serving.derivatives(case, bars, dots, sent)}


def why(error):
    """The reason of a missing answer. JAX refuses by "Differentiation rule for" and "Transpose rule (for reverse-mode differentiation)"."""
    return serving.reason(error, serving.refused(error, "ifferentiation rule", "mode differentiation"))


def held(x, dtype):
    """An array in the judged dtype; integers and booleans keep theirs, and Python's numbers stay what they are.

    NumPy converts it: a conversion by XLA would be compiled, and would take subnormal numbers as zero.
    """
    if not hasattr(x, "dtype"):
        return x
    return jax.device_put(np.asarray(x).astype(dtype) if x.dtype.kind == "f" else x)


def number(x, dtype):
    """A value as an array: Python's floats take the dtype of what they meet, which is the judged one."""
    return np.asarray(x, dtype if isinstance(x, float) else None) if isinstance(x, (bool, int, float)) else x


def zeros(x):
    """Zeros like x, of which XLA compiles nothing."""
    return jax.device_put(np.zeros(x.shape, x.dtype))


def sent(x):
    """An array as a message; dtypes that NumPy lacks travel as float32."""
    if x is None or not hasattr(x, "dtype"):
        return None
    x = np.asarray(x)
    return serving.sent(x.astype("float32"), x.dtype.name) if x.dtype.kind == "V" else serving.sent(x)


def tried(dtype):
    """Whether a matrix product and its gradient run in the dtype."""
    try:
        jax.grad(lambda x: jnp.sum(x @ x))(jnp.ones((2, 2), dtype))
    except Exception:
        return False
    return True


DTYPES = [d for d in ("float64", "float32", "bfloat16", "float16") if tried(d)]
# float32: python -m benchmarks.ulp --backend jax --dtype float32 --every 4001, the worst error rounded up to the next half ULP.
# arctan is 0.8 ULP off in arrays of 100 elements and more, and 5.33 in arrays of 2 to 17: docs/findings/jax-arctan-of-short-arrays.md.
SINGLE = {
    "exp": 4.5, "exp2": 65.5, "expm1": 5.5, "log": 1.5, "log2": 2.0, "log10": 2.5, "log1p": 2.5, "sqrt": 0.5, "cbrt": 1.0,
    "reciprocal": 0.5, "sin": 1.0, "cos": 1.0, "tan": 1.5, "arcsin": 2.0, "arccos": 2.0, "arctan": 5.5, "sinh": 24.5, "cosh": 24.5,
    "tanh": 4.0, "arcsinh": 3.0, "arccosh": 4.0, "arctanh": 3.0, "power": 1.0, "arctan2": 1.5,
    "hypot": 2.0,
}  # fmt: skip  # a table of figures reads by rows
# float64: with --dtype float64 --count 163840. log1p is 128.6 ULP off near -0.414 in 0.10.2 (jax-ml/jax#39707), and no more in 0.12.0.1.
DOUBLE = {
    "exp": 2.0, "exp2": 689.5, "expm1": 4.5, "log": 1.0, "log2": 1.5, "log10": 2.0, "log1p": 129.0 if VERSION < (0, 12) else 2.5,
    "sqrt": 0.5, "cbrt": 3.5, "reciprocal": 0.5, "sin": 1.0, "cos": 1.0, "tan": 1.0, "arcsin": 1.5, "arccos": 1.5, "arctan": 2.5,
    "sinh": 496.0, "cosh": 496.0, "tanh": 7.0, "arcsinh": 3.0, "arccosh": 3.5, **({"arctanh": 129.5} if VERSION < (0, 12) else {}),
}  # fmt: skip  # a table of figures reads by rows
# Half formats: with --dtype bfloat16 --dtype float16, every number of them; pairs with --count 163840. What is not listed is computed in
# float32 and rounded once. The others round a step of their formula to the half format: exp2 the product of its operand and log 2. Compiled
# as a whole (--backend jax-jit) no function exceeds these figures.
BRAIN = {
    "exp2": 100.0, "log2": 2.0, "log10": 2.0, "arcsin": 1.5, "arccos": 1.5, "arcsinh": 1.5, "arccosh": 2.0, "arctanh": 1.5, "hypot": 2.0,
    "softplus": 1.5, "log_sigmoid": 1.5,
}  # fmt: skip  # a table of figures reads by rows
HALF = {
    "exp2": 14.0, "expm1": 2.5, "log2": 2.0, "log10": 1.5, "arcsin": 1.5, "arccos": 1.5, "arcsinh": 1.5, "arccosh": 2.0, "arctanh": 1.5,
    "hypot": 2.0, "softplus": 1.5, "log_sigmoid": 1.5,
}  # fmt: skip  # a table of figures reads by rows
# JAX has no tanhshrink: the twin is x - tanh(x), whose slope is a difference of which a half format keeps no digit near 0.
LACKING = {dtype: ["tanhshrink"] for dtype in ("bfloat16", "float16")}
# XLA sets the processor to take subnormal numbers as zero (jax-ml/jax#37762); those of float16 are normal in float32. It adds
# up what an operand that was broadcast receives in the half format (docs/findings/jax-gradients-of-broadcast-operands.md), and so are the
# partial sums of cumsum kept: those of 3 and 8 rows equal a loop in the half format.
PROFILE = {
    "ulp": {"float32": SINGLE, "float64": DOUBLE, "bfloat16": BRAIN, "float16": HALF},
    "flushing": ["float64", "float32", "bfloat16"],
    "broadcasting_reciprocal": True,
    "stored_reciprocal": ["float16"],
    "storing_broadcasts": ["bfloat16", "float16"],
    "scanning": True,
    "fused": JIT,
    "source": "measured with JAX 0.10.2 on x86-64 with AVX-512: python -m benchmarks.ulp --backend jax; "
    "arctan in float32 on 1e6 points in arrays of 4 elements, and on 1e6 in arrays of 16; half formats at all their numbers",
}


def hello():
    """What the worker says of itself."""
    return {
        "framework": "jax-jit" if JIT else "jax",
        "version": jax.__version__,
        "ops": sorted(TWINS),
        "lacking": LACKING,
        "dtypes": {"cpu": DTYPES},
        "modes": {"value": "call", "reverse": "jax.vjp", "forward": "jax.jvp"},
        "profile": PROFILE,
        "environment": {"numpy": np.__version__, "devices": str(jax.devices())},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
