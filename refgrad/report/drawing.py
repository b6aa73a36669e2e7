"""Where the boxes and edges of a small graph stand, layer by layer, for a template to draw.

An edge that spans several layers gets a lane (a dummy node) in each layer between; layers are ordered by barycentres, and
edges bend only in the empty bands between layers. So no edge can pass through a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

LETTER, LINE, PAD = 7.3, 16.0, 9.0  # a monospaced character at 12px, a line of text, the margin inside a box
GAP, BAND, LANE = 18.0, 46.0, 10.0  # between boxes of a layer, between layers, width of a lane


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


@dataclass(slots=True)
class _Slot:
    """A place in a layer: a node, or a lane for an edge (node is -1)."""

    node: int
    layer: int
    width: float
    x: float = 0.0  # of its centre
    above: list[_Slot] = field(default_factory=list)
    below: list[_Slot] = field(default_factory=list)


def draw(specs: Sequence[Spec]) -> Drawing:
    """Lay a graph out, inputs on top. Operands must come before their users, as in every graph of refgrad."""
    if not specs:
        return Drawing(0, 0, (), ())
    level = _levels(specs)
    nodes = [
        _Slot(k, level[k], max(56.0, max(map(len, s.lines), default=0) * LETTER + 2 * PAD))
        for k, s in enumerate(specs)
    ]
    layers: list[list[_Slot]] = [[] for _ in range(max(level) + 1)]
    for slot in nodes:
        layers[slot.layer].append(slot)
    routes = _routes(specs, nodes, layers)
    _order(layers)
    _place(layers)
    heights = [
        max([len(specs[s.node].lines) * LINE + PAD for s in layer if s.node >= 0], default=LINE)
        for layer in layers
    ]
    tops = [4.0]
    for h in heights[:-1]:
        tops.append(tops[-1] + h + BAND)
    left = min(s.x - s.width / 2 for layer in layers for s in layer) - 4
    boxes = [_box(specs[s.node], s, s.x - left, tops[s.layer]) for s in nodes]
    edges = [_edge(route, port - left, left, tops, heights) for route, port in _ported(specs, routes)]
    width = max(s.x + s.width / 2 for layer in layers for s in layer) - left + 4
    return Drawing(round(width, 1), round(tops[-1] + heights[-1] + 4, 1), tuple(boxes), tuple(edges))


def _levels(specs: Sequence[Spec]) -> list[int]:
    """The longest way from a source; sources stand right above their first user, so that edges stay short."""
    level: list[int] = []
    for s in specs:
        level.append(1 + max((level[j] for j in s.of), default=-1))
    users: list[list[int]] = [[] for _ in specs]
    for k, s in enumerate(specs):
        for j in s.of:
            users[j].append(k)
    return [
        min(level[u] for u in users[k]) - 1 if not s.of and users[k] else level[k]
        for k, s in enumerate(specs)
    ]


def _routes(specs: Sequence[Spec], nodes: list[_Slot], layers: list[list[_Slot]]) -> list[list[_Slot]]:
    """The slots that each edge passes, in the order of the targets' operands. Edges from one node share their lanes."""
    routes = []
    lanes: dict[tuple[int, int], _Slot] = {}
    for k, s in enumerate(specs):
        for j in s.of:
            route = [nodes[j]]
            for layer in range(nodes[j].layer + 1, nodes[k].layer):
                if (j, layer) not in lanes:
                    lanes[j, layer] = _Slot(-1, layer, LANE)
                    layers[layer].append(lanes[j, layer])
                route.append(lanes[j, layer])
            route.append(nodes[k])
            for a, b in pairwise(route):
                if all(b is not known for known in a.below):
                    a.below.append(b)
                    b.above.append(a)
            routes.append(route)
    return routes


def _order(layers: list[list[_Slot]]) -> None:
    """Barycentre ordering: a slot moves to the mean place of its neighbours, down and up in turn."""
    for sweep in range(8):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            place = {id(s): i for other in layers for i, s in enumerate(other)}
            scores = []
            for i, s in enumerate(layer):
                near = s.above if down else s.below
                scores.append((sum(place[id(n)] for n in near) / len(near) if near else i, i))
            layer[:] = [layer[i] for _, i in sorted(scores)]


def _place(layers: list[list[_Slot]]) -> None:
    """Centre coordinates: near the mean of the neighbours, in the order found, never closer than GAP."""
    for layer in layers:
        _spread(layer, [0.0] * len(layer))
    for sweep in range(12):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wished = []
            for s in layer:
                near = s.above + s.below if sweep >= 4 else (s.above if sweep % 2 == 0 else s.below)
                wished.append(sum(n.x for n in near) / len(near) if near else s.x)
            _spread(layer, wished)


def _spread(layer: list[_Slot], wished: list[float]) -> None:
    """Places as near as may be to the wished ones: the mean of a packing from the left and one from the right."""
    apart = [(a.width + b.width) / 2 + GAP for a, b in pairwise(layer)]
    left, right = list(wished), list(wished)
    for i, d in enumerate(apart):
        left[i + 1] = max(left[i + 1], left[i] + d)
    for i in range(len(apart) - 1, -1, -1):
        right[i] = min(right[i], right[i + 1] - apart[i])
    for s, a, b in zip(layer, left, right, strict=True):
        s.x = (a + b) / 2


def _ported(specs: Sequence[Spec], routes: list[list[_Slot]]) -> list[tuple[list[_Slot], float]]:
    """Each route with the x at which it enters its target: side by side, in the order in which they come from above."""
    found: list[tuple[list[_Slot], float]] = []
    start = 0
    for s in specs:
        entering = sorted(routes[start : start + len(s.of)], key=lambda route: route[-2].x)
        for n, route in enumerate(entering):
            step = min(16.0, route[-1].width / (len(entering) + 1))
            found.append((route, route[-1].x + (n - (len(entering) - 1) / 2) * step))
        start += len(s.of)
    return found


def _box(spec: Spec, slot: _Slot, x: float, top: float) -> Box:
    height = len(spec.lines) * LINE + PAD
    lines = tuple((round(top + PAD / 2 + LINE * (i + 0.75), 1), text) for i, text in enumerate(spec.lines))
    return Box(
        slot.node, round(x - slot.width / 2, 1), round(top, 1), round(slot.width, 1), height, lines, spec.kind
    )


def _edge(route: list[_Slot], port: float, left: float, tops: list[float], heights: list[float]) -> Edge:
    """A curve through the bands and straight through the lanes; it ends a little above its target for the arrow head."""
    x = route[0].x - left
    y = tops[route[0].layer] + heights[route[0].layer]
    points = [(x, y - heights[route[0].layer] / 2), (x, y)]
    path = f"M{x:.1f} {points[0][1]:.1f}V{y:.1f}"
    for slot in route[1:]:
        last = slot is route[-1]
        nx, ny = (port if last else slot.x - left), tops[slot.layer]
        path += f"C{x:.1f} {y + BAND / 2:.1f} {nx:.1f} {ny - BAND / 2:.1f} {nx:.1f} {ny:.1f}"
        points.append((nx, ny))
        x, y = nx, ny + (heights[slot.layer] / 2 if last else heights[slot.layer])
        points.append((x, y))
        if not last:
            path += f"V{y:.1f}"
    return Edge(route[0].node, route[-1].node, path, tuple(points))
