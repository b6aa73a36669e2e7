"""Where the boxes and edges of a small graph stand, for a template to draw: boxes full of text, from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refgrad.draw.layout import Link, Node, layout, path

LETTER, LINE, PAD = 7.3, 16.0, 9.0  # a monospaced character at 12px, a line of text, the margin inside a box
GUTTER = 2 * LETTER  # between two columns of numbers


@dataclass(frozen=True, slots=True)
class Row:
    """A line of numbers in a box: what they are, what came, what was expected."""

    label: str
    got: str
    expected: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """A node to be drawn: its lines of text, its operands, a CSS class, its numbers; ``badge`` is a word about the whole box."""

    lines: tuple[str, ...]
    of: tuple[int, ...]
    kind: str = "op"
    rows: tuple[Row, ...] = ()
    badge: str = ""
    title: str = ""  # shown when the pointer rests on the box


@dataclass(frozen=True, slots=True)
class Text:
    """A placed piece of text."""

    x: float
    y: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Box:
    """A placed node."""

    node: int
    x: float
    y: float
    width: float
    height: float
    texts: tuple[Text, ...]
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A placed edge, as an SVG path; ``points`` are the corners it passes."""

    source: int
    target: int
    path: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph ready to be drawn. ``size`` is about how many characters it takes in a page."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]

    @property
    def size(self) -> int:
        """About how many characters it takes in a page."""
        return 300 * len(self.boxes) + sum(90 * len(b.texts) for b in self.boxes) + 150 * len(self.edges)


def draw(specs: Sequence[Spec], columns: tuple[str, str] = ("", "")) -> Drawing:
    """Lay a graph out, inputs on top. Operands must come before their users, as in every graph of refgrad.

    ``columns`` names the two columns of numbers; the names stand in every box that has both.
    """
    nodes = [Node(*_size(s, columns)) for s in specs]
    placed = layout(nodes, [Link(j, k) for k, s in enumerate(specs) for j in s.of], down=True)
    boxes = []
    for k, (s, at) in enumerate(zip(specs, placed.nodes, strict=True)):
        texts = tuple(
            Text(round(at.x + t.x, 1), round(at.y + t.y, 1), t.text, t.kind)
            for t in _texts(s, columns, at.width)
        )
        boxes.append(Box(k, at.x, at.y, at.width, at.height, texts, s.kind, s.title))
    edges = tuple(Edge(r.source, r.target, path(r.points, down=True), r.points) for r in placed.routes)
    return Drawing(placed.width, placed.height, tuple(boxes), edges)


def _widths(s: Spec, columns: tuple[str, str]) -> tuple[float, float, float]:
    """Of the labels, of what came (nothing where nothing did), of what was expected."""
    got, expected = (max((len(t) for t in column), default=0) for column in _columns(s))
    if got and expected:
        got, expected = max(got, len(columns[0])), max(expected, len(columns[1]))
    return max((len(r.label) for r in s.rows), default=0) * LETTER, got * LETTER, expected * LETTER


def _columns(s: Spec) -> tuple[list[str], list[str]]:
    return [r.got for r in s.rows], [r.expected for r in s.rows]


def _headed(s: Spec, columns: tuple[str, str]) -> bool:
    return any(columns) and all(any(column) for column in _columns(s))


def _size(s: Spec, columns: tuple[str, str]) -> tuple[float, float]:
    label, got, expected = _widths(s, columns)
    numbers = label + sum(GUTTER + w for w in (got, expected) if w) + (2 * LETTER if s.rows else 0.0)
    named = max(map(len, (*s.lines, s.badge)), default=0) * LETTER
    lines = len(s.lines) + len(s.rows) + bool(s.badge) + _headed(s, columns)
    return max(56.0, named + 2 * PAD, numbers + 2 * PAD), lines * LINE + PAD


def _texts(s: Spec, columns: tuple[str, str], width: float) -> list[Text]:
    """The texts of a box, relative to its corner."""
    label, got, expected = _widths(s, columns)
    first = PAD + label + GUTTER + got
    second = (first if got else PAD + label) + GUTTER + expected
    found: list[Text] = []

    def line() -> float:
        return PAD / 2 + LINE * (lines + 0.75)

    lines = 0
    if s.badge:
        found.append(Text(width / 2, line(), s.badge, "badge"))
        lines += 1
    for k, text in enumerate(s.lines):
        found.append(Text(width / 2, line(), text, "line" if k else "name"))
        lines += 1
    if _headed(s, columns):
        found += [
            Text(x, line(), name, "head") for x, name in zip((first, second), columns, strict=True) if name
        ]
        lines += 1
    for row in s.rows:
        wrong = " out" if row.wrong else ""
        found.append(Text(PAD, line(), row.label, "label"))
        found += [Text(first, line(), row.got, f"number{wrong}")] if row.got else []
        found += [Text(second, line(), row.expected, "number")] if row.expected else []
        found += [Text(second + LETTER, line(), "✗", "cross")] if row.wrong else []
        lines += 1
    return found
