"""TensorFlow as a worker: op by op under a tape, as a graph that is declared first and bound later (``function``), or compiled (``xla``).

Op by op the gradient of every node is asked of one tape. A graph is asked for what its user asks it for: the output, the gradients of the
inputs, the tangent of the output. TensorFlow rewrites a graph before it runs it, so that nodes inside have no values of their own.
"""

import os
import sys

import serving

channel = serving.take_channel()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from tensorflow_refusals import of_casts, why
from tensorflow_twins import NOT_COMPILED, TWINS

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.set_visible_devices([], "GPU")

XLA, GRAPH = "xla" in sys.argv[1:], bool({"function", "xla"} & set(sys.argv[1:]))
if not GRAPH:  # forward mode traces a function for each op and shape otherwise, in 10 ms and more
    tf.config.run_functions_eagerly(True)

# tf.experimental.numpy does not compute in bfloat16; the others have no kernel for it.
LACKING = {
  "bfloat16": [
    "deg2rad", "exp2", "heaviside", "hypot", "log10", "log2", "logaddexp", "logaddexp2", "rad2deg", "sinc", "trunc",
    "det", "inv", "logabsdet", "rint", "solve",
  ],
  "float16": ["det", "inv", "logabsdet", "solve"],
}  # fmt: skip  # a list reads by kinds


PRODUCT = TWINS["matmul"]


def _with_elements(a, b):
    """A matrix product. In a graph it is fused with a sum, which ends the process where a matrix is empty (docs/findings)."""
    if 0 in (*a.shape, *b.shape):
        raise serving.Unsupported("op", "a product of empty matrices")
    return PRODUCT(a, b)


if GRAPH and not XLA:
    TWINS["matmul"] = _with_elements


class Program:
    """A case in TensorFlow's words: its inputs, its cotangent, and what is asked of it. ``asked`` are the floating-point inputs."""

    def __init__(self, case):
        self.case, self.dtype = case, tf.as_dtype(case.dtype)
        self.inputs = {name: held(x, self.dtype) for name, x in case.inputs.items()}
        self.asked = [name for name, x in self.inputs.items() if x.dtype == self.dtype]
        self.cotangent = held(case.cotangent, self.dtype)
        self.tangents = [held(case.tangents[name], self.dtype) for name in self.asked]

    def run(self, inputs, uses=None):
        """The values of all nodes. Every operand with several users is noted in ``uses``, as a tensor of its own for each."""
        taken = set()

        def leaf(name, value):
            return inputs[name] if name else held(value, self.dtype)

        def tap(k, y):
            # What an op returned as it was has gradients of its own.
            y = tf.identity(y) if id(y) in taken else y
            taken.add(id(y))
            return y

        def use(k, position, x):
            if uses is None or not self.real(x):
                return x
            uses[k, position] = tf.identity(x)
            return uses[k, position]

        return self.case.run(TWINS, leaf, tap, use)

    def real(self, x):
        """Whether a value is a tensor of the judged dtype."""
        return tf.is_tensor(x) and x.dtype == self.dtype

    def reverse(self, inputs, cotangent):
        """The value of the output, and the gradients of the floating-point inputs."""
        asked = [inputs[name] for name in self.asked]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(asked)
            y = self.run(inputs)[self.case.output]
        return y, tape.gradient(y, asked, cotangent) if self.real(y) else [None for _ in asked]

    def forward(self, inputs, tangents):
        """The tangent of the output."""
        with tf.autodiff.ForwardAccumulator([inputs[name] for name in self.asked], tangents) as accumulator:
            y = self.run(inputs)[self.case.output]
        return accumulator.jvp(y) if self.real(y) else None


def observe(case):
    """The answer to a case."""
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    for node in case.nodes:
        if node.op in LACKING.get(case.dtype, ()):
            raise serving.Unsupported("op", node.op)
    program, answer = Program(case), {"unavailable": {}}
    try:
        (_graph if GRAPH else _op_by_op)(program, answer)
    except serving.Failed as error:
        return {"unavailable": {"value": why(error)}}
    lacking = of_casts(case.nodes, None if GRAPH else answer.get("tangents"))
    if lacking:
        derivatives = ("cotangents", "parts", "tangents", "primals")
        answer = {field: x for field, x in answer.items() if field not in derivatives}
        answer["unavailable"] = {**lacking, **answer["unavailable"]}
    return answer


def _op_by_op(program, answer):
    """Values, gradients and tangents of all nodes, and the gradients of their uses."""
    places, uses, inputs = range(len(program.case.nodes)), {}, program.inputs
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([inputs[name] for name in program.asked])
        values = program.run(inputs, uses)
    answer["values"] = [sent(v) for v in values]
    real = [k for k in places if program.real(values[k])]
    output = program.case.output
    try:
        if output in real:
            sources = [values[k] for k in real] + list(uses.values())
            bars = tape.gradient(values[output], sources, program.cotangent)
            found = dict(zip(real, bars))
            answer["cotangents"] = [sent(found.get(k)) for k in places]
            answer["parts"] = [[*at, sent(g)] for at, g in zip(uses, bars[len(real) :]) if g is not None]
    except Exception as error:
        answer["unavailable"]["reverse"] = why(error)
    try:
        primals = [inputs[name] for name in program.asked]
        with tf.autodiff.ForwardAccumulator(primals, program.tangents) as accumulator:
            values = program.run(inputs)
        answer["primals"] = [sent(v) for v in values]
        answer["tangents"] = [sent(accumulator.jvp(v)) if program.real(v) else None for v in values]
    except Exception as error:
        answer["unavailable"]["forward"] = why(error)


def _graph(program, answer):
    """The output, its tangent and the gradients of the inputs, by graphs that are declared without the data."""
    nodes, nothing = program.case.nodes, [None] * len(program.case.nodes)
    declared = {name: tf.TensorSpec(x.shape, x.dtype) for name, x in program.inputs.items()}
    seed = tf.TensorSpec(program.cotangent.shape, program.dtype)

    def built(f, *signature):
        return tf.function(f, autograph=False, jit_compile=XLA or None).get_concrete_function(*signature)

    def at(k, x):
        return [*nothing[:k], sent(x), *nothing[k + 1 :]]

    output = program.case.output
    try:
        y, bars = built(program.reverse, declared, seed)(program.inputs, program.cotangent)
        places = {node.name: k for k, node in enumerate(nodes) if node.name}
        answer["cotangents"] = [*nothing]
        for name, g in zip(program.asked, bars):
            answer["cotangents"][places[name]] = sent(g)
    except (serving.Failed, serving.Unsupported):
        raise
    except Exception as error:  # the value is due all the same
        answer["unavailable"]["reverse"] = why(error)
        y = built(lambda inputs: program.run(inputs)[output], declared)(program.inputs)
    answer["values"] = at(output, y)
    try:
        moving = [tf.TensorSpec(t.shape, program.dtype) for t in program.tangents]
        y_dot = built(program.forward, declared, moving)(program.inputs, program.tangents)
        answer["tangents"] = at(output, y_dot)
    except Exception as error:
        answer["unavailable"]["forward"] = why(error)


def held(x, dtype):
    """An array or a number in the judged dtype; integers and booleans as they are."""
    x = np.asarray(x)
    return tf.cast(tf.constant(x), dtype) if x.dtype.kind == "f" else tf.constant(x)


def sent(x):
    """A tensor as a message. Numbers of bfloat16 travel as float32."""
    if not tf.is_tensor(x):
        return serving.sent(tf.convert_to_tensor(x).numpy()) if isinstance(x, tf.IndexedSlices) else None
    x = tf.convert_to_tensor(x)  # the gradient of a gather has only the slices that are not zero
    if x.dtype == tf.bfloat16:
        return serving.sent(np.asarray(tf.cast(x, tf.float32)), "bfloat16")
    return serving.sent(np.asarray(x))


def tried(dtype):
    """Whether a matrix product and its gradient run in the dtype."""
    x = tf.ones((2, 2), dtype)
    try:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.matmul(x, x))
        return tape.gradient(y, x) is not None
    except Exception:
        return False


# Half formats are measured and judged op by op alone.
DTYPES = [d for d in ("float64", "float32", *(() if GRAPH else ("bfloat16", "float16"))) if tried(d)]


# Each figure is the largest error that `python -m benchmarks.ulp --backend tensorflow` met, rounded up to the next half.
PROFILE = {
    "ulp": {
        "float32": {
            "exp": 1.5, "exp2": 1.5, "expm1": 4.5, "log": 2.5, "log2": 3.5, "log10": 3.5, "log1p": 4, "reciprocal": 3, "arcsin": 4,
            "arccos": 4.5, "arctan": 3.5, "tanh": 5, "power": 2.5, "sigmoid": 6.5, "arctan2": 4.5, "hypot": 1.5,
        },
        "float64": {
            "exp": 2, "exp2": 2, "expm1": 3.5, "log": 2, "log10": 3.5, "log1p": 2.5, "arctan": 4, "tanh": 7.5, "power": 240.5,
            "arctan2": 5, "hypot": 1.5,
        },
        # Half formats at all their numbers. What is not listed is computed in float32 and rounded once; these round their steps.
        "bfloat16": {"sigmoid": 2, "silu": 2.5, "mish": 6, "softplus": 7, "log_sigmoid": 7},
        "float16": {
            "log2": 2, "log10": 1.5, "hypot": 1.5, "sigmoid": 2, "silu": 9, "mish": 9, "softplus": 1.5, "log_sigmoid": 1.5,
        },
    },
    "flushing": ["float64", "float32", "bfloat16"],
    "storing_sums": ["float16"],
    "scanning": True,
    "reciprocal": XLA,  # its algebraic simplifier turns a quotient by a constant into a product
    "source": "benchmarks.ulp, TensorFlow 2.21.0 on x86-64, 2e6 numbers of each dtype, half formats at all their numbers",
}  # fmt: skip  # a table of figures reads by rows


def hello():
    """What the worker says of itself."""
    name = "tensorflow-xla" if XLA else "tensorflow-function" if GRAPH else "tensorflow"
    return {
        "framework": name,
        "version": tf.__version__,
        "ops": sorted(TWINS.keys() - {*NOT_COMPILED} if XLA else TWINS),
        "fixed": ["softplus.threshold"],
        "lacking": LACKING,
        "dtypes": {"cpu": DTYPES},
        "modes": {"value": "call", "reverse": "tf.GradientTape", "forward": "tf.autodiff.ForwardAccumulator"},
        # The graph optimizer adds up the terms of nested sums as one sum; XLA keeps their order.
        "profile": {**PROFILE, "fused": GRAPH, "reassociating": GRAPH and not XLA},
        "environment": {"numpy": np.__version__},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
