"""Where the boxes and edges of a small graph stand, for a template to draw: boxes full of text, from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refgrad.draw.layout import Link, Node, layout, path

LETTER, LINE, PAD = 7.3, 16.0, 9.0  # a monospaced character at 12px, a line of text, the margin inside a box


@dataclass(frozen=True, slots=True)
class Spec:
    """A node to be drawn: its lines of text, its operands, a CSS class."""

    lines: tuple[str, ...]
    of: tuple[int, ...]
    kind: str = "op"


@dataclass(frozen=True, slots=True)
class Box:
    """A placed node."""

    node: int
    x: float
    y: float
    width: float
    height: float
    lines: tuple[tuple[float, str], ...]  # y, text; centred on the box
    kind: str

    @property
    def centre(self) -> float:
        """The middle of the box."""
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Edge:
    """A placed edge, as an SVG path; ``points`` are the corners it passes."""

    source: int
    target: int
    path: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph ready to be drawn."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def draw(specs: Sequence[Spec]) -> Drawing:
    """Lay a graph out, inputs on top. Operands must come before their users, as in every graph of refgrad."""
    nodes = [
        Node(max(56.0, max(map(len, s.lines), default=0) * LETTER + 2 * PAD), len(s.lines) * LINE + PAD)
        for s in specs
    ]
    placed = layout(nodes, [Link(j, k) for k, s in enumerate(specs) for j in s.of], down=True)
    boxes = []
    for k, (s, at) in enumerate(zip(specs, placed.nodes, strict=True)):
        lines = tuple((round(at.y + PAD / 2 + LINE * (i + 0.75), 1), text) for i, text in enumerate(s.lines))
        boxes.append(Box(k, at.x, at.y, at.width, at.height, lines, s.kind))
    edges = tuple(Edge(r.source, r.target, path(r.points, down=True), r.points) for r in placed.routes)
    return Drawing(placed.width, placed.height, tuple(boxes), edges)
