"""Serves a framework to refgrad over a pipe: the part that all workers share. docs/extend/worker.md describes the protocol.

It runs where refgrad cannot: Python from 3.10 on, NumPy from 1.23 on. A worker takes the channel before it imports its framework, so
that nothing the framework prints disturbs it::

    import serving

    channel = serving.take_channel()
    import framework

    channel.serve({"framework": ...}, observe)
"""

import base64
import json
import os
import sys
import traceback

import numpy as np

SCHEMA = 1  # of the messages
LONGEST = 4000  # characters of a traceback that are sent


class Unsupported(Exception):
    """The framework lacks something that a case needs.

    ``what`` is "op", "dtype" or "parameter" with its name ("sum.where"), or "case" with the reason in words.
    """

    def __init__(self, what, name):
        super().__init__(f"no {what} {name}")
        self.what, self.name = what, name


class Failed(Exception):
    """An exception of the framework at a node of the graph; it is the exception's cause."""

    def __init__(self, node):
        super().__init__(f"node {node}")
        self.node = node


class Node:
    """A node of a graph: an input (``name``), a constant (``value``), or an op (``op``, ``of``, ``params``)."""

    def __init__(self, entry):
        self.name, self.value, self.op = entry.get("input", ""), None, entry.get("op")
        self.of, self.params = entry.get("of", []), {k: param(v) for k, v in entry.get("with", {}).items()}
        if "number" in entry:  # Python's: it takes the dtype of what it meets
            self.value = param(entry["number"])
        elif "constant" in entry:
            self.value = array(entry["constant"])


class Case:
    """A graph with data: dtype, device, nodes, the output node, inputs and their tangents by name, and the output's cotangent.

    ``graph`` is its message, by which equal programs are found. Arrays are NumPy's. Those of bfloat16 are float32 arrays, which hold its
    numbers exactly.
    """

    def __init__(self, entry):
        self.dtype, self.device = entry["dtype"], entry["device"]
        self.graph = entry["graph"]
        self.nodes = [Node(n) for n in self.graph["nodes"]]
        (self.output,) = entry["graph"]["outputs"]
        self.inputs = {k: array(v) for k, v in entry["inputs"].items()}
        self.tangents = {k: array(v) for k, v in entry["tangents"].items()}
        self.cotangent = array(entry["cotangent"])
        self.order = self._order()
        users = [j for k in self.order for j in self.nodes[k].of]
        self.shared = {j for j in users if users.count(j) > 1}  # nodes with several users

    def _order(self):
        """The nodes that the output needs, operands first."""
        needed, stack = set(), [self.output]
        while stack:
            k = stack.pop()
            if k not in needed:
                needed.add(k)
                stack += self.nodes[k].of
        return sorted(needed)  # a node stands after its operands

    def run(self, twins, leaf, tap=lambda k, y: y, use=lambda k, position, x: x):
        """The values of all nodes, None where the output needs none. ``twins`` has the framework's function for each op.

        ``leaf(name, value)`` makes an input (with a name) or a constant. ``tap(k, y)`` gives the value of a node as its users receive it,
        ``use(k, position, x)`` an operand of a node as that node alone receives it. Raises Unsupported, and Failed with the node of an
        exception.
        """
        values = [None] * len(self.nodes)
        for k in self.order:
            node = self.nodes[k]
            if node.op is not None and node.op not in twins:
                raise Unsupported("op", node.op)
            try:
                if node.op is None:
                    values[k] = tap(k, leaf(node.name, self.inputs[node.name] if node.name else node.value))
                else:
                    xs = [
                        use(k, i, values[j]) if j in self.shared else values[j] for i, j in enumerate(node.of)
                    ]
                    values[k] = tap(k, twins[node.op](*xs, **node.params))
            except Unsupported:
                raise
            except Exception as error:
                raise Failed(k) from error
        return values


class Channel:
    """The pipe to refgrad: one JSON object a line, in both directions."""

    def __init__(self, reading, writing):
        self.reading, self.writing = reading, writing

    def serve(self, hello, observe):
        """Send the hello, then answer cases until refgrad closes the pipe.

        ``observe(case)`` returns the answer as a dict. It may raise Unsupported. Any other exception is answered as an error.
        """
        self.send({"schema": SCHEMA, **hello})
        for line in self.reading:
            request = json.loads(line)
            answer = {"id": request["id"]}
            try:
                answer.update(observe(Case(request["case"])))
            except Unsupported as error:
                answer["unsupported"] = {error.what: error.name}
            except Exception as error:
                answer["error"] = reason(error)
            self.send(answer)

    def send(self, message):
        """Write one message."""
        self.writing.write(json.dumps(message, allow_nan=False, separators=(",", ":")) + "\n")
        self.writing.flush()


def take_channel():
    """The channel on standard input and output. From here on what is printed goes to standard error."""
    ours = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return Channel(sys.stdin, os.fdopen(ours, "w", encoding="utf-8"))


def tried(observe, dtypes, device="cpu"):
    """The dtypes in which ``observe`` answers a small program, x * x + x; the hello lists them."""
    nodes = [{"input": "x"}, {"op": "multiply", "of": [0, 0]}, {"op": "add", "of": [1, 0]}]
    x = sent(np.array([0.5, -2.0], np.float32))
    entry = {"device": device, "graph": {"nodes": nodes, "outputs": [2]}, "cotangent": x}
    found = []
    for dtype in dtypes:
        try:
            answer = observe(Case({**entry, "dtype": dtype, "inputs": {"x": x}, "tangents": {"x": x}}))
        except Exception as error:
            sys.stderr.write(f"{dtype} on {device}: {type(error).__name__}: {error}\n")
            continue
        failed = answer.get("unavailable", {}).get("value")
        if failed:
            sys.stderr.write(f"{dtype} on {device}: {failed['words']}\n")
        else:
            found.append(dtype)
    return found


def reason(error, refused=False):
    """Why a mode has no answer: the exception in words, whether the framework refuses the mode, the node, and the traceback."""
    node = error.node if isinstance(error, Failed) else -1
    cause = error.__cause__ if isinstance(error, Failed) and error.__cause__ is not None else error
    lines = [line for line in str(cause).splitlines() if line.strip()] or [""]
    text = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    # A message may begin with a traceback of its own.
    first = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    words = f"{type(cause).__name__}: {first[:200]}"
    return {"words": words, "refused": refused, "node": node, "details": "" if refused else text[-LONGEST:]}


def refused(error, *phrases):
    """Whether the framework says that it lacks a derivative: a NotImplementedError in its words. Without one of them it is a fault."""
    cause = error.__cause__ if isinstance(error, Failed) and error.__cause__ is not None else error
    return type(cause) is NotImplementedError and any(phrase in str(cause) for phrase in phrases)


def fan_in(*xs):
    """The sum of several operands."""
    return sum(xs[1:], xs[0])


# --- exact arrays and parameters --------------------------------------------------------------------------------------


def sent(x, dtype=None):
    """An array as a message: dtype, shape, and its elements as base64, little-endian, in C order. None stays None.

    ``dtype`` is the framework's name of the dtype where NumPy has none: then the elements are float32 numbers.
    """
    if x is None:
        return None
    x = np.asarray(x)
    plain = x.astype(x.dtype.newbyteorder("<"), order="C", copy=False)
    entry = {
        "dtype": x.dtype.name,
        "shape": list(x.shape),
        "base64": base64.b64encode(plain.tobytes()).decode(),
    }
    return {**entry, "of": dtype} if dtype and dtype != x.dtype.name else entry


def derivatives(case, bars, dots=None, sent=sent):
    """What an answer holds of derivatives: cotangents, parts, and with ``dots`` tangents. ``sent`` makes the message of an array.

    ``bars`` has under (k, -1) the gradient of node k, and under (k, i) what node k sends to its operand i; ``dots`` has under k the
    tangent of node k.
    """
    places = range(len(case.nodes))
    answer = {
        "cotangents": [sent(bars.get((k, -1))) for k in places],
        "parts": [[*at, sent(g)] for at, g in bars.items() if at[1] >= 0],
    }
    return answer if dots is None else {**answer, "tangents": [sent(dots.get(k)) for k in places]}


def array(entry):
    """The array of a message."""
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    flat = np.frombuffer(base64.b64decode(entry["base64"]), dtype)
    return flat.astype(dtype.newbyteorder("=")).reshape(entry["shape"])


_NUMBERS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def param(entry):
    """The parameter of an op: None, a boolean, a number, a string, or a tagged tuple, slice, array, dtype, float, Ellipsis."""
    if not isinstance(entry, dict):
        return entry
    ((tag, value),) = entry.items()
    if tag == "tuple":
        return tuple(param(v) for v in value)
    if tag == "slice":
        return slice(*(param(v) for v in value))
    if tag == "array":
        return array(value)
    if tag == "dtype":
        return np.dtype(value)
    if tag == "float":
        return _NUMBERS[value]
    return Ellipsis
