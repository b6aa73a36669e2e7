"""What a framework said about a case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Array = Any


@dataclass
class Observation:
    """One entry a node of the graph; None where the framework has none. Arrays are float64 copies, exact.

    values      forward values
    cotangents  gradients of <cotangent, output> with respect to every node, from one call of the framework
    tangents    forward-mode tangents of every node, for the case's input tangents
    dtypes      by part ("values", "cotangents", "tangents"), the framework's dtype names
    parts       where a value has several users: what each sent back to it, by (user's node, operand position)
    unavailable by mode, why the framework gave nothing (an exception's text)
    primals     values of the run that gave the tangents, where a kernel rounded otherwise there (a matrix product, say); else None
    modes       for a case of order 2, the framework's further modes (see refgrad.testing.modes)
    """

    values: list[Array]
    cotangents: list[Array]
    tangents: list[Array]
    dtypes: dict[str, list[str | None]]
    devices: dict[str, list[str | None]]
    parts: dict[tuple[int, int], Array] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    primals: list[Array] | None = None
    modes: Any = None
