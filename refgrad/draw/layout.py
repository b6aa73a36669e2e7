"""Layered layout of graphs: positions of nodes, edges and labels.

Layers are columns, from left to right, with bands between them. A label has a slot in a column of its own, before the edge's target. An
edge that passes a column has a lane there; edges from one node share lanes. Edges bend in bands only, and the slots of a column do not
overlap. Therefore no edge crosses a node, and no two labels overlap.

The slots of a column are ordered by barycentres and by swaps of neighbours (Sugiyama, Tagawa and Toda 1981, Methods for visual
understanding of hierarchical system structures). Given the order, slots are placed by weighted least squares with respect to their
neighbours in other columns, under the constraints of order and distance; pooling adjacent violators solves that exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from refgrad.draw.order import Segment, Slot, order

GAP, LANE = 14.0, 8.0  # between the slots of a column, the width of a lane
NARROW, WIDE = 24.0, 100.0  # smallest and largest width of a band, by the slope of its edges
TIP = 8.0  # the straight end of an edge, for its arrow head
PORT = 13.0  # distance of the ends of two edges at one node
MARGIN = 6.0
SWEEPS = 90
STILL = 1e-3  # a sweep that moves nothing further is the last: positions are rounded to 0.1

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Node:
    """A node to place.

    radius   of rounded ends
    body     width and height of the central figure at which edges end; None: the whole node
    fixed    whether edges enter in the given order; otherwise in the order with the fewest crossings
    """

    width: float
    height: float
    radius: float = 0.0
    body: tuple[float, float] | None = None
    fixed: bool = False

    def along(self, down: bool) -> float:
        """The extent of the figure in the direction of the edges."""
        width, height = self.body or (self.width, self.height)
        return height if down else width

    def across(self, down: bool) -> float:
        """The extent of the figure perpendicular to the edges."""
        return self.along(not down)


@dataclass(frozen=True, slots=True)
class Link:
    """An edge to place, with the width and height of its label."""

    source: int
    target: int
    label: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle, given by its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """A placed edge. It is straight between consecutive ``points`` at one height, and a curve with horizontal ends otherwise."""

    source: int
    target: int
    points: tuple[Point, ...]
    label: Place | None


@dataclass(frozen=True, slots=True)
class Layout:
    """A placed graph, with nodes and routes in the order given."""

    width: float
    height: float
    nodes: tuple[Place, ...]
    routes: tuple[Route, ...]


def layout(nodes: Sequence[Node], links: Sequence[Link], down: bool = False) -> Layout:
    """Place a graph from left to right, or from top to bottom (``down``). The source of a link must precede its target in ``nodes``."""
    if not nodes:
        return Layout(0, 0, (), ())
    level = _levels(len(nodes), links)
    stride = 2 if any(link.label for link in links) else 1
    slots = [
        Slot(stride * level[k], *((n.height, n.width) if down else (n.width, n.height)), node=k)
        for k, n in enumerate(nodes)
    ]
    columns: list[list[Slot]] = [[] for _ in range(stride * max(level) + 1)]
    for s in slots:
        columns[s.column].append(s)
    paths, segments = _segments(nodes, links, slots, columns, down)
    order(columns)
    _ports(nodes, slots, down)
    _spread(columns)
    starts = _along(columns, segments)
    low = min(s.centre - s.across / 2 for c in columns for s in c) - MARGIN
    for s in (s for c in columns for s in c):
        s.centre -= low
    depths = [max(s.along for s in c) for c in columns]
    routes = [
        _route(link, segments_of_link, nodes, starts, depths, down)
        for link, segments_of_link in zip(links, paths, strict=True)
    ]
    places = [_place(s, s.along, s.across, starts, depths, down) for s in slots]
    length = starts[-1] + depths[-1] + MARGIN
    breadth = max(s.centre + s.across / 2 for c in columns for s in c) + MARGIN
    size = (breadth, length) if down else (length, breadth)
    return Layout(round(size[0], 1), round(size[1], 1), tuple(places), tuple(routes))


def _levels(n: int, links: Iterable[Link]) -> list[int]:
    """The layer of each node: the longest path from a source. A source is in the layer before its first user, to keep edges short."""
    before: list[list[int]] = [[] for _ in range(n)]
    users: list[list[int]] = [[] for _ in range(n)]
    for link in links:
        before[link.target].append(link.source)
        users[link.source].append(link.target)
    level: list[int] = []
    for k in range(n):
        level.append(1 + max((level[j] for j in before[k]), default=-1))
    return [min(level[u] for u in users[k]) - 1 if users[k] and not before[k] else level[k] for k in range(n)]


def _segments(
    nodes: Sequence[Node], links: Sequence[Link], slots: list[Slot], columns: list[list[Slot]], down: bool
) -> tuple[list[list[Segment]], list[Segment]]:
    """The segments of each link, from slot to slot, and all distinct segments. Links that share lanes share segments."""
    entering = [0] * len(nodes)
    for link in links:
        entering[link.target] += 1
    seen = [0] * len(nodes)
    lanes: dict[tuple[int, int], Slot] = {}
    known: dict[tuple[int, int], Segment] = {}
    paths: list[list[Segment]] = []
    for link in links:
        source, target = slots[link.source], slots[link.target]
        slots_on_path = [source]
        for column in range(source.column + 1, target.column):
            if link.label and column == target.column - 1:
                width, height = link.label
                stop = Slot(column, *((height, width) if down else (width, height)))
                columns[column].append(stop)
            elif (link.source, column) in lanes:
                stop = lanes[link.source, column]
            else:
                stop = lanes[link.source, column] = Slot(column, 0.0, LANE)
                columns[column].append(stop)
            slots_on_path.append(stop)
        slots_on_path.append(target)
        segments_of_link: list[Segment] = []
        for a, b in pairwise(slots_on_path):
            key = (id(a), id(b))
            if b is target or key not in known:
                fraction = (seen[link.target] + 0.5) / entering[link.target]
                fixed = b is target and nodes[link.target].fixed
                weight = 1.0 if a.node >= 0 and b.node >= 0 else 2.0 if a.node >= 0 or b.node >= 0 else 8.0
                segment = Segment(a, b, fraction if fixed else 0.5, weight)
                a.after.append(segment)
                b.before.append(segment)
                if b is not target:
                    known[key] = segment
            else:
                segment = known[key]
            segments_of_link.append(segment)
        seen[link.target] += 1
        paths.append(segments_of_link)
    return paths, list(dict.fromkeys(s for segments_of_link in paths for s in segments_of_link))


def _ports(nodes: Sequence[Node], slots: list[Slot], down: bool) -> None:
    """Set where each edge ends at its target, relative to the middle."""
    for k, slot in enumerate(slots):
        n = len(slot.before)
        step = min(PORT, nodes[k].across(down) / (n + 1))
        entering = slot.before if nodes[k].fixed else sorted(slot.before, key=lambda s: s.a.index)
        for i, segment in enumerate(entering):
            segment.port = (i - (n - 1) / 2) * step


# --- across: positions within a column ----------------------------------------------------------------------------------


def _spread(columns: list[list[Slot]]) -> None:
    for column in columns:
        _settle(column, [(0.0, 1.0)] * len(column))
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        moved = 0.0
        for column in columns if forward else reversed(columns):
            desired = []
            for s in column:
                near = (
                    [(t.weight, t.a.centre - t.port) for t in s.before]
                    if forward or sweep >= SWEEPS // 3
                    else []
                )
                near += (
                    [(t.weight, t.b.centre + t.port) for t in s.after]
                    if not forward or sweep >= SWEEPS // 3
                    else []
                )
                weight = sum(w for w, _ in near)
                # A slot without neighbours keeps its position with a small weight, so that others can move it.
                desired.append((sum(w * c for w, c in near) / weight, weight) if near else (s.centre, 0.01))
            moved = max(moved, _settle(column, desired))
        if sweep > SWEEPS // 3 and moved < STILL:
            break
    for forward in (True, False, True):
        _straighten(columns, forward)


def _straighten(columns: list[list[Slot]], forward: bool) -> None:
    """Align each lane with its neighbour where possible: one bend in place of several slight ones."""
    for column in columns if forward else reversed(columns):
        desired = []
        for s in column:
            near = [t.a for t in s.before] if forward else [t.b for t in s.after]
            near = [n for n in near if s.node < 0 and (n.node < 0 or abs(n.centre - s.centre) < GAP)]
            desired.append((near[0].centre, 1.0) if near else (s.centre, 4.0))
        _settle(column, desired)


def _settle(column: list[Slot], desired: list[tuple[float, float]]) -> float:
    """Move slots to the positions nearest to the desired ones (position, weight), in order and at distance GAP or more.

    Returns the largest move.

    After subtraction of the space of the preceding slots, positions only have to be monotonic: isotonic regression.
    """
    offset, offsets = 0.0, []
    for i, s in enumerate(column):
        offset += (column[i - 1].across + s.across) / 2 + GAP if i else 0.0
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many slots
    for (target_position, weight), off in zip(desired, offsets, strict=True):
        mean, count = target_position - off, 1
        while pools and pools[-1][0] >= mean:
            m, w, c = pools.pop()
            mean, weight, count = (m * w + mean * weight) / (w + weight), w + weight, c + count
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    moved = 0.0
    for s, mean, off in zip(column, means, offsets, strict=True):
        moved = max(moved, abs(mean + off - s.centre))
        s.centre = mean + off
    return moved


# --- along: positions of the columns ------------------------------------------------------------------------------------


def _along(columns: list[list[Slot]], segments: list[Segment]) -> list[float]:
    """The start of each column. The steepest edge of a band determines its width."""
    rise = [0.0] * len(columns)
    for s in segments:
        rise[s.a.column] = max(rise[s.a.column], abs(s.b.centre + s.port - s.a.centre))
    starts = [MARGIN]
    for column, r in zip(columns[:-1], rise, strict=False):
        starts.append(starts[-1] + max(s.along for s in column) + min(max(NARROW, 0.55 * r), WIDE) + TIP)
    return starts


def _place(
    slot: Slot, along: float, across: float, starts: list[float], depths: list[float], down: bool
) -> Place:
    a = starts[slot.column] + (depths[slot.column] - along) / 2
    c = slot.centre - across / 2
    x, y, w, h = (c, a, across, along) if down else (a, c, along, across)
    return Place(round(x, 1), round(y, 1), round(w, 1), round(h, 1))


def _route(
    link: Link,
    segments_of_link: list[Segment],
    nodes: Sequence[Node],
    starts: list[float],
    depths: list[float],
    down: bool,
) -> Route:
    source, target = segments_of_link[0].a, segments_of_link[-1].b
    start = starts[source.column] + (depths[source.column] + nodes[link.source].along(down)) / 2
    points = [(start, source.centre)]
    label = None
    for segment in segments_of_link:
        s = segment.b
        points.append((starts[segment.a.column] + depths[segment.a.column], points[-1][1]))
        if s is target:
            c, r = s.centre + segment.port, nodes[link.target].radius
            inset = (
                r - max(0.0, r * r - segment.port**2) ** 0.5
                if abs(segment.port) > nodes[link.target].across(down) / 2 - r
                else 0.0
            )
            end = starts[s.column] + (depths[s.column] - nodes[link.target].along(down)) / 2
            points.extend([(starts[s.column] - TIP, c), (end + inset, c)])
        else:
            points.append((starts[s.column], s.centre))
            if link.label and segment is segments_of_link[-2]:
                label = _place(s, s.along, s.across, starts, depths, down)
    tidy = [(round(a, 1), round(c, 1)) for a, c in points]
    tidy = [p for i, p in enumerate(tidy) if not i or p != tidy[i - 1]]
    return Route(link.source, link.target, tuple((c, a) for a, c in tidy) if down else tuple(tidy), label)


def path(points: Sequence[Point], down: bool = False) -> str:
    """The SVG path of a route."""
    (x, y), *rest = points
    drawn = f"M{x:g} {y:g}"
    for nx, ny in rest:
        if (nx == x) if down else (ny == y):
            drawn += f"V{ny:g}" if down else f"H{nx:g}"
        elif down:
            middle = round((y + ny) / 2, 1)
            drawn += f"C{x:g} {middle:g} {nx:g} {middle:g} {nx:g} {ny:g}"
        else:
            middle = round((x + nx) / 2, 1)
            drawn += f"C{middle:g} {y:g} {middle:g} {ny:g} {nx:g} {ny:g}"
        x, y = nx, ny
    return drawn
