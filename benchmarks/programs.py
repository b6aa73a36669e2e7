"""The programs of the table, each with its derivatives written out by hand: value and gradient, JVP, HVP, Jacobian.

A program takes the NumPy module of the tool, as HIPS autograd and JAX have modules of their own, or torch itself.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Array = Any


def chain(np_: Any, x: Array, ops: int = 1000, factor: Array = None) -> Array:
    """Operations in a row: sine, product with x (or with ``factor``), hyperbolic tangent, sum, in turn; then the sum of all elements."""
    y = x
    for _ in range(ops // 4):
        y = np_.sin(y)
        y = y * (x if factor is None else factor)
        y = np_.tanh(y)
        y = y + 0.5
    return np_.sum(y)


def chain_by_hand(x: Array, ops: int = 1000, factor: Array = None) -> tuple[Array, Array]:
    """Value and gradient of the chain. It keeps what the rules need: three arrays in four ops, two of a constant factor."""
    y, kept = x, []
    c = x if factor is None else factor
    for _ in range(ops // 4):
        s = np.sin(y)
        t = np.tanh(s * c)
        kept.append((y, s, t) if factor is None else (y, t))
        y = t + 0.5
    value = np.sum(y)
    y_bar, x_bar = np.ones_like(y), np.zeros_like(x)
    while kept:
        if factor is None:
            y, s, t = kept.pop()
            y_bar = y_bar * (1 - t * t)
            x_bar += y_bar * s
        else:
            y, t = kept.pop()
            y_bar = y_bar * (1 - t * t)
        y_bar = y_bar * c
        y_bar = y_bar * np.cos(y)
    return value, x_bar + y_bar


def chain_jvp_by_hand(x: Array, x_dot: Array, ops: int, factor: float) -> tuple[Array, Array]:
    """Value and derivative of the chain with a constant factor. Nothing is kept."""
    y, y_dot = x, x_dot
    for _ in range(ops // 4):
        y_dot = y_dot * np.cos(y)
        y = np.sin(y)
        y, y_dot = y * factor, y_dot * factor
        y = np.tanh(y)
        y_dot = y_dot * (1 - y * y)
        y = y + 0.5
    return np.sum(y), np.sum(y_dot)


def two_layers(np_: Any, w1: Array, w2: Array, x: Array, target: Array) -> Array:
    """The two-layer sigmoid network of introductory courses, with the sum of squares as its loss."""
    h = 1 / (1 + np_.exp(-(x @ w1)))
    return np_.sum((h @ w2 - target) ** 2)


def two_layers_by_hand(w1: Array, w2: Array, x: Array, target: Array) -> tuple[Array, list[Array]]:
    h = 1 / (1 + np.exp(-(x @ w1)))
    error = h @ w2 - target
    y_bar = 2.0 * error
    w2_bar = h.T @ y_bar
    h_bar = y_bar @ w2.T
    return np.square(error).sum(), [x.T @ (h_bar * h * (1 - h)), w2_bar]


def two_layers_data() -> tuple[list[Array], Array, Array]:
    rng = np.random.default_rng(0)
    w1, w2 = rng.standard_normal((1000, 100)) / 30, rng.standard_normal((100, 10)) / 10
    return [w1, w2], rng.standard_normal((64, 1000)), rng.standard_normal((64, 10))


def network(np_: Any, p: Any, x: Array, target: Array) -> Array:
    """A perceptron with tanh between its layers; ``p`` holds weights and biases in turn."""
    h = x
    for k in range(0, len(p), 2):
        h = h @ p[k] + p[k + 1]
        if k < len(p) - 2:
            h = np_.tanh(h)
    return np_.mean((h - target) ** 2)


def network_by_hand(p: list[Array], x: Array, target: Array) -> tuple[Array, list[Array]]:
    hs = [x]
    for k in range(0, len(p), 2):
        z = hs[-1] @ p[k] + p[k + 1]
        hs.append(np.tanh(z) if k < len(p) - 2 else z)
    error = hs[-1] - target
    value = np.mean(error**2)
    gradients: list[Array] = [None] * len(p)
    z_bar = (2 / error.size) * error
    for k in range(len(p) - 2, -1, -2):
        h = hs[k // 2]
        gradients[k], gradients[k + 1] = h.T @ z_bar, z_bar.sum(axis=0)
        if k:
            z_bar = (z_bar @ p[k].T) * (1 - h * h)
    return value, gradients


def network_jvp_by_hand(p: list[Array], p_dot: list[Array], x: Array, target: Array) -> tuple[Array, Array]:
    h, h_dot = x, None
    for k in range(0, len(p), 2):
        z_dot = h @ p_dot[k] + p_dot[k + 1]
        if h_dot is not None:
            z_dot += h_dot @ p[k]
        z = h @ p[k] + p[k + 1]
        last = k == len(p) - 2
        h = z if last else np.tanh(z)
        h_dot = z_dot if last else z_dot * (1 - h * h)
    error = h - target
    return np.mean(error**2), np.mean(2 * error * h_dot)


def network_hvp_by_hand(p: list[Array], p_dot: list[Array], x: Array, target: Array) -> list[Array]:
    """Pearlmutter's operator applied to network_by_hand, line by line."""
    hs, hs_dot = [x], [None]
    for k in range(0, len(p), 2):
        z = hs[-1] @ p[k] + p[k + 1]
        z_dot = hs[-1] @ p_dot[k] + p_dot[k + 1]
        if k:
            z_dot += hs_dot[-1] @ p[k]
        last = k == len(p) - 2
        hs.append(z if last else np.tanh(z))
        hs_dot.append(z_dot if last else z_dot * (1 - hs[-1] * hs[-1]))
    error = hs[-1] - target
    scale = 2 / error.size
    z_bar, z_bar_dot = scale * error, scale * hs_dot[-1]
    found: list[Array] = [None] * len(p)
    for k in range(len(p) - 2, -1, -2):
        h, h_dot = hs[k // 2], hs_dot[k // 2]
        found[k], found[k + 1] = h.T @ z_bar_dot, z_bar_dot.sum(axis=0)
        if k:
            found[k] += h_dot.T @ z_bar
            slope, slope_dot = 1 - h * h, -2 * h * h_dot
            h_bar = z_bar @ p[k].T
            h_bar_dot = z_bar_dot @ p[k].T + z_bar @ p_dot[k].T
            z_bar, z_bar_dot = h_bar * slope, h_bar_dot * slope + h_bar * slope_dot
    return found


def network_data(dtype: str) -> tuple[list[Array], list[Array], Array, Array]:
    """Parameters, a tangent of them, a batch of 256, and its targets."""
    rng = np.random.default_rng(0)
    p: list[Array] = []
    for m, n in itertools.pairwise((784, 512, 256, 10)):
        p += [(rng.standard_normal((m, n)) / np.sqrt(m)).astype(dtype), np.zeros(n, dtype)]
    p_dot = [rng.standard_normal(x.shape).astype(dtype) for x in p]
    return (
        p,
        p_dot,
        rng.standard_normal((256, 784)).astype(dtype),
        rng.standard_normal((256, 10)).astype(dtype),
    )


def curves(np_: Any, x: Array, w: Array) -> Array:
    """A function from R^10 to R^1000."""
    return np_.tanh(w @ x)


def curves_jacobian_by_hand(x: Array, w: Array) -> Array:
    y = np.tanh(w @ x)
    return (1 - y * y)[:, None] * w


Instruction = tuple[int, int, int]  # kind (0 sin, 1 tanh, 2 product, 3 sum) and two places


def instructions(count: int, seed: int = 0) -> list[Instruction]:
    """A random directed acyclic graph: a node takes a recent node and, where it takes two, one of the first hundred.

    So numbers and cotangents stay in the range of the dtype, however many nodes there are.
    """
    rng = np.random.default_rng(seed)
    kinds, back, early = rng.integers(0, 4, count), rng.integers(1, 4, count), rng.integers(0, 100, count)
    return [(int(kinds[k]), max(0, k + 1 - int(back[k])), min(k, int(early[k]))) for k in range(count)]


def graph(np_: Any, x: Array, listed: list[Instruction]) -> Array:
    ys = [x]
    for kind, i, j in listed:
        if kind == 0:
            ys.append(np_.sin(ys[i]))
        elif kind == 1:
            ys.append(np_.tanh(ys[i]))
        elif kind == 2:
            ys.append(ys[i] * ys[j])
        else:
            ys.append(ys[i] + ys[j])
    return np_.sum(ys[-1])


def graph_by_hand(x: Array, listed: list[Instruction]) -> tuple[Array, Array]:
    ys = [x]
    for kind, i, j in listed:
        if kind == 0:
            ys.append(np.sin(ys[i]))
        elif kind == 1:
            ys.append(np.tanh(ys[i]))
        elif kind == 2:
            ys.append(ys[i] * ys[j])
        else:
            ys.append(ys[i] + ys[j])
    bars: list[Array] = [None] * len(ys)
    bars[-1] = np.ones_like(x)
    for k in range(len(listed), 0, -1):
        y_bar = bars[k]
        if y_bar is None:
            continue
        kind, i, j = listed[k - 1]
        if kind == 0:
            sent = ((i, y_bar * np.cos(ys[i])),)
        elif kind == 1:
            sent = ((i, y_bar * (1 - ys[k] * ys[k])),)
        elif kind == 2:
            sent = ((i, y_bar * ys[j]), (j, y_bar * ys[i]))
        else:
            sent = ((i, y_bar), (j, y_bar))
        for place, x_bar in sent:
            bars[place] = x_bar if bars[place] is None else bars[place] + x_bar
    return np.sum(ys[-1]), bars[0]
