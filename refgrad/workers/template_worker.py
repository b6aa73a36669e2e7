"""A worker to start from, one file: NumPy as a framework of seven ops, in both modes. docs/extend/worker.md describes the messages.

It needs Python from 3.10 on and NumPy from 1.23 on. Copy it, import your framework where it imports NumPy's functions, and replace
`observe` and the hello. Try it with `refgrad conformance --backend ./my_worker.py`.
"""

import base64
import json
import os
import sys
import traceback

# refgrad reads what this process writes to standard output. From here on, prints go to standard error.
channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

import numpy as np

DTYPES = ("float64", "float32")
OPS = {  # op: the function, and its slopes in each operand, of the operands and the value
    "add": (np.add, lambda a, b, y: (np.ones_like(a), np.ones_like(b))),
    "multiply": (np.multiply, lambda a, b, y: (b, a)),
    "negative": (np.negative, lambda x, y: (-np.ones_like(x),)),
    "exp": (np.exp, lambda x, y: (y,)),
    "sin": (np.sin, lambda x, y: (np.cos(x),)),
    "tanh": (np.tanh, lambda x, y: (1 - y * y,)),
    "square": (np.square, lambda x, y: (2 * x,)),
}
HELLO = {
    "schema": 1,
    "framework": "template",
    "version": np.__version__,
    "ops": sorted(OPS),
    "modes": {"value": "call", "reverse": "walk back", "forward": "push"},
    "parts": True,
    "profile": {"ulp": {"float32": {"exp": 4, "sin": 4, "tanh": 4}}, "source": "NumPy: at most 4 ULP"},
}


class Unsupported(Exception):
    """What the framework lacks: ("op", name) or ("dtype", name)."""


def observe(case):
    """Values, gradients and tangents of all nodes: lists with an entry for each node, None where there is none."""
    if case["dtype"] not in DTYPES:
        raise Unsupported("dtype", case["dtype"])
    values, dots, slopes = [], [], []
    for node in case["graph"]["nodes"]:
        of_node = called(node, values, dots, case["dtype"]) if "op" in node else given(node, case)
        for of_all, one in zip((values, dots, slopes), of_node):
            of_all.append(one)
    bars, parts = walked_back(case, values, dots, slopes)
    return {
        "values": [sent(x) for x in values],
        "cotangents": [sent(x) for x in bars],
        "tangents": [sent(x) for x in dots],
        "parts": parts,
    }


def called(node, values, dots, dtype):
    """Value, tangent and slopes of an op."""
    if node["op"] not in OPS:
        raise Unsupported("op", node["op"])
    function, slope = OPS[node["op"]]
    xs = [values[j] for j in node["of"]]
    y = np.asarray(function(*xs))
    slopes = [np.asarray(s, dtype) for s in slope(*xs, y)]
    moving = [s * dots[j] for j, s in zip(node["of"], slopes) if dots[j] is not None]
    y_dot = np.asarray(np.broadcast_to(sum(moving[1:], moving[0]), y.shape)) if moving else None
    return y, y_dot, slopes


def given(node, case):
    """Value, tangent and no slopes of an input, a constant or a number."""
    dtype = case["dtype"]
    if "number" in node:
        return np.asarray(number(node["number"])).astype(dtype), None, ()
    x = received(case["inputs"][node["input"]] if "input" in node else node["constant"])
    if x.dtype.kind != "f":
        return x, None, ()
    x_dot = received(case["tangents"][node["input"]]).astype(dtype) if "input" in node else None
    return x.astype(dtype), x_dot, ()


def walked_back(case, values, dots, slopes):
    """The gradients of all nodes, and what each use of a node sends back where it has several."""
    nodes, (output,) = case["graph"]["nodes"], case["graph"]["outputs"]
    bars, parts = [None] * len(nodes), []
    bars[output] = received(case["cotangent"]).astype(case["dtype"])
    users = [j for node in nodes for j in node.get("of", ())]
    for k in reversed(range(len(nodes))):
        for position, (j, s) in enumerate(zip(nodes[k].get("of", ()), slopes[k])):
            if bars[k] is not None and dots[j] is not None:
                back = unbroadcast(np.asarray(s * bars[k]), values[j].shape)
                bars[j] = back if bars[j] is None else bars[j] + back
                if users.count(j) > 1:
                    parts.append([k, position, sent(back)])
    return bars, parts


def unbroadcast(g, shape):
    """The gradient of an operand of this shape that was broadcast."""
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


def sent(x):
    """An array as a message."""
    if x is None:
        return None
    data = base64.b64encode(x.astype(x.dtype.newbyteorder("<"), order="C").tobytes()).decode("ascii")
    return {"dtype": x.dtype.name, "shape": list(x.shape), "base64": data}


def received(entry):
    """The array of a message."""
    dtype = np.dtype(entry["dtype"])
    flat = np.frombuffer(base64.b64decode(entry["base64"]), dtype.newbyteorder("<"))
    return flat.astype(dtype).reshape(entry["shape"])


def number(entry):
    """A number of a message; those that are not finite are {"float": "nan"}, "inf" or "-inf"."""
    return float(entry["float"]) if isinstance(entry, dict) else entry


def computes(dtype):
    """Whether the framework computes in a dtype: it is tried."""
    x, nodes = sent(np.ones(1)), [{"input": "x"}, {"op": "exp", "of": [0]}]
    case = {"dtype": dtype, "graph": {"nodes": nodes, "outputs": [1]}, "inputs": {"x": x}}
    try:
        return observe({**case, "tangents": {"x": x}, "cotangent": x})["values"][1]["dtype"] == dtype
    except Exception:
        return False


def send(message):
    """Write one message, on one line."""
    channel.write(json.dumps(message, allow_nan=False) + "\n")
    channel.flush()


if __name__ == "__main__":
    send({**HELLO, "dtypes": {"cpu": [dtype for dtype in DTYPES if computes(dtype)]}})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = observe(request["case"])
        except Unsupported as error:
            answer = {"unsupported": dict([error.args])}
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            answer = {
                "error": {"words": words, "refused": False, "node": -1, "details": traceback.format_exc()}
            }
        send({"id": request["id"], **answer})
