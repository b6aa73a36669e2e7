"""The programs of the items as cases, which any backend can be asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from refgrad.graph import Graph
from refgrad.testing.cases.case import Case

from . import ITEMS
from .record import Item, named

FAMILY = "lectures"  # of these cases


def of_item(item: Item, dtype: str, device: str = "cpu") -> Iterator[Case]:
    """The programs of an item as cases, with cotangents and tangents of few digits."""
    rng = np.random.default_rng(len(item.id))
    for problem in item.problems:
        args, wrt = problem.arrays(dtype), problem.differentiated()

        def program(*xs: Any, f: Any = problem.f, args: Any = args, wrt: Any = wrt) -> Any:
            placed = list(args)
            for k, x in zip(wrt, xs, strict=True):
                placed[k] = x
            return f(*placed)

        names = [f"x{k}" for k in wrt]
        xs = {name: np.asarray(args[k], dtype) for name, k in zip(names, wrt, strict=True)}
        graph = Graph.record(named(" ".join(names), program), *xs.values())
        shape = np.shape(graph.forward(*xs.values()))
        above = rng.integers(1, 9, shape) / 4 if problem.upstream is None else problem.upstream
        tangents = {name: np.asarray(rng.integers(1, 9, x.shape) / 4, dtype) for name, x in xs.items()}
        yield Case(FAMILY, graph, xs, tangents, np.asarray(above, dtype), dtype, device)


def items(dtypes: Collection[str] = ()) -> list[Item]:
    """The items that are for one of these formats; without formats, all."""
    return [i for i in ITEMS if not dtypes or set(i.dtypes) & set(dtypes)]
