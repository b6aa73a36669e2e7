"""Graphs that a results file carries, run again in float64: their values and gradients go into drawings."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refgrad.draw import draw as svg
from refgrad.draw.svg import STYLE
from refgrad.encode import decode_array
from refgrad.graph import Graph
from refgrad.records import Json
from refgrad.report.analysis.text import short
from refgrad.transforms import jvp

MOST_NODES, MOST_ELEMENTS = 60, 10_000
MOST_MEMORY = 1 << 29  # bytes: a parameter may ask for an array of any size


@dataclass(frozen=True, slots=True)
class Replay:
    """One text a node; empty where the node has none."""

    values: tuple[str, ...]
    gradients: tuple[str, ...]
    tangents: tuple[str, ...]


def replay(case: Json, *, backward: bool = False, forward: bool = False) -> Replay | None:
    """Run the case's graph in float64, with its gradients or its tangents if asked; None where this refgrad cannot.

    A drawing without numbers is better than no page, so every failure here is taken as "cannot".
    """
    try:
        with _little_memory():
            return _replay(case, backward, forward)
    except Exception:  # noqa: BLE001 - see above: a case may hold anything, and an op may raise anything
        return None


def drawn(case: Json) -> str:
    """The case's graph as SVG, run forward and backward, without the style sheet that all drawings share; empty where that cannot be."""
    try:
        with _little_memory():
            graph = _run(case, backward=True)
            return "" if graph is None else svg(graph).replace(f"<style>{STYLE}</style>", "")
    except Exception:  # noqa: BLE001 - see above
        return ""


@contextlib.contextmanager
def _little_memory() -> Iterator[None]:
    """Where the system can, refuse what a case asks for beyond this much memory: it may come from anywhere."""
    if sys.platform != "linux":
        yield
        return
    import resource

    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [used + MOST_MEMORY, *(n for n in (soft, hard) if n != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _replay(case: Json, backward: bool, forward: bool) -> Replay | None:
    graph = _run(case, backward)
    if graph is None:
        return None
    empty: list[Any] = [None] * len(graph.nodes)
    tangents = empty
    with contextlib.suppress(Exception):  # then the values alone
        tangents = _tangents(graph, case) if forward else empty
    return Replay(
        *(tuple(map(_shown, row)) for row in (graph.values or empty, graph.cotangents or empty, tangents))
    )


def _tangents(graph: Graph, case: Json) -> list[Any]:
    """The tangent of every node that has a floating-point value; the graph has been run."""
    assert graph.values is not None
    inputs = {name: graph.values[k] for name, k in graph.inputs.items()}
    moved = [name for name, x in inputs.items() if np.asarray(x).dtype.kind == "f"]
    along = [_wide(decode_array(case["tangents"][name])) for name in moved]
    kept = [k for k, x in enumerate(graph.values) if np.asarray(x).dtype.kind == "f"]
    with np.errstate(all="ignore"):
        _, found = jvp(
            lambda *xs: [graph.run(inputs | dict(zip(moved, xs, strict=True)))[k] for k in kept], [inputs[name] for name in moved], along
        )  # fmt: skip
    tangents: list[Any] = [None] * len(graph.nodes)
    for k, tangent in zip(kept, found, strict=True):
        tangents[k] = tangent
    return tangents


def _run(case: Json, backward: bool) -> Graph | None:
    """The graph after a run; None for a large one."""
    graph = Graph.from_dict(case["graph"])
    inputs = {name: _wide(decode_array(x)) for name, x in case["inputs"].items()}
    held = [n.value for n in graph.nodes if n.value is not None]
    if len(graph.nodes) > MOST_NODES or sum(np.size(x) for x in [*inputs.values(), *held]) > MOST_ELEMENTS:
        return None
    with np.errstate(all="ignore"):
        graph.forward(inputs)
        if backward and "cotangent" in case:
            graph.backward(_wide(decode_array(case["cotangent"])))
    return graph


def _wide(x: Any) -> Any:
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _shown(x: Any) -> str:
    """A number, or the first three elements of an array with its shape."""
    if x is None:
        return ""
    a = np.asarray(x)
    items = [short(float(v), 4) for v in a.ravel()[:3]]
    if a.ndim == 0:
        return items[0]
    inside = ", ".join(items) + (", …" if a.size > 3 else "")
    return f"[{inside}]" if a.ndim == 1 and a.size <= 3 else f"{'×'.join(map(str, a.shape))}: {inside}"
