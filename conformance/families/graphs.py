"""Random directed acyclic graphs: fan-out, sharing, broadcasting, reductions, 0-d, empty and wide arrays, ties, memory layouts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.op import REGISTRY, Op, apply
from refgrad.op.traits import ELEMENTWISE, PARAMETRISED, REGULAR, SEVERAL
from refgrad.quiet import quiet
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.grid import exact_at, rounds_nothing
from refgrad.testing.cases.source import Source

from .arrays import EXACT, finish, numbers, offered, style_of_case
from .wide import length, with_special_values

# No op is applied to values beyond these: the next exp would overflow, the next product underflow. A format of a small range admits
# one square.
USUAL, IN_SMALL_RANGE = (1e-6, 1e3), (2.0**-7, 2.0**7)

# Inputs of one graph broadcast against each other.
SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((), (), ()),
    ((3,), (), (1,)),
    ((2, 3), (3,), (2, 1)),
    ((2, 2), (2, 2), (2, 2)),
    ((2, 1, 3), (4, 1), ()),
    ((17,), (17,), ()),
    ((4, 5), (5,), (4, 1)),
    ((3, 3), (3, 3), (3,)),
)
# The shapes of one graph in _EMPTY, without elements: it shows that shapes are right, and no number.
WITHOUT_ELEMENTS: tuple[tuple[int, ...], ...] = ((0, 3), (3,), (1, 1))
_EMPTY = 16
# The shapes of wide inputs of a length. Few are summed along it: the bound of a sum grows with its length, and shows fewer small errors.
WIDE: tuple[Callable[[int], tuple[tuple[int, ...], ...]], ...] = (
    lambda n: ((n,), (n,), (n,)),
    lambda n: ((n // 8, 8), (n // 8, 1), (n // 8, 8)),
    lambda n: ((4, n // 4), (n // 4,), (4, n // 4)),
    lambda n: ((n,), (n,), ()),
    lambda n: ((n // 16, 4, 4), (n // 16, 1, 4), (4, 1)),
)
WIDE_SHARE = 12  # one graph in so many is wide: its ops take ten times as long as those of a narrow one
MOST = 4096  # elements of a value
TOLERATED = 8  # one element in so many of a wide array may be too small
_ATTEMPTS = 1000  # to find operands that an op fits, where none has fitted yet
STYLES = ("normal", "ties", "positive", "unit", "small")


def pool(name: str, exact: bool = False, among: Collection[str] = ()) -> tuple[Op, ...]:
    """The ops of a pool in order, each with the multiplicity of its record.

    With ``exact`` there are those alone that round nothing on a grid, with ``among`` only ops of these names.
    """
    return _pool(name, exact, frozenset(among), len(REGISTRY))


@functools.cache
def _pool(name: str, exact: bool, among: frozenset[str], _registered: int) -> tuple[Op, ...]:
    """As ``pool``, for a registry of so many ops: they are only added."""
    listed = sorted(
        (op.in_graphs.place, op.name)
        for op in REGISTRY.values()
        if op.in_graphs is not None
        and op.in_graphs.pool == name
        and (not exact or rounds_nothing(op.name))
        and (not among or op.name in among)
    )
    ops = [REGISTRY[name] for _, name in listed]
    return tuple(op for op in ops for _ in range(op.in_graphs.weight if op.in_graphs is not None else 0))


# Rounding in float32 cannot make a matrix of this condition singular. torch raises for singular matrices.
WORST_CONDITION = 1e4


def _admissible(op: Op, operands: tuple[PlainArray, ...]) -> bool:
    """Whether the operands lie in the domain of the op.

    Kinks do, because their derivatives are sets. Poles and points without a derivative, such as the angle of the origin, do not.
    """
    for s in op.special:
        if None in s.allowed and all(np.ndim(a) == 0 for a in s.at):
            matches: PlainArray | np.bool = np.True_
            for x, a in zip(operands, s.at, strict=True):
                matches = matches & (x == a)
            if np.count_nonzero(matches):
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
    return op.singular in (None, REGULAR) or _well_conditioned(operands[0])


def _well_conditioned(x: PlainArray) -> bool:
    """Whether x holds square matrices whose condition numbers are below WORST_CONDITION."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        return False
    return not x.size or bool(np.all(np.linalg.cond(x) < WORST_CONDITION))


def _extreme(y: PlainArray, dtype: str) -> bool:
    """Whether a number is infinite, NaN, too large, or too small without being zero.

    In a wide array some may be too small: almost every wide array has such numbers.
    """
    size, zeros = np.abs(y), y.size - np.count_nonzero(y)
    smallest, largest = _moderate(dtype)
    moderate = np.count_nonzero(size <= largest)
    tolerated = y.size // TOLERATED if y.size >= 64 else 0
    return bool(moderate < y.size or np.count_nonzero(size < smallest) > zeros + tolerated)


def _moderate(dtype: str) -> tuple[float, float]:
    """The smallest and the largest number to which an op is applied."""
    return IN_SMALL_RANGE if FORMATS[dtype].small_range else USUAL


class _Builder:
    """A graph under construction, with the values of its nodes."""

    def __init__(self, source: Source, dtype: str, exact: bool = False) -> None:
        self.source, self.graph, self.dtype = source, Graph(), dtype
        self.exact = exact  # whether every value has to be exact
        self.values: list[PlainArray] = []
        self.inputs: dict[str, PlainArray] = {}
        kind, wide = source.integer(0, len(SHAPES) - 1), length(source, WIDE_SHARE)
        shapes = WIDE[kind % len(WIDE)](wide) if wide else SHAPES[kind]
        if source.integer(0, _EMPTY - 1) == _EMPTY - 1:
            shapes = WITHOUT_ELEMENTS
        for k in range(source.integer(1, 3)):
            x = numbers(source, shapes[k], dtype, EXACT if exact else source.choice(STYLES))
            x = x if exact else with_special_values(source, x, dtype, _moderate(dtype)[1])
            self.inputs["abc"[k]] = x
            self.graph.nodes.append(Node(name="abc"[k]))
            self.values.append(x.astype(np.float64))

    def pick(self, reach: int) -> int:
        """One of the last ``reach`` nodes. The default, which shrinking prefers, is the latest; others give sharing and fan-out."""
        return len(self.values) - 1 - self.source.integer(0, min(reach, len(self.values)) - 1)

    def grow(self, ops: tuple[Op, ...]) -> bool:
        """Add one node: the first op, from a drawn position on, that fits the drawn operands. Returns False where none fits."""
        start, of = (
            self.source.integer(0, len(ops) - 1),
            (self.pick(3), self.pick(len(self.values)), self.pick(len(self.values))),
        )
        return any(self._add(ops[(start + k) % len(ops)], of) for k in range(len(ops)))

    def _add(self, op: Op, of: tuple[int, int, int]) -> bool:
        """Add a node of this op where it fits the operands."""
        if not offered(op, self.dtype):
            return False
        one_shape = op.signature.variadic and op.elementwise and not op.broadcasts
        if one_shape and len({self.values[j].shape for j in of}) > 1:
            return False
        nodes = of if op.signature.variadic else of[: len(op.signature.operands)]
        operands = tuple(self.values[j] for j in nodes)
        try:
            if not _admissible(op, operands):
                return False
            draw = op.in_graphs.params if op.in_graphs is not None else None
            drawn = {} if draw is None else draw(self.source, operands[0])
            params = {**op.signature.defaults, **drawn}
            y = np.asarray(apply(op, operands, params))
        except (ValueError, IndexError):  # shapes that do not fit this op
            return False
        if y.dtype.kind != "f" or y.size > MOST or _extreme(y, self.dtype):
            return False
        node = Node(op=op, of=nodes, params=params)
        if self.exact and not exact_at(node, operands, y, self.dtype):
            return False
        self.graph.nodes.append(node)
        self.values.append(y)
        return True


def graphs(source: Source, dtype: str, exact: bool | None = None, among: Collection[str] = ()) -> Case:
    """A graph of 1 to 12 ops over 1 to 3 inputs; its last node is the output.

    With ``exact`` its inputs are on a grid, and its ops round nothing there; by default a share is so (arrays.py). With ``among``
    it has ops of these names alone; where none of them fits the inputs, the output is an input.
    """
    exact = style_of_case(source, exact, dtype) and bool(pool(ELEMENTWISE, True, among))
    with quiet():
        builder = _Builder(source, dtype, exact)
        elementwise, parametrised, several = [
            pool(name, exact, among) for name in (ELEMENTWISE, PARAMETRISED, SEVERAL)
        ]
        pools = tuple(filter(None, (elementwise, elementwise, parametrised, elementwise, several)))
        for _ in range(12):
            more = source.integer(0, 7)  # a draw before every step, so that shrinking can remove any step
            if not more and len(builder.graph.nodes) > len(builder.inputs):
                break
            builder.grow(source.choice(pools))
        for _ in range(_ATTEMPTS):
            if len(builder.graph.nodes) > len(builder.inputs):
                break
            builder.grow(elementwise)
    builder.graph.outputs = (len(builder.graph.nodes) - 1,)
    return finish(source, "graphs", builder.graph, builder.inputs, dtype, builder.values, exact)
