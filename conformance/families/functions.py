"""Functions: compositions of ops that the framework computes by one call (refgrad.op.function), each drawn by its own record.

Those of complex numbers, whose operands are real and imaginary parts, are a family of their own.
The record draws shapes, parameters and roles of operands. The numbers of an operand are of one of several kinds, so that equal elements,
zeros, and both ends of the range meet, and one axis is long now and then.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import replace

import numpy as np

import refgrad.node  # noqa: F401  declares every function
from refgrad.arrays import Params, PlainArray
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.op import FUNCTIONS, Draws, Function
from refgrad.op.function import split
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.exact_calls import exact_call, rounds_nothing, small_integers
from refgrad.testing.cases.source import Source

from .arrays import EXACT, finish, rounded, style_of_case
from .wide import LENGTHS, length

KINDS = ("plain", "ties", "plain", "zeros", "tiny", "large", "alike", "mixed")
_MOST = 513  # elements along a long axis: a case of this family is judged in all modes
_TRIES = 8  # draws of operands on a grid
_FEW = 32  # one element in so many is replaced, and at least one


class Arguments(Draws):
    """The draws of the arguments of one call, whose numbers are of one kind, in a format.

    plain   standard normal, or inside the interval that the record gives
    ties    small integers
    alike   one number everywhere
    zeros, tiny, large, mixed   a few such numbers among plain ones
    exact   on a grid: small integers, times a power of two where they have to be small
    """

    def __init__(self, source: Source, dtype: str, *, wide: bool = True, exact: bool = False) -> None:
        super().__init__(source)
        self.dtype = dtype
        self.kind = EXACT if exact else source.choice(KINDS)
        self._length = length(source, most=_MOST) if wide else 0
        self._room = LENGTHS[-1]

    def size(self) -> int:
        """The size of an axis; the first axis of a wide case is long. All sizes of a call together multiply to at most LENGTHS[-1]."""
        drawn = super().size()  # in any case, so that the later choices stay when the case shrinks
        size = min(self._length or drawn, self._room)
        self._length, self._room = 0, self._room // size
        return size

    def numbers(self, shape: tuple[int, ...], low: float = -np.inf, high: float = np.inf) -> PlainArray:
        """An operand: numbers of this kind from low to high."""
        if self.kind == EXACT:
            x = small_integers(self.rng, shape) * (1.0 if high > 1 else 2.0**-4)
            return np.asarray(np.clip(np.abs(x) if low >= 0 else x, low, high))
        x = super().numbers(shape, low, high)
        if self.kind == "ties":
            return np.asarray(np.clip(self.rng.integers(-2, 3, shape).astype(np.float64), low, high))
        if self.kind == "alike":
            return np.full(shape, x.flat[0] if x.size else 0.0)
        pool = [a for a in _magnitudes(self.kind, self.dtype) if low <= a <= high]
        if pool and x.size:
            places = self.rng.choice(x.size, max(1, x.size // _FEW), replace=False)
            x.reshape(-1)[places] = self.rng.choice(pool, places.size)
        return x


def _magnitudes(kind: str, dtype: str) -> tuple[float, ...]:
    """Numbers of a kind in the format, of both signs."""
    fmt = FORMATS[dtype]
    small = fmt.least_normal
    found = {
        "zeros": (0.0,),
        "tiny": (small, fmt.least, np.sqrt(small), fmt.u, fmt.u**2),
        "large": (8.0, 30.0, fmt.max**0.25),  # squares of squares stay in range
    }
    chosen = found.get(kind) or [a for some in found.values() for a in some] if kind != "plain" else ()
    return tuple(float(sign * a) for a in chosen for sign in (1.0, -1.0))


COMPLEX = "complex."  # the names of functions of complex numbers by their parts begin so (refgrad/complex)


def family_of(name: str) -> str:
    """The family that draws a function: ``complex`` for one of complex numbers, else ``functions``."""
    return "complex" if name.startswith(COMPLEX) else "functions"


def functions_in(dtype: str, among: Collection[str] = (), family: str = "") -> tuple[str, ...]:
    """The functions that are drawn in a format: all, or those in ``among``, of both families or of one of them."""
    return tuple(
        name
        for name in sorted(FUNCTIONS)
        if (not among or name in among)
        and family in ("", family_of(name))
        and (not FUNCTIONS[name].formats or dtype in FUNCTIONS[name].formats)
    )


def functions(
    source: Source,
    dtype: str,
    among: Collection[str] = (),
    family: str = "functions",
    exact: bool | None = None,
) -> Case:
    """One call of a function. Operands of floating-point numbers are inputs, unless the record says otherwise; the others are constants.

    With ``exact`` the call is on a grid, of a function that rounds nothing there; by default a share of such calls is (arrays.py).
    """
    names = functions_in(dtype, among, family)
    if exact:
        names = tuple(name for name in names if rounds_nothing(name)) or names
    exact = style_of_case(source, exact, dtype)
    function = FUNCTIONS[source.choice(names)]
    exact = exact and rounds_nothing(function.name)
    operands, params = _drawn_exact(source, function, dtype) if exact else _drawn(source, function, dtype)
    graph = Graph()
    inputs: dict[str, PlainArray] = {}
    for name, x in operands.items():
        if x.dtype.kind == "f":
            with np.errstate(over="ignore"):
                x = rounded(x, dtype)
        if x.dtype.kind == "f" and name not in function.plain:
            inputs[name] = x
            graph.nodes.append(Node(name=name))
        else:
            graph.nodes.append(Node(value=x))
    graph.nodes.append(Node(op=function, of=tuple(range(len(operands))), params=params))
    graph.outputs = (len(operands),)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # errstate does not cover the warning of empty means
        case = finish(source, family, graph, inputs, dtype, exact=exact, expands=True)
    return replace(case, order=2) if inputs else case  # without an input there is no derivative to ask for


def _drawn(source: Source, function: Function, dtype: str) -> tuple[Params, Params]:
    """Operands and parameters of a call."""
    operands, params = split(function.drawn(Arguments(source, dtype)))
    if any(x.size > LENGTHS[-1] for x in operands.values()):  # images of many samples have further axes
        operands, params = split(function.drawn(Arguments(source, dtype, wide=False)))
    return operands, params


def _drawn_exact(source: Source, function: Function, dtype: str) -> tuple[Params, Params]:
    """Operands on a grid and parameters of a call that rounds nothing; at the last try of any."""
    for _ in range(_TRIES):
        operands, params = split(function.drawn(Arguments(source, dtype, wide=False, exact=True)))
        arrays = [rounded(x, dtype) if x.dtype.kind == "f" else x for x in operands.values()]
        moving = [
            x if x.dtype.kind == "f" and name not in function.plain else None
            for name, x in zip(operands, arrays, strict=True)
        ]
        if exact_call(function, arrays, params, moving, None, dtype):
            break
    return operands, params


def complex_functions(
    source: Source, dtype: str, among: Collection[str] = (), exact: bool | None = None
) -> Case:
    """One call of a function of complex numbers, whose parts are in this format (refgrad/complex)."""
    return functions(source, dtype, among, "complex", exact)
