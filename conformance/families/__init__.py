"""Families of cases. A family is a function of a Source and a dtype that returns a Case."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Source

from .casts import casts
from .graphs import graphs
from .matmul import matmul
from .mlp import mlp
from .ops import NAMES, names_in, ops
from .softmax import softmax

FAMILIES: dict[str, Callable[[Source, str], Case]] = {
    "graphs": graphs,
    "mlp": mlp,
    "softmax": softmax,
    "matmul": matmul,
    "ops": ops,
    "casts": casts,
}

# The families of which a share is drawn on a grid (arrays.py), each drawn there alone.
ON_GRID: dict[str, Callable[[Source, str], Case]] = {
    "graphs": functools.partial(graphs, exact=True),
    "matmul": functools.partial(matmul, exact=True),
    "ops": functools.partial(ops, exact=True),
}


def family(name: str, among: Collection[str] = ()) -> Callable[[Source, str], Case]:
    """A family by name. With ``among``, the family ``ops`` draws only these ops. Raises KeyError for an unknown name."""
    return functools.partial(ops, among=among) if among and name == "ops" else FAMILIES[name]


__all__ = [
    "FAMILIES",
    "NAMES",
    "ON_GRID",
    "casts",
    "family",
    "graphs",
    "matmul",
    "mlp",
    "names_in",
    "ops",
    "softmax",
]
