"""Families of cases. Each is a function of a Source and a dtype that returns a Case."""

from __future__ import annotations

from collections.abc import Callable

from refgrad.testing.case import Case
from refgrad.testing.source import Source

from .graphs import graphs
from .matmul import matmul
from .mlp import mlp
from .ops import ops
from .softmax import softmax

FAMILIES: dict[str, Callable[[Source, str], Case]] = {
    "graphs": graphs,
    "mlp": mlp,
    "softmax": softmax,
    "matmul": matmul,
    "ops": ops,
}
