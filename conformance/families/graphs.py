"""Random directed acyclic graphs: fan-out, sharing, broadcasting, reductions, 0-d and empty arrays, ties, odd memory layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.op import REGISTRY, Op, apply
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source

from .arrays import FACTORISED, finish, numbers

Array = Any
Params = dict[str, Any]
# Values beyond these are not built on: the next exp would leave the format, the next product underflow. A format of a small range has
# room for one square.
USUAL, IN_SMALL_RANGE = (1e-6, 1e3), (2.0**-7, 2.0**7)

# Inputs of one graph broadcast against each other.
SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((), (), ()), ((3,), (), (1,)), ((2, 3), (3,), (2, 1)), ((2, 2), (2, 2), (2, 2)), ((2, 1, 3), (4, 1), ()), ((0, 3), (3,), (1, 1)),
    ((17,), (17,), ()), ((4, 5), (5,), (4, 1)), ((3, 3), (3, 3), (3,)),
)  # fmt: skip
STYLES = ("normal", "ties", "positive", "unit", "small")


def _axis(source: Source, x: Array) -> Params:
    axes: list[Any] = [None, *range(-x.ndim, x.ndim)]
    if x.ndim > 1:
        axes.append((0, x.ndim - 1))
    return {"axis": source.choice(axes), "keepdims": source.choice((False, True))}


def _one_axis(source: Source, x: Array) -> Params:
    if not x.ndim:
        raise ValueError("an axis needs a dimension")
    return {"axis": source.integer(-x.ndim, x.ndim - 1)}


def _reshape(source: Source, x: Array) -> Params:
    return {"shape": source.choice(((-1,), (*x.shape, 1), (1, *x.shape))) if x.size else (*x.shape, 1)}


def _transpose(source: Source, x: Array) -> Params:
    return {"axes": tuple(int(i) for i in source.rng.permutation(x.ndim))}


def _key(source: Source, x: Array) -> Params:
    n = x.shape[0] if x.ndim else 0
    keys: list[Any] = [(Ellipsis,), (Ellipsis, None)]
    if n:
        keys += [
            (slice(None, None, 2),),
            (slice(1, None),),
            (-1,),
            (np.array([0, 0, n - 1]),),
            (np.arange(n) % 2 == 0,),
        ]
    return {"key": source.choice(keys)}


def _norm(source: Source, x: Array) -> Params:
    return {"ord": source.choice((2, 1, 3)), **_axis(source, x)} if x.ndim == 1 else {"ord": 2, "axis": None}


def _pad(source: Source, x: Array) -> Params:
    if not x.ndim:
        raise ValueError("padding needs a dimension")
    return {"pad_width": ((source.integer(0, 2), 1),) * x.ndim, "constant_values": 0.0}


def _labels(source: Source, x: Array) -> Params:
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError("labels need rows of classes")
    return {"labels": tuple(int(k) for k in source.rng.integers(0, x.shape[-1], x.shape[0]))}


# Ops with parameters: how to draw them for an operand.
PARAMS: dict[str, Callable[[Source, Array], Params]] = {
    "sum": _axis, "mean": _axis, "prod": _axis, "max": _axis, "min": _axis, "var": _axis, "std": _axis, "logsumexp": _axis,
    "cumsum": _one_axis, "sort": _one_axis, "cumprod": _one_axis, "softmax": _one_axis, "log_softmax": _one_axis,
    "reshape": _reshape, "transpose": _transpose, "getitem": _key, "norm": _norm, "pad": _pad, "cross_entropy": _labels,
    "flip": lambda source, x: {"axis": source.choice((None, *range(x.ndim)))},
    "roll": lambda source, x: {"shift": source.integer(-2, 3), "axis": source.choice((None, *range(x.ndim)))},
    "broadcast_to": lambda source, x: {"shape": (source.integer(1, 3), *x.shape)},
}  # fmt: skip
ELEMENTWISE = (
    "add", "multiply", "subtract", "divide", "maximum", "minimum", "power", "arctan2", "hypot", "logaddexp", "remainder",
    "negative", "square", "sqrt", "reciprocal", "abs", "exp", "expm1", "log", "log1p", "log2", "log10", "exp2", "sin", "cos", "tan",
    "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "sinc", "sigmoid", "softplus", "relu",
    "leaky_relu", "elu", "silu", "log_sigmoid", "sign", "fmax", "fmin", "positive", "deg2rad", "rad2deg", "copysign",
    "logaddexp2", "clip",
)  # fmt: skip
LINEAR = ("matmul", "outer", "concatenate", "fan_in", "det", "inv", "solve", "logabsdet")
INVERTED = ("inv", "solve", "logabsdet")
WORST_CONDITION = (
    1e4  # times float32's u still small: rounding cannot make such a matrix singular, where torch raises
)


def _admissible(op: Op, operands: tuple[Array, ...]) -> bool:
    """Whether the op may be applied here: inside its domain. Kinks are welcome (their derivatives are sets), poles are not, nor is
    a point without any derivative (the angle of the origin)."""
    for s in op.special:
        if None in s.allowed and all(np.ndim(a) == 0 for a in s.at):
            met: Array = True
            for x, a in zip(operands, s.at, strict=True):
                met = met & (x == a)
            if np.count_nonzero(met):
                return False
    for k, x in enumerate(operands):
        interval = op.domain.interval(k)
        if (
            not op.domain.smooth
            and interval.hole is not None
            and not any(s.allowed[k] is None for s in op.special if k < len(s.allowed))
        ):
            continue
        if not interval.contains(x):
            return False
    return op.name not in INVERTED or _well_conditioned(operands[0])


def _well_conditioned(x: Array) -> bool:
    """Whether these are square matrices that may be inverted."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        return False
    return not x.size or bool(np.all(np.linalg.cond(x) < WORST_CONDITION))


def _extreme(y: Array, dtype: str) -> bool:
    """Whether a number is infinite, NaN, too large, or too small without being zero."""
    size, zeros = np.abs(y), y.size - np.count_nonzero(y)
    smallest, largest = IN_SMALL_RANGE if FORMATS[dtype].small_range else USUAL
    moderate = np.count_nonzero(size <= largest)
    return bool(moderate < y.size or np.count_nonzero(size < smallest) > zeros)


class _Builder:
    """A graph that grows node by node, with the values at hand."""

    def __init__(self, source: Source, dtype: str) -> None:
        self.source, self.graph, self.dtype = source, Graph(), dtype
        self.values: list[Array] = []
        self.inputs: dict[str, Array] = {}
        shapes = source.choice(SHAPES)
        for k in range(source.integer(1, 3)):
            x = numbers(source, shapes[k], dtype, source.choice(STYLES))
            self.inputs["abc"[k]] = x
            self.graph.nodes.append(Node(name="abc"[k]))
            self.values.append(x.astype(np.float64))

    def pick(self, reach: int) -> int:
        """One of the last ``reach`` nodes, the latest first: depth by default, sharing and fan-out by choice."""
        return len(self.values) - 1 - self.source.integer(0, min(reach, len(self.values)) - 1)

    def grow(self, names: tuple[str, ...]) -> bool:
        """Add one node: the first op from a drawn place on that fits drawn operands."""
        start, of = (
            self.source.integer(0, len(names) - 1),
            (self.pick(3), self.pick(len(self.values)), self.pick(len(self.values))),
        )
        for k in range(len(names)):
            op = REGISTRY.get(names[(start + k) % len(names)])
            if op is not None and op.torch is not None and self._add(op, of):
                return True
        return False

    def _add(self, op: Op, of: tuple[int, int, int]) -> bool:
        if op.name in FACTORISED and not FORMATS[self.dtype].factorised:
            return False
        if op.name == "fan_in" and len({self.values[j].shape for j in of}) > 1:
            return False
        nodes = of if op.signature.variadic else of[: len(op.signature.operands)]
        operands = tuple(self.values[j] for j in nodes)
        try:
            if not _admissible(op, operands):
                return False
            params = {
                **op.signature.defaults,
                **(PARAMS[op.name](self.source, operands[0]) if op.name in PARAMS else {}),
            }
            y = np.asarray(apply(op, operands, params))
        except (ValueError, IndexError):  # shapes that do not fit this op
            return False
        if y.dtype.kind != "f" or y.size > 4096 or _extreme(y, self.dtype):
            return False
        self.graph.nodes.append(Node(op=op, of=nodes, params=params))
        self.values.append(y)
        return True


def graphs(source: Source, dtype: str) -> Case:
    """A graph of 1 to 12 ops over 1 to 3 inputs; its last node is the output."""
    with quiet():
        builder = _Builder(source, dtype)
        pools = (ELEMENTWISE, ELEMENTWISE, tuple(PARAMS), ELEMENTWISE, LINEAR)
        for _ in range(12):
            more = source.integer(
                0, 7
            )  # a question before every step, so that shrinking can take out any of them
            if not more and len(builder.graph.nodes) > len(builder.inputs):
                break
            builder.grow(source.choice(pools))
        while len(builder.graph.nodes) == len(builder.inputs):
            builder.grow(ELEMENTWISE)
    builder.graph.outputs = (len(builder.graph.nodes) - 1,)
    return finish(source, "graphs", builder.graph, builder.inputs, dtype, builder.values)
