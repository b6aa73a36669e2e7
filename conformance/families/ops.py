"""Single ops at special points, edges of domains, extreme magnitudes, ties, singular matrices, NaN and inf.

Every differentiable op with a counterpart in torch is drawn. Elementwise ops have 0 to 67 elements or a wide array, a few of which are
replaced by such numbers, so that both the vector body and the scalar tail of a kernel receive them. The operands and parameters of other
ops come from the sampler of their record, with replacements of the same kind. A share of the operands is longer (lengthened.py).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

import refgrad.ops  # noqa: F401  registers every op
from refgrad.arrays import Operand, Params, PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.op import REGISTRY, Op
from refgrad.op.traits import POLE, REFUSED, REGULAR
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.grid import exact_at, rounds_nothing
from refgrad.testing.cases.source import Source

from .arrays import EXACT, carrier, finish, numbers, offered, rounded, style_of_case
from .lengthened import long_arrays, long_axis
from .wide import length

Drawn = tuple[list[PlainArray], Params]


def _casts(op: Op) -> bool:
    """Whether the op casts to a dtype or through a format, its parameter: the family casts draws such ops."""
    return not {"dtype", "through"}.isdisjoint(op.signature.defaults)


NAMES = tuple(
    sorted(
        name
        for name, op in REGISTRY.items()
        if op.torch is not None and op.signature.differentiable and not _casts(op)
    )
)
MILD = ("edges", "zeros", "ties", "tiny")  # factorisations have error bounds for these
KINDS = ("plain", "special", "edges", "zeros", "ties", "tiny", "huge", "non-finite", "mixed")
LENGTHS = (1, 0, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66, 67)
_REGULAR = 0.01  # smallest determinant of a matrix to invert
_WIDEST = 2049  # elements, because a case of this family is judged in all modes
_TRIES = 4  # draws of operands on a grid
_EMPTY = 4  # of draws of arrays without elements one in so many is taken: they show that shapes are right, and no number
_LONGEST = 12  # larger matrices cost time and find no further errors


def magnitudes(kind: str, dtype: str) -> tuple[float, ...]:
    """Numbers of a kind in the format, the simpler ones first."""
    fmt = FORMATS[dtype]
    big, small, least, u = fmt.max, fmt.least_normal, fmt.least, fmt.u
    if kind == "tiny":
        return (small, least, np.sqrt(small), small / 4, 3 * least, u, u * u, 1e3 * small, np.sqrt(small) / 8)
    if kind == "huge":
        return (
            big,
            np.sqrt(big),
            big / 2,
            4 * np.sqrt(big),
            1 / u,
            np.sqrt(big) / 4,
            0.999 * big,
            big ** (1 / 3),
            np.log(big),
            np.log(big) - 1,
        )
    if kind == "zeros":
        return (0.0, -0.0)
    if kind == "non-finite":
        return (np.inf, np.nan, -np.inf)
    return (0.0, 1.0, -1.0, 2.0, -0.0, 0.5)


def salts(source: Source, op: Op, position: int, kind: str, dtype: str) -> PlainArray:
    """One or two numbers to place in the operand at ``position``; float64 of shape (1,) or (2,)."""
    interval = op.domain.interval(position)
    if kind == "edges":
        ends = [
            e for e in (interval.low, interval.high, interval.hole) if e is not None and np.isfinite(e)
        ] or [0.0, 1.0]
        end = source.choice(ends)
        one = carrier(dtype).type
        steps = (
            end,
            np.nextafter(one(end), one(np.inf)),
            np.nextafter(one(end), one(-np.inf)),
            end + 2.0**-7,
            end - 2.0**-7,
        )
        pool: tuple[Any, ...] = steps
    elif kind == "mixed":
        pool = tuple(x for k in ("zeros", "tiny", "huge", "non-finite", "ties") for x in magnitudes(k, dtype))
    else:
        pool = magnitudes(kind, dtype)
    if len(op.signature.operands) > 1 or op.signature.variadic or not _elementwise(op):
        # Room for a sum of a few products.
        pool = tuple(
            x / 16 if np.isfinite(x) and abs(x) > magnitudes("huge", dtype)[0] / 16 else x for x in pool
        )
    chosen = [float(source.choice(pool)) for _ in range(source.integer(1, 2))]
    signs = (1.0,) if interval.low >= 0 else (1.0, -1.0)
    return np.array([source.choice(signs) * x for x in chosen])


def _few(source: Source, size: int) -> int:
    """A number of places: up to three, and in a wide array up to three of 64."""
    return source.integer(1, 3) * max(1, size // 64)


def salted(source: Source, op: Op, operands: list[PlainArray], kind: str, dtype: str) -> list[PlainArray]:
    """The operands with such numbers at a few places; for ties, whole operands of small integers."""
    rng, made = source.rng, []
    for position, x in enumerate(operands):
        x = np.array(x)
        if x.dtype.kind == "f" and x.size and (len(operands) == 1 or source.integer(0, 2) < 2):
            if kind == "ties":
                x = rng.integers(-2, 3, x.shape).astype(float)
            else:
                places = rng.choice(x.size, min(x.size, _few(source, x.size)), replace=False)
                x.reshape(-1)[places] = rng.choice(salts(source, op, position, kind, dtype), places.size)
        made.append(x)
    return made


def _elementwise(op: Op) -> bool:
    """Whether operands can be drawn from the intervals of the domain, in any common shape."""
    return op.elementwise and not op.signature.variadic and _real(op)


@functools.cache
def _real(op: Op) -> bool:
    """Whether all operands are real numbers: a condition is not."""
    operands, _ = op.domain.sample(np.random.default_rng(0), len(op.signature.operands))
    return all(np.asarray(x).dtype.kind == "f" for x in operands)


def _shape(source: Source) -> tuple[int, ...]:
    n = source.choice(LENGTHS)
    n = length(source, most=_WIDEST) or n
    return source.choice(((n,), () if n == 1 else (n,), (2, n) if n < 64 else (2, n // 2), (n, 1)))


def ordinary(source: Source, op: Op) -> Drawn:
    """Operands and parameters inside the domain: for elementwise ops in one drawn shape, else as the record draws them."""
    arity, fewest = len(op.signature.operands), 0 if source.integer(0, _EMPTY - 1) == _EMPTY - 1 else 1
    for _ in range(8):
        operands, params = op.domain.sample(source.rng, arity)
        if all(fewest <= np.size(x) <= _LONGEST**2 for x in operands):
            break
    if _elementwise(op) and source.choice((True, True, False)):
        shape = _shape(source)
        operands = tuple(op.domain.interval(k).draw(source.rng, shape) for k in range(arity))
    return [np.asarray(x) for x in operands], dict(params)


def special(source: Source, op: Op, dtype: str) -> Drawn | None:
    """A special point of the record, alone or among ordinary elements; None where the format has none of them."""
    points = [s for s in op.special if all(_representable(a, dtype) for a in s.at)]
    if not points:
        return None
    point = source.choice(points)
    params: Params = {**op.signature.defaults, **dict(point.params)}
    at = [np.asarray(a, float) for a in point.at]
    if not _elementwise(op) or any(a.ndim for a in at):
        return at, params
    shape = _shape(source)
    operands = [np.asarray(op.domain.interval(k).draw(source.rng, shape)) for k in range(len(at))]
    count = int(np.prod(shape))
    places = source.rng.choice(count, min(count, _few(source, count)), replace=False)
    for x, a in zip(operands, at, strict=True):
        x.reshape(-1)[places] = a
    return operands, params


def _representable(point: Operand, dtype: str) -> bool:
    """Whether rounding to the format keeps finite numbers finite, and numbers other than zero different from zero."""
    a = np.asarray(point, float)
    with np.errstate(over="ignore"):
        stored = rounded(a, dtype)
    return bool(np.all(np.isfinite(stored) == np.isfinite(a)) and np.all((stored == 0) == (a == 0)))


def singular(source: Source, a: PlainArray) -> PlainArray:
    """Matrices of lower rank: a repeated row, a row of zeros, rank one, all zeros. Their elements are small integers, so they are exact."""
    a = source.rng.integers(-2, 3, a.shape).astype(float)
    m, n = a.shape[-2:]
    form = source.choice(("repeated row", "zero row", "rank one", "zeros", "diagonal"))
    if form == "repeated row" and m > 1:
        a[..., m - 1, :] = a[..., 0, :]
    elif form == "zero row" and m:
        a[..., m - 1, :] = 0.0
    elif form == "rank one" and m and n:
        a = a[..., :1] * a[..., :1, :]
    elif form == "diagonal":
        values = np.maximum(np.arange(m) - source.integer(0, 1), 0.0)
        a = np.broadcast_to(values[:, None] * np.eye(m, n), a.shape).copy()
    else:
        a = np.zeros_like(a)
    return a


def draw(source: Source, op: Op, dtype: str) -> Drawn:
    """Operands and parameters for one op."""
    kind = source.choice(("plain", "singular", "special", *MILD) if op.singular in (REGULAR, POLE) else KINDS)
    if kind == "special":
        found = special(source, op, dtype)
        if found is not None:
            return found
    operands, params = ordinary(source, op)
    if kind == "singular" and operands[0].ndim >= 2:
        operands[0] = singular(source, operands[0])
    elif kind not in ("plain", "special", "singular") and (op.singular != REFUSED or kind in MILD):
        operands = salted(source, op, operands, kind, dtype)
    params = {**op.signature.defaults, **params}
    if op.singular == REFUSED and operands[0].size and _refused(op, operands, params):
        return draw_plain(source, op)
    return operands, params


def _refused(op: Op, operands: list[PlainArray], params: Params) -> bool:
    """Whether a matrix is singular, or so nearly that a kernel might refuse it, or lacks what else the op needs to factorise it."""
    try:
        op.forward(*operands, **params)
    except np.linalg.LinAlgError:
        return True
    return not np.all(np.abs(np.linalg.det(operands[0])) > _REGULAR)


def draw_exact(source: Source, op: Op, dtype: str) -> Drawn:
    """Operands on a grid, at which the op rounds nothing; at the last try any."""
    for _ in range(_TRIES):
        operands, params = ordinary(source, op)
        operands = [numbers(source, x.shape, dtype, EXACT) if x.dtype.kind == "f" else x for x in operands]
        params = {**op.signature.defaults, **params}
        wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in operands]
        with np.errstate(all="ignore"):
            node = Node(op=op, of=tuple(range(len(operands))), params=params)
            if exact_at(node, wide, np.asarray(node.applied(wide)), dtype):
                break
    return operands, params


def draw_plain(source: Source, op: Op) -> Drawn:
    """Operands and parameters as the record draws them."""
    operands, params = op.domain.sample(source.rng, len(op.signature.operands))
    return [np.asarray(x) for x in operands], {**op.signature.defaults, **params}


def names_in(dtype: str, among: Collection[str] = ()) -> tuple[str, ...]:
    """The ops that are drawn in a format: all that frameworks compute in it, or those of them in ``among``."""
    names = tuple(name for name in NAMES if offered(REGISTRY[name], dtype))
    return tuple(name for name in names if name in among) if among else names


def ops(source: Source, dtype: str, among: Collection[str] = (), exact: bool | None = None) -> Case:
    """One op on drawn operands. Floating-point operands are inputs, the others constants of the graph.

    With ``exact`` they are on a grid, of an op that rounds nothing there; by default a share is so (arrays.py).
    """
    names = names_in(dtype, among)
    exact = style_of_case(source, exact, dtype)
    on_grid = tuple(name for name in names if rounds_nothing(name)) if exact else ()
    exact = bool(on_grid)
    op = REGISTRY[source.choice(on_grid or names)]
    operands, params = draw_exact(source, op, dtype) if exact else draw(source, op, dtype)
    case = _case_of(source, op, operands, params, dtype, exact)
    if op.elementwise and _real(op):
        longer = long_arrays(source, operands)
        return case if longer is None else _case_of(source, op, longer, params, dtype, exact)
    longer = None if exact else long_axis(source, op, operands, params)
    return case if longer is None else _case_of(source, op, longer, params, dtype)


def _case_of(
    source: Source, op: Op, operands: list[PlainArray], params: Params, dtype: str, exact: bool = False
) -> Case:
    """The case of an op on these operands."""
    graph = Graph()
    inputs: dict[str, PlainArray] = {}
    for x in operands:
        if x.dtype.kind == "f":
            name = "abcdefgh"[len(inputs)] if len(inputs) < 8 else f"x{len(inputs)}"
            with np.errstate(over="ignore"):
                inputs[name] = rounded(x, dtype)
            graph.nodes.append(Node(name=name))
        else:
            graph.nodes.append(Node(value=x))
    graph.nodes.append(Node(op=op, of=tuple(range(len(operands))), params=params))
    graph.outputs = (len(operands),)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # errstate does not cover the warning of empty means
        case = finish(source, "ops", graph, inputs, dtype, exact=exact, expands=True)
    return replace(case, order=2)
