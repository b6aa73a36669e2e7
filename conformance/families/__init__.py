"""Families of cases. A family is a function of a Source and a dtype that returns a Case."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

import numpy as np

from refgrad.backends import Backend
from refgrad.errors import NoCaseError
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.op.traits import ELEMENTWISE
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.sequence import Wanted
from refgrad.testing.cases.source import Replayed, Seeded, Source
from refgrad.testing.cases.vocabulary import Shared, Vocabulary

from .arrays import offered
from .casts import casts
from .functions import complex_functions, family_of, functions, functions_in
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
    "functions": functions,
    "complex": complex_functions,
}

# The single ops and the functions, among which a run can choose, each with the family of its cases.
SINGLE = {**dict.fromkeys(NAMES, "ops"), **{name: family_of(name) for name in sorted(FUNCTIONS)}}

# The families whose cases are single ops and functions, and those that have such cases: they are judged in a framework's further modes.
OF_ONE_OP = frozenset(SINGLE.values())
IN_FURTHER_MODES = OF_ONE_OP | {"casts"}

# What the families draw: single ops, those of graphs, the casts, and the functions.
DRAWN = frozenset(FUNCTIONS).union(
    name
    for name, op in REGISTRY.items()
    if name in NAMES
    or op.in_graphs is not None
    or (op.torch is not None and "through" in op.signature.defaults)
)

LOOKED_AT = 200  # cases by which it is found out whether an op occurs in a family
TRIES = 64  # draws until a case contains a wanted op

MOST_LARGE = 8  # ops of a run that have a case of many elements for certain
MANY, SEVERAL = 64, 8  # elements of such a case, and different numbers among them

# The families of which a share is drawn on a grid (arrays.py), each drawn there alone.
ON_GRID: dict[str, Callable[[Source, str], Case]] = {
    "graphs": functools.partial(graphs, exact=True),
    "mlp": functools.partial(mlp, exact=True),
    "matmul": functools.partial(matmul, exact=True),
    "softmax": functools.partial(softmax, exact=True),
    "ops": functools.partial(ops, exact=True),
    "functions": functools.partial(functions, exact=True),
    "complex": functools.partial(complex_functions, exact=True),
}


# The families that choose among single ops or functions.
_CHOOSING: dict[str, Callable[..., Case]] = {
    "ops": ops,
    "functions": functions,
    "complex": complex_functions,
}


def family(
    name: str, among: Collection[str] = (), vocabulary: Vocabulary | None = None
) -> Callable[[Source, str], Case]:
    """A family by name. With ``among``, the families ``ops``, ``functions`` and ``complex`` draw only these.

    With a vocabulary, all draw its ops alone. Raises KeyError for an unknown name.
    """
    draw, single = FAMILIES[name], _CHOOSING.get(name)
    if single is not None and (among or vocabulary is not None):
        wanted = frozenset(among or SINGLE)
        draw = functools.partial(single, among=wanted if vocabulary is None else wanted & vocabulary.ops)
    if vocabulary is None:
        return draw
    if name == "graphs":
        draw = functools.partial(graphs, among=vocabulary.ops)
    return restricted(draw, vocabulary)


def single_in(dtype: str, among: Collection[str] = ()) -> tuple[str, ...]:
    """The single ops and functions that are drawn in a format: all, or those of them in ``among``."""
    return (*names_in(dtype, among), *functions_in(dtype, among))


def vocabulary_of(
    backend: Backend, dtype: str, device: str, shared: Shared | None = None
) -> Vocabulary | None:
    """The vocabulary by which ``family`` draws: that of a backend, or that which it shares with others.

    None where it has all ops that are drawn.
    """
    found = backend.vocabulary(dtype, device) if shared is None else shared[device, dtype]
    return None if found.covers(DRAWN) else found


def can_draw(name: str, vocabulary: Vocabulary | None, dtype: str) -> bool:
    """Whether a family has cases in a format, for a vocabulary where there is one."""
    if name in SINGLE.values():
        return any(
            SINGLE[op] == name for op in single_in(dtype, () if vocabulary is None else vocabulary.ops)
        )
    if vocabulary is None:
        return True
    if name == "graphs":
        return any(op.name in vocabulary.ops and offered(op, dtype) for op in pool(ELEMENTWISE))
    return drawable(FAMILIES[name], vocabulary, dtype)


def occurs(name: str, ops: Collection[str], dtype: str = "float32") -> bool:
    """Whether cases of a family contain one of the ops. Of a family of whole programs, whether one of LOOKED_AT cases of the dtype does."""
    if name in SINGLE.values():
        return any(SINGLE.get(op) == name for op in ops)
    return any(_contains(FAMILIES[name](Seeded((k,)), dtype), ops) for k in range(LOOKED_AT))


def containing(draw: Callable[[Source, str], Case], ops: Collection[str]) -> Callable[[Source, str], Case]:
    """The family of the cases of another one that contain one of the ops.

    It raises NoCaseError after TRIES draws without any, and where recorded choices are used up: each further draw is of first options.
    """

    def drawn(source: Source, dtype: str) -> Case:
        for _ in range(TRIES):
            case = draw(source, dtype)
            if _contains(case, ops):
                return case
            if isinstance(source, Replayed) and source.exhausted:
                break
        raise NoCaseError(f"no draw contains one of the ops {sorted(ops)}")

    return drawn


def large(name: str, ops: Collection[str], dtype: str) -> list[Wanted]:
    """What the first cases of a family are in a run of a few ops: for each op, one of many elements. Nothing in a run of all ops."""
    own = [op for op in single_in(dtype, ops) if SINGLE[op] == name] if ops else []
    return [functools.partial(_has_many, op) for op in own[:MOST_LARGE]]


def _has_many(op: str, case: Case) -> bool:
    """Whether a case of this op has an operand with many elements, several of them different."""
    return _contains(case, (op,)) and any(
        x.size >= MANY and len(np.unique(x[np.isfinite(x)])) >= SEVERAL for x in case.inputs.values()
    )


def _contains(case: Case, ops: Collection[str]) -> bool:
    """Whether the result depends on one of the ops. A draw may also make nodes that lead nowhere: no framework is asked for these."""
    nodes = (case.graph.nodes[k] for k in case.graph.order())
    return any(node.op is not None and node.op.name in ops for node in nodes)


__all__ = [
    "FAMILIES",
    "IN_FURTHER_MODES",
    "NAMES",
    "OF_ONE_OP",
    "ON_GRID",
    "SINGLE",
    "can_draw",
    "casts",
    "containing",
    "family",
    "functions",
    "functions_in",
    "graphs",
    "large",
    "matmul",
    "mlp",
    "names_in",
    "occurs",
    "ops",
    "single_in",
    "softmax",
    "vocabulary_of",
]
