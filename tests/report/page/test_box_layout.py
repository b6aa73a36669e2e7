import random

import pytest

from refgrad.report.page.box_layout import BoxSpec, lay_out


def some_graph(seed):
    rng = random.Random(seed)
    specs = []
    for k in range(rng.randint(2, 26)):
        of = () if k < 2 or rng.random() < 0.15 else tuple(rng.randrange(k) for _ in range(rng.randint(1, 3)))
        specs.append(BoxSpec(tuple("w" * rng.randint(1, 24) for _ in range(rng.randint(1, 4))), of))
    return specs


def on_the_way(edge):
    """Points along the path as it is drawn: straight pieces, and the curves between the corners."""
    for (x0, y0), (x1, y1) in zip(edge.points, edge.points[1:], strict=False):
        for i in range(21):
            t = i / 20
            if x0 == x1:
                yield x0, y0 + (y1 - y0) * t
            else:  # a cubic with vertical tangents
                middle = (y0 + y1) / 2
                a, b, c, d = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3
                yield a * x0 + b * x0 + c * x1 + d * x1, a * y0 + b * middle + c * middle + d * y1


@pytest.mark.parametrize("seed", range(60))
def test_no_edge_passes_through_a_box_and_no_boxes_overlap(seed):
    drawing = lay_out(some_graph(seed))
    for edge in drawing.edges:
        for x, y in on_the_way(edge):
            for b in drawing.boxes:
                if b.node not in {edge.source, edge.target}:
                    assert not (b.x < x < b.x + b.width and b.y < y < b.y + b.height), (
                        f"edge {edge.source}->{edge.target} meets box {b.node}"
                    )
    for i, a in enumerate(drawing.boxes):
        for b in drawing.boxes[i + 1 :]:
            apart = (
                a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            )
            assert apart, f"boxes {a.node} and {b.node} overlap"


@pytest.mark.parametrize("seed", range(20))
def test_everything_is_inside_and_every_operand_has_its_edge(seed):
    specs = some_graph(seed)
    drawing = lay_out(specs)
    assert all(
        b.x >= 0 and b.x + b.width <= drawing.width and b.y >= 0 and b.y + b.height <= drawing.height
        for b in drawing.boxes
    )
    assert all(
        0 <= x <= drawing.width and 0 <= y <= drawing.height for e in drawing.edges for x, y in e.points
    )
    assert sorted((e.source, e.target) for e in drawing.edges) == sorted(
        (j, k) for k, s in enumerate(specs) for j in s.of
    )


def test_operands_stand_above_their_users():
    drawing = lay_out([BoxSpec(("x",), ()), BoxSpec(("exp",), (0,)), BoxSpec(("sum",), (0, 1))])
    y = {b.node: b.y for b in drawing.boxes}
    assert y[0] < y[1] < y[2]


def test_an_empty_graph_is_an_empty_drawing():
    assert lay_out([]).boxes == ()
