"""Evaluation of a case's graph in float64, for the values and gradients in drawings."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refgrad.arrays import PlainArray
from refgrad.draw import draw as svg
from refgrad.draw.svg import STYLE
from refgrad.encode import decode_array
from refgrad.graph import Graph
from refgrad.records import Json
from refgrad.report.analysis.text import short
from refgrad.transforms import jvp

MOST_NODES, MOST_ELEMENTS = 60, 10_000
MOST_MEMORY = 1 << 29  # bytes; a parameter in a case may request an array of any size


@dataclass(frozen=True, slots=True)
class Replay:
    """The value, gradient and tangent of each node as texts; "" where a node has none."""

    values: tuple[str, ...]
    gradients: tuple[str, ...]
    tangents: tuple[str, ...]


def replay(case: Json, *, backward: bool = False, forward: bool = False) -> Replay | None:
    """Evaluate a case's graph in float64, with gradients (``backward``) or tangents (``forward``); None where that fails.

    A drawing without numbers is better than no page, so every exception counts as failure.
    """
    try:
        with _memory_limit():
            return _replay(case, backward, forward)
    except Exception:  # noqa: BLE001 - see above: a case may hold anything, and an op may raise anything
        return None


def textbook_drawing(case: Json) -> str:
    """A case's graph with values and gradients as SVG, without the shared style sheet; "" where the evaluation fails."""
    try:
        with _memory_limit():
            graph = _evaluated(case, backward=True)
            return "" if graph is None else svg(graph).replace(f"<style>{STYLE}</style>", "")
    except Exception:  # noqa: BLE001 - see above
        return ""


@contextlib.contextmanager
def _memory_limit() -> Iterator[None]:
    """Limit memory to MOST_MEMORY more than is in use, on Linux. A results file may come from an untrusted source."""
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
    graph = _evaluated(case, backward)
    if graph is None:
        return None
    empty: list[PlainArray | None] = [None] * len(graph.nodes)
    tangents = empty
    with contextlib.suppress(Exception):  # then the values alone
        tangents = _tangents(graph, case) if forward else empty
    return Replay(
        *(tuple(map(_as_text, row)) for row in (graph.values or empty, graph.cotangents or empty, tangents))
    )


def _tangents(graph: Graph, case: Json) -> list[PlainArray | None]:
    """The tangent of every node with a floating-point value. The graph has been evaluated before."""
    assert graph.values is not None
    inputs = {name: graph.values[k] for name, k in graph.inputs.items()}
    varied = [name for name, x in inputs.items() if np.asarray(x).dtype.kind == "f"]
    directions = [_wide(decode_array(case["tangents"][name])) for name in varied]
    floating = [k for k, x in enumerate(graph.values) if np.asarray(x).dtype.kind == "f"]

    def floating_values(*xs: Any) -> list[Any]:
        values = graph.run(inputs | dict(zip(varied, xs, strict=True)))
        return [values[k] for k in floating]

    with np.errstate(all="ignore"):
        _, found = jvp(floating_values, [inputs[name] for name in varied], directions)
    tangents: list[PlainArray | None] = [None] * len(graph.nodes)
    for k, tangent in zip(floating, found, strict=True):
        tangents[k] = tangent
    return tangents


def _evaluated(case: Json, backward: bool) -> Graph | None:
    """The evaluated graph; None for a large one."""
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


def _wide(x: PlainArray) -> PlainArray:
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _as_text(x: PlainArray | None) -> str:
    """A number, or the first three elements of an array with its shape."""
    if x is None:
        return ""
    a = np.asarray(x)
    items = [short(float(v), 4) for v in a.ravel()[:3]]
    if a.ndim == 0:
        return items[0]
    inside = ", ".join(items) + (", …" if a.size > 3 else "")
    return f"[{inside}]" if a.ndim == 1 and a.size <= 3 else f"{'×'.join(map(str, a.shape))}: {inside}"
