"""Numbers for cases. Structure is drawn and shrinks; elements of arrays come from a generator seeded by a drawn integer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.arrays import Array, PlainArray
from refgrad.bounds import exactness, rounding
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph
from refgrad.op import Op
from refgrad.testing.cases.case import EXPANDED, LAYOUTS, Case, layouts_of
from refgrad.testing.cases.grid import integers
from refgrad.testing.cases.source import Source

EXACT = "exact"  # the style of cases on a grid, in which most results are exact: small integers times a power of two
SHARE = 3  # of the families that have exact cases, one case in so many is drawn in this style
SHARE_OF_SHORT = 2  # the same in formats of few digits, where rounding hides most errors of other cases
SHARE_OF_EXPANDED = 16  # of the other cases of single ops: the cotangent is one number in memory
_FEW_DIGITS = 11  # those of float16
_SCALES = (1.0, 2.0, 0.5, 4.0, 0.25)  # of inputs on a grid
# Cotangents and tangents on a grid: the usual ones, and those of fewest digits.
_WEIGHTS = ((-2.0, -1.0, 1.0, 2.0, 3.0), (-1.0, 1.0))

# In formats of a small range, a power of two scales the cotangents and tangents of a case until none exceeds this size at any node.
# An overflow cannot be judged, and infinities leave little to judge.
LARGEST_SLOPE = 2.0**11


def carrier(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype that holds the numbers of a format exactly."""
    return np.dtype(FORMATS[dtype].carrier)


def offered(op: Op, dtype: str) -> bool:
    """Whether a framework computes the op in the format.

    Frameworks factorise no matrix in half formats, and the arithmetic of a solver's library is not documented.
    """
    return op.singular is None or FORMATS[dtype].factorised


def rounded(x: Array, dtype: str) -> PlainArray:
    """x rounded to the judged format, in its carrier dtype."""
    fmt = FORMATS[dtype]
    carried = np.asarray(x, fmt.carrier)
    return carried if fmt.native else rounding.rounded(carried, fmt)


def short(x: Array, dtype: str) -> PlainArray:
    """x in the carrier dtype of the judged format, for elements of at most 4 significant bits: most formats hold them as they are."""
    fmt = FORMATS[dtype]
    return np.asarray(x, fmt.carrier) if fmt.bits >= 4 else rounded(x, dtype)


def numbers(source: Source, shape: tuple[int, ...], dtype: str, style: str = "normal") -> PlainArray:
    """Elements of a style, rounded to the format.

    Styles are normal (standard normal), ties (small integers, so that elements are equal), small, unit (inside the domain of arccos),
    positive, and exact (small integers other than zero, times a power of two).
    """
    rng = source.rng
    if style == EXACT:
        return short(integers(rng, shape) * source.choice(_SCALES), dtype)
    if style == "ties":
        return short(rng.integers(-2, 3, shape), dtype)
    if style == "small":
        # Products stay normal numbers.
        x = rng.standard_normal(shape) * (2.0**-5 if FORMATS[dtype].small_range else 1e-3)
    elif style == "unit":
        x = rng.uniform(-0.9, 0.9, shape)
    elif style == "positive":
        x = rng.uniform(0.1, 2.0, shape)
    else:
        x = rng.standard_normal(shape)
    return rounded(x, dtype)


def weights(source: Source, shape: tuple[int, ...], dtype: str) -> PlainArray:
    """A random cotangent or tangent: multiples of 1/4, which are exact in every format and easy to read."""
    return short(source.rng.integers(-8, 9, shape) / 4.0 + 0.25, dtype)


def style_of_case(source: Source, exact: bool | None, dtype: str) -> bool:
    """Whether a case is drawn on a grid: as ``exact`` says, and where it is None, one in SHARE, or in SHARE_OF_SHORT."""
    if exact is not None:
        return exact
    share = SHARE_OF_SHORT if few_digits(dtype) else SHARE
    return source.integer(0, share - 1) == share - 1


def few_digits(dtype: str) -> bool:
    """Whether the format has too few digits for long sums of integers."""
    return FORMATS[dtype].bits <= _FEW_DIGITS


def finish(
    source: Source,
    family: str,
    graph: Graph,
    inputs: dict[str, PlainArray],
    dtype: str,
    values: list[PlainArray] | None = None,
    exact: bool = False,
    expands: bool = False,
) -> Case:
    """The case of a graph with data: draws cotangent, tangents and memory layouts.

    ``values`` are those of all nodes in float64; they are computed where they are not given. With ``exact`` cotangent and tangents are
    on a grid, too, with as few digits as it takes for the derivatives to fit the format at every node. With ``expands`` a share of the
    other cotangents is one number in memory: the nodes of a program meet such cotangents behind a sum, a single op does not.
    """
    if values is None:
        values = graph.run({name: x.astype(np.float64) for name, x in inputs.items()})
    shape = np.shape(values[graph.outputs[0]])
    if exact:
        cotangent, tangents = _on_grid(source, graph, inputs, values, dtype)
    else:
        tangents = {name: weights(source, x.shape, dtype) for name, x in inputs.items()}
        cotangent = weights(source, shape, dtype)
    layouts = {name: source.choice(layouts_of(x.ndim)) for name, x in inputs.items() if x.size > 1}
    cotangent_layout = source.choice(layouts_of(cotangent.ndim)) if cotangent.size > 1 else LAYOUTS[0]
    expandable = expands and not exact and cotangent.size > 1
    if expandable and source.integer(0, SHARE_OF_EXPANDED - 1) == SHARE_OF_EXPANDED - 1:
        cotangent, cotangent_layout = np.full_like(cotangent, cotangent.flat[0]), EXPANDED
    if not exact and FORMATS[dtype].small_range:
        with np.errstate(all="ignore"):
            sent: list[Array] = []
            seed = (graph.outputs[0], cotangent.astype(np.float64))
            bars = graph.reverse_accumulation(values, [seed], sent)
            cotangent = cotangent * _scale([*sent, *bars], dtype)
            x_dots = {name: x_dot.astype(np.float64) for name, x_dot in tangents.items()}
            scale = _scale(graph.forward_accumulation(values, x_dots), dtype)
            tangents = {name: x_dot * scale for name, x_dot in tangents.items()}
    return Case(
        family=family,
        graph=graph,
        inputs=inputs,
        tangents=tangents,
        cotangent=cotangent,
        dtype=dtype,
        layouts=layouts,
        cotangent_layout=cotangent_layout,
    )


def _on_grid(
    source: Source, graph: Graph, inputs: dict[str, PlainArray], values: list[PlainArray], dtype: str
) -> tuple[PlainArray, dict[str, PlainArray]]:
    """A cotangent and tangents of small integers."""
    fmt, output = FORMATS[dtype], graph.outputs[0]
    for choices in _WEIGHTS:
        drawn = [source.rng.choice(choices, np.shape(x)) for x in (values[output], *inputs.values())]
        if fmt.native:
            break
        with np.errstate(all="ignore"):
            sent: list[Array] = []
            bars = graph.reverse_accumulation(values, [(output, drawn[0])], sent)
            dots = graph.forward_accumulation(values, dict(zip(inputs, drawn[1:], strict=True)))
        slopes = np.concatenate([np.ravel(x) for x in (*sent, *bars, *dots) if x is not None])
        if np.all(exactness.fits(fmt, slopes)):
            break
    cotangent, *tangents = [short(x, dtype) for x in drawn]
    return cotangent, dict(zip(inputs, tangents, strict=True))


def _scale(slopes: Sequence[Array | None], dtype: str) -> PlainArray:
    """The power of two, at most 1, that scales all arrays below LARGEST_SLOPE; a scalar. It is exact, because weights have few digits."""
    largest = max(
        (np.max(np.abs(s), initial=0, where=np.isfinite(s)) for s in slopes if s is not None), default=0.0
    )
    return np.asarray(2.0 ** -max(0, np.frexp(largest / LARGEST_SLOPE)[1]), carrier(dtype))
