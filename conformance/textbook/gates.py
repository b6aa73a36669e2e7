"""D3: gates. Add distributes, multiply swaps, copy adds, max routes; the logistic neuron; a modular graph object."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import refgrad as rg
from refgrad.torch import gradcheck

from .outcome import OTHER, Outcome
from .perceptron import sigmoid
from .record import Array, Item, Problem, lifted, shifted

POINT = (-2.0, 5.0, -4.0, 0.0)  # x, y, z, and a shift of q


def sum_times(x: Array, y: Array, z: Array, on_q: Array | None = None) -> Array:
    """f = q z with q = x + y."""
    q = shifted(x + y, on_q)
    return q * z


def sum_times_closed(x: Array, y: Array, z: Array, on_q: Array) -> tuple[Array, ...]:
    """df/dq = z goes to x and y alike; df/dz = q."""
    return z, z, x + y, z


def sum_times_torch(
    x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, on_q: torch.Tensor
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    q = x + y
    return q * z, (x, y, z, q)


def values_of_the_lecture(outcome: Outcome) -> None:
    """q = 3, f = -12, and the three gradients."""
    x, y, z, on_q = lifted(tuple(map(np.float64, POINT)), "float64")
    outcome.prints("q", 3, x + y)
    outcome.prints("f", -12, sum_times(x, y, z, on_q))
    for name, due, found in zip(
        "xyz", (-4, -4, 3), rg.grad(sum_times, (0, 1, 2))(x, y, z, on_q), strict=True
    ):
        outcome.prints(f"df/d{name}", due, found)


# --- the logistic neuron -----------------------------------------------------------------------------------------------

NEURON = (2.0, -1.0, -3.0, -2.0, -3.0)  # pre-activation 1


def eight_gates(w0: Array, x0: Array, w1: Array, x1: Array, w2: Array) -> Array:
    """1 / (1 + e^-(w0 x0 + w1 x1 + w2)), one elementary gate at a time."""
    a = w0 * x0
    b = w1 * x1
    c = a + b
    z = c + w2
    m = z * -1
    e = np.exp(m)
    d = e + 1
    return 1 / d


def eight_gates_closed(w0: Array, x0: Array, w1: Array, x1: Array, w2: Array) -> tuple[Array, ...]:
    """Back through the eight gates."""
    m = (w0 * x0 + w1 * x1 + w2) * -1
    e = np.exp(m)
    dd = -1 / (e + 1) ** 2
    de = dd * 1
    dm = de * e
    dz = dm * -1
    return dz * x0, dz * w0, dz * x1, dz * w1, dz * 1


def eight_gates_torch(
    w0: torch.Tensor, x0: torch.Tensor, w1: torch.Tensor, x1: torch.Tensor, w2: torch.Tensor
) -> torch.Tensor:
    return 1 / (torch.exp((w0 * x0 + w1 * x1 + w2) * -1) + 1)


def one_gate(w0: Array, x0: Array, w1: Array, x1: Array, w2: Array) -> Array:
    """The same neuron with one sigmoid gate."""
    return rg.nn.sigmoid(w0 * x0 + w1 * x1 + w2)


def one_gate_closed(w0: Array, x0: Array, w1: Array, x1: Array, w2: Array) -> tuple[Array, ...]:
    """dz = s (1 - s)."""
    s = rg.nn.sigmoid(w0 * x0 + w1 * x1 + w2)
    dz = s * (1 - s)
    return dz * x0, dz * w0, dz * x1, dz * w1, dz


def eight(outcome: Outcome) -> None:
    """There are eight gates indeed."""
    graph = rg.Graph.record(eight_gates, *map(np.float64, NEURON))
    gates = [str(n) for n in graph.nodes if n.op is not None]
    outcome.state(len(gates) == 8, f"the neuron has {len(gates)} gates: {gates}")
    outcome.table("Gates, from the inputs to the result", ("gate",), [(g,) for g in gates])


def same_gradients(outcome: Outcome) -> None:
    """One sigmoid gate against the eight elementary ones."""
    args = tuple(map(np.float64, NEURON))
    due = rg.grad(eight_gates, tuple(range(5)))(*lifted(args, "float64"))
    reach = rg.grad(one_gate, tuple(range(5)))(*lifted(args, "float64"))
    found = rg.grad(one_gate, tuple(range(5)))(*args)
    for k, (got, ball, own) in enumerate(zip(found, due, reach, strict=True)):
        outcome.within(OTHER, f"one sigmoid gate against eight gates: gradient {k}", got, ball, own)


def local_gradient(outcome: Outcome) -> None:
    """s = 0.73 and s (1 - s) = 0.2 at a pre-activation of 1."""
    (z,) = lifted((np.float64(1.0),), "float64")
    outcome.prints("sigmoid(1)", 0.73, sigmoid(z), digits=2)
    outcome.prints("local gradient at 1", 0.2, rg.grad(sigmoid)(z), digits=1)


# --- a modular graph ---------------------------------------------------------------------------------------------------


def modular(outcome: Outcome) -> None:
    """forward over the nodes in topological order, backward over the reverse: refgrad's Graph, on the neuron."""
    args = tuple(map(np.float64, NEURON))
    graph = rg.Graph.record(eight_gates, *args)
    order = graph.order()
    place = {k: i for i, k in enumerate(order)}
    sorted_ = all(place[j] < place[k] for k in order for j in graph.nodes[k].of)
    outcome.state(sorted_, "an operand stands behind its user")
    balls = lifted(args, "float64")
    outcome.same(OTHER, "forward of the graph object", graph.forward(*args), eight_gates(*balls))
    due = rg.grad(eight_gates, tuple(range(5)))(*balls)
    for name, ball in zip(graph.inputs, due, strict=True):
        outcome.same(OTHER, f"backward of the graph object: {name}", graph.backward()[name], ball)


class Multiply(torch.autograd.Function):
    """A custom multiply gate that saves its operands."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx: Any, up: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, y = ctx.saved_tensors
        return up * y, up * x


def as_a_user_would(outcome: Outcome) -> None:
    """The custom backward before gradcheck, which is told the function in NumPy and nothing more."""
    inputs = (torch.tensor([1.5, -2.0, 0.25]), torch.tensor([0.5, 3.0, -1.0]))
    report = gradcheck(
        Multiply.apply, inputs, reference=np.multiply, check_forward=False, raise_exception=False
    )
    outcome.state(bool(report), report.summary())
    rows = [(dtype, v.mode, v.status, v.elements) for dtype, v in report.verdicts]
    outcome.table(
        "refgrad.torch.gradcheck(Multiply.apply, ..., reference=np.multiply)",
        ("dtype", "mode", "status", "elements"),
        rows,
    )


def halves(pair_up: Array, x: Array) -> Array:
    """What copy sends back: the sum of what comes to its copies."""
    return pair_up[0] + pair_up[1]


PAIR = (1.5, -2.5)
ITEMS = (
    Item(
        "D3-gates-sum-times", "f = (x + y) z on a graph",
        "q = x + y, f = q z at x = -2, y = 5, z = -4: df/dx = df/dy = z = -4, df/dz = q = 3",
        (Problem(sum_times, POINT, sum_times_closed, sum_times_torch, shifts=1),), values_of_the_lecture,
    ),
    Item(
        "D3-neuron-eight-gates", "Logistic neuron as eight elementary gates", "f = 1 / (1 + e^-(w0 x0 + w1 x1 + w2))",
        (Problem(eight_gates, NEURON, eight_gates_closed, eight_gates_torch),), eight,
    ),
    Item(
        "D3-neuron-one-gate", "Logistic neuron with one sigmoid gate", "ds/dz = s (1 - s): the same gradients as through eight gates",
        (
            Problem(
                one_gate, NEURON, one_gate_closed, lambda w0, x0, w1, x1, w2: torch.sigmoid(w0 * x0 + w1 * x1 + w2)
            ),
        ),
        same_gradients,
    ),
    Item(
        "D3-sigmoid-gate", "Local gradient of the sigmoid gate", "at a pre-activation of 1: s = 0.73, s (1 - s) = 0.2 to one digit",
        (Problem(sigmoid, (1.0,), lambda z: sigmoid(z) * (1 - sigmoid(z)), torch.sigmoid),), local_gradient,
    ),
    Item(
        "D3-add-distributes", "Add distributes", "f = x + y: both operands receive the upstream gradient",
        (Problem(lambda x, y: x + y, PAIR, lambda up, x, y: (up, up), lambda x, y: x + y, upstream=3.0),),
    ),
    Item(
        "D3-multiply-swaps", "Multiply swaps", "f = x y: each operand receives the upstream gradient times the other",
        (Problem(lambda x, y: x * y, PAIR, lambda up, x, y: (up * y, up * x), lambda x, y: x * y, upstream=3.0),),
    ),
    Item(
        "D3-copy-adds", "Copy adds", "x goes to two places: it receives the sum of what comes back",
        (
            Problem(lambda x: np.stack([x, x]), (1.5,), halves, lambda x: torch.stack([x, x]), upstream=np.array([3.0, -0.5])),
        ),
    ),
    Item(
        "D3-max-routes", "Max routes", "f = max(x, y): the greater operand receives the upstream gradient, the other nothing",
        (
            Problem(
                np.maximum, PAIR, lambda up, x, y: (up, 0 * up), torch.maximum, upstream=3.0
            ),
            Problem(
                np.maximum, PAIR[::-1], lambda up, x, y: (0 * up, up), torch.maximum, upstream=3.0
            ),
        ),
    ),
    Item(
        "D3-graph-object", "Modular back-propagation: a graph object",
        "forward(inputs) over topologically sorted nodes, backward() over the reverse",
        (Problem(eight_gates, NEURON, eight_gates_closed, eight_gates_torch),), modular,
    ),
    Item(
        "D3-custom-multiply", "A custom multiply as torch.autograd.Function", "z = x y saves x and y: dL/dx = y dL/dz, dL/dy = x dL/dz",
        (Problem(lambda x, y: x * y, PAIR, lambda up, x, y: (up * y, up * x), Multiply.apply, upstream=3.0),), as_a_user_would,
    ),
)  # fmt: skip
