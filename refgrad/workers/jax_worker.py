"""JAX as a worker: op by op, or with the argument ``jit`` each program compiled as a whole by XLA."""

import sys

import serving

channel = serving.take_channel()

import jax
import jax.numpy as jnp
import numpy as np
from numpy_twins import twins

jax.config.update("jax_enable_x64", True)  # for the whole process; float32 programs stay float32
jax.config.update("jax_platforms", "cpu")

JIT = "jit" in sys.argv[1:]
compiled = jax.jit if JIT else lambda f: f
TWINS = {
    **twins(jnp, masks=True),
    "where": jnp.where,
    "pad": lambda x, pad_width, constant_values: jnp.pad(x, pad_width, constant_values=constant_values),
    "sinc": lambda x, order: jnp.sinc(x) if order == 0 else None,
    "xlogy": jax.scipy.special.xlogy,
    "xlog1py": jax.scipy.special.xlog1py,
    "entr": jax.scipy.special.entr,
    "kl_div": lambda x, t: jax.scipy.special.xlogy(t, t) - t * x,
    "logit": jax.scipy.special.logit,
    "norm": lambda x, ord, axis, keepdims: jnp.linalg.norm(x, ord, axis, keepdims),  # noqa: A006 - the op's parameter
    "sigmoid": jax.nn.sigmoid,
    "softplus": lambda x, threshold: jax.nn.softplus(x),
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
del TWINS["sinc"]  # its derivatives are ops of their own in refgrad


@jax.custom_vjp
def tapped(x, dummy):
    """x. The gradient of the dummy is that of x, with all its signs of zero."""
    return x


tapped.defvjp(lambda x, dummy: (x, None), lambda _, g: (g, g))


def observe(case):
    """Values and tangents of all nodes, gradients of all nodes and of their uses."""
    if case.dtype not in DTYPES:
        raise serving.Unsupported("dtype", case.dtype)
    dtype = jnp.dtype(case.dtype)
    given = {k: held(x, dtype) for k, x in case.inputs.items()}
    floats = {k: x for k, x in given.items() if x.dtype == dtype}
    answer = {"unavailable": {}}

    def run(leaves, dummies=None):
        def leaf(name, value):
            return leaves.get(name, given.get(name)) if name else held(value, dtype)

        def tap(at, y):
            return y if dummies is None or at not in dummies else tapped(y, dummies[at])

        return case.run(
            TWINS, leaf, lambda k, y: tap((k, -1), y), lambda k, position, x: tap((k, position), x)
        )

    try:
        values = compiled(run)(floats)
    except serving.Failed as error:
        return {"unavailable": {"value": serving.reason(error)}}
    answer["values"] = [sent(v) for v in values]
    real = [k for k, v in enumerate(values) if getattr(v, "dtype", None) == dtype]
    uses = [
        (k, i) for k in case.order for i, j in enumerate(case.nodes[k].of) if j in case.shared and j in real
    ]
    zeros = {(k, -1): jnp.zeros_like(values[k]) for k in real}  # what a node's users together send back
    zeros |= {(k, i): jnp.zeros_like(values[case.nodes[k].of[i]]) for k, i in uses}
    bars, dots = {}, {}
    try:
        if case.output in real:
            pulled = compiled(lambda d, g: jax.vjp(lambda d: run(floats, d)[case.output], d)[1](g)[0])
            bars = pulled(zeros, held(case.cotangent, dtype))
    except Exception as error:
        answer["unavailable"]["reverse"] = serving.reason(
            error, isinstance(error.__cause__ or error, NotImplementedError)
        )
    try:
        moving = {k: held(case.tangents[k], dtype) for k in floats}
        pushed = compiled(
            lambda x, x_dot: jax.jvp(
                lambda x: {k: y for k, y in enumerate(run(x)) if k in real}, (x,), (x_dot,)
            )
        )
        dots = pushed(floats, moving)[1] if floats else {}
    except Exception as error:
        answer["unavailable"]["forward"] = serving.reason(
            error, isinstance(error.__cause__ or error, NotImplementedError)
        )
    places = range(len(case.nodes))
    answer["cotangents"] = [sent(bars.get((k, -1))) for k in places]
    answer["tangents"] = [sent(dots.get(k)) for k in places]
    answer["parts"] = [[*at, sent(g)] for at, g in bars.items() if at[1] >= 0]
    return answer


def held(x, dtype):
    """An array in the judged dtype; integers, booleans and Python's numbers as they are."""
    return (
        jnp.asarray(x, dtype)
        if hasattr(x, "dtype") and x.dtype.kind == "f"
        else x
        if not hasattr(x, "dtype")
        else jnp.asarray(x)
    )


def sent(x):
    """An array as a message; dtypes that NumPy lacks travel as float32."""
    if x is None or not hasattr(x, "dtype"):
        return None
    if jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.name not in ("float64", "float32", "float16"):
        return serving.sent(np.asarray(x.astype(jnp.float32)), x.dtype.name)
    return serving.sent(np.asarray(x))


def tried(dtype):
    """Whether a matrix product and its gradient run in the dtype."""
    try:
        jax.grad(lambda x: jnp.sum(x @ x))(jnp.ones((2, 2), dtype))
    except Exception:
        return False
    return True


DTYPES = [d for d in ("float64", "float32", "bfloat16", "float16") if tried(d)]


def hello():
    """What the worker says of itself."""
    return {
        "framework": "jax-jit" if JIT else "jax",
        "version": jax.__version__,
        "ops": sorted(TWINS),
        "dtypes": {"cpu": DTYPES},
        "modes": {"value": "call", "reverse": "jax.vjp", "forward": "jax.jvp"},
        "profile": {"fused": JIT},
        "environment": {"numpy": np.__version__, "devices": str(jax.devices())},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
