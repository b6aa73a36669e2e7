"""Multi-layer perceptrons: 1 to 6 layers, every activation, mean-squared, cross-entropy and hinge losses, batches from 1 to 512.

A share of them is on a grid, where the whole network rounds nothing: a rounding error of a layer hides no error of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from refgrad import nn
from refgrad.arrays import Array, PlainArray
from refgrad.graph import Graph, Symbol
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.exact_graphs import exact_graph
from refgrad.testing.cases.grid import on_grid
from refgrad.testing.cases.source import Source

from .arrays import few_digits, finish, numbers, rounded, short, style_of_case
from .wide import SHARE, length

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "relu": nn.relu,
    "tanh": np.tanh,
    "sigmoid": nn.sigmoid,
    "softplus": nn.softplus,
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "silu": nn.silu,
    "maxout": lambda x: nn.maxout(np.concatenate([x, -x], axis=-1), 2),
}
LOSSES = ("mean squared", "cross entropy", "hinge", "none")
WIDTHS = (2, 1, 3, 4, 8)
# On a grid. The sums of more layers have more digits than half formats hold, and a mean of a power of two of numbers is a shift.
EXACT_DEPTH_OF_SHORT = 3
EXACT_ACTIVATIONS = ("identity", "relu", "maxout")
EXACT_LOSSES = ("mean squared", "hinge", "none")
EXACT_WIDTHS = (2, 1, 4, 8)
_TRIES = 8  # draws of numbers on a grid


class _Network(NamedTuple):
    """The structure of a network with its loss. ``widths`` are the sizes of its input and of the value of each layer."""

    batch: int
    widths: tuple[int, ...]
    activation: str
    loss: str

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.widths) - 1

    def __call__(self, p: Mapping[str, Array]) -> Array:
        """The value of the last layer for the data ``x``, weights ``w0`` ... and biases ``b0`` ..., without the loss."""
        h = p["x"]
        for k in range(self.depth):
            h = h @ p[f"w{k}"] + p[f"b{k}"]
            if k < self.depth - 1:
                h = ACTIVATIONS[self.activation](h)
        return h

    def judged(self, h: Array, target: PlainArray, labels: PlainArray) -> Array:
        """The loss of the value of the last layer, or this value."""
        if self.loss == "mean squared":
            return nn.mean_squared_error(h, target)
        if self.loss == "cross entropy":
            return nn.cross_entropy(h, labels)
        if self.loss == "hinge":
            return nn.multiclass_hinge(h, labels)
        return h


def mlp(source: Source, dtype: str, exact: bool | None = None) -> Case:
    """A network on a batch with its loss; gradients with respect to data, weights and biases.

    With ``exact`` it rounds nothing; by default a share of the networks does not (arrays.py).
    """
    exact = style_of_case(source, exact, dtype)
    depth, batch = source.integer(1, 6), source.choice((1, 2, 5))
    batch = length(source, 2 * SHARE) // WIDTHS[-1] or batch
    if exact:
        batch = 1 << (min(batch, 4).bit_length() - 1)
        depth = min(depth, EXACT_DEPTH_OF_SHORT) if few_digits(dtype) else depth
    widths = tuple([source.choice(EXACT_WIDTHS if exact else WIDTHS) for _ in range(depth + 1)])
    activation = source.choice(EXACT_ACTIVATIONS if exact else tuple(ACTIVATIONS))
    network = _Network(batch, widths, activation, source.choice(EXACT_LOSSES if exact else LOSSES))
    if not exact:
        inputs = _parameters(source, network, dtype)
        return _case(source, network, inputs, numbers(source, (batch, widths[-1]), dtype), dtype)
    for tried in range(_TRIES):
        inputs = _on_grid(source, network, dtype, 1 - tried / _TRIES)
        value = np.asarray(network({name: x.astype(np.float64) for name, x in inputs.items()}))
        # Near by, and of few digits: so are the squares of the differences.
        target = short(np.rint(value), dtype)
        case = _case(source, network, inputs, target, dtype, exact=True)
        if exact_graph(case, ()) and on_grid(case):
            break
    return case


def _case(
    source: Source,
    network: _Network,
    inputs: dict[str, PlainArray],
    target: PlainArray,
    dtype: str,
    exact: bool = False,
) -> Case:
    """The case of a network with its numbers. Labels are drawn."""
    labels = source.rng.integers(0, network.widths[-1], network.batch)
    graph = Graph()
    symbols = {name: graph.input(name, x.shape) for name, x in inputs.items()}
    y = network.judged(network(symbols), target, labels)
    assert isinstance(y, Symbol), "code that runs on symbols returns one"
    graph.output(y)
    return finish(source, "mlp", graph, inputs, dtype, exact=exact)


def _parameters(source: Source, network: _Network, dtype: str) -> dict[str, PlainArray]:
    """Data, weights and biases: standard normal, scaled by the widths, or small integers."""
    style, widths = source.choice(("normal", "ties")), network.widths
    inputs = {"x": numbers(source, (network.batch, widths[0]), dtype, style)}
    for k in range(network.depth):
        scale = 1.0 if style == "ties" else 1.0 / np.sqrt(widths[k])
        inputs[f"w{k}"] = rounded(
            scale * numbers(source, (widths[k], widths[k + 1]), dtype, style).astype(float), dtype
        )
        inputs[f"b{k}"] = numbers(source, (widths[k + 1],), dtype, style)
    return inputs


def _on_grid(source: Source, network: _Network, dtype: str, share: float) -> dict[str, PlainArray]:
    """Data, weights and biases on a grid. Data are small integers, weights 0, and -1 or 1 in about a share of the places.

    The biases of layer k are odd multiples of 2^-(k + 1), and all other terms of its sums are multiples of 2^-k. So no sum is 0, where
    an activation has a kink.
    """
    rng, widths = source.rng, network.widths
    inputs = {"x": short(rng.integers(-2, 3, (network.batch, widths[0])), dtype)}
    for k in range(network.depth):
        shape = (widths[k], widths[k + 1])
        inputs[f"w{k}"] = short(rng.choice((-1.0, 1.0), shape) * (rng.random(shape) < share), dtype)
        odd = 2.0 * rng.integers(-2, 2, widths[k + 1]) + 1.0
        inputs[f"b{k}"] = short(odd * 2.0 ** -(k + 1), dtype)
    return inputs
