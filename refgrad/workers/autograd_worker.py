"""HIPS autograd as a worker. It differentiates NumPy's functions, so its dtypes and their rounding are NumPy's."""

import serving

channel = serving.take_channel()

from importlib.metadata import version

import autograd.numpy as xp
import numpy as np
from autograd import make_jvp, make_vjp
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import getval
from numpy_twins import twins

DTYPES = ("float64", "float32")
TWINS = twins(xp)


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
    values, answer = [None] * len(case.nodes), {"unavailable": {}}

    def program(notes):
        def run(arguments):
            leaves = dict(zip(floats, arguments))

            def leaf(name, value):
                if name in leaves:
                    return leaves[name]
                return (
                    value.astype(case.dtype) if hasattr(value, "dtype") and value.dtype.kind == "f" else value
                )

            def tap(k, y):
                values[k] = np.asarray(getval(y)) if case.nodes[k].op or case.nodes[k].name else None
                return noted(y, k, notes) if np.asarray(getval(y)).dtype.kind == "f" else y

            return case.run(TWINS, leaf, tap, lambda k, position, x: noted(x, (k, position), notes))[
                case.output
            ]

        return run

    gradients, tangents = {}, {}
    try:
        pullback, _ = make_vjp(program(gradients))(arguments)
    except serving.Failed as error:
        answer["unavailable"]["value"] = serving.reason(error)
        return answer
    answer["values"] = [serving.sent(v) for v in values]
    try:
        pullback(case.cotangent.astype(case.dtype))
    except Exception as error:
        answer["unavailable"]["reverse"] = serving.reason(error)
    try:
        make_jvp(program(tangents))(arguments)(
            tuple(case.tangents[name].astype(case.dtype) for name in floats)
        )
    except Exception as error:
        refused = isinstance(error.__cause__ or error, NotImplementedError)
        answer["unavailable"]["forward"] = serving.reason(error, refused)
    places = range(len(case.nodes))
    answer["cotangents"] = [serving.sent(gradients.get(k)) for k in places]
    answer["tangents"] = [serving.sent(tangents.get(k)) for k in places]
    answer["parts"] = [[*at, serving.sent(g)] for at, g in gradients.items() if isinstance(at, tuple)]
    return answer


def hello():
    """What the worker says of itself."""
    return {
        "framework": "autograd",
        "version": version("autograd"),
        "ops": sorted(TWINS),
        "dtypes": {"cpu": list(DTYPES)},
        "modes": {"value": "call", "reverse": "make_vjp", "forward": "make_jvp"},
        "environment": {"numpy": np.__version__},
    }


if __name__ == "__main__":
    channel.serve(hello(), observe)
