"""python -m benchmarks.layers: forward and backward of layers beside torch eager and HIPS autograd, written into docs/performance.md.

All contestants of a row take turns in one run, on one thread, in float64. A figure is the ratio to torch of the smallest processor times.
HIPS autograd has no layers: its column is the layer written in its NumPy, convolution by its scipy.signal.convolve.
"""

from __future__ import annotations

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

import argparse
import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import refgrad as rg
from benchmarks import peers, rows
from benchmarks.peers import HIPS, OURS, TORCH, anp, autograd, torch

__all__ = ["LAYERS", "Layer", "main", "measured", "page", "pairs"]

Array = Any
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- begin: python -m benchmarks.layers -->", "<!-- end: python -m benchmarks.layers -->"
COLUMNS = (TORCH, HIPS, OURS)


@dataclass(frozen=True)
class Layer:
    """A layer at two sizes.

    ours, of_torch  the function in refgrad.nn and in torch.nn.functional, of the arrays
    by_hand         the same in HIPS autograd's NumPy; None where it would take a loop in Python
    sizes           for each size the shapes of the arrays
    """

    name: str
    ours: Callable[..., Any]
    of_torch: Callable[..., Any]
    by_hand: Callable[..., Any] | None
    sizes: tuple[tuple[tuple[int, ...], ...], ...]


def convolved(x: Array, weight: Array) -> Any:
    """The cross-correlation without padding, by autograd.scipy.signal.convolve."""
    signal = importlib.import_module("autograd.scipy.signal")
    return signal.convolve(
        x, weight[:, :, ::-1, ::-1], axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid"
    )


def pooled(x: Array) -> Any:
    n, c, height, width = x.shape
    return anp.max(anp.reshape(x, (n, c, height // 2, 2, width // 2, 2)), axis=(3, 5))


def standardized(x: Array, axes: tuple[int, ...]) -> Any:
    centred = x - anp.mean(x, axis=axes, keepdims=True)
    return centred / anp.sqrt(anp.mean(centred * centred, axis=axes, keepdims=True) + 1e-5)


def layer_normalized(x: Array, weight: Array, bias: Array) -> Any:
    return standardized(x, (x.ndim - 1,)) * weight + bias


def batch_normalized(x: Array, weight: Array, bias: Array) -> Any:
    shape = (1, -1, 1, 1)
    return standardized(x, (0, 2, 3)) * anp.reshape(weight, shape) + anp.reshape(bias, shape)


def attended(q: Array, k: Array, v: Array) -> Any:
    scores = anp.matmul(q, anp.swapaxes(k, -1, -2)) / math.sqrt(q.shape[-1])
    scores = anp.exp(scores - anp.max(scores, axis=-1, keepdims=True))
    return anp.matmul(scores / anp.sum(scores, axis=-1, keepdims=True), v)


def _functional(name: str) -> Callable[..., Any]:
    return getattr(torch.nn.functional, name) if torch else _missing


def _missing(*_: Any) -> Any:
    raise NotImplementedError("torch is not installed, so this column is left out")


LAYERS = (
    Layer(
        "conv2d, 3 x 3",
        rg.nn.conv2d,
        _functional("conv2d"),
        convolved,
        (((4, 3, 16, 16), (8, 3, 3, 3)), ((8, 16, 32, 32), (32, 16, 3, 3))),
    ),
    Layer(
        "max_pool2d, 2 x 2",
        lambda x: rg.nn.max_pool2d(x, 2),
        lambda x: torch.nn.functional.max_pool2d(x, 2),
        pooled,
        (((4, 8, 16, 16),), ((16, 32, 64, 64),)),
    ),
    Layer(
        "layer_norm",
        lambda x, w, b: rg.nn.layer_norm(x, x.shape[-1], w, b),
        lambda x, w, b: torch.nn.functional.layer_norm(x, x.shape[-1:], w, b),
        layer_normalized,
        (((32, 64), (64,), (64,)), ((2048, 512), (512,), (512,))),
    ),
    Layer(
        "batch_norm, in training",
        lambda x, w, b: rg.nn.batch_norm(x, None, None, w, b, training=True),
        lambda x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, training=True),
        batch_normalized,
        (((8, 8, 8, 8), (8,), (8,)), ((16, 32, 32, 32), (32,), (32,))),
    ),
    Layer(
        "scaled_dot_product_attention",
        rg.nn.scaled_dot_product_attention,
        _functional("scaled_dot_product_attention"),
        attended,
        (((2, 2, 16, 16),) * 3, ((4, 8, 128, 64),) * 3),
    ),
)


def measured(
    layer: Layer, shapes: Sequence[tuple[int, ...]], seconds: float
) -> tuple[dict[str, float], float]:
    """Ratios to torch of value and gradient in all arrays, and torch's seconds. The sum of squares of the layer is differentiated."""
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal(shape) for shape in shapes]
    every = tuple(range(len(xs)))

    def total(*xs: Array) -> Any:
        y = layer.ours(*xs)
        return np.sum(y * y)

    calls: peers.Calls = {OURS: lambda: rg.value_and_grad(total, every)(*xs)}
    if torch:
        ts = [torch.tensor(x, requires_grad=True) for x in xs]
        calls[TORCH] = lambda: torch.autograd.grad((layer.of_torch(*ts) ** 2).sum(), ts)
    by_hand = layer.by_hand
    if autograd and by_hand:
        hips = autograd.value_and_grad(lambda *xs: anp.sum(by_hand(*xs) ** 2), every)
        calls[HIPS] = lambda: hips(*xs)
    times = rows.fastest(calls, seconds)
    base = times[TORCH if torch else OURS]
    return {name: t / base for name, t in times.items()}, base


def page(seconds: float) -> str:
    """The table as it stands in the page. A column of a tool that is not installed shows a dash."""
    lines = [
        f"Measured with {peers.versions()}; one thread, float64.",
        "",
        f"| layer | arrays | torch, µs | {' | '.join(COLUMNS)} |",
        f"|---|---|---|{'---|' * len(COLUMNS)}",
    ]
    for layer in LAYERS:
        for shapes in layer.sizes:
            cells, base = measured(layer, shapes, seconds)
            arrays = ", ".join("x".join(map(str, shape)) for shape in shapes)
            figures = [f"{cells[c]:.2f}" if c in cells else "–" for c in COLUMNS]
            lines.append(f"| {layer.name} | {arrays} | {base * 1e6:,.0f} | {' | '.join(figures)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="how long the contestants of a row take turns"
    )
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    args = parser.parse_args(arguments)
    found = page(args.seconds)
    if args.write:
        text = PAGE.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{found}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
