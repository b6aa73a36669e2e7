"""Rendering of a picture as SVG, for light and dark backgrounds. It has no ids, so several drawings can share a page."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from refgrad.draw.layout import Layout, Link, Node, Place, Route, layout, path
from refgrad.draw.numbers import Lines, columns
from refgrad.draw.picture import Gate, Picture, Wire

GATE, SMALL = 14.0, 12.0  # font sizes of gates and of numbers
ADVANCE = 0.62  # width of a character in units of the font size; most fixed-width fonts have 0.60
LEAD = 15.0  # line height
ABOVE, BELOW = 5.0, 12.5  # distances of the nearest baselines above and below an edge
ROUND = 34.0  # diameter of a gate

# Colours are mixed with the text colour of the page. A drawing in a file of its own follows the reader's colour scheme.
STYLE = """
.refgrad-graph{font:12px ui-monospace,"SF Mono","DejaVu Sans Mono",Menlo,Consolas,monospace;color-scheme:light dark}
.refgrad-graph:root{color:#1c2026}
@media (prefers-color-scheme:dark){.refgrad-graph:root{color:#e7e9ec}}
.refgrad-graph text{fill:currentColor;text-anchor:middle;stroke:none}
.refgrad-graph .wires{opacity:.62}
.refgrad-graph .wires path{fill:none;stroke:currentColor;stroke-width:1.3}
.refgrad-graph .wires .tip{fill:currentColor;stroke:none}
.refgrad-graph .gate rect{fill:currentColor;fill-opacity:.045;stroke:currentColor;stroke-opacity:.7;stroke-width:1.3}
.refgrad-graph .gate .name{font-size:14px;font-weight:600}
.refgrad-graph .input rect,.refgrad-graph .output rect,.refgrad-graph .constant rect{fill:none;stroke:none}
.refgrad-graph .constant .name{font-weight:400;fill-opacity:.75}
.refgrad-graph .block rect{stroke-width:2}
.refgrad-graph .block .small{fill-opacity:.85}
.refgrad-graph .value{fill:#2a8a4a;fill:color-mix(in oklab,#0a9c3f 72%,currentColor)}
.refgrad-graph .gradient{fill:#d0402f;fill:color-mix(in oklab,#e3321f 76%,currentColor)}
.refgrad-graph .local{fill:#3f73c4;fill:color-mix(in oklab,#2a6fdb 74%,currentColor)}
.refgrad-graph .marked rect{stroke:#3f73c4;stroke:color-mix(in oklab,#2a6fdb 74%,currentColor);stroke-opacity:1;stroke-width:2.6}
.refgrad-graph .marked .name{font-weight:700}
.refgrad-graph .ahead{opacity:0}
.refgrad-graph .now rect{stroke-width:3.2;stroke-opacity:1}
""".strip().replace("\n", "")

Tag = Callable[[str, int], str]  # attributes for "value" of gate n, "gradient" sent by gate n, "gate" n


def svg(picture: Picture, tag: Tag | None = None) -> str:
    """The SVG text of a picture. ``tag`` adds attributes to gates and numbers, for the display node by node."""
    placed = placed_picture(picture)
    tag = tag or _untagged
    width, height = f"{placed.width:g}", f"{placed.height:g}"
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" class="refgrad-graph" role="img"',
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{_text(picture.title)}</title><desc>{_text(picture.about)}</desc>",
        f"<style>{STYLE}</style>",
        '<g class="wires">',  # opacity of the group: wires that share a lane are not darker
    ]
    for route in placed.routes:
        x, y = route.points[-1]
        line = path((*route.points[:-1], (round(x - 5, 1), y)))
        parts.append(f'<path d="{line}"/><path class="tip" d="M{x:g} {y:g}l-8 -3.6v7.2z"/>')
    parts.append("</g>")
    for n, (gate, place) in enumerate(zip(picture.gates, placed.nodes, strict=True)):
        parts.append(_gate(gate, place, n, tag))
    for wire, route in zip(picture.wires, placed.routes, strict=True):
        parts.append(_label(wire, route, tag))
    parts.append("</svg>\n")
    return "\n".join(p for p in parts if p)


def _untagged(_kind: str, _n: int) -> str:
    return ""


def placed_picture(picture: Picture) -> Layout:
    """The layout of a picture."""
    nodes = []
    for g in picture.gates:
        w, h, r = _body(g)
        total_height = LEAD * len(g.total) + (4 if g.total else 0)
        # The sum stands below the gate; equal space above keeps the figure in the middle, where edges end.
        nodes.append(Node(max(w, _text_width(g.total, SMALL)), h + 2 * total_height, r, (w, h), g.fixed))
    return layout(nodes, [Link(w.source, w.target, _label_size(w)) for w in picture.wires])


def _body(g: Gate) -> tuple[float, float, float]:
    """Width, height and corner radius of a gate's figure."""
    if g.kind == "block":
        return (
            max(_text_width(g.text[:1], GATE), _text_width(g.text[1:], SMALL)) + 24,
            LEAD * len(g.text) + 18,
            8.0,
        )
    text = _text_width(g.text, GATE)
    if g.kind == "op":
        return max(ROUND, text + 16), ROUND, ROUND / 2
    return text + 8, LEAD * len(g.text) + 6, 0.0


def _text_width(lines: Lines, size: float) -> float:
    return max((columns(t) for t in lines), default=0) * size * ADVANCE


def _label_size(w: Wire) -> tuple[float, float] | None:
    """Width and height of a wire's label, through whose middle the edge runs; None for an empty label."""
    below = w.product or w.below + w.notes
    rows = max(len(w.above), len(below))
    return (_text_width(w.above + below, SMALL) + 6, 2 * (LEAD * rows + 1)) if rows else None


def _gate(g: Gate, at: Place, n: int, tag: Tag) -> str:
    w, h, r = _body(g)
    x, y = at.x + at.width / 2, at.y + at.height / 2
    marked = " marked" if g.marked else ""
    parts = [
        f'<g class="gate {g.kind}{marked}"{tag("gate", n)}><title>{_text(g.about)}</title>',
        f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{r:g}"/>',
    ]
    top = y - LEAD * (len(g.text) - 1) / 2 + 4.8
    for i, line in enumerate(g.text):
        kind = "small" if g.kind == "block" and i else "name"
        parts.append(f'<text class="{kind}" x="{x:.1f}" y="{top + i * LEAD:.1f}">{_text(line)}</text>')
    parts.append("</g>")
    for i, line in enumerate(g.total):
        parts.append(
            f'<text class="gradient" x="{x:.1f}" y="{y + h / 2 + BELOW + 1 + i * LEAD:.1f}"{tag("total", n)}>{_text(line)}</text>'
        )
    return "".join(parts)


def _label(w: Wire, route: Route, tag: Tag) -> str:
    if route.label is None:
        return ""
    x, y = route.label.x + route.label.width / 2, route.label.y + route.label.height / 2
    parts = [
        f'<text class="value" x="{x:.1f}" y="{y - ABOVE - (len(w.above) - 1 - i) * LEAD:.1f}"{tag("value", w.source)}>{_text(line)}</text>'
        for i, line in enumerate(w.above)
    ]
    below = [("gradient", t) for t in w.product] or [("gradient", t) for t in w.below] + [
        ("local", t) for t in w.notes
    ]
    parts += [
        f'<text class="{kind}" x="{x:.1f}" y="{y + BELOW + i * LEAD:.1f}"{tag("gradient", w.target)}>{_text(line)}</text>'
        for i, (kind, line) in enumerate(below)
    ]
    return "".join(parts)


def _text(text: str) -> str:
    """Text escaped for XML; characters that are not printable become replacement characters."""
    return escape(
        "".join(
            c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else "\N{REPLACEMENT CHARACTER}" for c in text
        )
    )
