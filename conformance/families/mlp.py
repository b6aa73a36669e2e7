"""Multi-layer perceptrons: 1 to 6 layers, every activation, mean-squared, cross-entropy and hinge losses, batches from 1 to 512."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from refgrad import nn
from refgrad.arrays import Array, PlainArray
from refgrad.graph import Graph, Symbol
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source

from .arrays import finish, numbers, rounded
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


def mlp(source: Source, dtype: str) -> Case:
    """A network on a batch with its loss; gradients with respect to data, weights and biases."""
    depth, batch = source.integer(1, 6), source.choice((1, 2, 5))
    batch = length(source, 2 * SHARE) // WIDTHS[-1] or batch
    widths = [source.choice(WIDTHS) for _ in range(depth + 1)]
    activation, loss = source.choice(tuple(ACTIVATIONS)), source.choice(LOSSES)
    style = source.choice(("normal", "ties"))
    inputs: dict[str, PlainArray] = {"x": numbers(source, (batch, widths[0]), dtype, style)}
    for k in range(depth):
        scale = 1.0 if style == "ties" else 1.0 / np.sqrt(widths[k])
        inputs[f"w{k}"] = rounded(
            scale * numbers(source, (widths[k], widths[k + 1]), dtype, style).astype(float), dtype
        )
        inputs[f"b{k}"] = numbers(source, (widths[k + 1],), dtype, style)
    labels = source.rng.integers(0, widths[-1], batch)
    target = numbers(source, (batch, widths[-1]), dtype)

    def network(p: Mapping[str, Array]) -> Array:
        h = p["x"]
        for k in range(depth):
            h = h @ p[f"w{k}"] + p[f"b{k}"]
            if k < depth - 1:
                h = ACTIVATIONS[activation](h)
        if loss == "mean squared":
            return nn.mean_squared_error(h, target)
        if loss == "cross entropy":
            return nn.cross_entropy(h, labels)
        if loss == "hinge":
            return nn.multiclass_hinge(h, labels)
        return h

    graph = Graph()
    symbols = {name: graph.input(name, x.shape) for name, x in inputs.items()}
    y = network(symbols)
    assert isinstance(y, Symbol), "code that runs on symbols returns one"
    graph.output(y)
    return finish(source, "mlp", graph, inputs, dtype)
