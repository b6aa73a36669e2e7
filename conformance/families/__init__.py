"""Families of cases. A family is a function of a Source and a dtype that returns a Case."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

from refgrad.backends import Backend
from refgrad.op import REGISTRY
from refgrad.op.traits import ELEMENTWISE
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.source import Seeded, Source
from refgrad.testing.cases.vocabulary import Shared, Vocabulary

from .arrays import offered
from .casts import casts
from .graphs import graphs, pool
from .matmul import matmul
from .mlp import mlp
from .ops import NAMES, names_in, ops
from .restricted import drawable, restricted
from .softmax import softmax

FAMILIES: dict[str, Callable[[Source, str], Case]] = {
    "graphs": graphs,
    "mlp": mlp,
    "softmax": softmax,
    "matmul": matmul,
    "ops": ops,
    "casts": casts,
}

# The ops that the families draw: those of single ops, those of graphs, and the casts.
DRAWN = frozenset(
    name
    for name, op in REGISTRY.items()
    if name in NAMES
    or op.in_graphs is not None
    or (op.torch is not None and "through" in op.signature.defaults)
)

LOOKED_AT = 200  # cases by which it is found out whether an op occurs in a family
TRIES = 64  # draws until a case contains a wanted op

# The families of which a share is drawn on a grid (arrays.py), each drawn there alone.
ON_GRID: dict[str, Callable[[Source, str], Case]] = {
    "graphs": functools.partial(graphs, exact=True),
    "matmul": functools.partial(matmul, exact=True),
    "ops": functools.partial(ops, exact=True),
}


def family(
    name: str, among: Collection[str] = (), vocabulary: Vocabulary | None = None
) -> Callable[[Source, str], Case]:
    """A family by name. With ``among``, the family ``ops`` draws only these ops; with a vocabulary, all families draw its ops alone.

    Raises KeyError for an unknown name.
    """
    draw = functools.partial(ops, among=among) if among and name == "ops" else FAMILIES[name]
    if vocabulary is None:
        return draw
    if name == "ops":
        draw = functools.partial(ops, among=frozenset(among or NAMES) & vocabulary.ops)
    elif name == "graphs":
        draw = functools.partial(graphs, among=vocabulary.ops)
    return restricted(draw, vocabulary)


def vocabulary_of(
    backend: Backend, dtype: str, device: str, shared: Shared | None = None
) -> Vocabulary | None:
    """The vocabulary by which ``family`` draws: that of a backend, or that which it shares with others.

    None where it has all ops that are drawn.
    """
    found = backend.vocabulary(dtype, device) if shared is None else shared[device, dtype]
    return None if found.covers(DRAWN) else found


def can_draw(name: str, vocabulary: Vocabulary | None, dtype: str) -> bool:
    """Whether a family has cases for a vocabulary."""
    if vocabulary is None:
        return True
    if name == "ops":
        return bool(set(names_in(dtype)) & vocabulary.ops)
    if name == "graphs":
        return any(op.name in vocabulary.ops and offered(op, dtype) for op in pool(ELEMENTWISE))
    return drawable(FAMILIES[name], vocabulary, dtype)


def occurs(name: str, ops: Collection[str], dtype: str = "float32") -> bool:
    """Whether cases of a family contain one of the ops: whether one of LOOKED_AT cases of the dtype does."""
    return any(_contains(FAMILIES[name](Seeded((k,)), dtype), ops) for k in range(LOOKED_AT))


def containing(draw: Callable[[Source, str], Case], ops: Collection[str]) -> Callable[[Source, str], Case]:
    """The family of the cases of another one that contain one of the ops. After TRIES draws without any it takes the last case."""

    def drawn(source: Source, dtype: str) -> Case:
        for _ in range(TRIES):
            case = draw(source, dtype)
            if _contains(case, ops):
                break
        return case

    return drawn


def _contains(case: Case, ops: Collection[str]) -> bool:
    return any(node.op is not None and node.op.name in ops for node in case.graph.nodes)


__all__ = [
    "FAMILIES",
    "NAMES",
    "ON_GRID",
    "can_draw",
    "casts",
    "containing",
    "family",
    "graphs",
    "matmul",
    "mlp",
    "names_in",
    "occurs",
    "ops",
    "softmax",
    "vocabulary_of",
]
