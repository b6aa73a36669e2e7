"""Layout of a small graph as boxes of text, from top to bottom, for a template to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refgrad.draw.layout import Link, Node, layout, path

LETTER, LINE, PAD = 7.3, 16.0, 9.0  # width of a monospaced character at 12px, line height, padding of a box
GUTTER = 2 * LETTER  # between two columns of numbers


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a box: a label, the observed and the expected numbers, and whether they disagree."""

    label: str
    got: str
    expected: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class BoxSpec:
    """A box to lay out.

    lines   lines of text
    of      indices of the operands' boxes
    kind    CSS class
    rows    numbers
    badge   a short remark about the whole box
    title   the tooltip
    """

    lines: tuple[str, ...]
    of: tuple[int, ...]
    kind: str = "op"
    rows: tuple[Row, ...] = ()
    badge: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A placed text; ``kind`` is its CSS class."""

    x: float
    y: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Box:
    """A placed box with its texts."""

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
    """A placed edge: an SVG path through ``points``."""

    source: int
    target: int
    path: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A placed graph."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]

    @property
    def size(self) -> int:
        """An estimate of the characters that it adds to a page."""
        return 300 * len(self.boxes) + sum(90 * len(b.texts) for b in self.boxes) + 150 * len(self.edges)


def lay_out(specs: Sequence[BoxSpec], columns: tuple[str, str] = ("", "")) -> Drawing:
    """Lay out a graph with its inputs on top. Operands must precede their users, as in every graph of refgrad.

    ``columns`` are the headings of observed and expected numbers; every box that has both columns shows them.
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


def _widths(s: BoxSpec, columns: tuple[str, str]) -> tuple[float, float, float]:
    """The widths of labels, observed and expected numbers; 0 for an empty column."""
    got, expected = (max((len(t) for t in column), default=0) for column in _columns(s))
    if got and expected:
        got, expected = max(got, len(columns[0])), max(expected, len(columns[1]))
    return max((len(r.label) for r in s.rows), default=0) * LETTER, got * LETTER, expected * LETTER


def _columns(s: BoxSpec) -> tuple[list[str], list[str]]:
    return [r.got for r in s.rows], [r.expected for r in s.rows]


def _headed(s: BoxSpec, columns: tuple[str, str]) -> bool:
    return any(columns) and all(any(column) for column in _columns(s))


def _size(s: BoxSpec, columns: tuple[str, str]) -> tuple[float, float]:
    label, got, expected = _widths(s, columns)
    numbers = label + sum(GUTTER + w for w in (got, expected) if w) + (2 * LETTER if s.rows else 0.0)
    named = max(map(len, (*s.lines, s.badge)), default=0) * LETTER
    lines = len(s.lines) + len(s.rows) + bool(s.badge) + _headed(s, columns)
    return max(56.0, named + 2 * PAD, numbers + 2 * PAD), lines * LINE + PAD


def _texts(s: BoxSpec, columns: tuple[str, str], width: float) -> list[Text]:
    """The texts of a box, relative to its upper left corner."""
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
