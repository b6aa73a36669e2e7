"""What a framework said about a case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Array = Any


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why a mode of a framework gave nothing.

    words    the framework's own: of an exception its class and the first line of its message
    refused  whether they say, in words kept for that purpose, that the framework has no such derivative or kernel; what else an
             adapter meets (an exception of a kernel, say) is no refusal, and the verdict on it an error
    node     at which node of the graph, -1 where that could not be told
    details  for the message: the end of the traceback
    """

    words: str
    refused: bool = True
    node: int = -1
    details: str = ""


@dataclass
class Observation:
    """One entry a node of the graph; None where the framework has none. Arrays are float64 copies, exact.

    values      forward values
    cotangents  gradients of <cotangent, output> with respect to every node, from one call of the framework
    tangents    forward-mode tangents of every node, for the case's input tangents
    dtypes      by part ("values", "cotangents", "tangents"), the framework's dtype names
    parts       where a value has several users: what each sent back to it, by (user's node, operand position)
    unavailable by mode ("value", "reverse", "forward"), why the framework gave nothing; without values nothing is judged
    primals     values of the run that gave the tangents, where a kernel rounded otherwise there (a matrix product, say); else None
    modes       for a case of order 2, the framework's further modes (testing/judging/modes.py)
    support     the list of expected refusals (testing/deviations/expected_refusals.py); None: every refusal is accepted
    """

    values: list[Array]
    cotangents: list[Array]
    tangents: list[Array]
    dtypes: dict[str, list[str | None]]
    devices: dict[str, list[str | None]]
    parts: dict[tuple[int, int], Array] = field(default_factory=dict)
    unavailable: dict[str, NoAnswer] = field(default_factory=dict)
    primals: list[Array] | None = None
    modes: Any = None
    support: Any = None
