"""No edge through a node, no two labels over each other: for random graphs up to 60 nodes with labels on all edges."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad.draw.layout import Layout, Link, Node, layout, path


@st.composite
def graphs(draw, most=60):
    """Nodes of many sizes, up to three operands each, and a label on every edge."""
    n = draw(st.integers(2, most))
    random = draw(st.randoms(use_true_random=False))
    reach = draw(st.sampled_from([3, 8, 60]))
    nodes, links = [], []
    for k in range(n):
        width, height = random.uniform(20, 160), random.uniform(20, 70)
        body = (width * 0.6, height * 0.5) if random.random() < 0.3 else None
        radius = min(body or (width, height)) / 2 if random.random() < 0.5 else 0
        nodes.append(Node(width, height, radius, body, random.random() < 0.5))
        for _ in range(random.randint(0, 3) if k else 0):
            label = (random.uniform(10, 200), random.uniform(10, 90))
            links.append(Link(random.randrange(max(0, k - reach), k), k, label))
    return nodes, links


def on_the_way(points, down=False):
    """Points along a route as ``path`` draws it."""
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        for i in range(17):
            t = i / 16
            rise = 3 * t * t - 2 * t**3  # a cubic whose inner control points are level with its ends
            along = (1 - t) ** 3 * 0 + 3 * (1 - t) ** 2 * t / 2 + 3 * (1 - t) * t * t / 2 + t**3
            if down:
                yield x0 + (x1 - x0) * rise, y0 + (y1 - y0) * (along if x0 != x1 else t)
            else:
                yield x0 + (x1 - x0) * (along if y0 != y1 else t), y0 + (y1 - y0) * rise


def met(points, places, slack=0.2):  # coordinates are rounded to a tenth
    """The numbers of the places that one of the points lies in."""
    corners = np.array([(p.x, p.y) for p in places])
    opposite = corners + [(p.width, p.height) for p in places]
    at = np.array(points)[:, None]
    return {*np.flatnonzero(np.any(np.all((corners + slack < at) & (at < opposite - slack), -1), 0)).tolist()}


def apart(a, b, slack=0.2):
    return (
        a.x + a.width <= b.x + slack or b.x + b.width <= a.x + slack
        or a.y + a.height <= b.y + slack or b.y + b.height <= a.y + slack
    )  # fmt: skip


@settings(max_examples=60)
@given(graphs(), st.booleans())
def test_nothing_overlaps(graph, down):
    nodes, links = graph
    placed = layout(nodes, links, down)
    labels = [r.label for r in placed.routes]
    assert None not in labels
    for a, b in itertools.combinations([*placed.nodes, *labels], 2):
        assert apart(a, b)
    for route in placed.routes:
        points = [*on_the_way(route.points, down)]
        through = met(points, placed.nodes) - {route.source, route.target}
        assert not through, f"{route} meets nodes {through}"
        over = [placed.routes[k] for k in met(points, labels) if placed.routes[k] is not route]
        assert not over, f"{route} meets the labels of {over}"
    for place in [*placed.nodes, *labels]:
        assert place.x >= 0
        assert place.y >= 0
        assert place.x + place.width <= placed.width + 0.2
        assert place.y + place.height <= placed.height + 0.2


@settings(max_examples=40)
@given(graphs())
def test_an_edge_runs_through_the_middle_of_its_label(graph):
    for route in layout(*graph).routes:
        middle = (route.label.x + route.label.width / 2, route.label.y + route.label.height / 2)
        inner = [(a, b) for a, b in itertools.pairwise(route.points) if a[0] - 0.2 <= middle[0] <= b[0] + 0.2]
        assert any(abs(a[1] - middle[1]) < 0.2 and abs(b[1] - middle[1]) < 0.2 for a, b in inner)


@settings(max_examples=40)
@given(graphs(20))
def test_edges_lead_from_figure_to_figure(graph):
    nodes, links = graph
    placed = layout(nodes, links)
    for link, route in zip(links, placed.routes, strict=True):
        (x0, y0), (x1, y1) = route.points[0], route.points[-1]
        a, b = placed.nodes[link.source], placed.nodes[link.target]
        reach = (nodes[link.source].body or (a.width, 0))[0]
        # Coordinates are written in tenths: half a tenth each of a point, a place and its size.
        assert x0 == pytest.approx(a.x + (a.width + reach) / 2, abs=0.15001)
        assert y0 == pytest.approx(a.y + a.height / 2, abs=0.15001)
        width, height = nodes[link.target].body or (b.width, b.height)
        assert b.x + (b.width - width) / 2 - 0.2 <= x1 <= b.x + b.width / 2
        assert abs(y1 - b.y - b.height / 2) <= height / 2


def test_edges_of_a_fixed_node_enter_in_order():
    # The second operand is declared first: without the order the edges would not cross.
    box = Node(30, 30, fixed=True)
    links = [Link(1, 2, (20, 20)), Link(0, 2, (20, 20))]
    ends = [r.points[-1][1] for r in layout([box, box, box], links).routes]
    assert ends[0] < ends[1]


def test_a_chain_is_straight():
    box = Node(30, 30)
    placed = layout([box] * 5, [Link(k, k + 1, (40, 30)) for k in range(4)])
    assert len({y for r in placed.routes for _, y in r.points}) == 1
    assert all("C" not in path(r.points) for r in placed.routes)


def test_sources_stand_by_their_users():
    box = Node(30, 30)
    placed = layout([box] * 5, [Link(0, 1), Link(1, 2), Link(2, 4), Link(3, 4)])
    assert placed.nodes[3].x == placed.nodes[2].x


def test_the_path_is_what_the_points_say():
    assert path([(0, 5), (10, 5), (30, 9), (40, 9)]) == "M0 5H10C20 5 20 9 30 9H40"
    assert path([(5, 0), (5, 10), (9, 30)], down=True) == "M5 0V10C5 20 9 20 9 30"


def test_a_graph_without_nodes_takes_no_room():
    assert layout([], []) == Layout(0, 0, (), ())


def test_crossings_that_can_be_avoided_are():
    box = Node(30, 30)
    # Four sources and four targets joined in opposite order: a planar graph that is given crossed.
    placed = layout([box] * 8, [Link(k, 7 - k) for k in range(4)])
    order = sorted(range(4), key=lambda k: placed.nodes[k].y)
    assert [7 - k for k in order] == sorted(range(4, 8), key=lambda k: placed.nodes[k].y)


def test_equal_graphs_have_equal_layouts():
    box = Node(30, 30)
    links = [Link(k // 2, k + 1, (20, 20)) for k in range(30)]
    assert layout([box] * 31, links) == layout([box] * 31, list(links))
